"""A session made by hand, with everything that a session can have, small enough to be read at a glance."""

import numpy as np
import pandas as pd

from spikesight.data.nwb_write.units import METRICS
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session

N_SITES, N_SAMPLES = 4, 82
AREAS = {"probeA": "VISp", "probeC": "LGd"}
PROBE_IDS = {"probeA": 810755797, "probeC": 810755801}
GRATING_TEXTS = {"color": "[1.0, 1.0, 1.0]", "mask": "None", "phase": "[0.0, 0.0]", "size": "[250.0, 250.0]"}


def make_channels() -> pd.DataFrame:
    rows = [
        {
            "id": PROBE_IDS[probe] * 10 + site,
            "x": 7500.0 + site,
            "y": 4000.0 - 20 * site,
            "z": 8000.0,
            "location": AREAS[probe] if site else "",
            "group_name": probe,
            "probe_vertical_position": 20 * (site + 1),
            "probe_horizontal_position": (43, 11, 59, 27)[site % 4],
            "probe_id": PROBE_IDS[probe],
            "local_index": site,
            "valid_data": site != 1,
        }
        for probe in AREAS
        for site in range(N_SITES)
    ]
    channels = pd.DataFrame(rows).set_index("id").rename_axis("channel_id")
    channels.iloc[0, channels.columns.get_indexer(["x", "y", "z"])] = np.nan
    return channels


def make_units(channels: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    peaks = channels.index[[2, 3, 0, 6, 7, 1]]
    n_units = len(peaks)
    units = pd.DataFrame({name: rng.uniform(size=n_units) for name in METRICS})
    units = units.assign(
        peak_channel_id=peaks,
        local_index=np.arange(n_units),
        cluster_id=np.arange(n_units) + 3,
        quality=["good", "good", "good", "good", "noise", "good"],
        isi_violations=0.01,
        presence_ratio=0.99,
        amplitude_cutoff=[0.01, 0.02, 0.01, 0.05, 0.01, 0.01],
        snr=[np.nan, *rng.uniform(1, 5, n_units - 1)],
    )
    units.index = pd.Index(np.array([950910000, 950910001, 950910005, 950910003, 950910009, 950910007]), name="unit_id")
    sites = channels.loc[peaks]
    return units.assign(
        area=sites["location"].to_numpy(),
        probe=sites["group_name"].to_numpy(),
        probe_vertical_position=sites["probe_vertical_position"].to_numpy(),
        anterior_posterior_ccf_coordinate=sites["x"].to_numpy(),
        dorsal_ventral_ccf_coordinate=sites["y"].to_numpy(),
        left_right_ccf_coordinate=sites["z"].to_numpy(),
    )


def make_presentations(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Gabors, a grey screen, and two runs of scenes with gratings between them."""

    def table(start: float, n: int, seconds: float = 0.25, **columns: object) -> pd.DataFrame:
        starts = start + seconds * np.arange(n)
        return pd.DataFrame({"start_time": starts, "stop_time": starts + seconds, **columns})

    gabors = table(10, 8, x_position=rng.choice([-10.0, 10.0], 8), y_position=0.0, temporal_frequency=4.0)
    gabors = gabors.assign(**GRATING_TEXTS, spatial_frequency="0.08", orientation=[0.0, 45.0] * 4)
    gratings = table(20, 5, 2.0, orientation=[0.0, 90.0, np.nan, 180.0, 270.0], temporal_frequency=2.0)
    gratings = gratings.assign(**GRATING_TEXTS, spatial_frequency="0.04")
    gratings.loc[2, ["color", "mask", "phase", "size", "spatial_frequency"]] = None
    scenes = pd.concat(
        [table(15, 12, frame=np.arange(12.0) - 1), table(35, 6, frame=np.arange(6.0))], ignore_index=True
    )
    tables = {"gabors": gabors, "natural_scenes": scenes, "drifting_gratings": gratings}
    tables["spontaneous"] = pd.DataFrame({"start_time": [1.0, 12.0, 30.0], "stop_time": [10.0, 15.0, 35.0]})
    return tables


def make_session(seed: int = 0, n_spikes: int = 300) -> Session:
    rng = np.random.default_rng(seed)
    channels = make_channels()
    units = make_units(channels, rng)
    counts = [int(n) for n in rng.integers(1, n_spikes, len(units))]
    counts[2] = 0
    times = {unit: np.sort(rng.uniform(0, 45, n)) for unit, n in zip(units.index, counts, strict=True)}
    amplitudes = {unit: rng.uniform(5e-5, 3e-4, len(values)) for unit, values in times.items()}
    clock = np.arange(0, 45, 1 / 60)
    return Session(
        session_id="715093703",
        units=units,
        spike_times=RaggedArray.from_arrays(times),
        stimulus_presentations=make_presentations(rng),
        invalid_times=pd.DataFrame(
            {
                "start_time": [16.1, 21.0],
                "stop_time": [16.3, 21.5],
                "tags": [("EcephysProbe", "810755797", "probeA"), ("EcephysSession", "715093703", "all_probes")],
            }
        ),
        channels=channels,
        running=pd.DataFrame(
            {"start_time": clock[:-1], "stop_time": clock[1:], "velocity": rng.normal(5, 3, len(clock) - 1)}
        ),
        pupil=pd.DataFrame({"time": clock[::2], "area": rng.uniform(4000, 6000, len(clock[::2]))}),
        spike_amplitudes=RaggedArray.from_arrays(amplitudes),
        mean_waveforms={unit: rng.normal(0, 20, (N_SITES, N_SAMPLES)) for unit in units.index},
        subject={
            "age": "P118D",
            "age_in_days": "118.0",
            "genotype": "Sst-IRES-Cre/wt",
            "sex": "M",
            "species": "Mus musculus",
            "specimen_name": "made-by-hand",
            "strain": "Transgenic",
            "subject_id": "699733581",
        },
        session_type="brain_observatory_1.1",
        start_time="2019-01-19T00:54:18-08:00",
        source="made by hand",
    )

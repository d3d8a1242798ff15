"""The whole files that fuzzing spoils: small ones of every layout that is read."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from spikesight.data.binning import bin_spikes
from spikesight.data.counts import write_counts
from spikesight.data.nwb_write import write_session
from spikesight.data.presentations import select_trials
from spikesight.data.ragged import RaggedArray
from spikesight.data.simulation import simulate_session

STIMULI = ("spontaneous", "gabors", "natural_movie_one", "natural_scenes")
TEXT = h5py.string_dtype()


def write_seeds(folder: Path) -> dict[str, list[Path]]:
    """Write the files, about 1 MB together, and give them by the ending of their name."""
    session = simulate_session("tiny", 0).session
    ids = session.units.index.to_numpy()[::5]
    small = replace(
        session.select_units(ids),
        spike_times=RaggedArray.from_arrays({int(i): session.spike_times[int(i)][:200] for i in ids}),
        stimulus_presentations={name: session.stimulus_presentations[name] for name in STIMULI},
        running=None if session.running is None else session.running[:100],
        pupil=None if session.pupil is None else session.pupil[:100],
        spike_amplitudes=None,
        mean_waveforms=None,
    )
    write_without_schema(write_session(small, folder.parent / "whole.nwb"), folder / "allen.nwb")
    write_by_hand(folder / "plain.nwb")
    write_by_hand(folder / "chunked.nwb", libver="latest", compression="gzip", shuffle=True, fletcher32=True)
    write_counts(bin_spikes(select_trials(small, "gabors"), n_bins=2), folder / "counts.nc")
    write_counts(bin_spikes(select_trials(small, "gabors"), n_bins=2), folder / "exported.npz")
    rng = np.random.default_rng(0)
    write_lab_counts(folder / "lab.npz", rng)
    write_gabor_counts(folder / "gabors.npz", rng)
    return {ending: sorted(folder.glob(f"*{ending}")) for ending in (".nwb", ".npz", ".nc")}


def write_without_schema(whole: Path, path: Path) -> None:
    """Copy all but the text of the schema, which no reader looks at: damage is to fall on what is read."""
    with h5py.File(whole) as source, h5py.File(path, "w") as file:
        for name in source:
            if name != "specifications":
                source.copy(name, file)
        file.attrs["nwb_version"] = source.attrs["nwb_version"]


def write_by_hand(path: Path, libver: str = "earliest", **options: object) -> None:
    """An NWB file of another lab: units that name electrodes, pupil as ellipses, running without timestamps."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w", libver=libver) as file:

        def put(name: str, data: object, **more: object) -> h5py.Dataset:
            values = np.asarray(data)
            packing = dict(options) if values.ndim else {}
            if values.dtype.kind == "U":
                packing.pop("fletcher32", None)  # text of any length has no checksum
            return file.create_dataset(name, data=data, **packing, **more)

        file.attrs["nwb_version"] = "2.5.0"
        put("identifier", "by hand")
        put("session_start_time", "2020-01-01T00:00:00+00:00")
        put("general/subject/species", "Mus musculus")
        file["general/subject"].attrs["sex"] = "F"
        put("units/id", [3, 5, 8, 13])
        put("units/spike_times", np.concatenate([np.sort(rng.uniform(0, 30, 40)) for _ in range(4)]))
        put("units/spike_times_index", [40, 80, 120, 160])
        put("units/spike_amplitudes", rng.uniform(0, 1, 160))
        put("units/spike_amplitudes_index", [40, 80, 120, 160])
        put("units/waveform_mean", rng.normal(size=(4, 20)))
        put("units/electrodes", [0, 1, 1, 2])
        put("units/electrodes_index", [1, 2, 3, 4])
        put("units/quality", ["good", "good", "noise", "good"], dtype=TEXT)
        put("units/presence_ratio", [0.99, 1.0, 0.97, 0.99])
        file["units"].attrs["colnames"] = np.array(["spike_times", "electrodes", "quality", "presence_ratio"], TEXT)
        electrodes = "general/extracellular_ephys/electrodes"
        put(f"{electrodes}/id", [0, 1, 2])
        put(f"{electrodes}/location", np.array([b"VISp", b"LGd", b"None"]))
        put(f"{electrodes}/group_name", ["probeA", "probeA", "probeB"], dtype=TEXT)
        put(f"{electrodes}/x", [1.0, 2.0, np.nan])
        put(f"{electrodes}/valid_data", [True, True, False])
        start = np.arange(0, 24, 0.5)
        table = "intervals/static_gratings_presentations"
        put(f"{table}/id", np.arange(48))
        put(f"{table}/start_time", start)
        put(f"{table}/stop_time", start + 0.25)
        put(f"{table}/orientation", np.tile([0.0, 45.0, 90.0, np.nan], 12))
        put(f"{table}/phase", ["0.25", "[0.5, 0.5]", "null", "0.75"] * 12, dtype=TEXT)
        put(f"{table}/tags", ["time"] * 48, dtype=TEXT)
        put(f"{table}/tags_index", np.arange(1, 49))
        invalid = "intervals/invalid_times"
        put(f"{invalid}/id", [0, 1])
        put(f"{invalid}/start_time", [1.0, 20.0])
        put(f"{invalid}/stop_time", [1.6, 21.0])
        put(f"{invalid}/tags", ["stimulus", "probeB"], dtype=TEXT)
        put(f"{invalid}/tags_index", [1, 2])
        running = "processing/running/running_speed"
        put(f"{running}/data", rng.normal(size=60))
        file[f"{running}/data"].attrs.update({"conversion": 0.5, "offset": 0.1})
        put(f"{running}/starting_time", 0.0)
        file[f"{running}/starting_time"].attrs["rate"] = 2.0
        fits = "processing/eye_tracking/pupil_ellipse_fits"
        put(f"{fits}/id", np.arange(60))
        put(f"{fits}/timestamps", np.arange(60) / 2)
        put(f"{fits}/width", rng.uniform(1, 2, 60))
        put(f"{fits}/height", rng.uniform(1, 2, 60))


def write_lab_counts(path: Path, rng: np.random.Generator) -> None:
    """Counts of a lab in several bins, compressed."""
    start = np.arange(24) * 0.3
    np.savez_compressed(
        path,
        X=rng.poisson(1.0, (24, 3, 5)).astype(np.uint8),
        y=np.arange(24) % 4,
        groups=np.repeat([0, 1], 12),
        unit_ids=np.array([4, 2, 9, 7, 1]),
        area=np.array(["VISp", "LGd", "VISp", "CA1", ""]),
        start_time=start,
        stop_time=start + 0.25,
        time=np.arange(3) * 0.08,
        contrast=rng.uniform(0, 1, 24),
    )


def write_gabor_counts(path: Path, rng: np.random.Generator) -> None:
    """Counts in the layout of the gabor files, stored."""
    start = np.arange(18) * 0.25
    np.savez(
        path,
        counts=rng.poisson(2.0, (4, 18)).astype(np.int16),
        unit_ids=np.array([40, 20, 90, 70]),
        stimulus_presentation_id=np.arange(18) + 5,
        start_time=start,
        stop_time=start + 0.25,
        x_position=np.tile([0.0, 10.0, -10.0], 6),
        y_position=np.repeat([0.0, 10.0], 9),
        orientation=np.tile([0.0, 45.0], 9),
        stimulus_condition_id=np.arange(18) % 6,
        structure=np.array(["VISp", "VISp", "LGd", "CA1"]),
        published_like_qc=np.array([True, False, True, True]),
    )

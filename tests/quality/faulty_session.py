"""Sessions with what the checks should find: made by hand, or made of a sound one."""

from dataclasses import replace

import numpy as np
import pandas as pd

from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session

STEP = 0.25
WHO_IS_WHERE = {"probeA": "VISp", "probeB": "VISl", "probeC": "CA1"}
NO_INVALID_TIMES = pd.DataFrame({"start_time": [], "stop_time": [], "tags": []}, dtype=float).astype({"tags": object})


def tuned_session(seed=0, n_trials=720, n_classes=12, n_units=20, delay=0.06, deaf=("probeC",)):
    """Three probes; units of all but the deaf ones answer to the scene, from ``delay`` on and for 0.15 s.

    Every unit of the others answers to any change, too.
    """
    rng = np.random.default_rng(seed)
    start = 5 + STEP * np.arange(n_trials) + 20.0 * (np.arange(n_trials) >= n_trials // 2)
    frame = rng.permutation(np.arange(n_trials) % n_classes) - 1.0
    spikes, rows = {}, []
    for place, (probe, area) in enumerate(WHO_IS_WHERE.items()):
        for number in range(n_units):
            unit = 100 * (place + 1) + number
            rows.append({"unit_id": unit, "probe": probe, "area": area})
            background = rng.uniform(0, start[-1] + 5, rng.poisson(5 * start[-1]))
            answers = np.empty(0)
            if probe not in deaf:
                rate = rng.gamma(1.0, 2.0, n_classes)
                per_trial = rng.poisson(rate[(frame + 1).astype(int)])
                answers = np.repeat(start, per_trial) + delay + rng.uniform(0, 0.15, per_trial.sum())
            spikes[unit] = np.sort(np.concatenate([background, answers]))
    scenes = pd.DataFrame(
        {
            "start_time": start,
            "stop_time": start + STEP,
            "stimulus_block": np.repeat([3.0, 8.0], [n_trials // 2, n_trials - n_trials // 2]),
            "frame": frame,
        }
    ).rename_axis("stimulus_presentation_id")
    return Session(
        session_id="1",
        units=pd.DataFrame(rows).set_index("unit_id"),
        spike_times=RaggedArray.from_arrays(spikes),
        stimulus_presentations={"natural_scenes": scenes},
        invalid_times=NO_INVALID_TIMES,
        session_type="brain_observatory_1.1",
        source="made by hand",
    )


def with_late_probe(session, probe, seconds):
    """The same session, one probe's clock off by so much."""
    late = set(session.units.index[session.units["probe"] == probe])
    spikes = {unit: times + seconds * (unit in late) for unit, times in session.spike_times.items()}
    return replace(session, spike_times=RaggedArray.from_arrays(spikes))


def with_shuffled_labels(session, seed=0):
    """The same session; what was shown when is mixed up, in every stimulus."""
    rng = np.random.default_rng(seed)
    tables = {}
    for name, table in session.stimulus_presentations.items():
        order = rng.permutation(len(table))
        own = [column for column in table if column not in ("start_time", "stop_time", "stimulus_block")]
        tables[name] = table.assign(**{column: table[column].to_numpy()[order] for column in own})
    return replace(session, stimulus_presentations=tables)

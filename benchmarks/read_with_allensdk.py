"""Read spike times of some units and the presentations of natural scenes with AllenSDK, and say how long it took.

    python read_with_allensdk.py session.nwb units.npy result.npz repeats

Runs in AllenSDK's own environment, which knows nothing of spikesight; prints one line of JSON. Called by bench_io.py.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

STIMULUS = "natural_scenes"


def bytes_read():
    """Bytes that this process asked of files so far (Linux)."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        return 0
    return int(next(line for line in counters.read_text().splitlines() if line.startswith("rchar")).split()[1])


def read(path, units):
    """Read as AllenSDK's documentation shows it: spike times are those of all units, then of the ones asked for."""
    from allensdk.brain_observatory.ecephys.ecephys_session import EcephysSession

    session = EcephysSession.from_nwb_path(path)
    times = session.spike_times
    spikes = [times[unit] for unit in units]
    table = session.get_stimulus_table(STIMULUS)
    return spikes, table


def main(path, units_path, result, repeats):
    begin = time.perf_counter()
    import allensdk.brain_observatory.ecephys.ecephys_session  # noqa: F401

    start = time.perf_counter() - begin
    units = np.load(units_path)
    seconds, bytes_moved = [], []
    for _ in range(int(repeats)):
        before, begin = bytes_read(), time.perf_counter()
        spikes, table = read(path, units)
        seconds.append(time.perf_counter() - begin)
        bytes_moved.append(bytes_read() - before)
    np.savez(
        result,
        spike_times=np.concatenate(spikes),
        sizes=[len(times) for times in spikes],
        **{name: table[name].to_numpy(np.float64) for name in ("start_time", "stop_time", "frame")},
    )
    print(json.dumps({"seconds": seconds, "bytes": bytes_moved, "import_seconds": start}))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(*sys.argv[1:])

"""Bytes and seconds to spike times and presentations: from disk, from a server, and by AllenSDK 2.16.2.

    python benchmarks/bench_io.py --json                      # simulates the preset `allen`: 7 minutes, 3.6 GB of disk
    python benchmarks/bench_io.py --file session.nwb --json   # a file that is there already

Three processes read the same of the same file, one after the other: the spike times of selected good units, and the
presentations of natural scenes. The numbers must be equal to the last bit, else it ends with code 1. AllenSDK lives in
an environment of its own, which `make test-allensdk` builds. Imports are told apart; the first read of each process is
in the figures, and the file is in the memory of the system for all three. The server is on the loopback, so seconds
from it say what we compute, and bytes what a network would have to carry.
"""

import argparse
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
ALLENSDK_PYTHON = ROOT / ".venv-allensdk" / "bin" / "python"
ALLENSDK_READER = Path(__file__).with_name("read_with_allensdk.py")
STIMULUS = "natural_scenes"
COLUMNS = ("start_time", "stop_time", "frame")
TIMES_FASTER = 20.0
"""What reading from disk should reach against AllenSDK, by medians."""


def make_file(folder: Path, preset: str, seed: int) -> Path:
    """Simulate a session and write it."""
    from spikesight.data.nwb_write import write_session
    from spikesight.data.simulation import simulate_session

    return write_session(simulate_session(preset, seed).session, folder / "session.nwb")


def choose_units(path: Path, n_units: int) -> np.ndarray:
    """Take every so many of the units that pass the default filters, which are AllenSDK's."""
    from spikesight.data.nwb import read_session

    ids = read_session(path).units.index.to_numpy()
    return np.sort(ids[np.linspace(0, len(ids) - 1, min(n_units, len(ids))).astype(int)])


def without_invalid(table: pd.DataFrame, invalid: pd.DataFrame) -> pd.DataFrame:
    """Leave out what AllenSDK takes from a stimulus: presentations that touch an interval tagged 'stimulus'."""
    touched = np.zeros(len(table), bool)
    for low, high, tags in zip(invalid["start_time"], invalid["stop_time"], invalid["tags"], strict=True):
        if "stimulus" in tags:
            touched |= ((table["stop_time"] >= low) & (table["start_time"] <= high)).to_numpy()
    return table[~touched]


def read_ours(place: str, units: np.ndarray) -> dict[str, np.ndarray]:
    """Read what is asked for from a file or an address."""
    from spikesight.data.nwb import read_session

    session = read_session(place)
    chosen = session.select_units(units)
    spikes, offsets = chosen.checked_spike_times()
    table = without_invalid(session.stimulus_presentations[STIMULUS], session.invalid_times)
    found = {name: table[name].to_numpy(np.float64) for name in COLUMNS}
    return {"spike_times": spikes, "sizes": np.diff(offsets), **found}


def child(place: str, units_path: str, result: str, repeats: int) -> None:
    """Read several times in this process, each from a server with an empty cache, and print figures as JSON."""
    begin = time.perf_counter()
    import spikesight.data.nwb
    import spikesight.data.nwb_remote  # noqa: F401  # imported late otherwise

    imported = time.perf_counter() - begin
    sys.path.insert(0, str(ALLENSDK_READER.parent))
    from read_with_allensdk import bytes_read

    units = np.load(units_path)
    seconds, bytes_moved = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["SPIKESIGHT_CACHE"] = cache
            before, begin = bytes_read(), time.perf_counter()
            found = read_ours(place, units)
            seconds.append(time.perf_counter() - begin)
            bytes_moved.append(bytes_read() - before)
    np.savez(result, **found)
    print(json.dumps({"seconds": seconds, "bytes": bytes_moved, "import_seconds": imported}))


def run(command: list[Any]) -> dict[str, Any]:
    """Run a reader and take the figures that it prints last."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        killed = " (killed: memory ran out?)" if done.returncode == -9 else ""
        sys.exit(f"a reader ended with {done.returncode}{killed}: {' '.join(map(str, command))}\n{done.stderr[-3000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def summarise(figures: dict[str, Any]) -> dict[str, Any]:
    """Add the least and the middle of the repeats."""
    seconds = figures["seconds"]
    return {**figures, "seconds_min": min(seconds), "seconds_median": float(np.median(seconds))}


def compare(path: Path, n_units: int, repeats: int, allensdk_python: Path, folder: Path) -> dict[str, Any]:
    """Let all three read, and compare what they read."""
    sys.path.insert(0, str(ROOT / "tests"))
    from servers.fault_server import FaultServer

    units = choose_units(path, n_units)
    np.save(folder / "units.npy", units)
    results = {way: folder / f"{way}.npz" for way in ("local", "streamed", "allensdk")}

    def ours(place: object, way: str) -> list[Any]:
        return [sys.executable, __file__, "--child", place, folder / "units.npy", results[way], repeats]

    figures = {"local": run(ours(path, "local"))}
    with (
        FaultServer() as server,
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole,
    ):
        address = server.serve("/session.nwb", whole, etag="of-the-benchmark")  # type: ignore[arg-type]
        figures["streamed"] = run(ours(address, "streamed"))
        sent = sum(request.sent for request in server.seen)
        figures["streamed"] |= {"bytes": [sent / repeats] * repeats, "requests": len(server.seen) / repeats}
    sdk = [allensdk_python, ALLENSDK_READER, path, folder / "units.npy", results["allensdk"], repeats]
    figures["allensdk"] = run(sdk)

    read = {way: dict(np.load(result)) for way, result in results.items()}
    differing = [
        f"{way}: {name}"
        for way in ("streamed", "allensdk")
        for name, values in read["local"].items()
        if not np.array_equal(values, read[way][name], equal_nan=values.dtype.kind == "f")
    ]
    ways = {way: summarise(values) for way, values in figures.items()}
    times = {way: ways["allensdk"]["seconds_median"] / ways[way]["seconds_median"] for way in ("local", "streamed")}
    return {
        "file_bytes": path.stat().st_size,
        "n_units": len(units),
        "n_spikes": len(read["local"]["spike_times"]),
        "spike_bytes": read["local"]["spike_times"].nbytes,
        "n_presentations": len(read["local"]["start_time"]),
        "repeats": repeats,
        "ways": ways,
        "times_faster_than_allensdk": times,
        "equal": not differing,
        "differing": differing,
        "reach": TIMES_FASTER,
        "reached": times["local"] >= TIMES_FASTER,
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(
        f"file of {result['file_bytes'] / 1e9:.2f} GB; {result['n_units']} units with {result['n_spikes']} spikes "
        f"({result['spike_bytes'] / 1e6:.0f} MB), {result['n_presentations']} presentations of {STIMULUS}; "
        f"{result['repeats']} reads each"
    )
    print(f"{'':>10} {'MB':>9} {'s, median':>10} {'s, min':>8} {'import, s':>10}")
    for way, figures in result["ways"].items():
        print(
            f"{way:>10} {np.median(figures['bytes']) / 1e6:9.1f} {figures['seconds_median']:10.3f} "
            f"{figures['seconds_min']:8.3f} {figures['import_seconds']:10.2f}"
        )
    times = result["times_faster_than_allensdk"]
    print(
        f"faster than AllenSDK: {times['local']:.1f} times from disk (to reach: {result['reach']:.0f}, "
        f"{'reached' if result['reached'] else 'NOT reached'}), {times['streamed']:.1f} times from the server; "
        f"numbers {'equal' if result['equal'] else 'DIFFER: ' + ', '.join(result['differing'])}"
    )


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        place, units, result, repeats = sys.argv[2:]
        child(place, units, result, int(repeats))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="a session file to read instead of simulating one")
    parser.add_argument("--preset", default="allen", help="preset to simulate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--units", type=int, default=200, help="good units whose spikes are read")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--allensdk-python", type=Path, default=ALLENSDK_PYTHON)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    asked = parser.parse_args()
    if not asked.allensdk_python.exists():
        sys.exit(
            f"no environment with AllenSDK 2.16.2 at {asked.allensdk_python}. Build it with `make test-allensdk`, or "
            "name another one's Python with --allensdk-python."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = asked.file or make_file(Path(folder), asked.preset, asked.seed)
        result = compare(path.resolve(), asked.units, asked.repeats, asked.allensdk_python, Path(folder))
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        print_table(result)
    return 0 if result["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())

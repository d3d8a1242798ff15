"""Binning, side by side in one process: ours, two common ways in numpy, and one memory copy of the spike times.

Run ``python benchmarks/bench_binning.py`` (about 5 GB of memory and 3 minutes), or smaller:
``--units 500 --spikes 3e7``. Medians over interleaved repeats. The ratios are what counts: they hold on other machines.
Ends with code 1 if the counts differ.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.binning import bin_spikes
from spikesight.data.count_kernels import n_threads
from spikesight.data.counting import count_spikes
from spikesight.data.presentations import Trials
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session

RECORDING = 9400.0
"""Seconds, as long as a session of the Allen Brain Observatory."""
PRESENTATION = 0.25
BLOCK_STARTS = (0.30, 0.55, 0.85)
"""Where the blocks of presentations begin, as fractions of the recording."""
FASTER_THAN_OTHERS = {1: 3.0}
FASTER_THAN_OTHERS_DEFAULT = 10.0
AT_MOST_COPIES = 4.0

Spikes = tuple[NDArray[np.float64], NDArray[np.int64]]


def simulate_spikes(n_units: int, n_spikes: int, seed: int) -> Spikes:
    """Poisson spikes at log-normal rates, end to end, and the offsets of the units."""
    rng = np.random.default_rng(seed)
    rates = rng.lognormal(1.0, 1.0, n_units)
    sizes = np.maximum(1, n_spikes * rates / rates.sum()).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    times = np.empty(offsets[-1])
    for unit, size in enumerate(sizes):
        steps = rng.standard_exponential(size + 1)
        np.cumsum(steps, out=steps)
        times[offsets[unit] : offsets[unit + 1]] = steps[:-1] * (RECORDING / steps[-1])
    return times, offsets


def present(n_trials: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start and stop times of presentations back to back, in three blocks."""
    blocks = np.array_split(np.arange(n_trials), len(BLOCK_STARTS))
    begins = [RECORDING * at + PRESENTATION * np.arange(len(b) + 1) for at, b in zip(BLOCK_STARTS, blocks, strict=True)]
    return np.concatenate([b[:-1] for b in begins]), np.concatenate([b[1:] for b in begins])


def cut(starts: NDArray[np.float64], stops: NDArray[np.float64], n_bins: int) -> NDArray[np.float64]:
    """Edges of the bins, (trials, bins + 1)."""
    edges = starts[:, None] + (stops - starts)[:, None] * np.arange(n_bins + 1) / n_bins
    edges[:, -1] = stops
    return edges


def count_by_searchsorted(spikes: Spikes, edges: NDArray[np.float64], counts: NDArray[np.uint16]) -> None:
    """Look all edges up among the spikes of each unit."""
    times, offsets = spikes
    flat = edges.ravel()
    for unit in range(offsets.size - 1):
        found = np.searchsorted(times[offsets[unit] : offsets[unit + 1]], flat).reshape(edges.shape)
        np.subtract(found[:, 1:], found[:, :-1], out=counts[unit], casting="unsafe")


def count_as_allensdk(spikes: Spikes, edges: NDArray[np.float64], counts: NDArray[np.uint16]) -> None:
    """Look all spikes of a unit up among the sorted edges of all presentations, and count how often each is met.

    The algorithm that AllenSDK documents for spikes per presentation, written anew.
    """
    times, offsets = spikes
    flat = edges.ravel()
    n_edges = edges.shape[1]
    for unit in range(offsets.size - 1):
        met, times_met = np.unique(
            np.searchsorted(flat, times[offsets[unit] : offsets[unit + 1]], side="right") - 1, return_counts=True
        )
        inside = (met >= 0) & (met % n_edges < n_edges - 1)
        counts[unit] = 0
        counts[unit].ravel()[met[inside] - met[inside] // n_edges] = times_met[inside]


def as_trials(spikes: Spikes, starts: NDArray[np.float64], stops: NDArray[np.float64]) -> Trials:
    """Wrap the spikes and presentations as a session, for the whole of ``bin_spikes``."""
    times, offsets = spikes
    ids = np.arange(offsets.size - 1)
    session = Session(
        session_id="benchmark",
        units=pd.DataFrame({"area": "", "probe": ""}, index=ids),
        spike_times=RaggedArray(ids, offsets[:-1], offsets[1:], times),
        stimulus_presentations={},
        invalid_times=pd.DataFrame(),
    )
    table = {"start_time": starts, "stop_time": stops, "stimulus_block": 0, "repeat": 0, "target": 0}
    return Trials(pd.DataFrame(table), session, "natural_scenes", "frame", "none")


def median_ms(methods: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Time each method in turn, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(repeats + 1):
        for name, method in methods.items():
            begin = time.perf_counter()
            method()
            if repeat > 0:
                seconds[name].append(time.perf_counter() - begin)
    return {name: 1e3 * float(np.median(values)) for name, values in seconds.items()}


def compare(spikes: Spikes, n_trials: int, n_bins: int, repeats: int) -> dict[str, Any]:
    """Time all methods for one number of bins, and compare what they count."""
    times, offsets = spikes
    starts, stops = present(n_trials)
    edges = cut(starts, stops, n_bins)
    by_searchsorted = np.empty((offsets.size - 1, n_trials, n_bins), np.uint16)
    by_allensdk = np.empty_like(by_searchsorted)
    copied = np.empty_like(times)
    trials = as_trials(spikes, starts, stops)
    ms = median_ms(
        {
            "count_spikes": lambda: count_spikes(times, offsets, edges),
            "bin_spikes": lambda: bin_spikes(trials, n_bins=n_bins),
            "searchsorted": lambda: count_by_searchsorted(spikes, edges, by_searchsorted),
            "allensdk": lambda: count_as_allensdk(spikes, edges, by_allensdk),
            "copy": lambda: np.copyto(copied, times),
        },
        repeats,
    )
    ours = count_spikes(times, offsets, edges).transpose(2, 0, 1)
    ratios = {
        "searchsorted": ms["searchsorted"] / ms["count_spikes"],
        "allensdk": ms["allensdk"] / ms["count_spikes"],
        "copy": ms["count_spikes"] / ms["copy"],
    }
    reach = FASTER_THAN_OTHERS.get(n_bins, FASTER_THAN_OTHERS_DEFAULT)
    return {
        "n_bins": n_bins,
        "ms": ms,
        "faster_than_searchsorted": ratios["searchsorted"],
        "faster_than_allensdk": ratios["allensdk"],
        "copies": ratios["copy"],
        "reach": {"faster_than_both": reach, "copies": AT_MOST_COPIES},
        "reached": min(ratios["searchsorted"], ratios["allensdk"]) >= reach and ratios["copy"] <= AT_MOST_COPIES,
        "equal_to_searchsorted": np.array_equal(ours, by_searchsorted),
        "equal_to_allensdk": np.array_equal(ours, by_allensdk),
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(
        f"{result['n_units']} units, {result['n_spikes']:.3g} spikes, {result['n_trials']} trials, "
        f"{result['threads']} threads, medians of {result['repeats']} in ms"
    )
    names = ("count_spikes", "bin_spikes", "searchsorted", "allensdk", "copy")
    print(f"{'bins':>4}  " + "  ".join(f"{name:>12}" for name in names), end="")
    print(f"  {'x searchsorted':>14}  {'x allensdk':>10}  {'copies':>6}  reached  equal")
    for row in result["rows"]:
        print(f"{row['n_bins']:>4}  " + "  ".join(f"{row['ms'][name]:12.1f}" for name in names), end="")
        print(
            f"  {row['faster_than_searchsorted']:14.1f}  {row['faster_than_allensdk']:10.1f}  {row['copies']:6.2f}"
            f"  {'yes' if row['reached'] else 'NO':>7}  {'yes' if row['equal_to_searchsorted'] else 'NO'}"
        )
    print("count_spikes: arrays in, counts out, as the others. bin_spikes: with checks of every spike, and labels.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=2000)
    parser.add_argument("--spikes", type=float, default=1.5e8)
    parser.add_argument("--trials", type=int, default=5950)
    parser.add_argument("--bins", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    asked = parser.parse_args()
    spikes = simulate_spikes(asked.units, int(asked.spikes), asked.seed)
    rows = [compare(spikes, asked.trials, n_bins, asked.repeats) for n_bins in asked.bins]
    result = {
        "n_units": asked.units,
        "n_spikes": len(spikes[0]),
        "n_trials": asked.trials,
        "threads": n_threads(),
        "repeats": asked.repeats,
        "seed": asked.seed,
        "rows": rows,
        "reached": all(row["reached"] for row in rows),
    }
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        print_table(result)
    return 0 if all(row["equal_to_searchsorted"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

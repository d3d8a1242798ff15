"""Coupled Poisson regression, side by side: ours on sparse rows against Newton's method on a dense design matrix.

Run ``python benchmarks/bench_glm.py`` (minutes and 1 GB, most of it the dense fit), ``--quick`` for tiny sizes that
only show that everything runs, ``--json`` for JSON. Both fit the same ridge regression of the same spikes, in the same
process, one after the other, with as many threads: 30 units of 5 to 8 spikes/s for 5 minutes in bins of 1 ms, six lags,
history terms up to 64 ms. The dense fit is the straightforward one: a float64 matrix of all bins and columns per
target, products by BLAS, ``numpy.linalg.solve``, from the same start until the same expected gain. Ends with code 1 if
the weights differ by more than 1e-6, or ours is less than ten times faster.

``--large`` also times ours alone on 60 units for 25 minutes, which dense would be 4.3 GB a target.
"""

import argparse
import json
import os
import sys
import time
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from spikesight.connectivity.poisson_glm import PoissonGLM

BIN_SIZE = 0.001
RATES = (5.0, 6.0, 7.0, 8.0)
LAGS = range(1, 7)
HISTORY_EDGES = (1, 2, 3, 5, 9, 17, 33, 65)
"""First lag of each history term, and the end of the last, bins."""
FASTER = 10.0
SAME = 1e-6
LARGE = (60, 1500.0)
LARGE_SECONDS = 30.0


def spikes(n_units: int, seconds: float) -> xr.DataArray:
    """Units of a few rates; every third drives the next one, 2 ms later."""
    rng = np.random.default_rng(0)
    n_bins = round(seconds / BIN_SIZE)
    counts = np.empty((n_bins, n_units), np.uint8)
    for unit in range(n_units):
        rate = np.full(n_bins, RATES[unit % len(RATES)] * BIN_SIZE)
        if unit % 3 == 1:
            rate[2:] += 0.1 * counts[:-2, unit - 1]
        counts[:, unit] = rng.poisson(rate)
    return xr.DataArray(counts, {"unit": np.arange(n_units)}, ("time", "unit"), attrs={"bin_size": BIN_SIZE})


def dense_design(counts: np.ndarray, target: int) -> np.ndarray:
    """All columns of all bins with a past: couplings, history terms, ones."""
    n_bins, n_units = counts.shape
    longest = max(LAGS)
    columns = [counts[longest - lag : n_bins - lag, unit] for unit in range(n_units) if unit != target for lag in LAGS]
    past = np.concatenate([[0], np.cumsum(counts[:, target], dtype=np.int64)])
    now = np.arange(longest, n_bins)
    for first, stop in pairwise(HISTORY_EDGES):
        columns.append(past[np.maximum(now - first + 1, 0)] - past[np.maximum(now - stop + 1, 0)])
    return np.column_stack([*columns, np.ones(now.size)]).astype(np.float64)


def dense_fit(counts: np.ndarray, target: int, tol: float) -> np.ndarray:
    """Newton's method from equal rates, with a normal prior of precision 1 on all but the baseline."""
    X, y = dense_design(counts, target), counts[max(LAGS) :, target].astype(np.float64)
    precision = np.ones(X.shape[1])
    precision[-1] = 0
    theta = np.zeros(X.shape[1])
    theta[-1] = np.log(y.mean())

    def loss(at: np.ndarray) -> float:
        return float(np.exp(X @ at).sum() - y @ (X @ at) + 0.5 * precision @ at**2)

    total = loss(theta)
    while True:
        rate = np.exp(X @ theta)
        gradient = X.T @ (rate - y) + precision * theta
        step = -np.linalg.solve(X.T @ (rate[:, None] * X) + np.diag(precision), gradient)
        if -0.5 * gradient @ step <= tol:
            return theta + step
        while (lowered := loss(theta + step)) > total + 1e-11 * abs(total):
            step /= 2
        theta, total = theta + step, lowered


def timed(function: Any) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = function()
    return time.perf_counter() - begin, found


def compare(n_units: int, seconds: float, threads: int) -> dict[str, Any]:
    """Fit the same spikes both ways."""
    data = spikes(n_units, seconds)
    ours = PoissonGLM(drift=None)
    fast, fitted = timed(lambda: ours.fit(data))
    counts = data.to_numpy()
    with threadpool_limits(threads, user_api="blas"):
        slow, dense = timed(lambda: [dense_fit(counts, target, ours.tol) for target in range(n_units)])
    n_lags, worst = len(LAGS), 0.0
    for target, theta in enumerate(dense):
        weights = np.delete(fitted.weights_.to_numpy()[:, target], target, axis=0).ravel()
        both = np.concatenate([weights, fitted.history_[target], fitted.baseline_[target]])
        worst = max(worst, float(np.abs(both - theta).max()))
    return {
        "n_units": n_units,
        "seconds_of_spikes": seconds,
        "n_parameters": (n_units - 1) * n_lags + len(HISTORY_EDGES),
        "seconds": fast,
        "dense_seconds": slow,
        "faster_than_dense": slow / fast,
        "largest_difference": worst,
        "reached": slow / fast >= FASTER and worst <= SAME,
    }


def large(n_units: int, seconds: float) -> dict[str, Any]:
    """Time ours alone, and say what it said it would take."""
    data = spikes(n_units, seconds)
    ours = PoissonGLM(drift=None)
    taken, fitted = timed(lambda: ours.fit(data))
    return {
        "n_units": n_units,
        "seconds_of_spikes": seconds,
        "seconds": taken,
        "seconds_foretold": ours.cost(data).seconds,
        "converged": bool(fitted.converged_.all()),
        "reached": taken <= LARGE_SECONDS,
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the figures for people."""
    row = result["against_dense"]
    print(f"{row['n_units']} units, {row['seconds_of_spikes']:g} s of 1-ms bins, {result['threads']} threads")
    print(f"ours   {row['seconds']:8.2f} s")
    ratio, difference = row["faster_than_dense"], row["largest_difference"]
    print(f"dense  {row['dense_seconds']:8.2f} s, {ratio:.0f} x ours; same to {difference:.1e}")
    if "large" in result:
        row = result["large"]
        print(f"{row['n_units']} units, {row['seconds_of_spikes']:g} s: {row['seconds']:.1f} s")
    print("reached" if result["reached"] else "NOT REACHED")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--units", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=300.0, help="length of the recording")
    parser.add_argument("--large", action="store_true", help="also 60 units for 25 minutes, ours alone")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all runs")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    asked = parser.parse_args()
    numba.config.NUMBA_NUM_THREADS = asked.threads
    PoissonGLM(min_spikes=1).fit(spikes(3, 20.0))  # compiles
    n_units, seconds = (4, 60.0) if asked.quick else (asked.units, asked.seconds)
    result: dict[str, Any] = {"threads": asked.threads, "quick": asked.quick}
    result["against_dense"] = compare(n_units, seconds, asked.threads)
    if asked.large:
        result["large"] = large(5, 60.0) if asked.quick else large(*LARGE)
    result["reached"] = all(result[key]["reached"] for key in ("against_dense", "large") if key in result)
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        print_table(result)
    return 0 if result["reached"] or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main())

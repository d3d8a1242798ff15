"""Connectivity estimators: seconds and memory on a large population, scores on the reference network.

Run ``python benchmarks/bench_connectivity.py`` (300 units, 30 minutes of recording), ``--quick`` for tiny sizes that
only show that everything runs, ``--json`` for JSON, ``--accuracy`` for the table of scores beside it (all estimators,
three seeds; takes much longer). Each estimator has a process of its own, which first fits a small population, so that
nothing is compiled while it is timed. The population fires at log-normal rates (median 6 spikes/s) with a refractory
period of 2 ms and no couplings: none of the estimators takes longer or shorter for them. ``bytes`` is the largest size
of the process while it fits, the libraries and the counts included. Ends with code 1 if an estimator takes longer or
more than is reached for.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from peak_memory import forget_peak, resident
from spikesight.connectivity_validation.methods import method_of
from spikesight.connectivity_validation.simulated_network import SimulatedNetwork
from spikesight.connectivity_validation.validate import summary, validate
from spikesight.data.count_kernels import n_threads

SECONDS = 120.0
BYTES = 4e9
SMALL = (8, 30.0)
"""Units and seconds of the population that compiles everything."""
SHOWN = ("auroc", "average_precision", "direction", "sign_accuracy", "tpr_at_1pct", "lag_error_ms", "seconds")


def population(n_units: int, duration: float, seed: int) -> SimulatedNetwork:
    """Independent units: exponential intervals after a refractory period."""
    rng = np.random.default_rng(seed)
    rates = np.clip(rng.lognormal(np.log(6.0), 0.6, n_units), 2.0, 20.0)
    times = []
    for rate in rates:
        n_most = int(rate * duration + 10 * np.sqrt(rate * duration)) + 10
        spikes = np.cumsum(0.002 + rng.exponential(1 / rate, n_most))
        times.append(spikes[spikes < duration])
    nobody = np.zeros((n_units, n_units))
    return SimulatedNetwork(
        spike_times=tuple(times),
        duration=duration,
        presentations=pd.DataFrame({"start_time": [], "stop_time": [], "target": []}),
        weight=nobody,
        delay=np.full_like(nobody, np.nan),
        observed=np.arange(n_units),
        n_simulated=n_units,
        common_input=nobody > 0,
    )


def fit(asked: dict[str, Any]) -> dict[str, Any]:
    """Time one estimator in this process."""
    method = method_of(asked["method"])
    method.make().fit(population(*SMALL, asked["seed"]).counts(method.bin_size))
    counts = population(asked["n_units"], asked["duration"], asked["seed"]).counts(method.bin_size)
    estimator = method.make()
    announced = estimator.cost(counts)
    forget_peak()
    before = resident("VmRSS")
    begin = time.perf_counter()
    fitted = estimator.fit(counts)
    seconds = time.perf_counter() - begin
    most = resident("VmHWM")
    p_values = fitted.p_values_.to_numpy()
    return {
        "method": asked["method"],
        "n_units": asked["n_units"],
        "duration": asked["duration"],
        "bin_size": method.bin_size,
        "n_spikes": int(counts.sum()),
        "seconds": seconds,
        "announced_seconds": announced.seconds,
        "bytes": most,
        "bytes_beyond_counts": most - before,
        "announced_bytes": announced.n_bytes,
        "false_positives_5pct": float((p_values[np.isfinite(p_values)] <= 0.05).mean()),
        "reached": bool(seconds <= SECONDS and most <= BYTES),
    }


def fit_apart(asked: dict[str, Any]) -> dict[str, Any]:
    """Time one estimator in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--case", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    if done.returncode != 0:
        raise RuntimeError(f"{asked['method']} ended with code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def accuracy(methods: list[str] | None, *, quick: bool, out: Path | None) -> list[dict[str, Any]]:
    """Scores on the reference network, means over seeds; NaN, which JSON does not have, becomes null."""
    means = summary(validate(methods, seeds=(0, 1, 2)[: 1 if quick else 3], quick=quick, out=out))
    return [
        {str(key): None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}
        for row in means.to_dict("records")
    ]


def print_tables(result: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(f"{result['threads']} threads")
    print(f"{'method':<20}  {'units':>5}  {'minutes':>7}  {'ms/bin':>6}  {'s':>7}  {'said s':>7}  {'MB':>6}  reached")
    for row in result["scale"]:
        print(
            f"{row['method']:<20}  {row['n_units']:>5}  {row['duration'] / 60:7.1f}  {1e3 * row['bin_size']:6.1f}"
            f"  {row['seconds']:7.1f}  {row['announced_seconds']:7.1f}  {row['bytes'] / 1e6:6.0f}"
            f"  {'yes' if row['reached'] else 'NO'}"
        )
    if not result["accuracy"]:
        return
    print(f"\n{'reference network':<20}  " + "  ".join(f"{name:>17}" for name in SHOWN))
    for row in result["accuracy"]:
        cells = ["-" if row[name] is None else f"{row[name]:.3f}" for name in SHOWN]
        print(f"{row['method']:<20}  " + "  ".join(f"{cell:>17}" for cell in cells) + f"  {row['error']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--methods", nargs="+", default=["granger", "ccg-jitter"], help="that are timed")
    parser.add_argument("--accuracy", action="store_true", help="scores of all estimators on the reference network")
    parser.add_argument("--scored", nargs="+", help="only these estimators")
    parser.add_argument("--out", type=Path, help="folder that keeps finished rows of the scores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, in this process")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(fit(json.loads(asked.case))))
        return 0
    n_units, duration = SMALL if asked.quick else (asked.units, 60 * asked.minutes)
    cases = [{"method": name, "n_units": n_units, "duration": duration, "seed": asked.seed} for name in asked.methods]
    scale = [fit(case) if asked.quick else fit_apart(case) for case in cases]
    result = {
        "threads": n_threads(),
        "reach": {"seconds": SECONDS, "bytes": BYTES},
        "scale": scale,
        "accuracy": accuracy(asked.scored, quick=asked.quick, out=asked.out) if asked.accuracy else [],
        "reached": all(row["reached"] for row in scale),
    }
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        print_tables(result)
    return 0 if result["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())

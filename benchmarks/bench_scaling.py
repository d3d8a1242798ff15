"""A benchmark on a local Ray: two workers against one, what a task costs, and the driver's memory as sessions grow.

Run ``python benchmarks/bench_scaling.py`` (32 simulated sessions x 6 decoders x 3 folds; about ten minutes, two cores
with nothing else to do), or smaller: ``--sessions 4 --trials 200``. Three questions:

- Efficiency: the time with one worker over twice the time with two, on the same cells, after a run that warms every
  worker up (imports, compiled kernels). At least 0.85.
- A task's overhead: seconds per cell with one worker beyond those in this process, for cells that do next to nothing.
- Memory: the driver's resident memory while cells are decoded, as sessions of several megabytes grow in number. Each
  session may add no more than a tenth of its size; beside that, what the tables take that are put together at the end.

Ends with code 1 if a limit is missed. A ratio from a machine that does something else is worthless.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import xarray as xr

from peak_memory import forget_peak, resident
from spikesight.cluster import connected
from spikesight.evaluation.benchmark import Benchmark
from spikesight.evaluation.cells import Keep, name_cells
from spikesight.evaluation.contenders import contender
from spikesight.evaluation.executors import Batch, Terms, this_process
from spikesight.evaluation.folds import as_problem
from spikesight.evaluation.ray_executor import on_ray
from spikesight.splits import BlockKFold
from spikesight.tracking.provenance import library_versions
from spikesight.tracking.run_directory import RunDirectory

AT_LEAST = 0.85
AT_MOST_OF_A_SESSION = 0.1
DECODERS = ("logistic", "svc-linear", "ridge", "lda", "fa-lda", "poisson-bayes")
N_FOLDS = 3


class Simulated(Mapping[str, xr.Dataset]):
    """Sessions that are made when they are asked for, and never kept: Poisson counts of sparsely tuned units."""

    def __init__(self, number: int, n_trials: int, n_units: int, n_classes: int, seed: int) -> None:
        self._seeds = {f"s{place:03d}": seed + place for place in range(number)}
        self._shape = (n_trials, n_units, n_classes)

    def __getitem__(self, session: str) -> xr.Dataset:
        n_trials, n_units, n_classes = self._shape
        rng = np.random.default_rng(self._seeds[session])
        y = rng.permutation(np.arange(n_trials) % n_classes)
        tuning = rng.normal(0, 0.5, (n_classes, n_units)) * (rng.random((n_classes, n_units)) < 0.2)
        rates = np.exp(rng.normal(-0.5, 1.0, n_units) + tuning)
        counts = np.minimum(rng.poisson(rates[y].astype(np.float32)), 255).astype(np.uint8)
        start = 0.25 * np.arange(n_trials)
        return xr.Dataset(
            {"spike_counts": (("trial", "time", "unit"), counts[:, None, :])},
            {
                "trial": np.arange(n_trials),
                "unit": np.arange(n_units),
                "time": [0.0],
                "start_time": ("trial", start),
                "stop_time": ("trial", start + 0.25),
                "stimulus_block": ("trial", np.zeros(n_trials, int)),
                "target": ("trial", y),
                "repeat": ("trial", np.zeros(n_trials, int)),
            },
            {"session_id": session, "stimulus_name": "natural_scenes", "target": "frame", "blanks": "kept"},
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._seeds)

    def __len__(self) -> int:
        return len(self._seeds)


def decode(sessions: Simulated, decoders: Sequence[str], ray: str | None) -> dict[str, float]:
    """Decode all sessions in a run directory of their own; return seconds, cells, and the driver's memory in bytes."""
    most = 0

    def watch(done: int, total: int, row: Mapping[str, Any]) -> None:
        nonlocal most
        most = max(most, resident("VmRSS"))

    plan = Benchmark(sessions, decoders, BlockKFold(N_FOLDS), ("default",), ray=ray)
    with tempfile.TemporaryDirectory() as folder, RunDirectory(Path(folder), {}) as run:
        forget_peak()
        begin = time.perf_counter()
        outcome = plan.run(run, watch)
        seconds = time.perf_counter() - begin
    if len(outcome.failures):
        raise SystemExit(f"a cell failed: {outcome.failures['error'].iloc[0]}")
    return {
        "seconds": seconds,
        "cells": len(outcome.results),
        "while_decoding": most,
        "with_tables": resident("VmHWM"),
        "rows": len(outcome.predictions),
    }


def efficiency(sessions: Simulated, warm_up: Simulated, repeats: int) -> dict[str, Any]:
    """Time the same cells with one worker and with two, in turn; a Ray of their own each time."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repeats):
        for workers, times in seconds.items():
            with connected("local", jobs=workers):
                decode(warm_up, DECODERS, "local")
                timed = decode(sessions, DECODERS, "local")
            times.append(timed["seconds"])
    one, two = (statistics.median(times) for times in seconds.values())
    return {"cells": timed["cells"], "seconds": {"1": one, "2": two}, "efficiency": one / (2 * two)}


def overhead(n_sessions: int) -> dict[str, float]:
    """Seconds per cell that does next to nothing: in this process, and beyond that as a task; nothing is written."""
    idle = Simulated(n_sessions, 60, 5, 4, seed=0)
    splitter = BlockKFold(N_FOLDS)
    per_cell = []
    for executor in (this_process(), on_ray("local", 1)):
        with executor as attempts, tempfile.TemporaryDirectory() as folder:
            terms = Terms(splitter, 0, Keep(Path(folder)))
            list(attempts(_batches(idle, splitter), terms))  # warms up
            begin = time.perf_counter()
            n_cells = len(list(attempts(_batches(idle, splitter), terms)))
            per_cell.append((time.perf_counter() - begin) / n_cells)
    return {"cells": n_cells, "alone": per_cell[0], "overhead": per_cell[1] - per_cell[0]}


def _batches(sessions: Simulated, splitter: BlockKFold) -> list[Batch]:
    problems = [as_problem(dataset) for dataset in sessions.values()]
    chance = [contender("chance", "reference")]
    return [
        Batch(problem, iter(name_cells(chance, problem, problem.folds(splitter), splitter, 0))) for problem in problems
    ]


def memory(numbers: Sequence[int], n_trials: int, n_units: int) -> dict[str, Any]:
    """Peak memory of the driver for so many sessions, whose cells do next to nothing."""
    rows = []
    with connected("local", jobs=1):
        decode(Simulated(2, n_trials, n_units, 4, seed=0), (), "local")
        for number in numbers:
            rows.append({"sessions": number, **decode(Simulated(number, n_trials, n_units, 4, seed=0), (), "local")})
    few, many = rows[0], rows[-1]
    grown = many["sessions"] - few["sessions"]
    tables = [row["with_tables"] - row["while_decoding"] for row in (few, many)]
    return {
        "bytes_of_a_session": n_trials * n_units,
        "runs": rows,
        "bytes_per_session": max(0.0, (many["while_decoding"] - few["while_decoding"]) / grown),
        "bytes_per_row_of_tables": max(0.0, (tables[1] - tables[0]) / (many["rows"] - few["rows"])),
    }


def report(found: Mapping[str, Any]) -> None:
    scaled, task, driver = found["scaling"], found["task"], found["driver"]
    print(
        f"{found['sessions']} sessions, {len(DECODERS)} decoders and chance, {N_FOLDS} folds: {scaled['cells']} cells"
    )
    for workers, seconds in scaled["seconds"].items():
        print(
            f"  {workers} worker{'s' * (workers != '1')}  {seconds:8.1f} s   {seconds / scaled['cells']:.3f} s a cell"
        )
    print(f"  efficiency of 2 against 1: {scaled['efficiency']:.3f} (at least {AT_LEAST})")
    print(f"a task's overhead: {1000 * task['overhead']:.1f} ms ({1000 * task['alone']:.1f} ms in one process)")
    print(f"driver, sessions of {driver['bytes_of_a_session'] / 1e6:.1f} MB:")
    for row in driver["runs"]:
        print(
            f"  {row['sessions']:4d} sessions  {row['while_decoding'] / 1e6:8.1f} MB while decoding"
            f"  {row['with_tables'] / 1e6:8.1f} MB with tables of {row['rows']:,} rows"
        )
    share = driver["bytes_per_session"] / driver["bytes_of_a_session"]
    print(
        f"  a session adds {driver['bytes_per_session'] / 1e6:.3f} MB, {100 * share:.1f} % of its size (at most "
        f"{100 * AT_MOST_OF_A_SESSION:.0f} %); a row of tables {driver['bytes_per_row_of_tables']:.0f} bytes"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--trials", type=int, default=2400)
    parser.add_argument("--units", type=int, default=800)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--idle-sessions", type=int, default=64, help="sessions of three cells that do nothing")
    parser.add_argument("--large-trials", type=int, default=2000, help="size of the sessions that show memory")
    parser.add_argument("--large-units", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    shape = (args.trials, args.units, args.classes)
    sessions = Simulated(args.sessions, *shape, args.seed)
    numbers = sorted({max(2, args.sessions // 4), max(3, args.sessions // 2), max(4, args.sessions)})
    import ray

    found: dict[str, Any] = {
        "sessions": args.sessions,
        "shape": shape,
        "decoders": DECODERS,
        "folds": N_FOLDS,
        "cores": joblib.cpu_count(),
        "versions": {"ray": ray.__version__, **library_versions()},
        "scaling": efficiency(sessions, Simulated(2, *shape, args.seed + 1000), args.repeats),
        "task": overhead(args.idle_sessions),
        "driver": memory(numbers, args.large_trials, args.large_units),
        "at_least": AT_LEAST,
        "at_most_of_a_session": AT_MOST_OF_A_SESSION,
    }
    driver = found["driver"]
    flat = driver["bytes_per_session"] <= AT_MOST_OF_A_SESSION * driver["bytes_of_a_session"]
    found["met"] = bool(flat and found["scaling"]["efficiency"] >= AT_LEAST)
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        report(found)
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())

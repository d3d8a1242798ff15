"""Decode what a mouse sees from the spikes of single neurons.

The names in ``__all__`` are imported when they are first used, so that ``import spikesight`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikesight.config import BenchmarkConfig, load_config
    from spikesight.data.arrays import to_arrays
    from spikesight.data.binning import bin_periods, bin_spikes
    from spikesight.data.catalogue import sessions
    from spikesight.data.context import add_context
    from spikesight.data.counts import read_counts, write_counts
    from spikesight.data.fetch import fetch_session
    from spikesight.data.nwb import read_session
    from spikesight.data.nwb_write import write_session
    from spikesight.data.presentations import Trials, select_trials
    from spikesight.data.session import Session
    from spikesight.data.simulation import simulate_session
    from spikesight.data.unit_filters import UnitFilters
    from spikesight.detrending import Detrending
    from spikesight.errors import SpikesightError
    from spikesight.evaluation.benchmark import Benchmark, evaluate
    from spikesight.experiment import run_benchmark
    from spikesight.records.run_record import read_run
    from spikesight.reports.report import write_report
    from spikesight.search_space import Choice, Range
    from spikesight.splits import BlockKFold, LastBlock, RepeatKFold
    from spikesight.tracking.run_directory import RunDirectory
    from spikesight.tuning.tune import tune
    from spikesight.tuning_config import TuningConfig

__version__ = "0.1.0"

_HOME = {
    "Benchmark": "evaluation.benchmark",
    "BenchmarkConfig": "config",
    "BlockKFold": "splits",
    "Choice": "search_space",
    "Detrending": "detrending",
    "LastBlock": "splits",
    "Range": "search_space",
    "RepeatKFold": "splits",
    "RunDirectory": "tracking.run_directory",
    "Session": "data.session",
    "SpikesightError": "errors",
    "Trials": "data.presentations",
    "TuningConfig": "tuning_config",
    "UnitFilters": "data.unit_filters",
    "add_context": "data.context",
    "bin_periods": "data.binning",
    "bin_spikes": "data.binning",
    "evaluate": "evaluation.benchmark",
    "fetch_session": "data.fetch",
    "load_config": "config",
    "read_counts": "data.counts",
    "read_run": "records.run_record",
    "read_session": "data.nwb",
    "run_benchmark": "experiment",
    "select_trials": "data.presentations",
    "sessions": "data.catalogue",
    "simulate_session": "data.simulation",
    "to_arrays": "data.arrays",
    "tune": "tuning.tune",
    "write_counts": "data.counts",
    "write_report": "reports.report",
    "write_session": "data.nwb_write",
}
"""Public name -> the module it lives in."""

__all__ = [
    "Benchmark",
    "BenchmarkConfig",
    "BlockKFold",
    "Choice",
    "Detrending",
    "LastBlock",
    "Range",
    "RepeatKFold",
    "RunDirectory",
    "Session",
    "SpikesightError",
    "Trials",
    "TuningConfig",
    "UnitFilters",
    "add_context",
    "bin_periods",
    "bin_spikes",
    "evaluate",
    "fetch_session",
    "load_config",
    "read_counts",
    "read_run",
    "read_session",
    "run_benchmark",
    "select_trials",
    "sessions",
    "simulate_session",
    "to_arrays",
    "tune",
    "write_counts",
    "write_report",
    "write_session",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List public names, also those that are not imported yet."""
    return sorted({*globals(), *__all__})

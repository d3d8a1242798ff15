"""Exploration: tidy tables of what a session holds, ready to be drawn or read.

A function takes a `Session`, its `Trials`, or a dataset of binned trials, and gives a DataFrame or a DataArray with
named columns. Nothing here draws; `spikesight.figures` does, and takes these tables as they are.
"""

import importlib
from typing import Any

_HOME = {
    "behaviour_over_session": "behaviour",
    "class_rates": "responses",
    "cluster_units": "correlations",
    "cut_trial": "bin_cuts",
    "embed_trials": "embeddings",
    "embed_units": "embeddings",
    "mean_waveforms": "waveforms",
    "presentation_timeline": "timeline",
    "probe_map": "probes",
    "probe_sites": "probes",
    "psth": "time_histogram",
    "response_map": "responses",
    "trial_spikes": "spikes",
    "unit_correlations": "correlations",
    "unit_rates": "rates",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Import a function, and what it needs, when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)

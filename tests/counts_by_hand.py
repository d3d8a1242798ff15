"""Binned trials made of a few numbers."""

import numpy as np
import xarray as xr


def counts_of(values: np.ndarray, target: list[int], areas: list[str] | None = None) -> xr.Dataset:
    """Binned trials of one bin of half a second: values (n_trials, n_units)."""
    n_trials, n_units = values.shape
    start = np.arange(n_trials, dtype=float)
    return xr.Dataset(
        {"spike_counts": (("trial", "time", "unit"), values[:, None, :].astype(np.int64))},
        {
            "trial": np.arange(n_trials), "time": [0.0], "unit": np.arange(n_units) + 100,
            "target": ("trial", np.array(target)), "stimulus_block": ("trial", np.zeros(n_trials, int)),
            "repeat": ("trial", np.zeros(n_trials, int)), "start_time": ("trial", start),
            "stop_time": ("trial", start + 0.5), "area": ("unit", np.array(areas or ["VISp"] * n_units)),
        },
    )  # fmt: skip

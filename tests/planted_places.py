"""Trials of patches on a grid, and units whose receptive fields are known."""

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.data.dataset import make_dataset

GRID = 10.0 * np.arange(-4, 5)
CENTRES = np.array([[-20.0, 10.0], [15.0, -25.0], [0.0, 0.0], [30.0, 20.0]])
WIDTH = 10.0


def planted_trials(n_repeats: int = 20, rate: float = 4.0, seed: int = 0, n_blocks: int = 1) -> xr.Dataset:
    """Four units with Gaussian fields at ``CENTRES``, one that fires alike everywhere, and a silent one."""
    rng = np.random.default_rng(seed)
    y, x = (part.ravel() for part in np.meshgrid(GRID, GRID, indexing="ij"))
    order = rng.permutation(np.tile(np.arange(len(x)), n_repeats))
    squared = (x[order, None] - CENTRES[:, 0]) ** 2 + (y[order, None] - CENTRES[:, 1]) ** 2
    rates = 0.5 + rate * np.exp(-squared / (2 * WIDTH**2))
    rates = np.column_stack([rates, np.full(len(order), 1.5), np.zeros(len(order))])
    counts = rng.poisson(rates).astype(np.uint16)[:, None, :]
    start = 0.25 * np.arange(len(order))
    label = pd.Series(order)
    trials = pd.DataFrame(
        {
            "start_time": start,
            "stop_time": start + 0.25,
            "stimulus_block": np.arange(len(order)) * n_blocks // len(order),
            "repeat": label.groupby(label).cumcount(),
            "target": label,
            "x_position": x[order],
            "y_position": y[order],
        }
    )
    units = pd.DataFrame({"area": ["VISp", "VISp", "VISl", "VISl", "CA1", "CA1"]}, pd.Index([3, 5, 7, 9, 11, 13]))
    return make_dataset(counts, np.array([0.0]), trials, units, {"stimulus_name": "gabors", "session_id": "planted"})

"""A small file of binned trials, as a lab would write it."""

from pathlib import Path

import numpy as np


def write_lab_counts(
    path: Path, *, n_trials: int = 120, n_units: int = 12, n_classes: int = 4, seed: int = 0, gabors: bool = False
) -> Path:
    """Write counts that tell the classes apart; ``gabors`` in the layout of the Allen gabor files."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_trials) % n_classes)
    X = rng.poisson(2 + 3 * rng.random((n_classes, n_units))[y]).astype(np.uint8)
    if gabors:
        times = {"start_time": np.arange(n_trials) * 0.25, "stop_time": np.arange(1, n_trials + 1) * 0.25}
        places = {"x_position": y.astype(float), "y_position": np.zeros(n_trials)}
        np.savez(
            path, counts=X.T, unit_ids=np.arange(n_units), structure=np.array(["VISp"] * n_units), **times, **places
        )
    else:
        np.savez(path, X=X, y=y, groups=np.zeros(n_trials, int), area=np.array(["VISp"] * n_units))
    return path

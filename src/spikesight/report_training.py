"""How networks learnt, and whether decoders are as often right as they are sure."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST_EPOCHS: Final = 150
"""Epochs of one curve; of longer ones evenly spread epochs are drawn."""
N_LEVELS: Final = 10
"""Levels of confidence, equally wide."""
_CURVES: Final = ("loss", "valid_loss", "accuracy", "valid_accuracy")


def epochs_panel(epochs: pd.DataFrame | None, session: str) -> list[dict[str, Any]]:
    """Average loss and accuracy over the fits of each decoder, epoch by epoch.

    Parameters
    ----------
    epochs
        Columns `spikesight.epochs.EPOCH_COLUMNS`, or None.
    session
        Whose curves.

    Returns
    -------
    list of dict
        Of each decoder and selection: ``n_fits``, ``epoch`` (from 1), and means over the fits that got as far:
        ``loss``, ``accuracy`` (training trials), ``valid_loss``, ``valid_accuracy`` (None where nothing was measured);
        ``n_left``: fits that were still trained in the last epoch.
    """
    if epochs is None:
        return []
    found = []
    own = epochs[epochs["session"].astype(str) == session]
    for (decoder, selection), rows in own.groupby(["decoder", "selection"], sort=False):
        fits = rows.groupby(["fold", "seed"])
        means = rows.groupby("epoch")[list(_CURVES)].mean().sort_index()
        step = -(-len(means) // MOST_EPOCHS)
        kept = means.iloc[::step]
        last = means.index[-1]
        found.append(
            {
                "decoder": str(decoder),
                "selection": str(selection),
                "n_fits": int(fits.ngroups),
                "n_left": int((fits["epoch"].max() == last).sum()),
                "epoch": [int(epoch) + 1 for epoch in kept.index],
                **{name: _rounded(kept[name].to_numpy(float)) for name in _CURVES},
            }
        )
    return found


def calibration_panel(predictions: pd.DataFrame, session: str, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Compare confidence with accuracy, level by level.

    Parameters
    ----------
    predictions
        One row per test trial, with ``confidence``: the probability of the decoded class, NaN where there is none.
    session
        Whose trials.
    table
        The session's leaderboard, in whose order rows are returned.

    Returns
    -------
    list of dict
        Of each decoder and selection with confidences: ``n_trials``, ``confidence`` and ``accuracy`` (means over them),
        ``error`` (expected calibration error: the mean distance of the two over levels, weighed by trials; Guo et al.
        2017), and ``levels`` ([mean confidence, accuracy, trials] of each level that has trials).
    """
    if "confidence" not in predictions:
        return []
    own = predictions[(predictions["session"].astype(str) == session) & predictions["confidence"].notna()]
    by_row = dict(iter(own.groupby(["decoder", "selection"], sort=False)))
    found = []
    for decoder, selection in table[["decoder", "selection"]].itertuples(index=False):
        if (decoder, selection) not in by_row:
            continue
        trials = by_row[decoder, selection]
        confidence, correct = trials["confidence"].to_numpy(float), trials["correct"].to_numpy(float)
        levels, error = _levels(confidence, correct)
        found.append(
            {
                "decoder": str(decoder), "selection": str(selection), "n_trials": len(trials),
                "confidence": float(confidence.mean()), "accuracy": float(correct.mean()),
                "error": error, "levels": levels,
            }
        )  # fmt: skip
    return found


def _levels(confidence: NDArray[np.float64], correct: NDArray[np.float64]) -> tuple[list[list[float]], float]:
    level = np.minimum((confidence * N_LEVELS).astype(int), N_LEVELS - 1)
    n = np.bincount(level, minlength=N_LEVELS)
    there = n > 0
    mean = np.bincount(level, confidence, N_LEVELS)[there] / n[there]
    right = np.bincount(level, correct, N_LEVELS)[there] / n[there]
    error = float((n[there] * np.abs(mean - right)).sum() / n.sum())
    rows = zip(mean, right, n[there], strict=True)
    return [[round(float(a), 4), round(float(b), 4), int(c)] for a, b, c in rows], error


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [None if not np.isfinite(value) else float(f"{value:.4g}") for value in values]

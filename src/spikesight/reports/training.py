"""How networks learnt, and whether decoders are as often right as they are sure."""

from typing import Any, Final

import pandas as pd

from spikesight.decoding_results.reliability import reliability
from spikesight.metrics import calibration_error
from spikesight.reports.numbers import rounded

MOST_EPOCHS: Final = 150
"""Epochs of one curve; of longer ones evenly spread epochs are drawn."""
_CURVES: Final = ("loss", "valid_loss", "accuracy", "valid_accuracy")


def epochs_panel(epochs: pd.DataFrame | None, session: str) -> list[dict[str, Any]]:
    """Average loss and accuracy over the fits of each decoder, epoch by epoch.

    Parameters
    ----------
    epochs
        Columns `spikesight.tracking.epochs.EPOCH_COLUMNS`, or None.
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
                **{name: rounded(kept[name].to_numpy(float)) for name in _CURVES},
            }
        )
    return found


def calibration_panel(predictions: pd.DataFrame, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Compare confidence with accuracy, level by level.

    Parameters
    ----------
    predictions
        One row per test trial of the session, with ``confidence``: the probability of the decoded class, NaN where
        there is none.
    table
        The session's leaderboard, in whose order rows are returned.

    Returns
    -------
    list of dict
        Of each decoder and selection with confidences: ``n_trials``, ``confidence`` and ``accuracy`` (means over them),
        ``error`` (`spikesight.metrics.calibration_error`), and ``levels``: mean confidence,
        accuracy, bounds of its interval and trials of each level of confidence that has trials.
    """
    if "confidence" not in predictions:
        return []
    own = predictions.loc[predictions["confidence"].notna(), ["decoder", "selection", "confidence", "correct"]]
    own = own.assign(confidence=own["confidence"].clip(0, 1))  # sums of probabilities may exceed 1 by rounding
    by_row = dict(iter(own.groupby(["decoder", "selection"], sort=False)))
    levels = dict(iter(reliability(own).groupby(["decoder", "selection"], sort=False)))
    found = []
    for key in table[["decoder", "selection"]].itertuples(index=False, name=None):
        if key not in by_row:
            continue
        trials, measured = by_row[key], levels[key]
        rows = measured[["confidence", "accuracy", "low", "high"]].round(4).to_numpy().tolist()
        found.append(
            {
                "decoder": str(key[0]), "selection": str(key[1]), "n_trials": len(trials),
                "confidence": float(trials["confidence"].mean()), "accuracy": float(trials["correct"].mean()),
                "error": calibration_error(measured),
                "levels": [[*row, int(n)] for row, n in zip(rows, measured["n"], strict=True)],
            }
        )  # fmt: skip
    return found

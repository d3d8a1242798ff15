"""From results and predictions, one row per fold or trial, to one row per decoder."""

from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight.statistics import block_bootstrap

_POINT: Final = ["decoder", "selection"]
_ROW: Final = ["session", *_POINT]


def session_leaderboard(results: pd.DataFrame, predictions: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Pool the folds: one row per session, decoder and selection, best first within each session.

    A decoder of which a fold failed was tested on fewer trials than the others and is left out.

    Parameters
    ----------
    results
        One row per session, decoder, selection and fold, as in ``results.parquet``.
    predictions
        One row per test trial of each of these, as in ``predictions.parquet``.
    seed
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        Columns ``session, decoder, selection, accuracy, low, high, chance, balanced_accuracy, top5_accuracy,
        n_trials`` (test trials), ``n_classes, n_units, n_bins, seconds`` (to fit and predict, over all folds).
        Accuracies are fractions of test trials; ``low`` and ``high`` bound the interval that
        `spikesight.statistics.WHAT_INTERVALS_COVER` describes.
    """
    folds = dict(iter(results.groupby(_ROW, sort=False)))
    rows: list[dict[str, Any]] = []
    for key, trials in predictions.groupby(_ROW, sort=False):
        own = folds[key]
        ordered = trials.sort_values(["seed", "row"], kind="stable")
        correct = ordered["correct"].to_numpy(bool)
        low, high = block_bootstrap(correct, seed=seed)
        rows.append(
            {
                **dict(zip(_ROW, key, strict=True)),
                "accuracy": float(correct.mean()),
                "low": low,
                "high": high,
                "chance": float(np.average(own["chance"], weights=own["n_test"])),
                "balanced_accuracy": float(ordered.groupby("y_true")["correct"].mean().mean()),
                "top5_accuracy": float(np.average(own["top5_accuracy"], weights=own["n_test"])),
                "n_trials": len(ordered),
                "n_classes": int(own["n_classes"].max()),
                "n_units": int(own["n_units"].iloc[0]),
                "n_bins": int(own["n_bins"].iloc[0]),
                "seconds": float(own["fit_seconds"].sum() + own["predict_seconds"].sum()),
            }
        )
    table = pd.DataFrame(rows)
    table = table[table["n_trials"] == table.groupby("session")["n_trials"].transform("max")]
    place = table["session"].map({name: row for row, name in enumerate(table["session"].unique())})
    order = np.lexsort((-table["accuracy"], place))
    return table.iloc[order].reset_index(drop=True)


def mean_leaderboard(per_session: pd.DataFrame, predictions: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Average over sessions: one row per decoder and selection, best first.

    A decoder that is missing in a session of the others is left out: its mean would be one over other sessions.

    Parameters
    ----------
    per_session
        As from `session_leaderboard`.
    predictions
        The test trials that it was made of.
    seed
        Seed of the bootstrap, which draws runs of trials within sessions.

    Returns
    -------
    pandas.DataFrame
        The columns of ``per_session`` without ``session`` and with ``n_sessions``. ``n_trials`` and ``seconds`` are
        sums over sessions, ``n_units`` is the median, everything else the mean.
    """
    trials_of = dict(iter(predictions.groupby(_POINT, sort=False)))
    rows: list[dict[str, Any]] = []
    n_sessions = per_session["session"].nunique()
    for key, own in per_session.groupby(_POINT, sort=False):
        if len(own) < n_sessions:
            continue
        ordered = trials_of[key].sort_values(["session", "seed", "row"], kind="stable")
        low, high = block_bootstrap(ordered["correct"], seed=seed, sessions=ordered["session"].astype(str))
        rows.append(
            {
                **dict(zip(_POINT, key, strict=True)),
                "accuracy": float(own["accuracy"].mean()),
                "low": low,
                "high": high,
                **{name: float(own[name].mean()) for name in ("chance", "balanced_accuracy", "top5_accuracy")},
                "n_trials": int(own["n_trials"].sum()),
                "n_classes": int(own["n_classes"].max()),
                "n_units": int(own["n_units"].median()),
                "n_bins": int(own["n_bins"].max()),
                "seconds": float(own["seconds"].sum()),
                "n_sessions": len(own),
            }
        )
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, kind="stable").reset_index(drop=True)

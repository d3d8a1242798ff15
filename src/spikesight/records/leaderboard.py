"""From results and predictions, one row per fold or trial, to one row per decoder."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.statistics import block_bootstrap, paired_difference

SELECTIONS: Final = ("searched", "tuned", "default")
"""Ways to set a decoder's own constants, the most thorough first; references are none of them."""

BEHIND: Final = "+"
"""Between the names of an encoder and of the decoder behind it: ``vae+fa-lda``."""

FEWEST_FOR_T: Final = 3
"""Sessions of a mean difference that has an interval: of two, Student's t with one degree of freedom says nothing."""

_POINT: Final = ["decoder", "selection"]
_ROW: Final = ["session", *_POINT]
_TRIAL: Final = ["seed", "row"]
_MINUS_BEST: Final = ["minus_best", "minus_best_low", "minus_best_high"]
_NOT_KNOWN: Final = (float("nan"),) * 3


def is_competing(table: pd.DataFrame) -> "pd.Series[bool]":
    """Tell decoders in competition from references and from guessing."""
    return (table["selection"] != "reference") & (table["decoder"] != "chance")


def most_thorough(table: pd.DataFrame) -> pd.DataFrame:
    """Keep references, and of each decoder the rows of the most thorough way to set its constants that it has."""
    place = table["selection"].map({name: at for at, name in enumerate(SELECTIONS)})
    return table[place.isna() | (place == place.groupby(table["decoder"]).transform("min"))]


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
        n_trials`` (test trials), ``n_classes, n_units, n_bins, seconds`` (to fit and predict, over all folds),
        ``n_parameters`` (fitted in a fold, at most; NaN where not known),
        ``minus_best, minus_best_low, minus_best_high``. Accuracies are fractions of test trials; ``low`` and ``high``
        bound the interval that `spikesight.statistics.WHAT_INTERVALS_COVER` describes. ``minus_best`` is the
        difference to the session's first row that is no reference, with the interval of the paired difference on the
        same trials; NaN in that row itself and where there is none or it saw other trials. A row that answers to every
        trial as the best does is the same decoder as far as is known: its difference is 0 and has no interval (NaN).
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
                "n_parameters": _most_parameters(own),
            }
        )
    table = pd.DataFrame(rows)
    table = table[table["n_trials"] == table.groupby("session")["n_trials"].transform("max")]
    place = table["session"].map({name: row for row, name in enumerate(table["session"].unique())})
    order = np.lexsort((-table["accuracy"], place))
    table = table.iloc[order].reset_index(drop=True)
    trials_of = dict(iter(predictions.groupby(_ROW, sort=False)))
    right = [_correct(trials_of[tuple(key)]) for key in table[_ROW].to_numpy()]

    def difference(at: int, best: int) -> tuple[float, float, float]:
        if right[at].equals(right[best]) and _same_answers(*(trials_of[tuple(table.loc[i, _ROW])] for i in (at, best))):
            return 0.0, float("nan"), float("nan")
        return _on_same_trials(right[at], right[best], seed)

    minus_best: dict[int, tuple[float, float, float]] = {}
    for _, own in table.groupby("session", sort=False):
        minus_best |= _minus_first(own, difference)
    table[_MINUS_BEST] = [minus_best[at] for at in table.index]
    return table


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
        sums over sessions, ``n_units`` and ``n_parameters`` are medians, everything else is the mean. ``minus_best`` is
        the mean difference to the first row that is no reference, its bounds are those of
        `spikesight.statistics.paired_difference` over sessions, never beyond -1 and 1, and NaN where there are fewer
        than ``FEWEST_FOR_T``.
        No row where every decoder is missing in some session.
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
                # Without dropna, pandas 2 warns where no session knows it.
                "n_parameters": float(own["n_parameters"].dropna().median()),
                "n_sessions": len(own),
            }
        )
    if not rows:
        return pd.DataFrame(columns=[*(name for name in per_session if name != "session"), "n_sessions"])
    table = pd.DataFrame(rows).sort_values("accuracy", ascending=False, kind="stable").reset_index(drop=True)
    by_session = per_session.pivot(index="session", columns=_POINT, values="accuracy")
    reached = [by_session[tuple(key)].to_numpy(float) for key in table[_POINT].to_numpy()]
    minus_best = _minus_first(table, lambda at, best: _over_sessions(reached[at], reached[best]))
    table[_MINUS_BEST] = [minus_best[at] for at in table.index]
    return table


def _most_parameters(folds: pd.DataFrame) -> float:
    """Return the largest number of fitted parameters; NaN where no fold knows it, and in runs of earlier versions."""
    if "n_parameters" not in folds or folds["n_parameters"].isna().all():
        return float("nan")
    return float(folds["n_parameters"].max())


def _minus_first(
    table: pd.DataFrame, difference: Callable[[int, int], tuple[float, float, float]]
) -> dict[int, tuple[float, float, float]]:
    """Compare every row with the first competing one; rows are named by their index."""
    competing = table.index[is_competing(table)]
    best = competing[0] if len(competing) else None
    return {at: _NOT_KNOWN if best is None or at == best else difference(at, best) for at in table.index}


def _correct(trials: pd.DataFrame) -> "pd.Series[float]":
    """Whether each test trial was decoded, in time order."""
    return trials.set_index(_TRIAL)["correct"].astype(float).sort_index()


def _same_answers(own: pd.DataFrame, best: pd.DataFrame) -> bool:
    """Whether two rows took every test trial for the same class, where that is known."""
    if "y_pred" not in own or "y_pred" not in best:
        return False
    first, second = (trials.set_index(_TRIAL)["y_pred"].sort_index().astype(str) for trials in (own, best))
    return first.equals(second)


def _over_sessions(own: NDArray[np.float64], best: NDArray[np.float64]) -> tuple[float, float, float]:
    found = paired_difference(own, best)
    if found.n < FEWEST_FOR_T:
        return found.mean, float("nan"), float("nan")
    # Student's t knows no bounds; a difference of shares has them, so that nothing is lost beyond.
    return found.mean, max(found.low, -1.0), min(found.high, 1.0)


def _on_same_trials(own: "pd.Series[float]", best: "pd.Series[float]", seed: int) -> tuple[float, float, float]:
    if not own.index.equals(best.index):
        return _NOT_KNOWN
    difference = (own - best).to_numpy()
    return (float(difference.mean()), *block_bootstrap(difference, seed=seed, extremes=(-1.0, 1.0)))

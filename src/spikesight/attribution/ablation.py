"""Ablation curves: how a decoder does without some units, which are chosen on training trials."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.attribution.integrated_gradients import integrated_gradients
from spikesight.attribution.permutation import permutation_importance
from spikesight.attribution.shapley import shap_importance
from spikesight.attribution.true_class import known_trials, log_scores, measure_of, of_true_class
from spikesight.decoders.base import LinearDecoder
from spikesight.errors import DataError
from spikesight.evaluation.fitting import InnerFold, inner_trials
from spikesight.preprocessing import anscombe, counts_of_roots
from spikesight.splits import Rows

FRACTIONS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95)
"""Shares of the units that are dropped."""
MOST_FIRST: Final = "most important first"
LEAST_FIRST: Final = "least important first"
RANDOM: Final = "random"
WITHOUT_AREA: Final = "without the area"
AREA_ALONE: Final = "the area alone"
MEAN: Final = "mean"
REFIT: Final = "refit"
_GRADIENT_ERROR = 0.05
"""Completeness that is enough to rank units."""

ABLATION_COLUMNS: Final = (
    "order", "how", "area", "n_dropped", "n_units", "share_dropped", "accuracy", "measure", "value", "n_test",
)  # fmt: skip


class Removal(NamedTuple):
    """Units that are dropped together: under which order, of which area, and which (places along the unit axis)."""

    order: str
    area: str
    dropped: NDArray[np.intp]


class FoldTrials(NamedTuple):
    """One fold's trials as a decoder takes them.

    Attributes
    ----------
    X_train
        Training trials, (n_train, n_bins, n_units); what absent units are set to is their mean.
    X_test, y_test
        Test trials, prepared as the decoder takes them, and their labels.
    """

    X_train: NDArray[Any]
    X_test: NDArray[Any]
    y_test: NDArray[Any]


def inner_importance(
    fit: Callable[[NDArray[Any], NDArray[Any]], Any],
    X: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    train: Rows,
    *,
    gap: int,
    detrending: Any,
    seed: int,
    of_fold: str = "the fold",
) -> NDArray[np.float64]:
    """Rank units by trials of the training rows alone: fitted to some of them, asked of others.

    One inner fold of the training rows is cut as for a choice of constants. Importance is the mean Shapley value toward
    the true class for a linear decoder, the mean integrated gradient for a network, and permutation importance (two
    permutations) for any other.

    Parameters
    ----------
    fit
        Fits the decoder to counts (n_trials, n_bins, n_units) and labels.
    X, y, groups
        All trials of the session, of which only the rows ``train`` are looked at.
    train, gap, detrending
        As of `spikesight.evaluation.fitting.fit_fold`.
    seed
        Of permutations.
    of_fold
        What errors call the fold whose training rows these are.

    Returns
    -------
    ndarray of shape (n_units,)

    Raises
    ------
    DataError
        If the training rows are too few to be cut into inner folds, or those of one inner fold tell no classes apart.
    """
    try:
        fold = next(iter(inner_trials(X, y, groups, train, gap=gap, detrending=detrending)))
    except DataError as error:
        raise _cannot_rank(of_fold, len(train), gap, "leave an inner fold without trials to learn from") from error
    _check_classes(fold, of_fold, len(train), gap)
    decoder = fit(fold.counts, fold.labels)
    one_block = np.zeros(len(fold.answers), np.intp)
    if isinstance(decoder, LinearDecoder):
        return shap_importance(decoder, fold.held_out, fold.answers, one_block).toward_true
    if hasattr(decoder, "white"):
        found = integrated_gradients(decoder, fold.held_out, fold.answers, tolerance=_GRADIENT_ERROR)
        return np.asarray(found.values.sum(axis=1).mean(axis=0))
    permuted = permutation_importance(decoder, fold.held_out, fold.answers, one_block, n_permutations=2, seed=seed)
    return np.asarray(permuted.lost.mean(axis=0))


def _check_classes(fold: InnerFold, of_fold: str, n_train: int, gap: int) -> None:
    """Refuse an inner fold of which nothing can be learned or asked."""
    if len(np.unique(fold.labels)) < 2:
        raise _cannot_rank(of_fold, n_train, gap, "leave an inner fold that learns from one class alone")
    if not np.isin(fold.answers, fold.labels).any():
        raise _cannot_rank(of_fold, n_train, gap, "leave an inner fold that is asked for classes it never learned")


def _cannot_rank(of_fold: str, n_train: int, gap: int, what: str) -> DataError:
    """Say why there is no ranking, and what makes one: fewer folds need not, as each has fewer training trials."""
    return DataError(
        f"ablation ranks units on an inner fold of the training trials of {of_fold}, and its {n_train} training trials "
        f"with a gap of {gap} {what}. Run the benchmark with more trials, a shorter gap or another number of folds; "
        "--method permutation ranks nothing first."
    )


def removals(
    importance: NDArray[np.float64], areas: Sequence[str], *, seed: int, fractions: Sequence[float] = FRACTIONS
) -> Iterator[Removal]:
    """List what is dropped: growing shares of the units by importance and at random, then area by area.

    Parameters
    ----------
    importance
        Of each unit, found on training trials, (n_units,).
    areas
        Area of each unit; all empty: nothing is dropped by area.
    seed
        Of the random order.
    fractions
        Shares of the units.
    """
    n_units = len(importance)
    most = np.argsort(-importance, kind="stable")
    orders = {
        MOST_FIRST: most,
        LEAST_FIRST: most[::-1],
        RANDOM: np.random.default_rng(seed).permutation(n_units),
    }
    for name, order in orders.items():
        for n_dropped in dict.fromkeys(min(round(share * n_units), n_units - 1) for share in fractions):
            yield Removal(name, "", np.sort(order[:n_dropped]))
    named = np.asarray(areas, dtype=str)
    known = [area for area in dict.fromkeys(named.tolist()) if area]
    for area in known if len(known) > 1 or (named == "").any() else ():
        yield Removal(WITHOUT_AREA, area, np.flatnonzero(named == area))
        yield Removal(AREA_ALONE, area, np.flatnonzero(named != area))


def ablate(
    decoder: Any,
    fold: FoldTrials,
    asked: Sequence[Removal],
    *,
    refit: Callable[[NDArray[np.intp]], tuple[Any, NDArray[Any]]] | None = None,
    tell: Callable[[], object] | None = None,
) -> pd.DataFrame:
    """Score a decoder on test trials without units.

    ``how`` is ``"mean"``: the fitted decoder stays, and an absent unit has its mean over the training trials (of
    square-root counts, bin by bin) in every test trial; what is lost is what this very decoder takes from the unit.
    ``"refit"``: the decoder is fitted again to the training trials without the units; what is lost no other unit can
    tell.

    Parameters
    ----------
    decoder
        Fitted to all units.
    fold
        Trials.
    asked
        What is dropped.
    refit
        Fits the decoder to the units that are kept (places along the unit axis) and returns it with the test trials as
        it takes them; None: nothing is fitted again.
    tell
        Called after each removal.

    Returns
    -------
    pandas.DataFrame
        One row per removal and way: ``ABLATION_COLUMNS``. ``value`` is the mean log-probability of the true class, or
        its mean margin.
    """
    neutral = _neutral(fold.X_train)
    rows = []
    for removal in asked:
        changed = fold.X_test.astype(np.float64)
        changed[:, :, removal.dropped] = neutral[:, removal.dropped]
        scored = {MEAN: (decoder, changed)}
        if refit is not None:
            kept = np.setdiff1d(np.arange(changed.shape[2]), removal.dropped)
            scored[REFIT] = refit(kept)
        for how, (fitted, trials) in scored.items():
            rows.append({**_described(removal, changed.shape[2]), "how": how, **score(fitted, trials, fold.y_test)})
        if tell is not None:
            tell()
    return pd.DataFrame(rows)[list(ABLATION_COLUMNS)]


def score(decoder: Any, X: NDArray[Any], y: NDArray[Any]) -> Mapping[str, Any]:
    """Return accuracy, measure and its mean over the trials whose class the decoder learned."""
    rows, codes = known_trials(decoder, y)
    scores = log_scores(decoder, X[rows])
    measure = measure_of(decoder)
    right = float((decoder.predict(X) == y).mean())
    value = float(of_true_class(scores, codes, measure).mean())
    return {"accuracy": right, "measure": measure, "value": value, "n_test": len(y)}


def _described(removal: Removal, n_units: int) -> dict[str, Any]:
    n_dropped = len(removal.dropped)
    return {
        "order": removal.order,
        "area": removal.area,
        "n_dropped": n_dropped,
        "n_units": n_units,
        "share_dropped": n_dropped / n_units,
    }


def _neutral(X_train: NDArray[Any]) -> NDArray[np.float64]:
    """Return the counts whose square roots are the means over training trials, (n_bins, n_units)."""
    return counts_of_roots(anscombe(X_train).mean(axis=0))

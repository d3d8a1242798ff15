"""A decoder fitted to the training rows of a fold: drift taken away and constants chosen, both on these rows alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from spikesight import metrics
from spikesight.detrending import Detrending, FittedDetrending
from spikesight.splits import Rows, inner_folds

TUNED: Final = "tuned"
DEFAULT: Final = "default"
REFERENCE: Final = "reference"

FEWEST_CANDIDATES: Final = 2
"""A decoder with fewer has nothing to choose: it has a default row and no tuned one."""


OnEpoch = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Contender:
    """One line of a leaderboard: a decoder and how its own constants are set.

    Attributes
    ----------
    name
        Name of the decoder.
    selection
        ``"tuned"``: the best of ``candidates`` on training trials; ``"default"``: as constructed; ``"reference"``: as
        constructed, and not in competition.
    estimator
        Unfitted scikit-learn classifier; it is cloned, never fitted.
    candidates
        Parameters to choose from.
    """

    name: str
    selection: str
    estimator: Any
    candidates: tuple[Mapping[str, Any], ...] = ({},)

    @property
    def n_compared(self) -> int:
        """Number of settings that are compared on training trials; 1 where none are."""
        return len(self.candidates) if self.selection == TUNED else 1


@dataclass(frozen=True, eq=False)
class FittedFold:
    """What the training rows of a fold left.

    Attributes
    ----------
    decoder
        The fitted decoder; it takes counts from which drift was taken as from the training rows (``prepare``).
    detrending
        How that is done; None leaves counts as they are.
    accuracies
        Accuracy of every candidate (rows) on every inner fold (columns); without rows if nothing was chosen.
    """

    decoder: Any
    detrending: FittedDetrending | None
    accuracies: NDArray[np.float64]

    def prepare(self, counts: NDArray[Any], rows: Rows, stretches: NDArray[Any]) -> NDArray[Any]:
        """Make the decoder's input of the counts of rows that belong together, at these places of the session."""
        return counts if self.detrending is None else self.detrending.transform(counts, rows, stretches)


def fit_fold(
    contender: Contender,
    X: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    train: Rows,
    *,
    gap: int,
    seed: int,
    detrending: Detrending | None = None,
    unit_ids: NDArray[Any] | None = None,
    checkpoint: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> FittedFold:
    """Choose a decoder's constants and fit it, on the rows ``train`` of ``X`` and ``y`` only.

    A tuned decoder takes the candidate with the highest accuracy on ``inner_folds`` of the training rows (the first of
    equal ones) and is then fitted to all of them. Drift is taken away within each inner fold anew: inner training rows
    from inner training rows, inner test rows from inner test rows.

    Parameters
    ----------
    contender
        The decoder, its selection and its candidates.
    X, y, groups
        All trials of the session, their labels and their stretches.
    train
        Rows to learn from, ascending.
    gap
        Trials between inner training and test rows.
    seed
        Value of every ``random_state`` in the decoder.
    detrending
        How slow drift is taken away; None leaves it.
    unit_ids
        Given to a decoder that has a parameter of this name.
    checkpoint
        Folder for unfinished fits, given to a decoder that has a parameter of this name: a fit that was killed goes on.
        What is in it decides nothing.
    on_epoch
        Called with the record of each epoch, where the decoder has a parameter of this name; by the last fit only, not
        by those that compare candidates.
    """
    given = {"unit_ids": unit_ids, "checkpoint": checkpoint}
    estimator = _given(_seeded(contender.estimator, seed), **given)
    accuracies = np.empty((0, 0))
    if contender.n_compared >= FEWEST_CANDIDATES:
        accuracies = _try_candidates(contender, estimator, X, y, groups, train, gap=gap, detrending=detrending)
        best = int(accuracies.mean(axis=1).argmax())
        estimator = _with(estimator, contender.candidates[best])
    fitted, counts = _detrended(detrending, X, groups, train)
    hook = {} if on_epoch is None else {"on_epoch": on_epoch}
    _given(estimator, **hook).fit(counts, y[train])
    return FittedFold(_given(estimator, checkpoint=None, **dict.fromkeys(hook)), fitted, accuracies)


def _try_candidates(
    contender: Contender,
    estimator: Any,
    X: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    train: Rows,
    *,
    gap: int,
    detrending: Detrending | None,
) -> NDArray[np.float64]:
    """Return the accuracy of every candidate on every inner fold, (n_candidates, n_inner_folds)."""
    score = metrics.scorer("accuracy")
    columns = []
    for learn, ask in inner_folds(train, groups, gap):
        fitted, counts = _detrended(detrending, X, groups, train[learn])
        held_out = X[train[ask]]
        if fitted is not None:
            held_out = fitted.transform(held_out, train[ask], _stretches(groups, train[ask]))
        column = []
        for candidate in contender.candidates:
            decoder = _with(estimator, candidate).fit(counts, y[train[learn]])
            column.append(float(score(decoder, held_out, y[train[ask]])))
        columns.append(column)
    return np.array(columns).T


def _detrended(
    detrending: Detrending | None, X: NDArray[Any], groups: NDArray[Any] | None, rows: Rows
) -> tuple[FittedDetrending | None, NDArray[Any]]:
    """Return the counts of training rows as a decoder learns from them, and what their drift left."""
    if detrending is None:
        return None, X[rows]
    return detrending.fit_transform(X[rows], rows, _stretches(groups, rows))


def _stretches(groups: NDArray[Any] | None, rows: Rows) -> NDArray[Any]:
    return np.zeros(len(rows), np.intp) if groups is None else groups[rows]


def _seeded(estimator: Any, seed: int) -> Any:
    """Return an unfitted copy whose every ``random_state``, however deep, is ``seed``."""
    copy = clone(estimator)
    states = [name for name in copy.get_params() if name == "random_state" or name.endswith("__random_state")]
    return copy.set_params(**dict.fromkeys(states, seed))


def _given(estimator: Any, **values: Any) -> Any:
    """Set those of the parameters that the estimator itself has."""
    known = estimator.get_params(deep=False)
    return estimator.set_params(**{name: value for name, value in values.items() if name in known})


def _with(estimator: Any, candidate: Mapping[str, Any]) -> Any:
    """Return an unfitted copy with the values of a candidate, which are copied as well."""
    return clone(estimator).set_params(**{name: clone(value, safe=False) for name, value in candidate.items()})

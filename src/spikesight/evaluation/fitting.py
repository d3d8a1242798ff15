"""A decoder fitted to the training rows of a fold: drift taken away and constants chosen, both on these rows alone."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from spikesight import metrics
from spikesight.detrending import Detrending, FittedDetrending
from spikesight.splits import Rows, inner_folds

TUNED: Final = "tuned"
SEARCHED: Final = "searched"
DEFAULT: Final = "default"
REFERENCE: Final = "reference"

SEARCH: Final = "search"
"""Folder of an unfinished search, among the unfinished fits of its cell."""

FEWEST_CANDIDATES: Final = 2
"""A decoder with fewer has nothing to choose: it has a default row and no tuned one."""


OnEpoch = Callable[[dict[str, Any]], object]


class InnerFold(NamedTuple):
    """Training trials of a fold, cut once more: what a candidate learns from, and what it is asked.

    Attributes
    ----------
    counts, labels
        Trials to learn from, as a decoder takes them (n_trials, n_bins, n_units), and their labels.
    held_out, answers
        Trials to score on, and their labels.
    """

    counts: NDArray[Any]
    labels: NDArray[Any]
    held_out: NDArray[Any]
    answers: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen on the inner folds; by default nothing, because nothing was compared.

    Attributes
    ----------
    params
        Constructor parameters of the winner.
    accuracy
        Its mean accuracy over the inner folds: the best of many, so higher than it will do on new trials.
    candidates
        One row per candidate; empty where a few given ones were compared.
    accuracies
        Accuracy of each of a few given candidates (rows) on every inner fold (columns); else without rows.
    earlier_seconds
        Time that a search was at work before it was stopped and resumed.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    accuracy: float = math.nan
    candidates: pd.DataFrame = field(default_factory=pd.DataFrame)
    accuracies: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    earlier_seconds: float = 0.0


class Search(Protocol):
    """Looks for constants on inner folds; it is never given anything else."""

    @property
    def n_candidates(self) -> int:
        """Number of settings that are tried at most."""
        ...

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the constructor parameters that it varies."""
        ...

    def check(self, estimator: Any) -> None:
        """Refuse what cannot be searched, before any fit (``ConfigError``)."""
        ...

    def terms(self) -> Mapping[str, Any]:
        """Describe all that decides the outcome, JSON-able."""
        ...

    def __call__(self, estimator: Any, folds: Sequence[InnerFold], folder: Path | None) -> Chosen:
        """Search; ``folder`` keeps what is unfinished, so that a search that was killed goes on."""
        ...


@dataclass(frozen=True)
class Contender:
    """One line of a leaderboard: a decoder and how its own constants are set.

    Attributes
    ----------
    name
        Name of the decoder.
    selection
        ``"tuned"``: the best of ``candidates`` on training trials; ``"searched"``: what ``search`` finds there;
        ``"default"``: as constructed; ``"reference"``: as constructed, and not in competition.
    estimator
        Unfitted scikit-learn classifier; it is cloned, never fitted.
    candidates
        Parameters to choose from.
    search
        What looks for constants.
    given
        Names of constructor parameters that were given in place of defaults.
    sees
        Names of what the mouse did (`spikesight.schema.BEHAVIOUR_UNITS`) that it is shown in place of spikes; empty:
        spikes.
    """

    name: str
    selection: str
    estimator: Any
    candidates: tuple[Mapping[str, Any], ...] = ({},)
    search: Search | None = None
    given: tuple[str, ...] = ()
    sees: tuple[str, ...] = ()

    @property
    def n_compared(self) -> int:
        """Number of settings that are compared on training trials; 1 where none are."""
        if self.search is not None:
            return self.search.n_candidates
        return len(self.candidates) if self.selection == TUNED else 1

    @property
    def constants(self) -> list[str]:
        """Names of the constructor parameters that a choice decides, and of those that were given."""
        if self.search is not None:
            return sorted({*self.search.parameters, *self.given})
        return sorted({name for candidate in self.candidates for name in candidate} | set(self.given))


@dataclass(frozen=True, eq=False)
class FittedFold:
    """What the training rows of a fold left.

    Attributes
    ----------
    decoder
        The fitted decoder; it takes counts from which drift was taken as from the training rows (``prepare``).
    detrending
        How that is done; None leaves counts as they are.
    chosen
        What was chosen on inner folds, and how well it did there.
    """

    decoder: Any
    detrending: FittedDetrending | None
    chosen: Chosen = field(default_factory=Chosen)

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
    estimator = given_to(seeded(contender.estimator, seed), **given)
    inner = inner_trials(X, y, groups, train, gap=gap, detrending=detrending)
    chosen = Chosen()
    if contender.search is not None:
        folder = None if checkpoint is None else checkpoint / SEARCH
        chosen = contender.search(given_to(clone(estimator), checkpoint=None), list(inner), folder)
    elif contender.n_compared >= FEWEST_CANDIDATES:
        chosen = _best_of(contender, estimator, inner)
    estimator = with_constants(estimator, chosen.params)
    fitted, counts = _detrended(detrending, X, groups, train)
    hook = {} if on_epoch is None else {"on_epoch": on_epoch}
    given_to(estimator, **hook).fit(counts, y[train])
    return FittedFold(given_to(estimator, checkpoint=None, **dict.fromkeys(hook)), fitted, chosen)


def inner_trials(
    X: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    train: Rows,
    *,
    gap: int,
    detrending: Detrending | None,
) -> Iterator[InnerFold]:
    """Cut the training rows into inner folds, one after the other; parameters as of `fit_fold`."""
    for learn, ask in inner_folds(train, groups, gap):
        fitted, counts = _detrended(detrending, X, groups, train[learn])
        held_out = X[train[ask]]
        if fitted is not None:
            held_out = fitted.transform(held_out, train[ask], _stretches(groups, train[ask]))
        yield InnerFold(counts, y[train[learn]], held_out, y[train[ask]])


def with_constants(estimator: Any, values: Mapping[str, Any]) -> Any:
    """Return an unfitted copy with other constants, which are copied as well.

    ``graph__rank`` and its like are parameters of a graph: one that is only named, or left at its default, is made.
    """
    values = {name: clone(value, safe=False) for name, value in values.items()}
    if any(name.startswith("graph__") for name in values):
        from spikesight.networks.graphs import as_graph

        graph = values.get("graph", estimator.get_params()["graph"])
        values["graph"] = estimator.default_graph() if graph is None else as_graph(graph)
    return clone(estimator).set_params(**values)


def _best_of(contender: Contender, estimator: Any, inner: Iterator[InnerFold]) -> Chosen:
    """Choose the candidate with the highest mean accuracy, the first of equal ones."""
    score = metrics.scorer("accuracy")
    columns = [
        [
            float(
                score(with_constants(estimator, candidate).fit(fold.counts, fold.labels), fold.held_out, fold.answers)
            )
            for candidate in contender.candidates
        ]
        for fold in inner
    ]
    accuracies = np.array(columns).T
    means = accuracies.mean(axis=1)
    best = int(means.argmax())
    return Chosen(contender.candidates[best], float(means[best]), accuracies=accuracies)


def _detrended(
    detrending: Detrending | None, X: NDArray[Any], groups: NDArray[Any] | None, rows: Rows
) -> tuple[FittedDetrending | None, NDArray[Any]]:
    """Return the counts of training rows as a decoder learns from them, and what their drift left."""
    if detrending is None:
        return None, X[rows]
    return detrending.fit_transform(X[rows], rows, _stretches(groups, rows))


def _stretches(groups: NDArray[Any] | None, rows: Rows) -> NDArray[Any]:
    return np.zeros(len(rows), np.intp) if groups is None else groups[rows]


def seeded(estimator: Any, seed: int) -> Any:
    """Return an unfitted copy whose every ``random_state``, however deep, is ``seed``."""
    copy = clone(estimator)
    states = [name for name in copy.get_params() if name == "random_state" or name.endswith("__random_state")]
    return copy.set_params(**dict.fromkeys(states, seed))


def given_to(estimator: Any, **values: Any) -> Any:
    """Set those of the parameters that the estimator itself has."""
    known = estimator.get_params(deep=False)
    return estimator.set_params(**{name: value for name, value in values.items() if name in known})

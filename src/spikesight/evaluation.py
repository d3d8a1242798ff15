"""One decoder on one fold: choose constants and fit on the training rows, then read the test rows once."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from spikesight import metrics, schema
from spikesight.data.arrays import to_arrays
from spikesight.decoders import registry
from spikesight.errors import ConfigError, DataError
from spikesight.splits import BlockKFold, Fold, LastBlock, Rows, Splitter, inner_folds, stretches, trial_step

TUNED: Final = "tuned"
DEFAULT: Final = "default"
REFERENCE: Final = "reference"

FEWEST_CANDIDATES: Final = 2
"""A decoder with fewer has nothing to choose: it has a default row and no tuned one."""

JITTER: Final = 0.001
"""Seconds by which windows may overlap: onsets vary by as much around what the screen was asked for."""

RESULT_COLUMNS: Final = (
    "session", "decoder", "selection", "fold", "seed", "accuracy", "balanced_accuracy", "top5_accuracy", "chance",
    "n_train", "n_test", "n_classes", "n_units", "n_bins", "fit_seconds", "predict_seconds", "params", "splitter",
    "gap", "blanks", "stimulus", "target", "n_candidates",
)  # fmt: skip
PREDICTION_COLUMNS: Final = (
    "session", "decoder", "selection", "fold", "seed", "trial", "row", "y_true", "y_pred", "correct", "in_top5",
    "confidence", "stimulus_block",
)  # fmt: skip


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
class Problem:
    """Binned trials of one session, as arrays, with what the tables say of them.

    Attributes
    ----------
    session
        Session id.
    X, y, groups
        Spike counts (n_trials, n_bins, n_units), labels (n_trials,), stimulus blocks (n_trials,).
    start, stop
        Beginning and end of each presentation, in seconds (n_trials,); NaN where not known.
    window
        Where spikes were counted, in seconds from ``start``; None where it is the presentation.
    trials, unit_ids
        Presentation ids (n_trials,) and unit ids (n_units,).
    described
        What results repeat of the dataset: ``blanks``, ``stimulus``, ``target``.
    """

    session: str
    X: NDArray[Any]
    y: NDArray[Any]
    groups: NDArray[Any]
    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    window: tuple[float, float] | None
    trials: NDArray[Any]
    unit_ids: NDArray[Any]
    described: Mapping[str, str]

    def stretches(self, gap: int) -> Rows:
        """Give the stretch of each trial (n_trials,): blocks, merged where they are not apart in time."""
        return stretches(self.groups, self.start, self.stop, gap)

    def folds(self, splitter: Splitter) -> list[Fold]:
        """Split the trials. A splitter with a gap is told which blocks are apart; others see the blocks alone.

        Raises
        ------
        ConfigError
            If the gap is so short that a test trial's window reaches into that of a training trial: they would
            share spikes. Splitters without a gap do not promise otherwise.
        """
        if not isinstance(splitter, BlockKFold | LastBlock):
            return list(splitter.split(self.X, self.y, self.groups))
        folds = list(splitter.split(self.X, self.y, self.groups, stretches=self.stretches(splitter.gap)))
        if self.window is None or not np.isfinite(self.start).all():
            return folds
        if any(self._share_spikes(self.window, *fold) for fold in folds):
            raise ConfigError(
                f"windows of {self.window[0]} to {self.window[1]} s around neighbouring trials overlap, so that test "
                f"trials share spikes with training trials at a gap of {splitter.gap}. Expected a gap of at least "
                f"{self._gap_for(self.window)} trials, or a shorter window."
            )
        return folds

    def _share_spikes(self, window: tuple[float, float], train: Rows, test: Rows) -> bool:
        """Tell if a test trial's window overlaps that of the nearest training trials by more than they do."""
        place = np.searchsorted(train, test)
        before, after = place > 0, place < len(train)
        first = np.concatenate([train[place[before] - 1], test[after]])
        second = np.concatenate([test[before], train[place[after]]])
        shared = window[1] - window[0] - (self.start[second] - self.start[first])
        own = np.fmax(self.stop[first] - self.start[second], 0)
        return bool((shared > own + JITTER).any())

    def _gap_for(self, window: tuple[float, float]) -> int:
        """Count the trials that a gap needs so that no window reaches across it, nor across a pause as long."""
        width = window[1] - window[0] - JITTER
        within = np.searchsorted(self.start, self.start + width) - np.arange(len(self.start)) - 1
        step = trial_step(self.groups, self.start)
        return int(max(within.max(), np.ceil(width / step) if step > 0 else 0))


def contender(name: str, selection: str) -> Contender:
    """Look a registered decoder up. ``selection`` is ``"tuned"``, ``"default"`` or ``"reference"``.

    Raises
    ------
    UnknownNameError
        If no decoder has that name.
    ConfigError
        If there is no such selection.
    """
    if selection not in (TUNED, DEFAULT, REFERENCE):
        raise ConfigError(f"expected a selection of {TUNED!r}, {DEFAULT!r} or {REFERENCE!r}, got {selection!r}.")
    return Contender(name, selection, registry.make(name), tuple(registry.spec(name).candidates))


def as_problem(dataset: xr.Dataset, session: str | None = None) -> Problem:
    """Leave names for arrays, once.

    Raises
    ------
    DataError
        If the dataset is not one of binned trials, or its trials are not in time order.
    """
    schema.validate_dataset(dataset)
    started = dataset[schema.START].to_numpy()
    if (np.diff(started) < 0).any():
        row = int(np.flatnonzero(np.diff(started) < 0)[0]) + 1
        raise DataError(
            f"expected trials in time order, trial {row} starts before the one above it. "
            f"Use dataset.sortby({schema.START!r})."
        )
    arrays = to_arrays(dataset)
    attrs = dataset.attrs
    target, window = attrs.get("target", ""), attrs.get("window", "presentation")
    return Problem(
        session=str(attrs.get("session_id", "")) if session is None else session,
        X=arrays.X,
        y=arrays.y,
        groups=arrays.groups,
        start=started.astype(np.float64),
        stop=dataset[schema.STOP].to_numpy().astype(np.float64),
        window=None if np.shape(window) != (2,) else (float(window[0]), float(window[1])),
        trials=dataset[schema.TRIAL].to_numpy(),
        unit_ids=dataset[schema.UNIT].to_numpy(),
        described={
            "blanks": str(attrs.get("blanks", "")),
            "stimulus": str(attrs.get("stimulus_name", "")),
            "target": target if isinstance(target, str) else ", ".join(map(str, target)),
        },
    )


def fit_fold(
    contender: Contender,
    X: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    train: Rows,
    *,
    gap: int,
    seed: int,
) -> Any:
    """Choose a decoder's constants and fit it, on the rows ``train`` of ``X`` and ``y`` only.

    A tuned decoder is a `GridSearchCV` over its candidates: accuracy on ``inner_folds`` of the training rows, then a
    fit to all of them.

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

    Returns
    -------
    Any
        The fitted decoder, or for a tuned one the fitted search, which predicts with its best decoder.
    """
    estimator = _seeded(contender.estimator, seed)
    if contender.n_compared < FEWEST_CANDIDATES:
        return estimator.fit(X[train], y[train])
    search = GridSearchCV(
        estimator,
        [{name: [value] for name, value in candidate.items()} for candidate in contender.candidates],
        scoring=metrics.scorer("accuracy"),
        cv=inner_folds(train, groups, gap),
        error_score="raise",
    )
    return search.fit(X[train], y[train])


def run_fold(
    contender: Contender, problem: Problem, splitter: Splitter, fold: int, rows: Fold, seed: int
) -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    """Fit on the training rows and score on the test rows.

    Parameters
    ----------
    contender, problem
        The decoder and the trials.
    splitter
        What made the folds; its ``gap`` (0 if it has none) is kept among the training trials too.
    fold, rows
        Number of the fold, its training rows and its test rows.
    seed
        Value of every ``random_state`` in the decoder.

    Returns
    -------
    decoder
        The fitted decoder.
    result
        One row: ``RESULT_COLUMNS``.
    predictions
        One row per test trial: ``PREDICTION_COLUMNS``.
    """
    train, test = rows
    gap = gap_of(splitter)
    begun = time.perf_counter()
    fitted = fit_fold(contender, problem.X, problem.y, problem.stretches(gap), train, gap=gap, seed=seed)
    fit_seconds = time.perf_counter() - begun
    decoder = fitted.best_estimator_ if isinstance(fitted, GridSearchCV) else fitted

    X_test, y_test = problem.X[test], problem.y[test]
    begun = time.perf_counter()
    predicted = np.asarray(decoder.predict(X_test))
    predict_seconds = time.perf_counter() - begun
    scores = metrics.class_scores(decoder, X_test)

    key = {
        "session": problem.session,
        "decoder": contender.name,
        "selection": contender.selection,
        "fold": fold,
        "seed": seed,
    }
    n_bins, n_units = problem.X.shape[1:]
    result = {
        **key,
        **metrics.score(y_test, predicted, scores, decoder.classes_),
        "chance": metrics.chance_level(problem.y),
        "n_train": len(train),
        "n_test": len(test),
        "n_classes": len(np.unique(problem.y)),
        "n_units": n_units,
        "n_bins": n_bins,
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds,
        "params": json.dumps(_constants(decoder, contender), default=_plain),
        "splitter": splitter_name(splitter),
        "gap": gap,
        **problem.described,
        "n_candidates": contender.n_compared,
    }
    predictions = {
        **key,
        "trial": problem.trials[test],
        "row": test,
        "y_true": [str(label) for label in y_test.tolist()],
        "y_pred": [str(label) for label in predicted.tolist()],
        "correct": predicted == y_test,
        "in_top5": _in_top5(y_test, scores, decoder.classes_),
        "confidence": scores.max(axis=1) if scores is not None and hasattr(decoder, "predict_proba") else np.nan,
        schema.BLOCK: problem.groups[test],
    }
    return decoder, pd.DataFrame([result])[list(RESULT_COLUMNS)], pd.DataFrame(predictions)[list(PREDICTION_COLUMNS)]


def gap_of(splitter: Splitter) -> int:
    """Trials that the splitter leaves out on either side of test rows: 0 if it knows no gap."""
    return int(getattr(splitter, "gap", 0))


def splitter_name(splitter: Splitter) -> str:
    """Name of the splitter in tables: its ``name``, or that of its class."""
    return str(getattr(splitter, "name", type(splitter).__name__))


def _seeded(estimator: Any, seed: int) -> Any:
    """Return an unfitted copy whose every ``random_state``, however deep, is ``seed``."""
    copy = clone(estimator)
    states = [name for name in copy.get_params() if name == "random_state" or name.endswith("__random_state")]
    return copy.set_params(**dict.fromkeys(states, seed))


def _constants(decoder: Any, contender: Contender) -> dict[str, Any]:
    """Return the values that a choice among candidates decides, as this decoder has them."""
    values = decoder.get_params()
    return {name: values[name] for name in sorted({name for candidate in contender.candidates for name in candidate})}


def _in_top5(y: NDArray[Any], scores: NDArray[np.float64] | None, classes: NDArray[Any]) -> Any:
    if scores is None:
        return pd.array([pd.NA] * len(y), dtype="boolean")
    return pd.array(metrics.in_top(y, scores, classes), dtype="boolean")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)

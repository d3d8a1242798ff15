"""One decoder on one fold: choose constants and fit on the training rows, then read the test rows once."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight import metrics, schema
from spikesight.data.arrays import to_arrays
from spikesight.data.behaviour import behaviour_arrays
from spikesight.data.context import FIRST_START, LAST_START, PLACE, context_of, describe_context
from spikesight.data.timeline import places, stretches, trial_step
from spikesight.detrending import Detrending
from spikesight.errors import ConfigError, DataError
from spikesight.evaluation.fitting import Contender, FittedFold, OnEpoch, fit_fold
from spikesight.splits import BlockKFold, Fold, LastBlock, Rows, Splitter

JITTER: Final = 0.001
"""Seconds by which windows may overlap: onsets vary by as much around what the screen was asked for."""

RESULT_COLUMNS: Final = (
    "session", "decoder", "selection", "fold", "seed", "accuracy", "balanced_accuracy", "top5_accuracy", "chance",
    "n_train", "n_test", "n_classes", "n_units", "n_bins", "fit_seconds", "predict_seconds", "params", "splitter",
    "gap", "blanks", "stimulus", "target", "n_candidates", "n_parameters", "context", "detrend", "inner_accuracy",
)  # fmt: skip
_EXTENT: Final = {"first_start": FIRST_START, "last_start": LAST_START}
PREDICTION_COLUMNS: Final = (
    "session", "decoder", "selection", "fold", "seed", "trial", "row", "y_true", "y_pred", "correct", "in_top5",
    "confidence", "stimulus_block",
)  # fmt: skip


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
        What results repeat of the dataset: ``blanks``, ``stimulus``, ``target``, ``context``, ``detrend``.
    context
        Presentations before and after each trial whose counts are in its row of ``X``.
    place
        Place of each trial in the sequence of presentations, (n_trials,).
    first_start, last_start
        Start of the first and of the last presentation in each row of ``X``, in seconds (n_trials,).
    detrending
        How slow drift is taken away inside each fold; None leaves it.
    behaviour
        What the mouse did, by name, (n_trials, n_bins); NaN where not known. Controls see it, and no spikes.
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
    context: tuple[int, int]
    place: Rows
    first_start: NDArray[np.float64]
    last_start: NDArray[np.float64]
    detrending: Detrending | None = None
    behaviour: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def shown_to(self, contender: Contender) -> NDArray[Any]:
        """Give what a contender sees of each trial: spikes, or what the mouse did (n_trials, n_bins, n_measures)."""
        return np.stack([self.behaviour[name] for name in contender.sees], axis=2) if contender.sees else self.X

    @property
    def own_bins(self) -> NDArray[np.bool_]:
        """Which bins of a row are the trial's own, (n_bins,); the others are those of its neighbours."""
        offset = np.repeat(np.arange(-self.context[0], self.context[1] + 1), self.X.shape[1] // (sum(self.context) + 1))
        return np.asarray(offset == 0)

    def stretches(self, gap: int) -> Rows:
        """Give the stretch of each trial (n_trials,): blocks, merged where they are not apart in time."""
        return stretches(self.groups, self.start, self.stop, gap)

    def folds(self, splitter: Splitter) -> list[Fold]:
        """Split the trials. A splitter with a gap is told which blocks are apart; others see the blocks alone.

        Raises
        ------
        ConfigError
            If a test trial and a training trial hold counts of one presentation, as neighbours of each other; or if the
            gap is so short that a test trial's window reaches into that of a training trial: they would share spikes.
            Without context, splitters without a gap do not promise otherwise.
        """
        if not isinstance(splitter, BlockKFold | LastBlock):
            folds = list(splitter.split(self.X, self.y, self.groups))
            self._check_context(folds, splitter)
            return folds
        folds = list(splitter.split(self.X, self.y, self.groups, stretches=self.stretches(splitter.gap)))
        self._check_context(folds, splitter)
        if self.window is None or not np.isfinite(self.start).all():
            return folds
        if any(self._share_spikes(self.window, *fold) for fold in folds):
            raise ConfigError(
                f"windows of {self.window[0]} to {self.window[1]} s around neighbouring trials overlap, so that test "
                f"trials share spikes with training trials at a gap of {splitter.gap}. Expected a gap of at least "
                f"{self._gap_for(self.window) + sum(self.context)} trials, or a shorter window."
            )
        return folds

    def _check_context(self, folds: list[Fold], splitter: Splitter) -> None:
        """Refuse folds in which one presentation is in a training row and in a test row."""
        width = sum(self.context)
        if not width or not any((self._to_nearest(*fold) <= width).any() for fold in folds):
            return
        has_gap = hasattr(splitter, "gap")
        raise ConfigError(
            f"with context ({self.described['context']}) a row holds counts of neighbouring presentations, so that "
            f"test trials would share presentations with training trials under {splitter_name(splitter)}"
            + (f" at a gap of {gap_of(splitter)}. Expected a gap of at least {width}" if has_gap else "")
            + (" trials, or less context." if has_gap else ", which keeps no gap. Use block-kfold, or no context.")
        )

    def _to_nearest(self, train: Rows, test: Rows) -> Rows:
        """Count the places from each test trial to the nearest training trials before and after it."""
        first, second = _neighbours(train, test)
        return self.place[second] - self.place[first]

    def _share_spikes(self, window: tuple[float, float], train: Rows, test: Rows) -> bool:
        """Tell if a test trial's window overlaps that of the nearest training trials by more than they do."""
        first, second = _neighbours(train, test)
        shared = window[1] - window[0] - (self.first_start[second] - self.last_start[first])
        own = np.fmax(self.stop[first] - self.start[second], 0)
        return bool((shared > own + JITTER).any())

    def _gap_for(self, window: tuple[float, float]) -> int:
        """Count the trials that a gap needs so that no window reaches across it, nor across a pause as long."""
        width = window[1] - window[0] - JITTER
        within = np.searchsorted(self.start, self.start + width) - np.arange(len(self.start)) - 1
        step = trial_step(self.groups, self.start)
        return int(max(within.max(), np.ceil(width / step) if step > 0 else 0))


def _neighbours(train: Rows, test: Rows) -> tuple[Rows, Rows]:
    """Pair each test row with the nearest training rows: the earlier and the later row of each pair."""
    place = np.searchsorted(train, test)
    before, after = place > 0, place < len(train)
    return (
        np.concatenate([train[place[before] - 1], test[after]]),
        np.concatenate([test[before], train[place[after]]]),
    )


def as_problem(dataset: xr.Dataset, session: str | None = None, detrending: Detrending | None = None) -> Problem:
    """Leave names for arrays, once.

    Parameters
    ----------
    dataset
        Binned trials in time order, perhaps with context.
    session
        Session id, where it is not that of the dataset.
    detrending
        How slow drift is taken away inside each fold.

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
    context = context_of(dataset)
    extent = {name: dataset[key if any(context) else schema.START] for name, key in _EXTENT.items()}
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
            "context": describe_context(*context),
            "detrend": "" if detrending is None else str(detrending),
        },
        context=context,
        place=dataset[PLACE].to_numpy() if any(context) else places(arrays.groups, started),
        detrending=detrending,
        behaviour=behaviour_arrays(dataset),
        **{name: times.to_numpy().astype(np.float64) for name, times in extent.items()},
    )


def run_fold(
    contender: Contender,
    problem: Problem,
    splitter: Splitter,
    fold: int,
    rows: Fold,
    seed: int,
    *,
    checkpoint: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[FittedFold, pd.DataFrame, pd.DataFrame]:
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
    checkpoint
        Folder for an unfinished fit of a decoder that can go on with it.
    on_epoch
        Hears each epoch of a decoder that has epochs.

    Returns
    -------
    fitted
        The fitted decoder, and how counts are prepared for it.
    result
        One row: ``RESULT_COLUMNS``.
    predictions
        One row per test trial: ``PREDICTION_COLUMNS``.
    """
    train, test = rows
    gap = gap_of(splitter)
    stretch = problem.stretches(gap)
    shown = problem.shown_to(contender)
    begun = time.perf_counter()
    fitted = fit_fold(
        contender,
        shown,
        problem.y,
        stretch,
        train,
        gap=gap,
        seed=seed,
        detrending=None if contender.sees else problem.detrending,
        unit_ids=problem.unit_ids,
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )
    fit_seconds = time.perf_counter() - begun + fitted.chosen.earlier_seconds
    decoder = fitted.decoder

    y_test = problem.y[test]
    begun = time.perf_counter()
    X_test = fitted.prepare(shown[test], test, stretch[test])
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
        "n_units": 0 if contender.sees else n_units,
        "n_bins": n_bins,
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds,
        "params": json.dumps(_constants(decoder, contender), default=_plain),
        "splitter": splitter_name(splitter),
        "gap": gap,
        **problem.described,
        "n_candidates": contender.n_compared,
        "n_parameters": _n_parameters(decoder),
        "inner_accuracy": fitted.chosen.accuracy,
    }
    row = pd.DataFrame([result]).astype({"n_parameters": "Int64"})
    return fitted, row[list(RESULT_COLUMNS)], _predictions(decoder, key, problem, test, predicted, scores)


def _predictions(
    decoder: Any,
    key: Mapping[str, Any],
    problem: Problem,
    test: Rows,
    predicted: NDArray[Any],
    scores: NDArray[np.float64] | None,
) -> pd.DataFrame:
    """One row per test trial."""
    y_test = problem.y[test]
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
    return pd.DataFrame(predictions)[list(PREDICTION_COLUMNS)]


def gap_of(splitter: Splitter) -> int:
    """Trials that the splitter leaves out on either side of test rows: 0 if it knows no gap."""
    return int(getattr(splitter, "gap", 0))


def splitter_name(splitter: Splitter) -> str:
    """Name of the splitter in tables: its ``name``, or that of its class."""
    return str(getattr(splitter, "name", type(splitter).__name__))


def _constants(decoder: Any, contender: Contender) -> dict[str, Any]:
    """Return the values that a choice among candidates decides, as this decoder has them."""
    values = decoder.get_params()
    return {name: values[name] for name in contender.constants}


def _n_parameters(decoder: Any) -> int | None:
    """Count what was fitted: as the decoder counts it, or the weights of a linear one; None where neither is known."""
    own = getattr(decoder, "n_parameters_", None)
    if own is not None:
        return int(own)
    weights = [getattr(decoder, name, None) for name in ("coef_", "intercept_")]
    arrays = [array for array in weights if isinstance(array, np.ndarray)]
    return sum(array.size for array in arrays) if len(arrays) == len(weights) else None


def _in_top5(y: NDArray[Any], scores: NDArray[np.float64] | None, classes: NDArray[Any]) -> Any:
    if scores is None:
        return pd.array([pd.NA] * len(y), dtype="boolean")
    return pd.array(metrics.in_top(y, scores, classes), dtype="boolean")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)

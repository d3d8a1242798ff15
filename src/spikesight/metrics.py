"""How right a decoder was: accuracy, balanced accuracy, top-5 accuracy, and the level that guessing reaches."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spikesight.errors import DataError, DecoderError, UnknownNameError

TOP: Final = 5

Metric = Callable[[ArrayLike, ArrayLike, ArrayLike | None, ArrayLike], float]


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of trials whose label was decoded."""
    true, predicted = _labels(y_true, y_pred)
    return float((true == predicted).mean())


def balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean over the classes that were shown of the share of their trials that was decoded.

    The chance level is 1 / n_classes however unequal the classes are.
    """
    true, predicted = _labels(y_true, y_pred)
    _, codes = np.unique(true, return_inverse=True)
    return float((np.bincount(codes, true == predicted) / np.bincount(codes)).mean())


def in_top(y_true: ArrayLike, scores: ArrayLike, classes: ArrayLike, k: int = TOP) -> NDArray[np.bool_]:
    """Whether each trial's label is among the ``k`` classes with the highest scores.

    Parameters
    ----------
    y_true
        Labels, shape (n_trials,). A label that is not in ``classes`` (never trained on) is never among them.
    scores
        Shape (n_trials, n_classes), or (n_trials,) for two classes: the score of the second.
    classes
        Labels of the columns, shape (n_classes,), ascending. Of equal scores the earlier column counts as higher.

    Raises
    ------
    DecoderError
        If scores are NaN or their shape does not fit.
    """
    true = np.asarray(y_true)
    labels = np.asarray(classes)
    table = _columns(scores, len(true), len(labels))
    places = np.searchsorted(labels, true).clip(0, len(labels) - 1)
    own = table[np.arange(len(true)), places][:, None]
    earlier = np.arange(len(labels)) < places[:, None]
    higher = (table > own) | ((table == own) & earlier)
    return np.asarray((higher.sum(axis=1) < k) & (labels[places] == true))


def top5_accuracy(y_true: ArrayLike, scores: ArrayLike | None, classes: ArrayLike) -> float:
    """Share of trials whose label is among the five best-scored; NaN without scores or with five classes or fewer."""
    if scores is None or len(np.asarray(classes)) <= TOP:
        return float("nan")
    return float(in_top(y_true, scores, classes).mean())


METRICS: Final[dict[str, Metric]] = {
    "accuracy": lambda y_true, y_pred, scores, classes: accuracy(y_true, y_pred),
    "balanced_accuracy": lambda y_true, y_pred, scores, classes: balanced_accuracy(y_true, y_pred),
    "top5_accuracy": lambda y_true, y_pred, scores, classes: top5_accuracy(y_true, scores, classes),
}


def score(y_true: ArrayLike, y_pred: ArrayLike, scores: ArrayLike | None, classes: ArrayLike) -> dict[str, float]:
    """Every metric of one set of predictions, by name.

    Parameters
    ----------
    y_true, y_pred
        Labels, shape (n_trials,).
    scores
        Probabilities or other scores, shape (n_trials, n_classes), or None where the decoder has none.
    classes
        Labels of the columns of ``scores``, ascending: the classes the decoder was trained on.
    """
    return {name: metric(y_true, y_pred, scores, classes) for name, metric in METRICS.items()}


def scorer(name: str) -> Callable[[Any, ArrayLike, ArrayLike], float]:
    """Return the metric of that name as a scikit-learn scorer ``(estimator, X, y) -> float``.

    Raises
    ------
    UnknownNameError
        If there is no such metric; offers the nearest name.
    """
    if name not in METRICS:
        raise UnknownNameError("metric", name, METRICS)
    metric = METRICS[name]

    def score_estimator(estimator: Any, X: ArrayLike, y: ArrayLike) -> float:
        scores = class_scores(estimator, X) if name == "top5_accuracy" else None
        return metric(y, estimator.predict(X), scores, estimator.classes_)

    return score_estimator


def class_scores(estimator: Any, X: ArrayLike) -> NDArray[np.float64] | None:
    """Probabilities of a fitted decoder, else its decision values, else None: shape (n_trials, n_classes)."""
    for method in ("predict_proba", "decision_function"):
        if hasattr(estimator, method):
            values = np.asarray(getattr(estimator, method)(X), float)
            return _columns(values, len(values), len(estimator.classes_))
    return None


def chance_level(y: ArrayLike) -> float:
    """Accuracy of always answering with the most frequent label: 1 / n_classes if all are equally frequent."""
    labels = np.asarray(y)
    if not labels.size:
        raise DataError("expected at least one trial, got none.")
    return float(np.unique(labels, return_counts=True)[1].max() / labels.size)


def _labels(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != predicted.shape or true.ndim != 1 or not true.size:
        raise DataError(f"expected one prediction per label, got shapes {predicted.shape} and {true.shape}.")
    return true, predicted


def _columns(scores: ArrayLike, n_trials: int, n_classes: int) -> NDArray[np.float64]:
    table = np.asarray(scores, float)
    if table.ndim == 1 and n_classes == 2:
        table = np.column_stack([-table, table])
    if table.shape != (n_trials, n_classes):
        raise DecoderError(f"expected scores of shape {(n_trials, n_classes)} (trials, classes), got {table.shape}.")
    if np.isnan(table).any():
        raise DecoderError(f"expected scores without NaN; {np.isnan(table).any(axis=1).sum()} of {n_trials} rows have.")
    return table


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy over bins, weighted by trials.

    Parameters
    ----------
    table
        As from `spikesight.decoding_results.reliability`, of one decoder and selection.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning", AAAI.
    """
    gap = (table["confidence"] - table["accuracy"]).abs()
    return float(np.average(gap, weights=table["n"])) if len(table) else float("nan")

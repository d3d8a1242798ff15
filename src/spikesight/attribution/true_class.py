"""What a decoder says of the class that was shown: its log-probability, or by how much it beats the others."""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight.decoders.base import Floats
from spikesight.errors import DataError

LOG_LIKELIHOOD: Final = "log_likelihood"
MARGIN: Final = "margin"
_TINY: Final = np.finfo(np.float64).tiny
"""Floor of a probability before its logarithm."""


def measure_of(decoder: Any) -> str:
    """Name what is measured: ``"log_likelihood"`` (nats), or ``"margin"`` (of scores) where there is no probability."""
    return LOG_LIKELIHOOD if hasattr(decoder, "predict_proba") else MARGIN


def log_scores(decoder: Any, X: NDArray[Any]) -> Floats:
    """Return log-probabilities, or scores of a decoder that has none, (n_trials, n_classes)."""
    if hasattr(decoder, "predict_proba"):
        return np.asarray(np.log(np.maximum(decoder.predict_proba(X), _TINY)))
    scores = np.asarray(decoder.decision_function(X), np.float64)
    return scores if scores.ndim == 2 else np.stack([np.zeros_like(scores), scores], axis=1)


def of_true_class(scores: Floats, codes: NDArray[np.intp], measure: str) -> Floats:
    """Return the measure of every trial, (n_trials,).

    Parameters
    ----------
    scores
        (n_trials, n_classes): for ``"log_likelihood"`` log-probabilities up to a constant of the trial.
    codes
        Place of each trial's own class.
    measure
        ``"log_likelihood"``: the log-probability of the own class; ``"margin"``: its score less that of the best other.
    """
    rows = np.arange(len(scores))
    own = scores[rows, codes]
    if measure == LOG_LIKELIHOOD:
        highest = scores.max(axis=1)
        return np.asarray(own - highest - np.log(np.exp(scores - highest[:, None]).sum(axis=1)))
    others = scores.copy()
    others[rows, codes] = -np.inf
    return np.asarray(own - others.max(axis=1))


def known_trials(decoder: Any, y: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows whose label the decoder learned, and the places of these labels among its classes.

    Raises
    ------
    DataError
        If there is none.
    """
    labels = np.asarray(y)
    rows = np.flatnonzero(np.isin(labels, decoder.classes_))
    if not len(rows):
        raise DataError(f"expected trials of classes that the decoder learned, got {np.unique(labels)[:5].tolist()}.")
    return rows, np.searchsorted(decoder.classes_, labels[rows])

"""What all decoders share: the check of their input, the encoding of labels, and the way from scores to labels."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from spikesight.preprocessing import anscombe, standardise, validate_trials

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Decoder(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A classifier of trials of spike counts.

    ``X`` is ``(n_trials, n_bins, n_units)`` or, for one bin, ``(n_trials, n_units)``: spike counts, so never negative.
    Subclasses write ``_fit`` and ``_scores``. Everything that ``_fit`` leaves on the decoder is an array or a plain
    number, so that a fitted decoder can be stored without pickle.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    n_bins_, n_units_ : int
        Shape of a trial.
    n_features_in_ : int
        ``n_bins_ * n_units_``.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to training trials.

        Parameters
        ----------
        X
            Spike counts, ``(n_trials, n_bins, n_units)`` or ``(n_trials, n_units)``.
        y
            Labels, ``(n_trials,)``: numbers or strings.

        Raises
        ------
        ValueError
            If shapes disagree, a value is not finite, a count is negative, or all trials are of one class.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        trials = validate_trials(self, X, reset=True, non_negative=True)
        labels = column_or_1d(y, warn=True)
        check_consistent_length(trials, labels)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"expected trials of at least two classes, got one class: {self.classes_[0]}.")
        self._fit(trials, codes)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the label of the class with the highest score for every trial."""
        best = self._checked_scores(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def _checked_scores(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return self._scores(validate_trials(self, X, reset=False, non_negative=True))

    @abstractmethod
    def _fit(self, trials: NDArray[Any], codes: Codes) -> None:
        """Learn from ``trials`` (n_trials, n_bins, n_units) and ``codes`` (positions in ``classes_``)."""

    @abstractmethod
    def _scores(self, trials: NDArray[Any]) -> Floats:
        """Return one score per trial and class, (n_trials, n_classes); the highest wins."""


class StandardisedDecoder(Decoder):
    """A decoder of standardised square-root counts, every bin of every unit a feature of its own.

    Subclasses write ``_fit_rows`` and ``_score_rows``, which see standardised rows ``(n_trials, n_columns)``.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_columns,)
        Mean over the training trials and standard deviation, the latter at least ``floor``.
    """

    floor: float
    _fit_dtype: type[np.floating] = np.float64
    """Precision of the rows in ``fit``; in ``predict`` it is double."""

    def _fit(self, trials: NDArray[Any], codes: Codes) -> None:
        rows = self._columns(trials, self._fit_dtype)
        self.mean_, self.scale_ = standardise(rows, self.floor)
        self._fit_rows(rows, codes)

    def _scores(self, trials: NDArray[Any]) -> Floats:
        return self._score_rows(self._standardised(trials))

    def standardised(self, X: ArrayLike) -> Floats:
        """Return the standardised columns of trials, (n_trials, n_columns); those of unit ``u`` are ``u::n_units_``."""
        check_is_fitted(self)
        return self._standardised(validate_trials(self, X, reset=False, non_negative=True))

    def _standardised(self, trials: NDArray[Any]) -> Floats:
        rows: Floats = self._columns(trials, np.float64)
        rows -= self.mean_
        rows /= self.scale_
        return rows

    def _columns(self, trials: NDArray[Any], dtype: type[np.floating]) -> NDArray[Any]:
        """Return what is standardised, as a new array: here square-root counts, the first bin of all units first."""
        return anscombe(trials, dtype).reshape(len(trials), -1)

    @abstractmethod
    def _fit_rows(self, rows: Floats, codes: Codes) -> None:
        """Learn from standardised rows."""

    @abstractmethod
    def _score_rows(self, rows: Floats) -> Floats:
        """Return one score per row and class."""


class LinearDecoder(StandardisedDecoder):
    """A decoder whose scores are linear in standardised square-root counts.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_columns)
    intercept_ : ndarray of shape (n_classes,)
    """

    coef_: Floats
    intercept_: Floats

    def _score_rows(self, rows: Floats) -> Floats:
        return np.asarray(rows @ self.coef_.T + self.intercept_)

    def _keep_weights(self, coef: Floats, intercept: Floats) -> None:
        """Keep weights in scikit-learn's form, which for two classes has one row: the second over the first."""
        coef = np.atleast_2d(coef)
        two = len(coef) == 1
        self.coef_ = np.vstack([np.zeros_like(coef), coef]) if two else np.asarray(coef)
        self.intercept_ = np.append(0.0, intercept) if two else np.asarray(intercept)


class ScoringDecoder(Decoder):
    """A decoder whose scores rank classes but are no log-probabilities."""

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return the scores, (n_trials, n_classes); with two classes those of the second over the first."""
        scores = self._checked_scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores


class ProbabilisticDecoder(Decoder):
    """A decoder whose scores are log-probabilities up to a constant of the trial."""

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the probability of every class, (n_trials, n_classes); rows sum to 1."""
        return softmax(self._checked_scores(X))


def softmax(scores: Floats) -> Floats:
    """Return ``exp(scores)`` normalised over the last axis, without overflow."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))

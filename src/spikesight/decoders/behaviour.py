"""The control that sees what the mouse did and no spike: how much of the answer lies in behaviour alone."""

import warnings
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags, assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from spikesight.decoders.base import Floats, softmax

FARTHEST: Final = 5.0
"""Standard deviations at which a value is cut off: a glitch of the wheel must not outweigh all else."""
SMALLEST_SCALE: Final = 1e-6


class BehaviourLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Multinomial logistic regression on behaviour: ``X`` is ``(n_trials, n_bins, n_measures)``, NaN where not known.

    Each measure of each bin enters as its signed logarithm (speeds are skewed), standardised, and as the square of that
    (a class may go along with a middling speed). What is missing is put at the median of the training trials, with a
    column that says so. All of that is fitted on the training trials.

    Parameters
    ----------
    C
        Inverse strength of the L2 penalty.
    max_iter
        Iterations after which L-BFGS gives up.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    median_, mean_, scale_ : ndarray of shape (n_columns,)
        Of the training trials; columns are bins x measures.
    missing_ : ndarray of shape (n_columns,)
        Which columns have a missing value in the training trials.
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
    n_features_in_, n_iter_ : int
    """

    def __init__(self, C: float = 1.0, max_iter: int = 500) -> None:
        self.C = C
        self.max_iter = max_iter

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to training trials.

        Raises
        ------
        ValueError
            If shapes disagree, a value is infinite, or all trials are of one class.
        """
        if y is None:
            raise ValueError("BehaviourLogistic requires y to be passed, but the target y is None.")
        rows = self._rows(X, reset=True)
        labels = column_or_1d(y, warn=True)
        check_consistent_length(rows, labels)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"expected trials of at least two classes, got one class: {self.classes_[0]}.")
        unknown = np.isnan(rows)
        self.missing_ = unknown.any(axis=0)
        self.median_ = np.zeros(rows.shape[1])
        some = ~unknown.all(axis=0)
        self.median_[some] = np.nanmedian(rows[:, some], axis=0)
        filled = np.where(unknown, self.median_, rows)
        self.mean_ = filled.mean(axis=0)
        self.scale_ = np.maximum(filled.std(axis=0), SMALLEST_SCALE)
        fitted = LogisticRegression(C=self.C, max_iter=self.max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the weights that it has reached do for a control
            fitted.fit(self._features(rows), codes)
        self.n_iter_ = int(fitted.n_iter_.max())
        two = len(fitted.coef_) == 1
        self.coef_ = np.vstack([np.zeros_like(fitted.coef_), fitted.coef_]) if two else fitted.coef_
        self.intercept_ = np.append(0.0, fitted.intercept_) if two else fitted.intercept_
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the label of the most probable class of every trial."""
        best = self._scores(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the probability of every class, (n_trials, n_classes)."""
        return softmax(self._scores(X))

    def _scores(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return np.asarray(self._features(self._rows(X, reset=False)) @ self.coef_.T + self.intercept_)

    def _rows(self, X: ArrayLike, *, reset: bool) -> Floats:
        """Check trials and return the signed logarithm of their values, one row each."""
        trials: Any = X if hasattr(X, "ndim") else np.asarray(X)
        if trials.ndim == 3:
            trials = np.asarray(trials).reshape(len(trials), -1)
        rows = validate_data(self, trials, dtype=np.float64, reset=reset, ensure_all_finite="allow-nan")
        return np.asarray(np.sign(rows) * np.log1p(np.abs(rows)))

    def _features(self, rows: Floats) -> Floats:
        unknown = np.isnan(rows)
        scaled = (np.where(unknown, self.median_, rows) - self.mean_) / self.scale_
        scaled = np.clip(scaled, -FARTHEST, FARTHEST)
        return np.concatenate([scaled, scaled**2, unknown[:, self.missing_].astype(np.float64)], axis=1)

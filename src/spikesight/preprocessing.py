"""Transformers for trials: 3-D in, 3-D out, fitted on training trials only.

``X`` is ``(n_trials, n_bins, n_units)``, or ``(n_trials, n_units)`` for a single bin. The transformers go into a
scikit-learn pipeline; the functions below them are what spikesight's own decoders call inside ``fit``.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = NDArray[np.float64]

_DTYPES = [np.float64, np.float32, *(np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8))]
"""What is taken as it comes: counts are small integers, up to eight times smaller than as the float64 of all else.

Detrended counts are float32.
"""

FLOOR = 0.3
"""Default floor of a standard deviation of square-root counts.

Anscombe's transform gives Poisson counts a standard deviation near 0.5. A unit that is all but silent in the
training trials has nearly none; divided by it, one spike in the test block would outweigh all other units.
"""


class SqrtCounts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Square root of spike counts, ``sqrt(x + 3/8)``, whose noise no longer grows with the rate.

    References
    ----------
    Anscombe (1948), "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.three_d_array = True
        tags.requires_fit = False
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Remember the shape of a trial; there is nothing else to learn."""
        validate_trials(self, X, reset=True, non_negative=True)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the square-root counts, in the shape of ``X``."""
        fitted = hasattr(self, "n_features_in_")
        return restore_shape(anscombe(validate_trials(self, X, reset=not fitted, non_negative=True)), X)


class ZScoreUnits(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Subtract every unit's mean and divide by its standard deviation, in each bin, with a floor under the latter.

    Parameters
    ----------
    floor
        Smallest number to divide by, in the units of ``X``. Units that fire (almost) only in the test trials would
        explode without it.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_bins, n_units)
        Mean over the training trials and floored standard deviation.
    """

    def __init__(self, floor: float = FLOOR) -> None:
        self.floor = floor

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn each unit's mean and scale from the training trials ``X``."""
        self.mean_, self.scale_ = standardise(validate_trials(self, X, reset=True).astype(float), self.floor)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return ``X`` in floored standard deviations of the training trials."""
        check_is_fitted(self)
        return restore_shape((validate_trials(self, X, reset=False) - self.mean_) / self.scale_, X)


class FlattenTrials(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Make one row of every trial: ``(n_trials, n_bins, n_units)`` to ``(n_trials, n_bins * n_units)``.

    The first ``n_units`` columns are the first bin.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.requires_fit = False
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Remember the shape of a trial; there is nothing else to learn."""
        validate_trials(self, X, reset=True)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return one row per trial."""
        trials = validate_trials(self, X, reset=not hasattr(self, "n_features_in_")).astype(float)
        return trials.reshape(len(trials), -1)


def anscombe(counts: NDArray[Any], dtype: type[np.floating] = np.float64) -> NDArray[Any]:
    """Return ``sqrt(counts + 3/8)`` as a new array."""
    shifted = np.add(counts, 0.375, dtype=dtype, casting="same_kind")
    return np.asarray(np.sqrt(shifted, out=shifted))


def counts_of_roots(roots: NDArray[np.floating]) -> NDArray[Any]:
    """Return the counts whose `anscombe` is ``roots``, as a new array; 0 where there are none so small."""
    return np.asarray(np.maximum(np.square(np.maximum(roots, 0.0)) - 0.375, 0.0))


def standardise(rows: NDArray[np.floating], floor: float) -> tuple[Floats, Floats]:
    """Centre and scale ``rows`` in place: with thousands of units every copy counts.

    Returns
    -------
    mean, scale
        Mean over trials (the first axis) and standard deviation, the latter at least ``floor``.
    """
    if not floor > 0:
        raise ValueError(f"the floor of a standard deviation must be positive, got {floor!r}.")
    mean = rows.mean(axis=0, dtype=np.float64)
    rows -= mean.astype(rows.dtype)
    variance = np.einsum("t...,t...->...", rows, rows, dtype=np.float64) / len(rows)
    scale = np.maximum(np.sqrt(variance), floor)
    rows /= scale.astype(rows.dtype)
    return mean, scale


def validate_trials(
    estimator: Any, X: ArrayLike, *, reset: bool, non_negative: bool = False, y: Any = None
) -> NDArray[Any]:
    """Check ``X`` and return it as ``(n_trials, n_bins, n_units)``, in float64 unless it is of integers or float32.

    scikit-learn counts the second axis as features; trials are therefore checked as rows of ``n_bins * n_units``
    features, and the shape of one trial is kept beside that number in ``n_bins_`` and ``n_units_``.

    Parameters
    ----------
    estimator
        Gets ``n_features_in_``, ``n_bins_`` and ``n_units_`` if ``reset``; is checked against them otherwise.
    X
        ``(n_trials, n_bins, n_units)``, or ``(n_trials, n_units)`` for one bin; finite numbers.
    reset
        True in ``fit``.
    non_negative
        Refuse negative values: ``X`` is spike counts.

    Raises
    ------
    ValueError
        If ``X`` has other dimensions, another trial shape than the fitted one, no trial, or a value that is
        not finite (or negative, with ``non_negative``).
    """
    trials: Any = X if hasattr(X, "ndim") else np.asarray(X)
    shape = tuple(trials.shape[1:]) if trials.ndim == 3 else None
    if shape is not None and 0 in shape:
        raise ValueError(f"expected at least one bin and one unit, got trials of shape {shape} (n_bins, n_units).")
    if shape is not None and not reset and shape != (estimator.n_bins_, estimator.n_units_):
        raise ValueError(
            f"{type(estimator).__name__} was fitted on trials of shape ({estimator.n_bins_}, {estimator.n_units_})"
            f" (n_bins, n_units), got trials of shape {shape}."
        )
    rows = trials if shape is None else np.asarray(trials).reshape(-1, shape[0] * shape[1])
    checked = validate_data(estimator, rows, dtype=_DTYPES, reset=reset, ensure_non_negative=non_negative)
    if reset:
        estimator.n_bins_, estimator.n_units_ = shape or (1, checked.shape[1])
    return np.asarray(checked.reshape(len(checked), estimator.n_bins_, estimator.n_units_))


def restore_shape(trials: NDArray[np.float64], X: ArrayLike) -> NDArray[np.float64]:
    """Return ``trials`` with two dimensions if ``X`` had two, with three if it had three."""
    return trials if np.asarray(X).ndim == 3 else trials.reshape(len(trials), -1)

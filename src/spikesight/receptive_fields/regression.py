"""Ridge regression of all units at once, the strength chosen for each unit on folds of the training rows.

One singular value decomposition of the predictors serves all strengths and all units: with ``X = U S V'`` (columns
centred), the weights at strength ``a`` are ``V (S / (S ** 2 + a)) U' Y``. With white predictors this is the
spike-triggered average, shrunk (Theunissen et al. 2001, Network 12:289; Sahani & Linden 2003).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesight.errors import DataError
from spikesight.splits import Fold

Floats = NDArray[np.float64]

STRENGTHS: Final = tuple(float(strength) for strength in np.logspace(-3, 4, 15))
"""Candidates, in units of the mean squared singular value of the predictors."""
_LEAST: Final = 1e-12
"""Squared singular values below this part of the largest are none."""


class FittedRegression(NamedTuple):
    """Linear maps from predictors to responses.

    Attributes
    ----------
    weights
        Shape (n_predictors, n_units).
    intercept
        Shape (n_units,).
    strength
        Chosen candidate of each unit, shape (n_units,).
    inner_r
        Correlation of predictions and responses on the inner folds at the chosen strength, (n_units,); NaN without
        folds.
    """

    weights: Floats
    intercept: Floats
    strength: Floats
    inner_r: Floats

    def predict(self, predictors: Floats) -> Floats:
        """Predict the responses to ``predictors`` (n_rows, n_predictors), shape (n_rows, n_units)."""
        return np.asarray(predictors @ self.weights + self.intercept)


def fit_regression(
    predictors: Floats,
    responses: Floats,
    folds: Sequence[Fold],
    *,
    strengths: Sequence[float] = STRENGTHS,
    shared: bool = False,
) -> FittedRegression:
    """Fit all units, each with the strength that predicts it best on the inner folds.

    Parameters
    ----------
    predictors
        Shape (n_rows, n_predictors): training rows only.
    responses
        Shape (n_rows, n_units).
    folds
        Inner folds among these rows. The strength with the smallest squared error over all of them is chosen; of equal
        ones the larger. With a single candidate none are needed.
    strengths
        Candidates, in units of the mean squared singular value.
    shared
        Choose one strength for all columns of ``responses`` (the pixels of an image), not one for each.

    Raises
    ------
    DataError
        If shapes do not fit, or a value is not finite.
    """
    _check(predictors, responses)
    candidates = np.sort(np.asarray(strengths, float))[::-1]
    if len(candidates) == 1:
        chosen = np.zeros(responses.shape[1], int)
        inner_r = np.full(responses.shape[1], np.nan)
    else:
        chosen, inner_r = _choose(predictors, responses, folds, candidates, shared)
    mean_x, mean_y = predictors.mean(0), responses.mean(0)
    path = _Path.of(predictors - mean_x, responses - mean_y)
    weights = np.empty((predictors.shape[1], responses.shape[1]))
    for candidate in np.unique(chosen):
        units = chosen == candidate
        weights[:, units] = path.weights(candidates[candidate], units)
    return FittedRegression(weights, mean_y - mean_x @ weights, candidates[chosen], inner_r)


def correlate_columns(first: Floats, second: Floats) -> Floats:
    """Correlate column with column, shape (n_columns,); 0 where one of them is constant.

    A prediction that is constant explains nothing, so that it counts as 0 and not as unknown.
    """
    a, b = first - first.mean(0), second - second.mean(0)
    norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.asarray(np.divide((a * b).sum(0), norm, out=np.zeros(a.shape[1]), where=norm > 1e-12))


def correlate_rows(first: Floats, second: Floats) -> Floats:
    """Correlate each row with each row, shape (n_first, n_second); rows without variance correlate with nothing."""
    a, b = (part - part.mean(1, keepdims=True) for part in (first, second))
    norm = np.sqrt((a**2).sum(1)[:, None] * (b**2).sum(1)[None, :])
    return np.asarray(np.divide(a @ b.T, norm, out=np.zeros(norm.shape), where=norm > 1e-12))


class _Path(NamedTuple):
    """The solutions at all strengths."""

    right: Floats
    singular: Floats
    projected: Floats
    unit: float

    @classmethod
    def of(cls, x: Floats, y: Floats) -> "_Path":
        """Decompose centred predictors; through the smaller Gram matrix, since one side is much the longer."""
        if x.shape[0] >= x.shape[1]:
            squares, right = np.linalg.eigh(x.T @ x)
            kept = squares > _LEAST * max(squares[-1], 1e-300)
            singular, right = np.sqrt(squares[kept]), right[:, kept]
            projected = (right.T @ (x.T @ y)) / singular[:, None]
        else:
            squares, left = np.linalg.eigh(x @ x.T)
            kept = squares > _LEAST * max(squares[-1], 1e-300)
            singular, left = np.sqrt(squares[kept]), left[:, kept]
            right, projected = (x.T @ left) / singular, left.T @ y
        unit = float((singular**2).mean()) if len(singular) else 1.0
        return cls(right, singular, projected, unit)

    def weights(self, strength: float, units: NDArray[np.bool_] | slice = slice(None)) -> Floats:
        shrunk = self.singular / (self.singular**2 + strength * self.unit)
        return np.asarray(self.right @ (shrunk[:, None] * self.projected[:, units]))


def _choose(
    predictors: Floats, responses: Floats, folds: Sequence[Fold], candidates: Floats, shared: bool
) -> tuple[NDArray[np.intp], Floats]:
    """Choose a candidate for each unit, and say how well it predicted."""
    if not folds:
        raise DataError("expected inner folds to choose the strength of the ridge on, got none.")
    n_units = responses.shape[1]
    error = np.zeros((len(candidates), n_units))
    predicted = np.zeros((len(candidates), sum(len(test) for _, test in folds), n_units))
    at = 0
    for train, test in folds:
        mean_x, mean_y = predictors[train].mean(0), responses[train].mean(0)
        path = _Path.of(predictors[train] - mean_x, responses[train] - mean_y)
        scores = (predictors[test] - mean_x) @ path.right
        for number, strength in enumerate(candidates):
            shrunk = path.singular / (path.singular**2 + strength * path.unit)
            guess = scores @ (shrunk[:, None] * path.projected) + mean_y
            error[number] += ((guess - responses[test]) ** 2).sum(0)
            predicted[number, at : at + len(test)] = guess
        at += len(test)
    if shared:
        error = np.repeat(error.sum(1, keepdims=True), n_units, axis=1)
    chosen = np.asarray(error.argmin(0), np.intp)
    tested = responses[np.concatenate([test for _, test in folds])]
    own = np.take_along_axis(predicted, chosen[None, None, :], 0)[0]
    return chosen, correlate_columns(own, tested)


def _check(predictors: Floats, responses: Floats) -> None:
    if predictors.ndim != 2 or responses.ndim != 2 or len(predictors) != len(responses) or len(predictors) < 2:
        raise DataError(
            f"expected predictors (rows, predictors) and responses (rows, units) of two rows or more, got "
            f"{predictors.shape} and {responses.shape}."
        )
    if not (np.isfinite(predictors).all() and np.isfinite(responses).all()):
        raise DataError("expected finite predictors and responses, got NaN or infinity.")

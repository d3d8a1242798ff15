"""Noise that units share, as a few factors, and noise of each unit's own."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd

from spikesight.decoders.base import Floats

_LEAST_VARIANCE = 0.2
"""Floor of a unit's noise variance, as a share of the median over units."""
_LEAST_NOISE = 0.01
"""The same in squared standard deviations of the unit, for data (almost) without residuals."""
_LEAST_PRIVATE = 0.1
"""Floor of the share of a unit's noise that it does not have in common with others."""


@dataclass(frozen=True)
class FactorNoise:
    """A covariance ``D (I + U diag(s) U') D``: factors on top of private variances.

    No matrix of units x units is ever made: Woodbury's identity for orthonormal ``U`` gives the inverse of the middle
    as ``I - U diag(s / (1 + s)) U'``, and its symmetric root as ``I - U diag(1 - 1 / sqrt(1 + s)) U'``.

    Parameters
    ----------
    private
        Standard deviation of each column's own noise, ``D``, shape (n_columns,).
    axes
        Orthonormal axes of the factors, ``U``, shape (n_columns, q).
    shared
        Variance along each axis in excess of private noise, ``s``, shape (q,).
    """

    private: Floats
    axes: Floats
    shared: Floats

    @classmethod
    def fit(cls, residuals: NDArray[np.floating], freedom: int, q: int, random_state: int | None) -> Self:
        """Estimate the noise from what class means leave over. ``residuals`` are scaled in place.

        Factors are the ``q`` principal axes of the residuals' correlations (randomised SVD), with the variance that
        exceeds 1; private variances are what they leave of each column's.

        Parameters
        ----------
        residuals
            ``(n_trials, n_columns)``.
        freedom
            Trials less classes.
        q
            Number of factors.
        random_state
            Seed of the randomised SVD.
        """
        variance = np.einsum("tu,tu->u", residuals, residuals, dtype=np.float64) / freedom
        deviation = np.sqrt(np.maximum(variance, max(_LEAST_VARIANCE * np.median(variance), _LEAST_NOISE)))
        q = min(q, *residuals.shape)
        if q == 0:
            return cls(deviation, np.zeros((len(deviation), 0)), np.zeros(0))
        residuals /= deviation.astype(residuals.dtype)
        _, singular, axes = randomized_svd(
            residuals, q, n_iter=2, power_iteration_normalizer="QR", random_state=check_random_state(random_state)
        )
        excess = np.maximum(singular.astype(np.float64) ** 2 / freedom - 1.0, 0.0)
        loadings = axes.T.astype(np.float64) * np.sqrt(excess)
        own = np.sqrt(np.maximum(1.0 - (loadings**2).sum(axis=1), _LEAST_PRIVATE))
        axes, roots, _ = np.linalg.svd(loadings / own[:, None], full_matrices=False)
        return cls(deviation * own, axes, roots**2)

    def whiten(self, rows: Floats) -> Floats:
        """Return ``rows`` in coordinates in which this noise has the covariance 1, as near to the units as can be."""
        return self._root(rows / self.private)

    def carry_back(self, weights: Floats) -> Floats:
        """Return the weights of rows that act on them as ``weights`` act on whitened rows."""
        return np.asarray(self._root(weights) / self.private)

    def _root(self, rows: Floats) -> Floats:
        return np.asarray(rows - (rows @ self.axes * (1.0 - 1.0 / np.sqrt(1.0 + self.shared))) @ self.axes.T)

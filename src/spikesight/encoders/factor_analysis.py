"""Factor analysis: what units share, apart from the noise of each unit's own."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from spikesight.encoders.base import N_COMPONENTS, Encoder, Floats
from spikesight.encoders.pca import components_possible
from spikesight.errors import ConfigError
from spikesight.preprocessing import FLOOR

_LEAST_PRIVATE = 1e-3
"""Floor of a unit's private variance, in squared standard deviations: no unit may become a factor by itself."""


class FactorAnalysisEncoder(Encoder):
    """Factor analysis of standardised square-root counts: the mean of the factors given a row.

    ``x = L f + e``: factors ``f`` of variance 1 and private noise ``e`` whose variance ``psi`` each unit has of its own
    (PCA is the limit of equal and small ones). The likelihood of the training rows is raised by turns: given ``psi``,
    the best loadings are the leading eigenvectors of the covariance of ``x / sqrt(psi)`` with the variance beyond 1;
    given the loadings, ``psi`` is what they leave. A turn costs one eigenproblem of units x units, however many trials
    there are; scikit-learn's ``FactorAnalysis`` takes a decomposition of all trials a turn and ends at the same place.

    Parameters
    ----------
    n_components
        Factors; at most the number of units, and of rows less one.
    max_iter
        Turns at most.
    tol
        The end: no unit's ``psi`` changes by more than this in a turn, in squared standard deviations.
    floor
        Smallest standard deviation to divide by.

    Attributes
    ----------
    loadings_ : ndarray of shape (n_units, n_components_)
    private_ : ndarray of shape (n_units,)
        Variance of each unit's own noise, ``psi``.
    posterior_ : ndarray of shape (n_components_, n_units)
        From a row to the mean of its factors.
    n_iter_ : int
    converged_ : bool
        False if the turns ran out first; the factors are then those they had reached.

    References
    ----------
    Joereskog (1967), "Some contributions to maximum likelihood factor analysis", Psychometrika 32; Barber (2012),
    "Bayesian Reasoning and Machine Learning", section 21.2.
    """

    def __init__(
        self, n_components: int = N_COMPONENTS, *, max_iter: int = 200, tol: float = 1e-3, floor: float = FLOOR
    ) -> None:
        self.n_components = n_components
        self.max_iter = max_iter
        self.tol = tol
        self.floor = floor

    def _learn(self, rows: Floats, trials: NDArray[Any], y: ArrayLike | None) -> None:
        if not self.max_iter >= 1 or not self.tol > 0:
            raise ConfigError(f"expected max_iter of at least 1 and tol above 0, got {self.max_iter!r}, {self.tol!r}.")
        self.n_components_ = components_possible(self.n_components, *rows.shape)
        covariance = rows.T @ rows / len(rows)
        variance = covariance.diagonal()
        least = np.full(len(variance), _LEAST_PRIVATE)
        self.private_ = np.maximum(variance, least)
        self.converged_ = False
        for turn in range(1, self.max_iter + 1):
            self.n_iter_ = turn
            self.loadings_ = _loadings(covariance, self.private_, self.n_components_)
            private = np.maximum(variance - (self.loadings_**2).sum(axis=1), least)
            change = np.abs(private - self.private_).max()
            self.private_ = private
            if change < self.tol:
                self.converged_ = True
                break
        weighted = self.loadings_.T / self.private_
        self.posterior_ = np.linalg.solve(np.eye(self.n_components_) + weighted @ self.loadings_, weighted)

    def _encode(self, rows: Floats) -> Floats:
        return np.asarray(rows @ self.posterior_.T)


def _loadings(covariance: Floats, private: Floats, n_factors: int) -> Floats:
    """Return the most likely loadings (n_units, n_factors), each with its largest weight above 0."""
    root = np.sqrt(private)
    n_units = len(root)
    values, axes = eigh(covariance / root[:, None] / root, subset_by_index=(n_units - n_factors, n_units - 1))
    values, axes = values[::-1], axes[:, ::-1]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(n_factors)])
    return np.asarray(root[:, None] * axes * (signs * np.sqrt(np.maximum(values - 1.0, 0.0))))

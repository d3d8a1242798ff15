"""Correlations of units over trials and bins, and what graphs make of them. No label is read anywhere here.

A correlation of spike counts holds what two neurons share of the stimulus, of running and of the state of the network.
It is a starting point for a decoder's graph, and no evidence that one of them drives the other.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Floats = NDArray[np.floating]

_LEAST_SHRINKAGE: Final = 1e-4
"""Keeps a matrix of correlations invertible where the formula asks for no shrinkage."""
_STEPS: Final = 60
"""Of the factorisation: after some fifty, the fit to correlations of real counts no longer moves."""


def absolute_correlations(rows: Floats) -> Floats:
    """Return ``|r|`` of every pair of units, (N, N) with zeros on the diagonal.

    Parameters
    ----------
    rows
        Training trials, ``(n_trials, n_bins, n_units)``. Every bin of every trial is one observation. A unit that does
        not vary correlates with nothing.
    """
    z = _standardised(rows)
    return _magnitudes(z.T @ z / max(1, len(z)))


def absolute_partial_correlations(rows: Floats) -> Floats:
    """Return ``|r|`` of every pair given all other units, (N, N) with zeros on the diagonal.

    The correlation matrix is shrunk towards the identity by the amount of Ledoit and Wolf, then inverted.

    Parameters
    ----------
    rows
        As in `absolute_correlations`.

    References
    ----------
    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
    Multivariate Analysis 88.
    """
    z = _standardised(rows)
    n_units = z.shape[1]
    correlation = np.asarray(z.T @ z / max(1, len(z)), dtype=np.float64)
    amount = max(_LEAST_SHRINKAGE, ledoit_wolf_shrinkage(z, correlation))
    correlation *= 1 - amount
    # a unit that does not vary has a diagonal of 0, which becomes 1 like all others
    np.fill_diagonal(correlation, 1.0)
    precision = cho_solve(cho_factor(correlation, overwrite_a=True), np.eye(n_units), overwrite_b=True)
    deviations = np.sqrt(np.diag(precision))
    return _magnitudes((precision / np.outer(deviations, deviations)).astype(z.dtype))


def ledoit_wolf_shrinkage(z: Floats, covariance: Floats) -> float:
    """Return how far to shrink a covariance towards a multiple of the identity, from 0 to 1.

    The sum over all pairs of units of squared products is that of the squared norms of the observations, so no second
    product of matrices is needed.

    Parameters
    ----------
    z
        Centred observations, ``(n, n_units)``.
    covariance
        ``z.T @ z / n``.
    """
    n, n_units = z.shape
    mean = np.trace(covariance) / n_units
    squares = float(np.einsum("ij,ij->", covariance, covariance, dtype=np.float64))
    spread = squares / n_units - mean**2
    fourth = float(np.sum(np.einsum("ij,ij->i", z, z, dtype=np.float64) ** 2))
    noise = (fourth / n - squares) / (n_units * n) if n else 0.0
    return float(np.clip(noise / spread, 0.0, 1.0)) if spread > 0 else 0.0


def strongest_share(matrix: Floats, quantile: float) -> Floats:
    """Return ``matrix`` without the weights below the quantile of its off-diagonal; ties with it stay."""
    apart = ~np.eye(len(matrix), dtype=bool)
    if quantile == 0 or len(matrix) < 2:
        return matrix
    kept: Floats = np.where(matrix >= np.quantile(matrix[apart], quantile), matrix, 0)
    return kept


def mean_in_strength(matrix: Floats) -> float:
    """Return the mean of the summed weight into a unit, over the units that have any edge into them; 0 without edges.

    Parameters
    ----------
    matrix
        ``(..., N, N)``, ``[source, target]``, zero on the diagonal.
    """
    strength = matrix.sum(axis=-2)
    return float(strength[strength > 0].mean()) if strength.any() else 0.0


def non_negative_factors(matrix: Floats, rank: int, rng: np.random.Generator) -> Floats:
    """Return ``F`` (N, rank), non-negative, with ``F F^T`` near a symmetric non-negative matrix off its diagonal.

    Damped multiplicative steps; the diagonal, which is no edge, is filled in from the factors at every step.

    References
    ----------
    Ding, He and Simon (2005), "On the equivalence of nonnegative matrix factorization and spectral clustering", SDM.
    """
    tiny = np.finfo(matrix.dtype).tiny
    start = np.sqrt(max(float(matrix.mean()), 0.0) / rank)
    factors: Floats = (start * rng.uniform(0.5, 1.5, (len(matrix), rank))).astype(matrix.dtype)
    for _ in range(_STEPS):
        own = np.einsum("ir,ir->i", factors, factors)[:, None]
        wanted = matrix @ factors + own * factors
        present = factors @ (factors.T @ factors)
        factors *= 0.5 + 0.5 * wanted / np.maximum(present, tiny)
    return factors


def _standardised(rows: Floats) -> Floats:
    """Return observations (n, n_units) of mean 0 and variance 1, in float32; those of a constant unit are 0."""
    z = rows.reshape(-1, rows.shape[-1]).astype(np.float32)
    if len(z) == 0:
        return z
    z -= z.mean(axis=0)
    deviation = np.sqrt(np.einsum("ij,ij->j", z, z) / len(z))
    # rounding leaves a constant unit with deviations of 1e-7 of its value
    varies = deviation > 1e-5 * np.abs(rows).max(initial=0)
    z *= np.where(varies, 1 / np.where(varies, deviation, 1), 0).astype(np.float32)
    return z


def _magnitudes(correlation: Floats) -> Floats:
    magnitudes: Floats = np.minimum(np.abs(correlation), 1)
    np.fill_diagonal(magnitudes, 0)
    return magnitudes

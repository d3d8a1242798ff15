"""P-values of the peak of a jitter-corrected cross-correlogram: surrogates, and where few reach it a closed form."""

from typing import Final

import numpy as np
from scipy import special

from spikesight.connectivity.base import Floats

_RARE: Final = 0.1
"""Share of the surrogates below which the tail in closed form is more exact than counting them."""
_DOUBT: Final = 0.01
"""One less the level of the interval in which the count of surrogates holds the closed form."""
_SAME: Final = 1e-6
"""Counts: how near to a whole number is one."""
_SMALLEST_P: Final = 1e-300


def p_of_peak(peak: Floats, mean: Floats, variance: Floats, reached: Floats, n_surrogates: int) -> Floats:
    """Return p-values of the largest ``|z|`` over lags, as `CCGJitter` says.

    Parameters
    ----------
    peak
        Largest ``|z|``, (n_pairs,).
    mean, variance
        Of the CCG under jitter, (n_pairs, n_lags).
    reached
        Number of surrogates whose largest ``|z|`` is larger, and half of those where it is as large, (n_pairs,).
    n_surrogates
        Number of surrogates.

    Returns
    -------
    numpy.ndarray
        Shape (n_pairs,), above 0.
    """
    single = _both_tails(peak[:, None] * np.sqrt(variance), mean, variance)
    single = np.where(peak[:, None] > 0, np.where(variance > 0, single, 0), 1.0)
    closed = -np.expm1(np.log1p(-np.minimum(single, 1 - 1e-16)).sum(axis=1))
    if n_surrogates == 0:
        return np.asarray(np.clip(closed, _SMALLEST_P, 1), np.float64)
    missed = n_surrogates - reached
    low = np.where(reached > 0, special.betaincinv(np.maximum(reached, 0.5), missed + 1, _DOUBT / 2), 0)
    high = np.where(missed > 0, special.betaincinv(reached + 1, np.maximum(missed, 0.5), 1 - _DOUBT / 2), 1)
    counted = (1 + reached) / (1 + n_surrogates)
    p_value = np.where(reached < _RARE * n_surrogates, np.clip(closed, low, high), counted)
    p_value[peak == 0] = 1  # every surrogate equals it
    return np.asarray(np.clip(p_value, _SMALLEST_P, 1), np.float64)


def _both_tails(distance: Floats, mean: Floats, variance: Floats) -> Floats:
    """Return the probability of counts further from the mean than ``distance``, and half of that of as far."""
    high, low = mean + distance, mean - distance
    above = at_least(np.ceil(high - _SAME), mean, variance) + at_least(np.floor(high + _SAME) + 1, mean, variance)
    below = at_least(np.floor(low + _SAME) + 1, mean, variance, other=True)
    below += at_least(np.ceil(low - _SAME), mean, variance, other=True)
    return np.asarray(np.minimum((above + below) / 2, 1), np.float64)


def at_least(count: Floats, mean: Floats, variance: Floats, other: bool = False) -> Floats:
    """Return the probability of ``count`` or more in a sum of rare independent events of this mean and variance.

    Parameters
    ----------
    count
        Whole numbers.
    mean, variance
        Of the sum. It is binomial, Poisson or negative binomial, as the variance is below, at or above the mean.
    other
        Return the probability of fewer instead.

    Returns
    -------
    numpy.ndarray
        Of the shape of the three arrays, which is one.
    """
    beta, gamma = (special.betaincc, special.gammaincc) if other else (special.betainc, special.gammainc)
    safe = np.where(mean > 0, mean, 1.0)
    ratio = variance / safe
    at = np.maximum(count, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        n_draws = np.ceil(safe / (1 - ratio))
        binomial = beta(at, n_draws - at + 1, np.minimum(safe / n_draws, 1))
        negative = beta(at, safe / (ratio - 1), 1 - 1 / ratio)
    like_poisson = (np.abs(ratio - 1) < 1e-6) | ((ratio < 1) & (at > n_draws))
    found = np.where(like_poisson, gamma(at, safe), np.where(ratio < 1, binomial, negative))
    always, never = (0.0, 1.0) if other else (1.0, 0.0)
    return np.asarray(np.where(count <= 0, always, np.where(mean > 0, found, never)), np.float64)

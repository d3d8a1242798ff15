"""Empirical-Bayes class means: how much of what each class adds to a unit is signal."""

import numpy as np

from spikesight.decoders.base import Floats

_STEPS = 10
"""Steps of expectation-maximisation. Fixed: on real sessions accuracy is flat from 10 to 50 steps; more fit noise."""
_TINY = 1e-8


def shrink_by_unit(means: Floats, n_trials: Floats) -> Floats:
    """Shrink class means towards zero by each unit's own Wiener fraction.

    Parameters
    ----------
    means
        Class means ``(n_classes, n_units)`` in standard deviations of the unit's noise, around the grand mean.
    n_trials
        Trials of each class, ``(n_classes,)``.

    Notes
    -----
    A unit's variance between classes holds its signal and the noise of averaging, which is known:
    ``fraction = max(0, 1 - noise / between)``.
    """
    share = n_trials / n_trials.sum()
    between = share @ means**2
    noise = len(n_trials) / n_trials.sum()
    return np.asarray(means * np.maximum(0.0, 1.0 - noise / np.maximum(between, noise)))


def shrink_by_unit_and_class(means: Floats, n_trials: Floats) -> Floats:
    """Shrink class means by Wiener fractions of every unit *and* every pattern over classes.

    Parameters and frame are those of ``shrink_by_unit``. The means of unit ``i`` are drawn from a Gaussian with
    covariance ``s_i K``: the covariance over classes ``K`` is common to all units, and ``s_i`` is the strength of unit
    ``i``. Both are found by expectation-maximisation from the class means alone, from ``K`` = identity, where a step
    is a Wiener fraction per unit. ``K`` learns which classes are alike, whatever the stimulus: nothing is known of it
    but the labels. Rows are weighted by ``sqrt(n_trials)`` first, so that averaging noise is 1 in all of them.

    References
    ----------
    Efron and Morris (1972), "Empirical Bayes on vector observations", Biometrika 59.
    """
    root = np.sqrt(n_trials)[:, None]
    observed = means * root
    n_classes, n_units = observed.shape
    strength = np.maximum((observed**2).mean(axis=0) - 1.0, 0.01)
    covariance = np.diag(n_trials / n_trials.mean())
    for _ in range(_STEPS):
        variances, patterns = np.linalg.eigh(covariance)
        variances = np.maximum(variances, _TINY)
        fraction = np.outer(variances, strength)
        fraction /= fraction + 1.0  # also the posterior variance, as the noise is 1
        posterior = fraction * (patterns.T @ observed)
        scaled = posterior / np.sqrt(strength)
        within = (scaled @ scaled.T + np.diag(fraction @ (1.0 / strength))) / n_units
        strength = (1.0 / variances) @ (posterior**2 + fraction) / n_classes
        covariance = patterns @ within @ patterns.T
        scale = np.trace(covariance) / n_classes
        covariance = covariance / scale
        strength = np.maximum(strength * scale, _TINY)
    return np.asarray(patterns @ posterior / root)

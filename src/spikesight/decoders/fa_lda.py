"""Discriminant analysis whose noise covariance is a few shared factors plus a variance per unit."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd

from spikesight.decoders.base import Codes, Floats, LinearDecoder, ProbabilisticDecoder
from spikesight.decoders.calibration import HeldOut, choose_weights, inner_folds
from spikesight.decoders.class_means import shrink_by_unit, shrink_by_unit_and_class
from spikesight.preprocessing import anscombe

_LEAST_VARIANCE = 0.2
"""Floor of a unit's noise variance, as a share of the median over units."""
_LEAST_NOISE = 0.01
"""The same in squared standard deviations of the unit, for data (almost) without residuals."""
_LEAST_PRIVATE = 0.1
"""Floor of the share of a unit's noise that it does not have in common with others."""


class FactorLDA(ProbabilisticDecoder, LinearDecoder):
    """Linear discriminant analysis for many units and few trials per class: the default decoder.

    Square-root counts are Gaussian around a mean per class. Their noise is what neurons share (running, arousal, the
    state of the network: ``q`` factors, from a randomised SVD of the residuals) plus a private variance per unit,
    inverted by Woodbury's identity. Class means, and class frequencies, are shrunk by empirical-Bayes fractions.

    Several bins: one such model of the stacked bins, one of their sum; the log-likelihoods are added with two weights
    chosen on inner folds of the training trials. The weights also calibrate ``predict_proba``: with one bin there is
    one of them, an inverse temperature, which changes no prediction.

    Parameters
    ----------
    q
        Number of noise factors; at most the number of units, and of trials less one, are used.
    class_covariance
        Learn which classes drive the units alike and shrink class means along those patterns too. False shrinks by
        one signal fraction per unit.
    calibrate
        Choose the weights on five contiguous inner folds of the training trials, which costs five further fits.
        False adds the models with equal weights that sum to 1.
    floor
        Smallest standard deviation to divide by.
    random_state
        Seed of the randomised SVD.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_columns)
        Weights of the standardised columns: bins x units, then (with several bins) the units' sums over bins.
    intercept_ : ndarray of shape (n_classes,)
    mean_, scale_ : ndarray of shape (n_columns,)
    weights_ : ndarray of shape (1,) or (2,)
        Weight of the log-likelihood of the stacked bins and, with several bins, of their sum.

    Notes
    -----
    Tried on real sessions (81 gabor positions) and left out, as they did not help: a sparse mixture prior or singular
    value shrinkage for class means, groups of units with a class covariance each, noise that grows with the class
    mean, iterated factor analysis, a blend with the full sample covariance.

    References
    ----------
    Everitt (1984), "An introduction to latent variable models" (factor analysis); Efron and Morris (1972), "Empirical
    Bayes on vector observations", Biometrika 59.
    """

    def __init__(
        self,
        q: int = 30,
        *,
        class_covariance: bool = True,
        calibrate: bool = True,
        floor: float = 0.3,
        random_state: int | None = 0,
    ) -> None:
        self.q = q
        self.class_covariance = class_covariance
        self.calibrate = calibrate
        self.floor = floor
        self.random_state = random_state

    def _columns(self, trials: Floats) -> Floats:
        stacked = super()._columns(trials)
        return stacked if self.n_bins_ == 1 else np.hstack([stacked, anscombe(trials.sum(axis=1))])

    def _fit_rows(self, rows: Floats, codes: Codes) -> None:
        if self.q < 0:
            raise ValueError(f"expected zero or more noise factors, got q={self.q!r}.")
        stacked = self.n_bins_ * self.n_units_
        models = [slice(0, stacked), slice(stacked, None)] if self.n_bins_ > 1 else [slice(None)]
        held_out = self._held_out(rows, codes, models) if self.calibrate else []
        self.weights_ = choose_weights(held_out, len(models))
        fits = [self._discriminant(rows[:, columns], codes) for columns in models]
        self.coef_ = np.hstack([weight * coef for weight, (coef, _) in zip(self.weights_, fits, strict=True)])
        offsets = sum(weight * offset for weight, (_, offset) in zip(self.weights_, fits, strict=True))
        self.intercept_ = np.asarray(_log_prior(codes) + offsets)

    def _held_out(self, rows: Floats, codes: Codes, models: list[slice]) -> list[HeldOut]:
        """Fit to four fifths of the training trials and look at the others, five times."""
        parts = []
        for train, test in inner_folds(codes):
            known, inner = np.unique(codes[train], return_inverse=True)
            fits = [self._discriminant(rows[train, columns], inner) for columns in models]
            likelihoods = [rows[test, columns] @ w.T + b for columns, (w, b) in zip(models, fits, strict=True)]
            parts.append(HeldOut(np.stack(likelihoods), _log_prior(inner), np.searchsorted(known, codes[test])))
        return parts

    def _discriminant(self, rows: Floats, codes: Codes) -> tuple[Floats, Floats]:
        """Return weights (n_classes, n_columns) and offsets (n_classes,) of the log-likelihood, up to a constant."""
        n_trials = np.bincount(codes).astype(float)
        sums = _sums_by_class(rows, codes)
        centre = sums.sum(axis=0) / len(rows)
        means = sums / n_trials[:, None]
        # noise is measured in single precision, its sums in double: half the time, and noise is known to a few percent
        residuals = rows.astype(np.float32)
        residuals -= means.astype(np.float32)[codes]
        freedom = max(len(rows) - len(n_trials), 1)
        variance = np.einsum("tu,tu->u", residuals, residuals, dtype=np.float64) / freedom
        deviation = np.sqrt(np.maximum(variance, max(_LEAST_VARIANCE * np.median(variance), _LEAST_NOISE)))
        residuals /= deviation.astype(np.float32)
        shrink = shrink_by_unit_and_class if self.class_covariance else shrink_by_unit
        means = shrink((means - centre) / deviation, n_trials)
        loadings, private = noise_factors(residuals, self.q, freedom, self.random_state)
        weights = solve_noise(means, loadings, private)
        offsets = -0.5 * (weights * means).sum(axis=1)
        weights = weights / deviation
        return weights, offsets - weights @ centre


def noise_factors(
    residuals: NDArray[np.floating], q: int, freedom: int, random_state: int | None
) -> tuple[Floats, Floats]:
    """Return the noise covariance of units of variance one (or less) as shared loadings and private variances.

    Parameters
    ----------
    residuals
        ``(n_trials, n_columns)``, each column in its standard deviations.
    q
        Number of factors.
    freedom
        Trials less classes.
    random_state
        Seed of the randomised SVD.

    Returns
    -------
    loadings : ndarray of shape (n_columns, q)
        Principal axes of the residuals' correlations, scaled by the variance that exceeds a private one of 1.
    private : ndarray of shape (n_columns,)
    """
    n_columns = residuals.shape[1]
    q = min(q, *residuals.shape)
    if q == 0:
        return np.zeros((n_columns, 0)), np.ones(n_columns)
    _, singular, axes = randomized_svd(
        residuals, q, n_iter=2, power_iteration_normalizer="LU", random_state=check_random_state(random_state)
    )
    loadings = axes.T.astype(float) * np.sqrt(np.maximum(singular.astype(float) ** 2 / freedom - 1.0, 0.0))
    return loadings, np.maximum(1.0 - (loadings**2).sum(axis=1), _LEAST_PRIVATE)


def solve_noise(rows: Floats, loadings: Floats, private: Floats) -> Floats:
    """Return ``rows @ inv(loadings @ loadings.T + diag(private))`` by Woodbury's identity."""
    scaled = loadings / private[:, None]
    inner = np.eye(loadings.shape[1]) + loadings.T @ scaled
    return np.asarray(rows / private - np.linalg.solve(inner, (rows @ scaled).T).T @ scaled.T)


def _log_prior(codes: Codes) -> Floats:
    """Return log-probabilities of classes before any spike is seen: their frequencies, shrunk towards equal ones.

    Differences that drawing trials from equally frequent classes would make are no knowledge. In a balanced design
    they even mislead: a class that is rarer in training is more frequent in what is left for testing.
    """
    n_classes = codes.max() + 1
    equal = 1.0 / n_classes
    excess = np.bincount(codes) / len(codes) - equal
    by_chance = equal * (1.0 - equal) / len(codes)
    fraction = max(0.0, 1.0 - by_chance / max(float((excess**2).mean()), by_chance))
    return np.asarray(np.log(equal + fraction * excess))


def _sums_by_class(rows: Floats, codes: Codes) -> Floats:
    members = csr_array((np.ones(len(rows)), (codes, np.arange(len(rows)))))
    return np.asarray(members @ rows)

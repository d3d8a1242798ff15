"""Discriminant analysis whose noise covariance is a few shared factors plus a variance per unit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from spikesight.decoders.base import Codes, Floats, LinearDecoder, ProbabilisticDecoder
from spikesight.decoders.calibration import HeldOut, choose_weights, inner_folds
from spikesight.decoders.class_means import shrink_by_unit, shrink_by_unit_and_class
from spikesight.decoders.factor_noise import FactorNoise
from spikesight.preprocessing import anscombe


class FactorLDA(ProbabilisticDecoder, LinearDecoder):
    """Linear discriminant analysis for many units and few trials per class: the default decoder.

    Square-root counts are Gaussian around a mean per class. Their noise is what neurons share (running, arousal, the
    state of the network: ``q`` factors, from a randomised SVD of the residuals) plus a private variance per unit,
    inverted by Woodbury's identity. Class means are shrunk by empirical-Bayes (Wiener) fractions per unit, in
    coordinates in which that noise is white: there each unit stands for itself less what the factors tell of it, and
    the noise of averaging is known. Class frequencies are shrunk likewise.

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
    On real sessions (81 gabor positions, four sessions, percent correct): factors and one common
    private variance 42.4; with fractions per unit 46.3; a class covariance 49.5; a private variance per unit
    50.5; shrinkage in white coordinates 51.0 (51.7 with ``q`` = 60). Tried and left out, as they did not help: a sparse
    mixture prior or singular value shrinkage for class means, groups of units with a class covariance each, noise that
    grows with the class mean, iterated factor analysis, a blend with the full sample covariance, raw counts.

    References
    ----------
    Everitt (1984), "An introduction to latent variable models" (factor analysis); Efron and Morris (1972), "Empirical
    Bayes on vector observations", Biometrika 59.
    """

    _fit_dtype = np.float32  # half the time, and noise is known to a few percent; sums over trials are double

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

    def _columns(self, trials: NDArray[Any], dtype: type[np.floating]) -> NDArray[Any]:
        stacked = super()._columns(trials, dtype)
        return stacked if self.n_bins_ == 1 else np.hstack([stacked, anscombe(trials.sum(axis=1), dtype)])

    def _fit_rows(self, rows: NDArray[np.floating], codes: Codes) -> None:
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

    def _held_out(self, rows: NDArray[np.floating], codes: Codes, models: list[slice]) -> list[HeldOut]:
        """Fit to four fifths of the training trials and look at the others, five times."""
        parts = []
        for train, test in inner_folds(codes):
            known, inner = np.unique(codes[train], return_inverse=True)
            fits = [self._discriminant(rows[train, columns], inner) for columns in models]
            likelihoods = [rows[test, columns] @ w.T + b for columns, (w, b) in zip(models, fits, strict=True)]
            parts.append(HeldOut(np.stack(likelihoods), _log_prior(inner), np.searchsorted(known, codes[test])))
        return parts

    def _discriminant(self, rows: NDArray[np.floating], codes: Codes) -> tuple[Floats, Floats]:
        """Return weights (n_classes, n_columns) and offsets (n_classes,) of the log-likelihood, up to a constant."""
        n_trials = np.bincount(codes).astype(float)
        sums = _sums_by_class(rows, codes)
        centre = sums.sum(axis=0) / len(rows)
        means = sums / n_trials[:, None]
        residuals = rows - means.astype(rows.dtype)[codes]
        noise = FactorNoise.fit(residuals, max(len(rows) - len(n_trials), 1), self.q, self.random_state)
        shrink = shrink_by_unit_and_class if self.class_covariance else shrink_by_unit
        means = shrink(noise.whiten(means - centre), n_trials)
        weights = noise.carry_back(means)
        return weights, -0.5 * (means**2).sum(axis=1) - weights @ centre


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


def _sums_by_class(rows: NDArray[np.floating], codes: Codes) -> Floats:
    members = csr_array((np.ones(len(rows), rows.dtype), (codes, np.arange(len(rows)))))
    return np.asarray(members @ rows, dtype=np.float64)

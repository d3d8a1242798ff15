"""Linear discriminant analysis with a full, shrunken noise covariance."""

import numpy as np
from scipy.linalg import solve
from sklearn.covariance import ledoit_wolf

from spikesight.decoders.base import Codes, Floats, LinearDecoder, ProbabilisticDecoder

_JITTER = 1e-9
"""Added to the diagonal, as a share of the mean variance, so that no covariance is singular."""


class ShrinkageLDA(ProbabilisticDecoder, LinearDecoder):
    """Linear discriminant analysis on square-root counts, its full noise covariance shrunk towards a diagonal.

    The covariance and the weights are those of scikit-learn's ``LinearDiscriminantAnalysis(solver="lsqr")``; a class
    with a single trial, of which that one has nothing to say, adds no covariance here.

    Several bins: every bin of every unit is a feature of its own, and memory grows with the square of their number.
    ``predict_proba`` is the posterior of the fitted Gaussians, which is overconfident; ``fa-lda`` has a calibrated one.

    Parameters
    ----------
    shrinkage
        From 0 (the sample covariance) to 1 (its mean variance for every unit), or ``"auto"`` for the formula of
        Ledoit and Wolf in each class, averaged over classes.
    floor
        Smallest standard deviation to divide by.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
    mean_, scale_ : ndarray of shape (n_features,)

    References
    ----------
    Ledoit and Wolf (2004), "Honey, I shrunk the sample covariance matrix", J. Portfolio Management 30.
    """

    def __init__(self, shrinkage: float | str = "auto", *, floor: float = 0.3) -> None:
        self.shrinkage = shrinkage
        self.floor = floor

    def _fit_rows(self, rows: Floats, codes: Codes) -> None:
        members = [rows[codes == code] for code in range(len(self.classes_))]
        means = np.stack([trials.mean(axis=0) for trials in members])
        covariance = self._covariance(members)
        covariance[np.diag_indices_from(covariance)] += (
            _JITTER * max(float(np.trace(covariance)), _JITTER) / len(means.T)
        )
        self.coef_ = solve(covariance, means.T, assume_a="pos").T
        log_prior = np.log(np.bincount(codes) / len(codes))
        self.intercept_ = log_prior - 0.5 * (self.coef_ * means).sum(axis=1)

    def _covariance(self, members: list[Floats]) -> Floats:
        """Return the covariance within classes, averaged over trials and shrunk."""
        several = [trials for trials in members if len(trials) > 1]
        if not several:
            return np.eye(members[0].shape[1])
        n_trials = sum(len(trials) for trials in several)
        if self.shrinkage == "auto":
            return np.asarray(sum(len(trials) / n_trials * _ledoit_wolf(trials) for trials in several))
        if isinstance(self.shrinkage, str) or not 0 <= self.shrinkage <= 1:
            raise ValueError(f"expected a shrinkage from 0 to 1 or 'auto', got {self.shrinkage!r}.")
        residuals = np.vstack([trials - trials.mean(axis=0) for trials in several])
        covariance = (1 - self.shrinkage) * (residuals.T @ residuals) / n_trials
        covariance[np.diag_indices_from(covariance)] += self.shrinkage * (residuals**2).mean()
        return np.asarray(covariance)


def _ledoit_wolf(trials: Floats) -> Floats:
    """Return the covariance of the trials of one class, its correlations shrunk by Ledoit and Wolf's formula."""
    deviations = trials - trials.mean(axis=0)
    scale = deviations.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    correlations, _ = ledoit_wolf(deviations / scale, assume_centered=True)
    return np.asarray(scale[:, None] * correlations * scale)

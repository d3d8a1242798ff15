"""Naive Bayes with Poisson counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesight.decoders.base import Codes, Floats, ProbabilisticDecoder


class PoissonBayes(ProbabilisticDecoder):
    """Independent Poisson counts, their rate in each class shrunk towards the unit's mean rate.

    The rate of a unit in a class has a Gamma prior worth ``alpha`` trials at the unit's mean; classes are as probable
    as in the training trials. Several bins: a Poisson count in every bin, independent given the class.
    ``predict_proba`` is the posterior under that independence, which is overconfident.

    Parameters
    ----------
    alpha
        Weight of the prior, in trials.

    Attributes
    ----------
    rates_ : ndarray of shape (n_classes, n_bins, n_units)
        Expected spikes per bin.
    class_log_prior_ : ndarray of shape (n_classes,)
    """

    def __init__(self, alpha: float = 10.0) -> None:
        self.alpha = alpha

    def _fit(self, trials: NDArray[Any], codes: Codes) -> None:
        if not self.alpha > 0:
            raise ValueError(f"expected a prior of more than zero trials, got alpha={self.alpha!r}.")
        n_trials = np.bincount(codes)
        spikes = np.stack([trials[codes == code].sum(axis=0) for code in range(len(n_trials))])
        mean = (spikes.sum(axis=0) + 0.5) / (len(trials) + 1)  # above zero, for units silent in training
        self.rates_ = (spikes + self.alpha * mean) / (n_trials[:, None, None] + self.alpha)
        self.class_log_prior_ = np.log(n_trials / len(trials))

    def _scores(self, trials: NDArray[Any]) -> Floats:
        rates = self.rates_.reshape(len(self.classes_), -1)
        counts = trials.reshape(len(trials), -1)
        return np.asarray(counts @ np.log(rates).T - rates.sum(axis=1) + self.class_log_prior_)

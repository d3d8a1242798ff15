"""Linear decoders of standardised square-root counts: logistic regression, with and without PCA, and ridge."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from spikesight.decoders.base import Codes, Floats, ProbabilisticDecoder
from spikesight.preprocessing import anscombe, mean_and_scale


class Logistic(ProbabilisticDecoder):
    """Multinomial logistic regression with an L2 penalty (scikit-learn's) on standardised square-root counts.

    Several bins: every bin of every unit is a feature of its own.

    Parameters
    ----------
    C
        Inverse strength of the penalty.
    floor
        Smallest standard deviation to divide by.
    max_iter
        Iterations after which L-BFGS gives up; ``converged_`` tells whether it did.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
    mean_, scale_ : ndarray of shape (n_features,)
    n_iter_ : int
    converged_ : bool
    """

    def __init__(self, C: float = 0.003, *, floor: float = 0.3, max_iter: int = 500) -> None:
        self.C = C
        self.floor = floor
        self.max_iter = max_iter

    def _fit(self, trials: Floats, codes: Codes) -> None:
        rows = anscombe(trials).reshape(len(trials), -1)
        self.mean_, self.scale_ = mean_and_scale(rows, self.floor)
        fit_logistic(self, (rows - self.mean_) / self.scale_, codes)

    def _scores(self, trials: Floats) -> Floats:
        rows = (anscombe(trials).reshape(len(trials), -1) - self.mean_) / self.scale_
        return np.asarray(rows @ self.coef_.T + self.intercept_)


def fit_logistic(decoder: "Logistic", rows: Floats, codes: Codes) -> None:
    """Fit scikit-learn's LogisticRegression and keep its weights on ``decoder``, one row per class."""
    fitted = LogisticRegression(C=decoder.C, max_iter=decoder.max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by converged_, which a log of many fits can hold
        fitted.fit(rows, codes)
    coef, intercept = fitted.coef_, fitted.intercept_
    if len(coef) == 1:  # two classes: scikit-learn keeps the second's log-odds only
        coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.append(0.0, intercept)
    decoder.coef_, decoder.intercept_ = coef, intercept
    decoder.n_iter_ = int(fitted.n_iter_.max())
    decoder.converged_ = bool(decoder.n_iter_ < decoder.max_iter)

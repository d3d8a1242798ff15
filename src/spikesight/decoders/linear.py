"""Logistic regression, with and without principal components, and ridge: linear in standardised square-root counts."""

import warnings

from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from spikesight.decoders.base import Codes, Floats, LinearDecoder, ProbabilisticDecoder, ScoringDecoder

_LARGEST_COVARIANCE = 3000
"""Features up to which principal components come exactly, from the covariance; above it, from a randomised SVD."""


class Logistic(ProbabilisticDecoder, LinearDecoder):
    """Multinomial logistic regression with an L2 penalty (scikit-learn's) on standardised square-root counts.

    Several bins: every bin of every unit is a feature of its own.

    Parameters
    ----------
    C
        Inverse strength of the penalty.
    floor
        Smallest standard deviation to divide by.
    max_iter
        Iterations after which L-BFGS gives up.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
    mean_, scale_ : ndarray of shape (n_features,)
    n_iter_ : int
    converged_ : bool
        False if L-BFGS gave up; the weights are then those it had reached.
    """

    def __init__(self, C: float = 0.01, *, floor: float = 0.3, max_iter: int = 500) -> None:
        self.C = C
        self.floor = floor
        self.max_iter = max_iter

    def _fit_rows(self, rows: Floats, codes: Codes) -> None:
        fitted = LogisticRegression(C=self.C, max_iter=self.max_iter)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted.fit(rows, codes)
        for warning in caught:
            if not issubclass(warning.category, ConvergenceWarning):  # that one is told by converged_
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        self.converged_ = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        self.n_iter_ = int(fitted.n_iter_.max())
        self._keep_weights(fitted.coef_, fitted.intercept_)


class PCALogistic(Logistic):
    """Principal components of standardised square-root counts, then multinomial logistic regression.

    Several bins: every bin of every unit is a feature of its own.

    Parameters
    ----------
    n_components
        Components to keep; at most the number of features, and of training trials less one, are.
    C
        Inverse strength of the L2 penalty.
    floor
        Smallest standard deviation to divide by.
    max_iter
        Iterations after which L-BFGS gives up.
    random_state
        Seed of the randomised SVD that takes over above 3000 features.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features)
        Weights of the standardised features: those of the components, carried back.
    intercept_ : ndarray of shape (n_classes,)
    mean_, scale_ : ndarray of shape (n_features,)
    components_ : ndarray of shape (n_components, n_features)
    n_iter_ : int
    converged_ : bool
        False if L-BFGS gave up; the weights are then those it had reached.
    """

    def __init__(
        self,
        n_components: int = 300,
        C: float = 0.01,
        *,
        floor: float = 0.3,
        max_iter: int = 500,
        random_state: int | None = 0,
    ) -> None:
        super().__init__(C, floor=floor, max_iter=max_iter)
        self.n_components = n_components
        self.random_state = random_state

    def _fit_rows(self, rows: Floats, codes: Codes) -> None:
        if self.n_components < 1:
            raise ValueError(f"expected at least one principal component, got n_components={self.n_components!r}.")
        n_trials, n_features = rows.shape
        pca = PCA(
            min(self.n_components, n_features, n_trials - 1),
            svd_solver="covariance_eigh" if n_features <= _LARGEST_COVARIANCE else "randomized",
            random_state=self.random_state,
        )
        super()._fit_rows(pca.fit_transform(rows), codes)  # rows are centred, so PCA's own mean is zero
        self.components_ = pca.components_
        self.coef_ = self.coef_ @ self.components_


class Ridge(ScoringDecoder, LinearDecoder):
    """Least squares on -1/+1 labels, one class against the rest, with an L2 penalty (scikit-learn's RidgeClassifier).

    Several bins: every bin of every unit is a feature of its own.

    Parameters
    ----------
    alpha
        Strength of the penalty.
    floor
        Smallest standard deviation to divide by.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features)
    intercept_ : ndarray of shape (n_classes,)
    mean_, scale_ : ndarray of shape (n_features,)
    """

    def __init__(self, alpha: float = 2000.0, *, floor: float = 0.3) -> None:
        self.alpha = alpha
        self.floor = floor

    def _fit_rows(self, rows: Floats, codes: Codes) -> None:
        fitted = RidgeClassifier(alpha=self.alpha).fit(rows, codes)
        self._keep_weights(fitted.coef_, fitted.intercept_)

"""Linear discriminant analysis with a full, shrunken noise covariance."""

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from spikesight.decoders.base import Codes, Floats, LinearDecoder, ProbabilisticDecoder


class ShrinkageLDA(ProbabilisticDecoder, LinearDecoder):
    """Linear discriminant analysis (scikit-learn's) on square-root counts, its full covariance shrunk to a diagonal.

    Several bins: every bin of every unit is a feature of its own, and memory grows with the square of their number.
    ``predict_proba`` is the posterior of the fitted Gaussians, which is overconfident; ``fa-lda`` has a calibrated one.

    Parameters
    ----------
    shrinkage
        From 0 (the sample covariance) to 1 (its mean variance for every unit), or ``"auto"`` for the formula of
        Ledoit and Wolf.
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
        fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=self.shrinkage).fit(rows, codes)
        self._keep_weights(fitted.coef_, fitted.intercept_)

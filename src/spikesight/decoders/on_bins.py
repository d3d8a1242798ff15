"""A decoder that is shown some bins of every trial and not the others: what those bins alone tell."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted


def _fitted_has(method: str) -> Any:
    def check(self: "OnBins") -> bool:
        return hasattr(getattr(self, "decoder_", self.decoder), method)

    return check


class OnBins(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Another decoder, on chosen bins.

    Parameters
    ----------
    decoder
        Unfitted decoder.
    bins
        Places of the bins that it sees, in this order.

    Attributes
    ----------
    decoder_
        The fitted decoder.
    classes_ : ndarray of shape (n_classes,)
    """

    def __init__(self, decoder: Any, bins: Sequence[int]) -> None:
        self.decoder = decoder
        self.bins = bins

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the decoder to the chosen bins of ``X`` (n_trials, n_bins, n_units)."""
        self.decoder_ = clone(self.decoder).fit(self._chosen(X), y)
        self.classes_ = self.decoder_.classes_
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return what the decoder says of the chosen bins."""
        check_is_fitted(self)
        return np.asarray(self.decoder_.predict(self._chosen(X)))

    @available_if(_fitted_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the decoder's probabilities, (n_trials, n_classes)."""
        return np.asarray(self.decoder_.predict_proba(self._chosen(X)))

    @available_if(_fitted_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the decoder's scores."""
        return np.asarray(self.decoder_.decision_function(self._chosen(X)))

    @property
    def n_parameters_(self) -> int | None:
        """What the decoder itself says; None if it does not."""
        return getattr(self.decoder_, "n_parameters_", None)

    def _chosen(self, X: ArrayLike) -> NDArray[Any]:
        trials = np.asarray(X)
        if trials.ndim != 3 or not len(self.bins) or max(self.bins) >= trials.shape[1]:
            raise ValueError(f"expected trials with the bins {list(self.bins)}, got an array of shape {trials.shape}.")
        return trials[:, list(self.bins)]

"""A decoder that is shown the components of an encoder in place of units."""

import inspect
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags, check_consistent_length
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from spikesight.decoders import registry
from spikesight.decoders.bayes import PoissonBayes
from spikesight.decoders.ensemble import Ensemble
from spikesight.errors import ConfigError
from spikesight.preprocessing import counts_of_roots, validate_trials

OFFSET: Final = 10.0
"""Standard deviations by which components are raised: no training trial of any size reaches below."""
_LEAST_SCALE: Final = 0.05
"""Floor of a component's standard deviation, as a share of the largest: an empty component stays small."""


def refusal(kind: type[Any], params: dict[str, Any] | None = None) -> str:
    """Say why a class of decoders makes no sense behind an encoder; "" if it does."""
    if "graph" in inspect.signature(kind).parameters:
        return "it passes messages over a graph of units, and components are no units"
    if issubclass(kind, PoissonBayes):
        return "it models spike counts, and components are none"
    if kind is registry.get("chance"):
        return "it looks at no spikes"
    if issubclass(kind, Ensemble):
        members = kind(**(params or {})).members
        for member in members if isinstance(members, list | tuple) else ():
            name = member if isinstance(member, str) else member[0]
            why = refusal(registry.get(name))
            if why:
                return f"of its members, {name} cannot: {why}"
    return ""


def _fitted_has(method: str) -> Any:
    def check(self: "EncodedDecoder") -> bool:
        return hasattr(getattr(self, "decoder_", self.decoder), method)

    return check


class EncodedDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An encoder and a decoder, both fitted to the same training trials.

    Decoders take counts and begin with ``sqrt(count + 3/8)``. Components are therefore put on the scale of such counts:
    in standard deviations of the training trials, raised by ten, squared, less 3/8. The decoder's own square root and
    z-score then give back exactly the z-scored components.

    Parameters
    ----------
    encoder
        Unfitted encoder, `spikesight.encoders`.
    decoder
        Unfitted decoder. One of a graph of units, one of Poisson counts and one that sees nothing are refused.

    Attributes
    ----------
    encoder_, decoder_
        Fitted.
    component_mean_, component_scale_ : ndarray of shape (n_bins, n_components)
        Mean and standard deviation of the components of the training trials, the latter at least a twentieth of the
        largest.
    classes_ : ndarray of shape (n_classes,)
    n_bins_, n_units_ : int
        Shape of a trial, before the encoder.
    """

    def __init__(self, encoder: Any, decoder: Any) -> None:
        self.encoder = encoder
        self.decoder = decoder

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the encoder to training trials, then the decoder to their components.

        Parameters
        ----------
        X
            Spike counts, ``(n_trials, n_bins, n_units)`` or ``(n_trials, n_units)``.
        y
            Labels, ``(n_trials,)``.

        Raises
        ------
        ConfigError
            If the decoder makes no sense behind an encoder.
        ValueError
            As the decoder raises.
        """
        why = refusal(type(self.decoder), self.decoder.get_params(deep=False))
        if why:
            raise ConfigError(f"{type(self.decoder).__name__} cannot stand behind an encoder: {why}.")
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        trials = validate_trials(self, X, reset=True, non_negative=True)
        labels = column_or_1d(y, warn=True)
        check_consistent_length(trials, labels)
        check_classification_targets(labels)
        self.encoder_ = clone(self.encoder).fit(trials, labels)
        components = self.encoder_.transform(trials)
        self.component_mean_ = components.mean(axis=0)
        spread = components.std(axis=0)
        self.component_scale_ = np.maximum(spread, _LEAST_SCALE * spread.max() if spread.max() > 0 else 1.0)
        self.decoder_ = clone(self.decoder).fit(self._as_counts(components), labels)
        self.classes_ = self.decoder_.classes_
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the label of every trial."""
        components = self._encoded(X)
        return np.asarray(self.decoder_.predict(components))

    @available_if(_fitted_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of every class, (n_trials, n_classes)."""
        components = self._encoded(X)
        return np.asarray(self.decoder_.predict_proba(components))

    @available_if(_fitted_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the decoder's scores."""
        components = self._encoded(X)
        return np.asarray(self.decoder_.decision_function(components))

    @property
    def n_parameters_(self) -> int | None:
        """Trained numbers of the encoder, if it counts them, and of the decoder; None if the decoder does not say."""
        own = getattr(self.decoder_, "n_parameters_", None)
        if own is None and all(hasattr(self.decoder_, name) for name in ("coef_", "intercept_")):
            own = self.decoder_.coef_.size + self.decoder_.intercept_.size
        return None if own is None else int(own) + int(getattr(self.encoder_, "n_parameters_", 0))

    def _encoded(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        return self._as_counts(self.encoder_.transform(validate_trials(self, X, reset=False, non_negative=True)))

    def _as_counts(self, components: NDArray[np.float64]) -> NDArray[np.float64]:
        raised = (components - self.component_mean_) / self.component_scale_ + OFFSET
        return counts_of_roots(raised)

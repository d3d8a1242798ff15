"""Any scikit-learn transformer as an encoder, by the path under which Python imports it."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state, get_tags

from spikesight.encoders.base import N_COMPONENTS, Encoder, Floats
from spikesight.errors import ConfigError, brief
from spikesight.preprocessing import FLOOR, counts_of_roots


def import_transformer(path: str) -> type[Any]:
    """Import a class from ``"package.module:Class"`` or ``"package.module.Class"``.

    Raises
    ------
    ConfigError
        If there is none, or it is no transformer of new rows.
    """
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a stranger's module raises on import
        raise ConfigError(f"cannot import the encoder {path!r}: {type(error).__name__}: {brief(error)}.") from error
    if not isinstance(found, type) or not hasattr(found, "fit"):
        raise ConfigError(f"expected {path!r} to be the class of a scikit-learn transformer, got {found!r:.100}.")
    if not hasattr(found, "transform"):
        raise ConfigError(
            f"{path} has no transform: it arranges the trials that it is fitted to and can encode no others, so that "
            "test trials would have to be among them. Choose a transformer that encodes new trials."
        )
    return found


class TransformerEncoder(Encoder):
    """A transformer of rows of standardised square-root counts, or of the counts, as scikit-learn has many.

    A transformer that is supervised (its tags say that it needs a target: ``LinearDiscriminantAnalysis``,
    ``NeighborhoodComponentsAnalysis``) is given the labels of the training trials, once for every bin; no other is
    given labels. It is fitted inside the fold either way.

    Parameters
    ----------
    path
        ``"sklearn.decomposition:FastICA"``, ``"cebra:CEBRA"``: what Python imports.
    n_components
        Given to a transformer that has a parameter of this name: at most the number of units (and, of a supervised one,
        of classes less one).
    params
        Further constructor parameters.
    inputs
        ``"standardised"``: z-scored square-root counts; ``"counts"``: counts, for those that take no negative numbers
        (``NMF``); ``"auto"``: what the transformer's tags ask for.
    floor
        Smallest standard deviation to divide by.
    random_state
        Given to a transformer that has a parameter of this name.

    Attributes
    ----------
    transformer_
        The fitted transformer.
    """

    def __init__(
        self,
        path: str,
        *,
        n_components: int = N_COMPONENTS,
        params: Mapping[str, Any] | None = None,
        inputs: str = "auto",
        floor: float = FLOOR,
        random_state: int | None = 0,
    ) -> None:
        self.path = path
        self.n_components = n_components
        self.params = params
        self.inputs = inputs
        self.floor = floor
        self.random_state = random_state

    @property
    def needs_labels(self) -> bool:  # type: ignore[override]
        """Whether the transformer is supervised."""
        return _is_supervised(self._made({}))

    def _learn(self, rows: Floats, trials: NDArray[Any], y: ArrayLike | None) -> None:
        unfitted = self._made({})
        supervised = _is_supervised(unfitted)
        if supervised and y is None:
            raise ConfigError(f"{self.path} is supervised: expected the labels of the training trials, got none.")
        if self.inputs not in ("auto", "standardised", "counts"):
            raise ConfigError(f"expected inputs='auto', 'standardised' or 'counts', got {self.inputs!r}.")
        asks_for_counts = self.inputs == "auto" and get_tags(unfitted).input_tags.positive_only
        self.of_counts_ = bool(self.inputs == "counts" or asks_for_counts)
        most = min(self.n_components, rows.shape[1])
        if supervised:
            most = min(most, len(np.unique(np.asarray(y))) - 1)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        made = self._made({"n_components": max(most, 1), "random_state": seed})
        given = trials.reshape(rows.shape).astype(float) if self.of_counts_ else rows
        labels = (np.repeat(np.asarray(y), self.n_bins_),) if supervised else ()
        self.transformer_ = made.fit(given, *labels)
        self.n_components_ = int(self._checked(self.transformer_.transform(given[:1])).shape[1])

    def _encode(self, rows: Floats) -> NDArray[Any]:
        given = rows
        if self.of_counts_:  # back from standardised square roots
            given = counts_of_roots(rows * self.scale_ + self.mean_)
        return self._checked(self.transformer_.transform(given))

    def _checked(self, made: Any) -> NDArray[Any]:
        array = np.asarray(made, np.float64) if not hasattr(made, "toarray") else np.asarray(made.toarray())
        if array.ndim != 2 or not np.isfinite(array).all():
            raise ConfigError(f"expected finite components (rows, components) of {self.path}, got {array.shape}.")
        return array

    def _made(self, ours: Mapping[str, Any]) -> Any:
        """Return the unfitted transformer with its own parameters, and with those of ours that it knows."""
        kind = import_transformer(self.path)
        given = dict(self.params or {})
        known = inspect.signature(kind).parameters
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ConfigError(f"{self.path} has no parameter {unknown[0]!r}. It has: {', '.join(known)}.")
        try:
            return clone(kind(**{name: value for name, value in ours.items() if name in known}, **given))
        except TypeError as error:
            raise ConfigError(f"{self.path} cannot be made with {given}: {brief(error)}") from error


def _is_supervised(transformer: Any) -> bool:
    try:
        return bool(get_tags(transformer).target_tags.required)
    except Exception:  # not of scikit-learn's kind: it says nothing of labels, so it gets none
        return False

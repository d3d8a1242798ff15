"""What a source of graphs is: a small scikit-learn estimator that builds its part of a network from training trials.

So it is cloned and set as a nested parameter of a decoder, and cannot see test trials. No method takes labels: they
cannot enter a graph.
"""

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spikesight.errors import ConfigError, UnknownNameError
from spikesight.networks.graph_module import GraphModule

_Entry = TypeVar("_Entry")


class Graph(BaseEstimator, ABC):  # type: ignore[misc]
    """Where a decoder's graph comes from."""

    @abstractmethod
    def build(
        self, rows: NDArray[Any], n_classes: int, seed: int, n_channels: int = 1, seen: NDArray[Any] | None = None
    ) -> GraphModule:
        """Return the graph as a part of a network.

        Parameters
        ----------
        rows
            Standardised training trials, ``(n_trials, n_bins, n_units)``. Without trials the module has its final
            shapes but nothing in it, for a stored state to be loaded.
        n_classes
            Number of classes.
        seed
            Of the starting values; the same seed gives the same ones.
        n_channels
            Numbers per unit in the output of the block whose output refines the graph.
        seen
            Some of the trials as the network gets them, ``(n, n_bins, n_units)``; None: as they are in ``rows``.

        Raises
        ------
        ConfigError
            If an option cannot be honoured, or does not fit the trials.
        """


def checked_trials(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return training trials as float32 (n_trials, n_bins, n_units). Raises ConfigError on another shape."""
    trials = np.ascontiguousarray(rows, dtype=np.float32)
    if trials.ndim != 3 or trials.shape[1] < 1 or trials.shape[2] < 1:
        raise ConfigError(f"expected training trials (trials, bins, units), got an array of shape {trials.shape}.")
    return trials


def checked_quantile(quantile: float) -> float:
    """Return ``quantile``. Raises ConfigError unless it is from 0 to below 1."""
    if not 0 <= quantile < 1:
        raise ConfigError(f"expected a quantile from 0 to below 1, got {quantile!r}: 0.9 keeps a tenth of the pairs.")
    return quantile


def entry(kind: str, name: str, table: dict[str, _Entry]) -> _Entry:
    """Return ``table[name]``. Raises UnknownNameError, which offers the nearest name, if there is none."""
    if name not in table:
        raise UnknownNameError(kind, str(name), table)
    return table[name]

"""Graphs that are not learned: none, a given matrix, or correlations of the training trials.

A correlation graph holds what pairs of units share of the stimulus, of running and of the state of the network. It is
the graph that the decoder passed messages over, and no evidence of connectivity.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from spikesight.errors import ConfigError
from spikesight.networks.correlations import (
    absolute_correlations,
    absolute_partial_correlations,
    mean_in_strength,
    strongest_share,
)
from spikesight.networks.graph_estimator import Graph, checked_quantile, checked_trials, entry
from spikesight.networks.graph_module import FixedGraph, GraphModule, NoEdges

_KINDS: Final[dict[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "pearson": absolute_correlations,
    "partial": absolute_partial_correlations,
}


class IdentityGraph(Graph):
    """No edges: the control for every other graph."""

    def build(
        self, rows: NDArray[Any], n_classes: int, seed: int, n_channels: int = 1, seen: NDArray[Any] | None = None
    ) -> GraphModule:
        """Return a graph without edges."""
        _, n_bins, n_units = checked_trials(rows).shape
        return NoEdges(n_units, n_bins, n_classes)


class GivenGraph(Graph):
    """A matrix that is known beforehand, or one per bin.

    All weights are divided by one number, so that the edges into a unit that has any sum to 1 on average. The diagonal
    is left out.

    Parameters
    ----------
    matrix
        ``(n_units, n_units)`` or ``(n_bins, n_units, n_units)``, ``[source, target]``, non-negative.
    """

    def __init__(self, matrix: ArrayLike) -> None:
        self.matrix = matrix

    def build(
        self, rows: NDArray[Any], n_classes: int, seed: int, n_channels: int = 1, seen: NDArray[Any] | None = None
    ) -> GraphModule:
        """Return the matrix as a graph. Raises ConfigError if it does not fit the trials."""
        _, n_bins, n_units = checked_trials(rows).shape
        return _fixed(_given(self.matrix, n_bins, n_units), n_bins, n_classes)


class CorrelationGraph(Graph):
    """The strongest correlations of the training trials, as absolute values.

    All weights are divided by one number, so that the edges into a unit that has any sum to 1 on average.

    Parameters
    ----------
    kind
        ``"pearson"``, or ``"partial"``: given all other units, after shrinkage by Ledoit and Wolf.
    quantile
        Share of pairs without an edge, from 0 to below 1: those with the weakest correlations.
    """

    def __init__(self, kind: str = "pearson", quantile: float = 0.9) -> None:
        self.kind = kind
        self.quantile = quantile

    def build(
        self, rows: NDArray[Any], n_classes: int, seed: int, n_channels: int = 1, seen: NDArray[Any] | None = None
    ) -> GraphModule:
        """Return the graph of the training trials' correlations."""
        trials = checked_trials(rows)
        correlate = entry("kind of correlation", self.kind, _KINDS)
        return _fixed(strongest_share(correlate(trials), checked_quantile(self.quantile)), trials.shape[1], n_classes)


def _given(matrix: ArrayLike, n_bins: int, n_units: int) -> NDArray[np.float32]:
    weights = np.asarray(matrix, dtype=np.float32)
    if weights.ndim not in (2, 3) or weights.shape[-2:] != (n_units, n_units):
        raise ConfigError(
            f"expected a graph of {n_units} x {n_units} units, or one for each of {n_bins} bins, as the trials "
            f"have; got an array of shape {weights.shape}."
        )
    if weights.ndim == 3 and len(weights) != n_bins:
        raise ConfigError(f"expected one graph for each of {n_bins} bins, got {len(weights)} graphs.")
    if not np.isfinite(weights).all():
        raise ConfigError(
            "expected finite weights in a given graph, got NaN or infinity: put 0 where there is no edge."
        )
    if (weights < 0).any():
        raise ConfigError(
            f"expected weights of 0 or more in a given graph, got {weights.min():g}: take absolute values?"
        )
    return np.where(np.eye(n_units, dtype=bool), np.float32(0), weights)


def _fixed(weights: NDArray[Any], n_bins: int, n_classes: int) -> FixedGraph:
    strength = mean_in_strength(weights)
    return FixedGraph(torch.from_numpy(weights / np.float32(strength or 1.0)), n_bins, n_classes)

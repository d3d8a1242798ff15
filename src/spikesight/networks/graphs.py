"""Where a decoder's graph comes from: nothing, a given matrix, correlations of the training trials, or learning.

What comes out is the graph that the decoder passed messages over. It is not connectivity: in simulations of known
couplings, such a matrix finds them no better than chance.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import xarray as xr

from spikesight.errors import ConfigError
from spikesight.networks.fixed_graphs import CorrelationGraph, GivenGraph, IdentityGraph
from spikesight.networks.graph_estimator import Graph, entry
from spikesight.networks.learned_graphs import LearnedGraph

__all__ = ["CorrelationGraph", "GivenGraph", "Graph", "IdentityGraph", "LearnedGraph", "as_graph"]

_NAMED: Final[dict[str, Callable[[], Graph]]] = {
    "identity": IdentityGraph,
    "correlation": CorrelationGraph,
    "partial-correlation": lambda: CorrelationGraph(kind="partial"),
    "learned": LearnedGraph,
    "learned-per-class": lambda: LearnedGraph(scope="per-class"),
    "learned-per-trial": lambda: LearnedGraph(scope="per-trial"),
    "learned-per-bin": lambda: LearnedGraph(scope="per-bin"),
    "learned-per-class-per-bin": lambda: LearnedGraph(scope="per-class-per-bin"),
}


def as_graph(value: object) -> Graph:
    """Return ``value`` as a source of graphs.

    Parameters
    ----------
    value
        A `Graph`, which is returned as it is; a matrix, or one per bin, ``[source, target]`` or a DataArray with
        dimensions ``source_unit`` and ``target_unit``, its units in the order of the trials'; or a name:
        ``"identity"``, ``"correlation"``,
        ``"partial-correlation"``, ``"learned"``, ``"learned-per-class"``, ``"learned-per-trial"``,
        ``"learned-per-bin"``, ``"learned-per-class-per-bin"``.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if isinstance(value, Graph):
        return value
    if isinstance(value, str):
        return entry("graph", value, _NAMED)()
    if isinstance(value, xr.DataArray):
        value = _by_name(value)
    if hasattr(value, "__array__") or isinstance(value, list | tuple):
        return GivenGraph(np.asarray(value))
    raise ConfigError(
        f"expected a graph: one of {', '.join(_NAMED)}, a matrix, or a graph estimator such as LearnedGraph(); got "
        f"{value!r:.80}."
    )


def _by_name(matrix: xr.DataArray) -> xr.DataArray:
    """Return a labelled matrix with sources before targets, however it was turned."""
    named = ("source_unit", "target_unit")
    if not set(named) <= set(matrix.dims):
        raise ConfigError(
            f"expected a graph with dimensions {', '.join(named)}, got {', '.join(map(str, matrix.dims))}."
        )
    return matrix.transpose(..., *named)

"""Which graphs, scopes, blocks and read-outs graph decoders may be made of, and which combinations have a name."""

from itertools import product
from typing import Final, NamedTuple

import pandas as pd

from spikesight.decoders import registry
from spikesight.decoders.spatiotemporal import SpatiotemporalDecoder
from spikesight.networks.graph_estimator import Graph
from spikesight.networks.graphs import CorrelationGraph, GivenGraph, IdentityGraph, as_graph
from spikesight.networks.learned_graphs import SCOPES
from spikesight.networks.spatial import SPATIAL
from spikesight.networks.spatiotemporal import READOUTS
from spikesight.networks.temporal import TEMPORAL

STAGES: Final = ("graph", "scope", "spatial", "temporal", "readout")
_SINGLE: Final = "single"
_SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "identity": (_SINGLE,),
    "given": (_SINGLE, "per-bin"),
    "correlation": (_SINGLE,),
    "partial correlation": (_SINGLE,),
    "learned": tuple(SCOPES),
}
"""Scopes that each graph may have."""


class Variants(NamedTuple):
    """All combinations.

    Attributes
    ----------
    combinations
        One row per legal combination, columns ``STAGES``.
    named
        The registered graph decoders: ``decoder`` and ``STAGES``, as their defaults are.
    """

    combinations: pd.DataFrame
    named: pd.DataFrame


def decoder_variants() -> Variants:
    """List every legal combination of graph, scope, spatial block, temporal block and read-out."""
    graphs = [(graph, scope) for graph, scopes in _SCOPES.items() for scope in scopes]
    rows = [(*graph, *blocks) for graph, *blocks in product(graphs, SPATIAL, TEMPORAL, READOUTS)]
    return Variants(pd.DataFrame(rows, columns=list(STAGES)), pd.DataFrame(_named()))


def _named() -> list[dict[str, str]]:
    found = []
    for name in registry.names():
        cls = registry.get(name)
        if not issubclass(cls, SpatiotemporalDecoder):
            continue
        decoder = cls()
        graph = decoder.default_graph() if decoder.graph is None else as_graph(decoder.graph)
        blocks = {"spatial": decoder.spatial, "temporal": decoder.temporal, "readout": decoder.readout}
        found.append({"decoder": name, "graph": _kind(graph), "scope": getattr(graph, "scope", _SINGLE), **blocks})
    return found


def _kind(graph: Graph) -> str:
    if isinstance(graph, CorrelationGraph):
        return "correlation" if graph.kind == "pearson" else "partial correlation"
    if isinstance(graph, IdentityGraph | GivenGraph):
        return "identity" if isinstance(graph, IdentityGraph) else "given"
    return "learned"

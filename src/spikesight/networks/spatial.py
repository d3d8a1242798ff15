"""Spatial blocks: how a unit's numbers are mixed with those of the units that send it an edge.

Every block maps ``(G, S, N, in_channels)`` to ``(G, S, N, out_channels)``: G graphs, S slices (a bin of a trial) that
share a graph, N units. ``weight[source, target]`` scales what the target hears of the source. A unit's own value is the
block's business: graphs have no self-edges. No block makes an array of slices x units x units.

| name | what a unit hears |
|---|---|
| ``message-passing`` | a small network of each source, scaled by a gate of the target |
| ``sage`` | the weighted mean of its sources (Hamilton et al. 2017) |
| ``sgc`` | several rounds of the normalised graph, then one linear map (Wu et al. 2019) |
| ``gcn`` | one round of the normalised graph, then a linear map (Kipf and Welling 2017) |
| ``gatv2`` | attention over its sources (Brody et al. 2022) |
"""

from typing import Final

import torch
from torch import Tensor, nn

from spikesight.errors import ConfigError, UnknownNameError
from spikesight.networks.adjacency import DenseEdges, Edges, SparseEdges
from spikesight.networks.attention import attention_weights, dense_attention, sparse_attention
from spikesight.networks.removed_edges import with_pull_of_removed

SPATIAL: Final = ("message-passing", "sage", "sgc", "gcn", "gatv2")
DENSE_LIMIT: Final = 500
"""Units up to which attention is over all edges; above, over the strongest incoming ones."""
N_SOURCES: Final = 16
"""Incoming edges that a unit keeps above that limit."""


class UnitMap(nn.Module):
    """A slope and an offset of each unit's own, for each output: what tells units apart beside what they fire.

    Parameters
    ----------
    n_units, out_channels
        Number of units, and of outputs per unit.
    """

    def __init__(self, n_units: int, out_channels: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.randn(n_units, out_channels))
        self.offset = nn.Parameter(torch.randn(n_units, out_channels))

    def forward(self, h: Tensor) -> Tensor:
        """Map the values of units, (G, S, N, 1), to (G, S, N, out_channels)."""
        return torch.addcmul(self.offset, h, self.slope)


class MessagePassing(nn.Module):
    """A network of each source, summed with the edges' weights and gated by the target.

    ``out_j = own(h_j) + gate(h_j) * sum_i w_ij phi(h_i) / (1 + sum_i w_ij)`` with ``phi`` a linear map and a ReLU, and
    ``gate`` a linear map and a sigmoid. A message depends on both ends of its edge, yet is computed once per source.
    The denominator keeps the scale of a given matrix from mattering: strong edges give the mean of the messages, no
    edges give none.

    Parameters
    ----------
    own, phi, gate
        Maps from ``(G, S, N, in_channels)`` to ``(G, S, N, out_channels)``.
    """

    linear: Final = False

    def __init__(self, own: nn.Module, phi: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.own = own
        self.phi = phi
        self.gate = gate

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """Map ``h`` (G, S, N, in_channels) to (G, S, N, out_channels)."""
        heard = edges.aggregate(torch.relu(self.phi(h))) / (1 + _column(edges.in_strength()))
        return torch.addcmul(self.own(h), torch.sigmoid(self.gate(h)), heard)


class Sage(nn.Module):
    """GraphSAGE with the mean: a map of the unit, plus the weighted mean of another of its sources (0 without any).

    Parameters
    ----------
    own, others
        Maps from ``(G, S, N, in_channels)`` to ``(G, S, N, out_channels)``.

    References
    ----------
    Hamilton, Ying and Leskovec (2017), "Inductive representation learning on large graphs", NeurIPS.
    """

    linear: Final = False

    def __init__(self, own: nn.Module, others: nn.Module) -> None:
        super().__init__()
        self.own = own
        self.others = others

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """Map ``h`` (G, S, N, in_channels) to (G, S, N, out_channels)."""
        strength = _column(edges.in_strength())
        some = strength > 0
        per_strength = some / torch.where(some, strength, torch.ones_like(strength))
        return torch.addcmul(self.own(h), edges.aggregate(self.others(h)), per_strength)


class Propagation(nn.Module):
    """A map of each unit, then rounds of the normalised graph: GCN with one and a ReLU after it, SGC with several.

    A linear map that units share may as well come after the rounds, as it is written elsewhere: the two commute.

    For directed graphs the symmetric normalisation becomes ``D_in^-1/2 (A + I)^T D_out^-1/2``: an edge is divided by
    the roots of its source's out-strength and its target's in-strength, self-loops of weight 1 included. On a symmetric
    graph that is the normalisation of Kipf and Welling.

    Parameters
    ----------
    mapping
        Map from ``(G, S, N, in_channels)`` to ``(G, S, N, out_channels)``.
    n_hops
        Rounds.
    bias
        Of each output, added after the rounds; None: none is.
    linear
        Whether the block is meant to stay linear (SGC); whoever stacks it reads this.

    References
    ----------
    Kipf and Welling (2017), "Semi-supervised classification with graph convolutional networks", ICLR.
    Wu et al. (2019), "Simplifying graph convolutional networks", ICML.
    """

    def __init__(self, mapping: nn.Module, *, n_hops: int, linear: bool, bias: nn.Parameter | None = None) -> None:
        super().__init__()
        self.n_hops = n_hops
        self.linear = linear
        self.map = mapping
        self.bias = bias

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """Map ``h`` (G, S, N, in_channels) to (G, S, N, out_channels)."""
        h = self.map(h)
        leaving, arriving = ((strength + 1).rsqrt() for strength in (edges.out_strength(), edges.in_strength()))
        normalised = edges.scaled(leaving, arriving)  # the edges, of which there is less than of activity
        for _ in range(self.n_hops):
            h = normalised.aggregate(h, own=leaving * arriving)
        return h if self.bias is None else h + self.bias


class GATv2(nn.Module):
    """Attention over the sources of each unit and the unit itself, with the edges' weights in the score.

    ``score_ij = attention . leaky_relu(source(h_i) + target(h_j) + w_ij edge_vector)``, softmax over sources,
    ``out_j = sum_i alpha_ij source(h_i)``. Weights ``w_ij`` are in units of the mean over the edges of their graph, to
    count alike in graphs of few and of many units. An edge of weight 0 is left out and can come back
    (`with_pull_of_removed`). Exact over all edges that it is given. Graphs of more than ``DENSE_LIMIT`` units
    are given as `SparseEdges`, the ``N_SOURCES`` strongest incoming ones of each unit
    (`spikesight.networks.graph_module.StrongestEdges`).

    Parameters
    ----------
    source, target
        Maps from ``(G, S, N, in_channels)`` to ``(G, S, N, out_channels)``.
    out_channels
        Numbers per unit.

    References
    ----------
    Brody, Alon and Yahav (2022), "How attentive are graph attention networks?", ICLR.
    """

    linear: Final = False

    def __init__(self, source: nn.Module, target: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.source = source
        self.target = target
        self.edge_vector = nn.Parameter(torch.randn(out_channels))
        self.attention = nn.Parameter(torch.randn(out_channels) * out_channels**-0.5)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """Map ``h`` (G, S, N, in_channels) to (G, S, N, out_channels)."""
        source, target, vector, attention = self._inputs(h)
        edges = _in_mean_weights(edges, source)
        if isinstance(edges, SparseEdges):
            out = sparse_attention(source, target, edges.sources, edges.weights, vector, attention)
        else:
            out = dense_attention(source, target, edges.weights, vector, attention)
        return with_pull_of_removed(out, source, edges).to(h)

    def attention_on_sources(self, h: Tensor, edges: Edges) -> Tensor:
        """Return the attention of each target on each source, (N, N), averaged over graphs and slices.

        ``[source, target]``; what a unit keeps for itself is on the diagonal, so every column sums to 1.
        """
        source, target, vector, attention = self._inputs(h)
        edges = _in_mean_weights(edges, source)
        if isinstance(edges, SparseEdges):
            weights = attention_weights(source, target, edges.weights, vector, attention, sources=edges.sources)
            kept = SparseEdges(edges.sources, weights).mean()
            return kept.weights[0] + torch.diag(1 - kept.in_strength()[0])
        total = edges.weights.new_zeros(edges.n_units, edges.n_units)
        for graph in range(edges.n_graphs):  # one at a time: of many graphs, a matrix each would be large
            one = slice(graph, graph + 1)
            total += attention_weights(source[one], target[one], edges.weights[one], vector, attention)[0]
        return total / edges.n_graphs

    def _inputs(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the compiled loops take: they run on the CPU, and not in half precision."""
        parts = (self.source(h), self.target(h), self.edge_vector, self.attention)
        source, target, vector, attention = (part.to("cpu", self.attention.dtype) for part in parts)
        return source, target, vector, attention


SpatialBlock = MessagePassing | Sage | Propagation | GATv2


def make_spatial(
    name: str, in_channels: int, out_channels: int, *, n_units: int | None = None, n_hops: int = 2
) -> SpatialBlock:
    """Make a spatial block.

    Parameters
    ----------
    name
        One of ``SPATIAL``.
    in_channels, out_channels
        Numbers per unit.
    n_units
        If given, each unit has maps of its own (`UnitMap`), and messages depend on who sends them; else all units share
        them. It needs one number per unit to start from.
    n_hops
        Rounds of ``"sgc"``; the others have one.

    Raises
    ------
    UnknownNameError
        If there is no such block.
    ConfigError
        If there are no rounds, or units with maps of their own start from more than one number.
    """
    if n_hops < 1:
        raise ConfigError(f"expected n_hops of at least 1, got {n_hops!r}.")
    if n_units is not None and in_channels != 1:
        raise ConfigError(f"expected one number per unit for maps of each unit's own, got in_channels={in_channels}.")

    def mapping(*, bias: bool = True) -> nn.Module:
        if n_units is not None:
            return UnitMap(n_units, out_channels)
        return nn.Linear(in_channels, out_channels, bias=bias)

    def propagation(*, n_hops: int, linear: bool) -> Propagation:
        bias = nn.Parameter(torch.zeros(out_channels)) if n_units is None else None
        return Propagation(mapping(bias=False), n_hops=n_hops, linear=linear, bias=bias)

    match name:
        case "message-passing":
            return MessagePassing(mapping(), mapping(), mapping())
        case "sage":
            return Sage(mapping(), mapping(bias=False))
        case "sgc":
            return propagation(n_hops=n_hops, linear=True)
        case "gcn":
            return propagation(n_hops=1, linear=False)
        case "gatv2":
            return GATv2(mapping(), mapping(), out_channels)
    raise UnknownNameError("spatial block", name, SPATIAL)


def _column(strength: Tensor) -> Tensor:
    """Return (G, N) as (G, 1, N, 1)."""
    return strength[:, None, :, None]


def _in_mean_weights(edges: Edges, like: Tensor) -> DenseEdges | SparseEdges:
    """Return the weights written out, in units of the mean over the edges of each graph, as the tensor ``like`` is."""
    weights = (edges.weights if isinstance(edges, SparseEdges) else edges.dense()).to(like)
    known = weights.detach()
    mean = known.sum(dim=(1, 2)) / (known > 0).sum(dim=(1, 2)).clamp(min=1)
    weights = weights / torch.where(mean > 0, mean, 1.0)[:, None, None]
    if isinstance(edges, SparseEdges):
        return SparseEdges(edges.sources.to(like.device), weights)
    return DenseEdges(weights)

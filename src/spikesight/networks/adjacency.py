"""The forms of a batch of directed graphs: dense, low rank, and a few strongest edges per unit.

``weight[source, target] >= 0``, and no unit has an edge to itself: what a unit makes of its own value is the business
of the block that passes messages. Letters: G graphs, S slices (trials and bins that share a graph), N units, C
channels, R rank, k edges kept per unit.

A graph here is what a decoder passes messages over. It says nothing about which neuron drives which: on simulated
networks of known couplings such graphs find the couplings no better than chance. Connectivity is another question,
with estimators of its own.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from spikesight.networks.strongest_edges import n_kept, strongest_sources


class Edges(ABC):
    """A batch of directed graphs of the same units, in one of three forms."""

    @property
    @abstractmethod
    def n_graphs(self) -> int:
        """Number of graphs, G."""

    @property
    @abstractmethod
    def n_units(self) -> int:
        """Number of units, N."""

    @abstractmethod
    def aggregate(self, h: Tensor, own: Tensor | None = None) -> Tensor:
        """Return the weighted sum over the sources of every unit: ``out[j] = sum_i weight[i, j] h[i] + own[j] h[j]``.

        Parameters
        ----------
        h
            ``(G, S, N, C)``: every slice of a graph gets its messages.
        own
            Weight of what each unit tells itself, ``(G, N)``; None: it tells itself nothing.
        """

    @abstractmethod
    def in_strength(self) -> Tensor:
        """Return the summed weight of the edges into each unit, (G, N)."""

    @abstractmethod
    def out_strength(self) -> Tensor:
        """Return the summed weight of the edges out of each unit, (G, N)."""

    @abstractmethod
    def dense(self) -> Tensor:
        """Return all weights, (G, N, N), ``[graph, source, target]``."""

    @abstractmethod
    def at(self, sources: Tensor) -> Tensor:
        """Return the weights of chosen edges, with their gradient.

        Parameters
        ----------
        sources
            ``(G, N, k)``, int64: for every target unit, the positions of ``k`` sources, never its own.
        """

    @abstractmethod
    def strongest_sources(self, k: int) -> Tensor:
        """Return the positions of the ``k`` strongest sources of every unit, (G, N, k), ascending.

        Ties go to the lowest positions. With fewer than ``k`` other units, all of them.
        """

    @abstractmethod
    def scaled(self, source_gain: Tensor, target_gain: Tensor) -> Self:
        """Return the graphs with ``weight[i, j]`` times ``source_gain[i] target_gain[j]``, gains (G, N), >= 0."""

    @abstractmethod
    def select(self, graphs: Tensor) -> Self:
        """Return some of the graphs, by position, ``(n,)`` int64; a graph may be taken several times."""

    @abstractmethod
    def mean(self) -> "Edges":
        """Return the mean over the graphs, as one graph."""

    def strongest(self, k: int) -> "SparseEdges":
        """Return the ``k`` strongest edges into every unit; the weights keep their gradient, the choice has none."""
        sources = self.strongest_sources(k)
        return SparseEdges(sources, self.at(sources))


@dataclass(frozen=True, eq=False)
class DenseEdges(Edges):
    """All weights written out.

    Parameters
    ----------
    weights
        ``(G, N, N)``, ``[graph, source, target]``, zero on the diagonal.
    """

    weights: Tensor

    def __post_init__(self) -> None:
        if self.weights.ndim != 3 or self.weights.shape[1] != self.weights.shape[2]:
            raise ValueError(f"expected weights (graphs, units, units), got {tuple(self.weights.shape)}.")
        if self.weights.diagonal(dim1=1, dim2=2).any():
            raise ValueError("expected no edge from a unit to itself, got a diagonal that is not zero.")

    @property
    def n_graphs(self) -> int:
        """Number of graphs, G."""
        return self.weights.shape[0]

    @property
    def n_units(self) -> int:
        """Number of units, N."""
        return self.weights.shape[1]

    def aggregate(self, h: Tensor, own: Tensor | None = None) -> Tensor:
        """Return the weighted sum over sources, as one product of matrices per graph."""
        return _with_own(torch.einsum("gij,gsic->gsjc", self.weights, h), h, own)

    def in_strength(self) -> Tensor:
        """Return the summed weight of the edges into each unit, (G, N)."""
        return self.weights.sum(dim=1)

    def out_strength(self) -> Tensor:
        """Return the summed weight of the edges out of each unit, (G, N)."""
        return self.weights.sum(dim=2)

    def dense(self) -> Tensor:
        """Return all weights, (G, N, N)."""
        return self.weights

    def at(self, sources: Tensor) -> Tensor:
        """Return the weights of chosen edges, (G, N, k)."""
        return self.weights.transpose(1, 2).gather(2, sources)

    def strongest_sources(self, k: int) -> Tensor:
        """Return the strongest sources of every unit, (G, N, k)."""

        def incoming(graph: int, targets: slice) -> Tensor:
            return self.weights[graph, :, targets].T.clone()

        return strongest_sources(incoming, self.n_graphs, self.n_units, k)

    def scaled(self, source_gain: Tensor, target_gain: Tensor) -> "DenseEdges":
        """Return the graphs with gains for sources and targets."""
        return DenseEdges(self.weights * source_gain[:, :, None] * target_gain[:, None, :])

    def select(self, graphs: Tensor) -> "DenseEdges":
        """Return some of the graphs."""
        return DenseEdges(self.weights[graphs])

    def mean(self) -> "DenseEdges":
        """Return the mean over the graphs."""
        return DenseEdges(self.weights.mean(dim=0, keepdim=True))


@dataclass(frozen=True, eq=False)
class LowRankEdges(Edges):
    """Weights as products of factors, ``weight[i, j] = sum_r source[i, r] target[j, r]`` for ``i != j``.

    No N x N matrix is made, except by ``dense``.

    Parameters
    ----------
    source, target
        ``(G, N, R)``, non-negative: how strongly a unit sends to, and listens to, each of R pools. R may be 0.
    """

    source: Tensor
    target: Tensor

    def __post_init__(self) -> None:
        if self.source.ndim != 3 or self.source.shape != self.target.shape:
            raise ValueError(
                "expected source and target factors of one shape (graphs, units, rank), got "
                f"{tuple(self.source.shape)} and {tuple(self.target.shape)}."
            )

    @property
    def n_graphs(self) -> int:
        """Number of graphs, G."""
        return self.source.shape[0]

    @property
    def n_units(self) -> int:
        """Number of units, N."""
        return self.source.shape[1]

    @property
    def rank(self) -> int:
        """Rank R of the factors."""
        return self.source.shape[2]

    def _to_itself(self) -> Tensor:
        """Return what the factors say of a unit's edge to itself, (G, N): always to be taken away."""
        return (self.source * self.target).sum(dim=2)

    def aggregate(self, h: Tensor, own: Tensor | None = None) -> Tensor:
        """Return the weighted sum over sources: into R pools, and out of them."""
        pools = torch.einsum("gir,gsic->gsrc", self.source, h)
        summed = torch.einsum("gjr,gsrc->gsjc", self.target, pools)
        itself = -self._to_itself() if own is None else own - self._to_itself()
        return _with_own(summed, h, itself)

    def in_strength(self) -> Tensor:
        """Return the summed weight of the edges into each unit, (G, N)."""
        return (self.target * self.source.sum(dim=1, keepdim=True)).sum(dim=2) - self._to_itself()

    def out_strength(self) -> Tensor:
        """Return the summed weight of the edges out of each unit, (G, N)."""
        return (self.source * self.target.sum(dim=1, keepdim=True)).sum(dim=2) - self._to_itself()

    def dense(self) -> Tensor:
        """Return all weights, (G, N, N)."""
        return without_self_edges(self.source @ self.target.transpose(1, 2))

    def at(self, sources: Tensor) -> Tensor:
        """Return the weights of chosen edges, (G, N, k), from the rows of the factors alone."""
        graphs = torch.arange(self.n_graphs, device=sources.device)[:, None, None]
        return torch.einsum("gjkr,gjr->gjk", self.source[graphs, sources], self.target)

    def strongest_sources(self, k: int) -> Tensor:
        """Return the strongest sources of every unit, (G, N, k), a few targets at a time."""

        def incoming(graph: int, targets: slice) -> Tensor:
            return self.target[graph, targets] @ self.source[graph].T

        return strongest_sources(incoming, self.n_graphs, self.n_units, k)

    def scaled(self, source_gain: Tensor, target_gain: Tensor) -> "LowRankEdges":
        """Return the graphs with gains for sources and targets."""
        return LowRankEdges(self.source * source_gain[:, :, None], self.target * target_gain[:, :, None])

    def select(self, graphs: Tensor) -> "LowRankEdges":
        """Return some of the graphs."""
        return LowRankEdges(self.source[graphs], self.target[graphs])

    def mean(self) -> "LowRankEdges":
        """Return the mean over the graphs, exactly: the factors side by side, of rank G R."""
        n_units = self.n_units
        source = self.source.transpose(0, 1).reshape(1, n_units, -1) / self.n_graphs
        return LowRankEdges(source, self.target.transpose(0, 1).reshape(1, n_units, -1))


@dataclass(frozen=True, eq=False)
class SparseEdges(Edges):
    """A few edges into every unit.

    Parameters
    ----------
    sources
        ``(G, N, k)``, int64: for every target unit, the positions of its sources, each at most once.
    weights
        ``(G, N, k)``; weight 0 is no edge.
    """

    sources: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        if self.sources.ndim != 3 or self.sources.shape != self.weights.shape:
            raise ValueError(
                "expected sources and weights of one shape (graphs, units, edges), got "
                f"{tuple(self.sources.shape)} and {tuple(self.weights.shape)}."
            )

    @property
    def n_graphs(self) -> int:
        """Number of graphs, G."""
        return self.sources.shape[0]

    @property
    def n_units(self) -> int:
        """Number of units, N."""
        return self.sources.shape[1]

    def aggregate(self, h: Tensor, own: Tensor | None = None) -> Tensor:
        """Return the weighted sum over sources, edge by edge."""
        summed: Tensor = _SparseSum.apply(h, self.sources, self.weights)  # type: ignore[no-untyped-call]
        return _with_own(summed, h, own)

    def in_strength(self) -> Tensor:
        """Return the summed weight of the edges into each unit, (G, N)."""
        return self.weights.sum(dim=2)

    def out_strength(self) -> Tensor:
        """Return the summed weight of the edges out of each unit, (G, N)."""
        empty = self.weights.new_zeros(self.n_graphs, self.n_units)
        return empty.scatter_add(1, self.sources.flatten(1), self.weights.flatten(1))

    def dense(self) -> Tensor:
        """Return all weights, (G, N, N)."""
        empty = self.weights.new_zeros(self.n_graphs, self.n_units, self.n_units)
        return empty.scatter_add(2, self.sources, self.weights).transpose(1, 2)

    def at(self, sources: Tensor) -> Tensor:
        """Return the weights of chosen edges, (G, N, k); 0 for those that are not here."""
        same = sources[..., :, None] == self.sources[..., None, :]
        return (same * self.weights[..., None, :]).sum(dim=-1)

    def strongest_sources(self, k: int) -> Tensor:
        """Return the strongest of the sources that each unit has."""
        by_source = self.sources.argsort(dim=2)
        sources, weights = self.sources.gather(2, by_source), self.weights.detach().gather(2, by_source)
        order = weights.argsort(dim=2, descending=True, stable=True)[..., : n_kept(k, self.n_units)]
        return sources.gather(2, order).sort(dim=2).values

    def scaled(self, source_gain: Tensor, target_gain: Tensor) -> "SparseEdges":
        """Return the graphs with gains for sources and targets."""
        gain = source_gain.gather(1, self.sources.flatten(1)).view(self.sources.shape)
        return SparseEdges(self.sources, self.weights * gain * target_gain[:, :, None])

    def select(self, graphs: Tensor) -> "SparseEdges":
        """Return some of the graphs."""
        return SparseEdges(self.sources[graphs], self.weights[graphs])

    def mean(self) -> DenseEdges:
        """Return the mean over the graphs; as each has edges of its own, the mean is dense."""
        total = self.weights.new_zeros(1, self.n_units, self.n_units)
        for sources, weights in zip(self.sources, self.weights, strict=True):
            total = total.scatter_add(2, sources[None], weights[None])
        return DenseEdges(total.transpose(1, 2) / self.n_graphs)


class _SparseSum(torch.autograd.Function):
    """Sum over kept edges, one edge of every unit at a time: no (S, N, k, C) tensor is made or remembered."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, sources: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(h, sources, weights)
        out = torch.zeros_like(h)
        for graph, edge in _pairs(sources):
            messages = h[graph].index_select(1, sources[graph, :, edge])
            out[graph].addcmul_(messages, weights[graph, :, edge, None])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, Tensor]:
        h, sources, weights = ctx.saved_tensors
        (grad_out,) = grads
        grad_h, grad_weights = torch.zeros_like(h), torch.zeros_like(weights)
        for graph, edge in _pairs(sources):
            position = sources[graph, :, edge]
            grad_h[graph].index_add_(1, position, grad_out[graph] * weights[graph, :, edge, None])
            grad_weights[graph, :, edge] = (grad_out[graph] * h[graph].index_select(1, position)).sum(dim=(0, 2))
        return grad_h, None, grad_weights


def _with_own(summed: Tensor, h: Tensor, own: Tensor | None) -> Tensor:
    return summed if own is None else torch.addcmul(summed, own[:, None, :, None], h)


def _pairs(sources: Tensor) -> list[tuple[int, int]]:
    return [(graph, edge) for graph in range(sources.shape[0]) for edge in range(sources.shape[2])]


def without_self_edges(weights: Tensor) -> Tensor:
    """Return ``weights`` (..., N, N) with zeros on the diagonal, as a new tensor that keeps the gradient."""
    itself = torch.eye(weights.shape[-1], dtype=torch.bool, device=weights.device)
    return weights.masked_fill(itself, 0.0)


def no_edges(n_units: int, like: Tensor | None = None) -> LowRankEdges:
    """Return one graph without any edge, of the dtype and device of ``like``: the control of every other graph."""
    empty = torch.zeros(1, n_units, 0) if like is None else like.new_zeros(1, n_units, 0)
    return LowRankEdges(empty, empty)

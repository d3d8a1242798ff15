"""What every graph in a network can do, whether it is given, estimated or learned.

The graph is the one that the decoder passes messages over, no more: that a unit helps to read another one does not
mean that it drives it.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from spikesight.errors import DecoderError
from spikesight.networks.adjacency import DenseEdges, Edges, LowRankEdges, SparseEdges, no_edges
from spikesight.networks.graph_axes import Per, check_per, repeated_over_trials, with_trials, without_trials
from spikesight.networks.strongest_edges import n_kept


class GraphModule(nn.Module, ABC):
    """A source of graphs inside a network.

    No method takes a label: the graphs of all classes are there, and every class is scored with its own.

    Parameters
    ----------
    per
        What there is one graph per: some of ``"class"``, ``"trial"``, ``"bin"``, in this order; none for one graph.
    n_units, n_bins, n_classes
        Shape of a trial, and number of classes.

    Attributes
    ----------
    refine_rounds : int
        How often a network should feed its block's output back through ``refine``.
    """

    refine_rounds: int = 0

    def __init__(self, per: Per, n_units: int, n_bins: int, n_classes: int) -> None:
        super().__init__()
        check_per(per)
        self.per = per
        self.n_units = n_units
        self.n_bins = n_bins
        self.n_classes = n_classes

    @property
    def refined_per(self) -> Per:
        """What the graphs that ``refine`` returns are per: also per trial."""
        return with_trials(self.per)

    def forward(self, x: Tensor) -> Edges:
        """Return the graphs for trials ``x`` (B, T, N): G is the product of the sizes of the axes in ``per``.

        The edges into a unit sum to about 1, so one weight is about 1 / (N - 1): a block that reads weights one by one
        brings them to its own scale.
        A trial's graph depends on that trial only, never on the others of its batch.
        """
        return self.typical()

    @abstractmethod
    def typical(self) -> Edges:
        """Return the graphs per class and bin; where each trial has its own, the mean over some training trials."""

    def start_epoch(self) -> None:
        """Choose anew what is chosen once per epoch of training; nothing, for most graphs."""

    def refine(self, edges: Edges, h: Tensor) -> Edges:
        """Return the graphs ``edges``, one per trial now, changed by what a block made of each trial.

        Only graphs with ``refine_rounds > 0`` can do so.

        Parameters
        ----------
        edges
            What ``forward`` returned for the trials: every round starts from it, not from the round before.
        h
            Output of the block, ``(B, T, N, C)`` or, for graphs per class, ``(K, B, T, N, C)``.

        Returns
        -------
        Edges
            Graphs per ``refined_per``.
        """
        raise DecoderError(f"{type(self).__name__} has no refinement: make its graph with refine_rounds of 1 or more.")

    def mean_adjacency(self, x: Tensor) -> Tensor:
        """Return the weights used for trials ``x`` (B, T, N), averaged over them, without gradient.

        Returns
        -------
        Tensor
            ``[class, bin, source, target]``, without the axes that the graph is not per.
        """
        with torch.no_grad():
            return mean_over_trials(self(x), self.per, self.n_classes, len(x), self.n_bins)

    def factors(self) -> tuple[Tensor, Tensor] | None:
        """Return the source and target factors of a low-rank graph that is the same for all trials, else None.

        Shapes are ``[class, bin, unit, rank]``, without the axes that the graph is not per; ``weight[i, j] = sum_r
        source[i, r] target[j, r]``.
        """
        if "trial" in self.per:
            return None
        with torch.no_grad():
            edges = self.typical()
        if not isinstance(edges, LowRankEdges):
            return None
        lead = _sizes(self.per, self.n_classes, 1, self.n_bins)
        return (
            edges.source.detach().reshape(*lead, self.n_units, edges.rank),
            edges.target.detach().reshape(*lead, self.n_units, edges.rank),
        )


class NoEdges(GraphModule):
    """The graph without edges."""

    empty: Tensor

    def __init__(self, n_units: int, n_bins: int, n_classes: int) -> None:
        super().__init__((), n_units, n_bins, n_classes)
        self.register_buffer("empty", torch.empty(0), persistent=False)

    def typical(self) -> Edges:
        """Return one graph without edges."""
        return no_edges(self.n_units, self.empty)


class FixedGraph(GraphModule):
    """Weights that do not change: one matrix, or one per bin.

    Parameters
    ----------
    weights
        ``(N, N)`` or ``(T, N, N)``, zero on the diagonal.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, n_bins: int, n_classes: int) -> None:
        super().__init__(("bin",) if weights.ndim == 3 else (), weights.shape[-1], n_bins, n_classes)
        self.register_buffer("weights", weights if weights.ndim == 3 else weights[None])

    def typical(self) -> Edges:
        """Return the weights."""
        return DenseEdges(self.weights)


class StrongestEdges(GraphModule):
    """The ``k`` strongest edges into every unit of another graph.

    Which edges those are is chosen when the module is made and again at the start of every epoch of training, from
    ``graph.typical()``: for graphs per class or bin, for each of them; for graphs per trial, once for all trials, from
    the mean graph of some training trials. In a batch only the weights at these positions are computed, with their
    gradient. The positions are part of the module's state: a stored network predicts with those it was trained with.

    Parameters
    ----------
    graph
        Where the edges come from.
    k
        Edges to keep per unit; all, where there are fewer.
    """

    sources: Tensor

    def __init__(self, graph: GraphModule, k: int) -> None:
        super().__init__(graph.per, graph.n_units, graph.n_bins, graph.n_classes)
        self.graph = graph
        self.k = n_kept(k, graph.n_units)
        self.refine_rounds = graph.refine_rounds
        self.register_buffer("sources", self._chosen())

    def start_epoch(self) -> None:
        """Choose the strongest edges of the graphs as they are now."""
        self.sources.copy_(self._chosen())

    def forward(self, x: Tensor) -> Edges:
        """Return the kept edges of the graphs for trials ``x`` (B, T, N), as ``SparseEdges``."""
        edges = self.graph(x)
        sources = self.sources
        if "trial" in self.per:
            shared = repeated_over_trials(without_trials(self.per), len(sources), len(x), self.n_bins)
            sources = sources[shared.to(sources.device)]
        return SparseEdges(sources, edges.at(sources))

    def typical(self) -> Edges:
        """Return the kept edges of the typical graphs."""
        return SparseEdges(self.sources, self.graph.typical().at(self.sources))

    def refine(self, edges: Edges, h: Tensor) -> Edges:
        """Return the kept edges as the whole graph would refine them."""
        return self.graph.refine(edges, h)

    def factors(self) -> tuple[Tensor, Tensor] | None:
        """Return the factors of the whole graph, of which the strongest edges are kept."""
        return self.graph.factors()

    def _chosen(self) -> Tensor:
        with torch.no_grad():
            return self.graph.typical().strongest_sources(max(1, self.k))


def mean_over_trials(edges: Edges, per: Per, n_classes: int, n_trials: int, n_bins: int) -> Tensor:
    """Return the weights averaged over trials, ``[class, bin, source, target]`` without the axes not in ``per``.

    One class and bin at a time: for graphs of low rank, no N x N matrix per trial is made.
    """
    lead = _sizes(without_trials(per), n_classes, 1, n_bins)
    sizes = _sizes(per, n_classes, n_trials, n_bins)
    positions = torch.arange(edges.n_graphs).reshape(sizes)
    positions = positions.movedim(per.index("trial"), -1) if "trial" in per else positions[..., None]
    means = [edges.select(graphs).mean().dense()[0] for graphs in positions.reshape(-1, positions.shape[-1])]
    return torch.stack(means).reshape(*lead, edges.n_units, edges.n_units)


def _sizes(per: Per, n_classes: int, n_trials: int, n_bins: int) -> list[int]:
    sizes = {"class": n_classes, "trial": n_trials, "bin": n_bins}
    return [sizes[axis] for axis in per]

"""The network of a graph decoder: graph, spatial block, temporal block and read-out, one after the other.

::

    trials (B, T, N) --+--> graph ----------> edges
                       |                        |
                       +--> numbers per unit -> spatial block -> one number per unit --(+)--> temporal block -> read-out
                       |                                                                |
                       +------------------------ the unit's own value ------------------+

The unit's own value goes past the graph: without edges, the network is the plain temporal decoder, and the graph only
adds. Where graphs are per class, every class is scored with its own graph: logit k is read from the pass over the graph
of class k. No label enters.
"""

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from spikesight.errors import DecoderError, UnknownNameError
from spikesight.networks.adjacency import Edges
from spikesight.networks.dropout import UnitDropout
from spikesight.networks.graph_axes import Per, group, ungroup
from spikesight.networks.graph_module import GraphModule, mean_over_trials
from spikesight.networks.spatial import GATv2, SpatialBlock
from spikesight.networks.temporal import TemporalBlock

READOUTS: Final = ("trial", "bin")
_CLASS_CHUNK: Final = 10_000_000
"""Numbers in one tensor of the spatial block (40 MB) up to which classes are scored together, each with its graph."""
_START: Final = 0.1
"""Scale at which the graph's part begins: small beside the unit's own value, which is of order 1."""


class SpatiotemporalNetwork(nn.Module):
    """Graph, spatial block, temporal block, read-out.

    Parameters
    ----------
    graph
        Where the edges of a batch come from.
    spatial
        Spatial block that starts from one number per unit.
    temporal
        Temporal block of ``n_units`` inputs per bin.
    readout
        ``"trial"``: one score per class from the trial as the temporal block pools it; ``"bin"``: scores of every bin,
        averaged.
    out_channels, hidden_size
        Numbers per unit after the spatial block, and per bin after the temporal block.
    unit_dropout, dropout
        Share of units, and of hidden values, that are silenced in training.

    Raises
    ------
    UnknownNameError
        If there is no such read-out.
    """

    def __init__(
        self,
        graph: GraphModule,
        spatial: SpatialBlock,
        temporal: TemporalBlock,
        readout: str,
        *,
        out_channels: int,
        hidden_size: int,
        unit_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if readout not in READOUTS:
            raise UnknownNameError("read-out", readout, READOUTS)
        self.unit_dropout = UnitDropout(unit_dropout)
        self.graph = graph
        self.spatial = spatial
        self.outwards = nn.Parameter(_START * out_channels**-0.5 * torch.randn(graph.n_units, out_channels))
        self.temporal = temporal
        self.dropout = nn.Dropout(dropout)
        self.per_bin = readout == "bin"
        self.scores = nn.Linear(hidden_size if self.per_bin else temporal.pooled_size, graph.n_classes)

    def forward(self, trials: Tensor) -> Tensor:
        """Map trials (B, T, N) to logits (B, K)."""
        x = self.unit_dropout(trials)
        edges = self.graph(x)
        if "class" not in self.graph.per:
            return self._logits(self._mixed(x, edges, 1))
        n_classes, width = self.graph.n_classes, x.numel() * self.outwards.shape[1]
        step = max(1, _CLASS_CHUNK // width)
        parts = [
            self._own_logits(x, edges, range(first, min(first + step, n_classes)))
            for first in range(0, n_classes, step)
        ]
        return torch.cat(parts, dim=1)

    @property
    def graph_depends_on_trials(self) -> bool:
        """Whether two trials may be decoded with different graphs."""
        return "trial" in self.graph.per or self.graph.refine_rounds > 0

    def mean_adjacency(self, trials: Tensor) -> Tensor:
        """Return the graphs that trials (B, T, N) are decoded with, refined where they are, averaged over trials.

        Returns
        -------
        Tensor
            ``[class, bin, source, target]``, without the axes that the graph is not per.
        """
        edges, per = self._edges_used(trials)
        return mean_over_trials(edges, per, self.graph.n_classes, len(trials), self.graph.n_bins)

    def attention(self, trials: Tensor) -> Tensor:
        """Return the attention of each unit on each source, (N, N), ``[source, target]``, averaged over all else.

        Raises
        ------
        DecoderError
            If the spatial block has no attention.
        """
        if not isinstance(self.spatial, GATv2):
            raise DecoderError(f"{type(self.spatial).__name__} has no attention; the spatial block 'gatv2' has.")
        edges, per = self._edges_used(trials)
        h = group(trials[..., None], per, self.graph.n_classes)
        return self.spatial.attention_on_sources(h, edges)

    def _edges_used(self, trials: Tensor) -> tuple[Edges, Per]:
        edges = self.graph(trials)
        if not self.graph.refine_rounds:
            return edges, self.graph.per
        return self._messages(trials, edges, self.graph.n_classes)[1], self.graph.refined_per

    def _messages(self, x: Tensor, edges: Edges, n_classes: int) -> tuple[Tensor, Edges]:
        """Return what the spatial block makes of values (B, T, N), and the graphs as last used."""
        h = x[..., None]
        lead, per = tuple(h.shape[:-2]), self.graph.per
        out = ungroup(self.spatial(group(h, per, n_classes), edges), per, n_classes, lead)
        refined = edges
        for _ in range(self.graph.refine_rounds):
            refined, per = self.graph.refine(edges, out), self.graph.refined_per
            out = ungroup(self.spatial(group(h, per, n_classes), refined), per, n_classes, lead)
        return out, refined

    def _mixed(self, x: Tensor, edges: Edges, n_classes: int) -> Tensor:
        """Return the units' values plus what the graph adds, ([K,] B, T, N)."""
        out, _ = self._messages(x, edges, n_classes)
        heard = out if self.spatial.linear else torch.relu(out)
        return x + (heard * self.outwards).sum(dim=-1)

    def _logits(self, values: Tensor) -> Tensor:
        """Map values (M, T, N) to logits (M, K)."""
        states = self.temporal(values)
        if self.per_bin:  # the mean of the bins' logits is the logits of the mean, as the scores are linear
            return cast(Tensor, self.scores(self.dropout(states).mean(dim=1)))
        return cast(Tensor, self.scores(self.dropout(self.temporal.pool(states))))

    def _own_logits(self, x: Tensor, edges: Edges, classes: range) -> Tensor:
        """Return the logits of some classes, each read from the pass over its own graph, (B, len(classes))."""
        per_class = edges.n_graphs // self.graph.n_classes
        graphs = torch.arange(classes.start * per_class, classes.stop * per_class, device=x.device)
        own = edges if len(classes) == self.graph.n_classes else edges.select(graphs)

        def score(values: Tensor) -> Tensor:
            mixed = self._mixed(values, own, len(classes))
            logits = self._logits(mixed.flatten(0, 1)).view(*mixed.shape[:2], -1)
            return logits[:, :, classes.start : classes.stop].diagonal(dim1=0, dim2=2)

        if own is edges or not torch.is_grad_enabled():
            return score(x)
        return cast(Tensor, checkpoint(score, x, use_reentrant=False))  # computed again in backward: bounded memory

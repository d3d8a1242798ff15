"""Graphs that are learned together with the network that passes messages over them.

All are written in units of the start: a parameter of 1 is an edge of the mean starting weight, at which the edges into
a unit sum to about 1, whatever the number of units. So one learning rate, one weight decay and one threshold suit five
units and two thousand.

A learned graph is what helped the decoder. It is no estimate of connectivity.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from spikesight.networks.adjacency import DenseEdges, Edges, LowRankEdges, without_self_edges
from spikesight.networks.graph_axes import Per, group, repeated_over_trials, without_trials
from spikesight.networks.graph_module import GraphModule
from spikesight.networks.thresholds import above
from spikesight.networks.trial_code import TrialCode

GATE_RANK: Final = 4
"""Rank of what a trial multiplies a full matrix with."""


@dataclass(frozen=True)
class Learning:
    """How a learned graph learns.

    Parameters
    ----------
    threshold
        Edges (low rank: entries of the factors) at or below this many mean starting weights are removed.
    refine_rounds
        How often the block's output changes the graph; 0 for never.
    n_channels
        Numbers per unit in the block's output.
    """

    threshold: float
    refine_rounds: int
    n_channels: int


class LearnedGraphModule(GraphModule):
    """What learned graphs of all forms share: the trials for a typical graph, and the refinement.

    Parameters
    ----------
    per
        What there is one graph per.
    reference
        Some training trials ``(n, T, N)``, of which a graph per trial takes its mean. They are not part of the state.
    n_classes, learning, generator
        Number of classes, how to learn, and where starting values come from.
    """

    reference: Tensor

    def __init__(
        self, per: Per, reference: Tensor, n_classes: int, learning: Learning, generator: torch.Generator
    ) -> None:
        super().__init__(per, reference.shape[2], reference.shape[1], n_classes)
        self.register_buffer("reference", reference, persistent=False)
        self.threshold = learning.threshold
        self.refine_rounds = learning.refine_rounds
        self.refinement = Refinement(learning.n_channels, generator) if learning.refine_rounds else None

    def refine(self, edges: Edges, h: Tensor) -> Edges:
        """Return ``edges`` per trial, times a gain per source and one per target; both come from the unit's output."""
        if self.refinement is None:
            return super().refine(edges, h)
        if "trial" not in self.per:
            shared = repeated_over_trials(without_trials(self.per), edges.n_graphs, h.shape[-4], self.n_bins)
            edges = edges.select(shared.to(h.device))
        output = group(h, self.refined_per, self.n_classes).mean(dim=1)
        return edges.scaled(*self.refinement(output))


class FullGraph(LearnedGraphModule):
    """A weight of its own for every pair of units: one matrix, one per bin, or one changed by every trial.

    Per trial, the learned matrix is multiplied with a gate of low rank, from the trial's activity.

    Parameters
    ----------
    start
        Starting weights, ``(1, N, N)`` or ``(T, N, N)``, mean 1 off the diagonal.
    per, reference, n_classes, learning, generator
        As in `LearnedGraphModule`.
    """

    def __init__(
        self,
        start: Tensor,
        per: Per,
        reference: Tensor,
        n_classes: int,
        learning: Learning,
        generator: torch.Generator,
    ) -> None:
        super().__init__(per, reference, n_classes, learning, generator)
        self.weights = nn.Parameter(without_self_edges(start))
        shape = (self.n_bins, self.n_units, GATE_RANK)
        self.code = TrialCode(*shape, generator) if "trial" in per else None

    def forward(self, x: Tensor) -> Edges:
        """Return the graphs for trials ``x`` (B, T, N)."""
        weights = self.weights
        if self.code is not None:
            source, target = self.code(x)
            weights = weights * ((1 + source) @ (1 + target).transpose(1, 2) / GATE_RANK)
        return DenseEdges(without_self_edges(above(weights, self.threshold)) / max(1, self.n_units - 1))

    def typical(self) -> Edges:
        """Return the graphs of all trials; where each has its own, the mean over the reference."""
        if self.code is None:
            return self.forward(self.reference)
        # one at a time: a matrix for each of the trials at once would be large
        total = self.forward(self.reference[:1]).dense()
        for trial in self.reference[1:]:
            total = total + self.forward(trial[None]).dense()
        return DenseEdges(total / len(self.reference))


class LowRankGraph(LearnedGraphModule):
    """Non-negative factors that all graphs share, plus what a class, a bin or a trial adds to them.

    The entries of the summed factors at or below the threshold are 0: that removes edges exactly, and no matrix of
    units x units is made to find out which.

    Parameters
    ----------
    start
        Starting factors of sources and of targets, ``(2, N, R)``; their products have mean R.
    per, reference, n_classes, learning, generator
        As in `LearnedGraphModule`.
    """

    def __init__(
        self,
        start: Tensor,
        per: Per,
        reference: Tensor,
        n_classes: int,
        learning: Learning,
        generator: torch.Generator,
    ) -> None:
        super().__init__(per, reference, n_classes, learning, generator)
        _, n_units, rank = start.shape
        self.shared = nn.Parameter(start.clone())
        self.of_class = nn.Parameter(torch.zeros(2, n_classes, n_units, rank)) if "class" in per else None
        self.of_bin = nn.Parameter(torch.zeros(2, self.n_bins, n_units, rank)) if "bin" in per else None
        self.code = TrialCode(self.n_bins, n_units, rank, generator) if "trial" in per else None
        self.scale = (rank * max(1, n_units - 1)) ** -0.5

    def forward(self, x: Tensor) -> Edges:
        """Return the graphs for trials ``x`` (B, T, N)."""
        factors = self.shared[:, None, None]  # (2, class or trial, bin, N, R)
        if self.of_class is not None:
            factors = factors + self.of_class[:, :, None]
        if self.code is not None:
            factors = factors + torch.stack(self.code(x))[:, :, None]
        if self.of_bin is not None:
            factors = factors + self.of_bin[:, None]
        source, target = self.scale * above(factors, self.threshold).flatten(1, 2)
        return LowRankEdges(source, target)

    def typical(self) -> Edges:
        """Return the graphs of all trials; where each has its own, the mean over the reference."""
        edges = self.forward(self.reference)
        return edges if self.code is None else edges.mean()


class Refinement(nn.Module):
    """From a block's output to how much each unit sends and listens in this trial: gains from 0 to 2, near 1 at first.

    Parameters
    ----------
    n_channels
        Numbers per unit in the block's output.
    generator
        Where starting values come from.
    """

    def __init__(self, n_channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * n_channels**-0.5 * torch.randn(2, n_channels, generator=generator))
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Return gains of sources and of targets, (G, N) each, from the output (G, N, C)."""
        gains = 2 * torch.sigmoid(output @ self.weight.T + self.bias)
        return gains[..., 0], gains[..., 1]

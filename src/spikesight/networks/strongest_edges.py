"""Which edges are the strongest: the positions of the k strongest sources of every unit, a few targets at a time."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from spikesight.errors import ConfigError

_CHUNK: Final = 2_000_000
"""Weights looked at together: 16 MB in double precision, whatever the number of units and graphs."""


def n_kept(k: int, n_units: int) -> int:
    """Return how many sources a unit can keep: ``k``, or all others where there are fewer.

    Raises
    ------
    ConfigError
        If ``k`` is below 1.
    """
    if k < 1:
        raise ConfigError(f"expected at least one edge to keep per unit, got k={k}.")
    return min(k, n_units - 1)


def strongest_sources(incoming: Callable[[int, slice], Tensor], n_graphs: int, n_units: int, k: int) -> Tensor:
    """Return the ``k`` strongest sources of every unit, in ascending order.

    Of sources that tie, those of the lowest positions are kept, so the choice is the same on every run. No unit is a
    source of itself.

    Parameters
    ----------
    incoming
        Function of a graph and a slice of target units that returns the weights of all edges into them,
        ``(n_targets, n_units)``, non-negative, as a tensor of its own that may be written to.
    n_graphs, n_units, k
        Numbers of graphs, of units, and of edges to keep per unit (never more than the other units).

    Returns
    -------
    Tensor
        ``(n_graphs, n_units, k)``, int64, without a gradient.
    """
    k = n_kept(k, n_units)
    rows = max(1, _CHUNK // n_units)
    with torch.no_grad():
        graphs = [
            torch.cat(
                [_of_targets(incoming(graph, slice(at, at + rows)), at, k) for at in range(0, n_units, rows)], dim=0
            )
            for graph in range(n_graphs)
        ]
    return torch.stack(graphs)


def _of_targets(weights: Tensor, first: int, k: int) -> Tensor:
    """Return the strongest sources (n_targets, k) of the targets from ``first`` on; overwrites ``weights``."""
    targets = torch.arange(len(weights), device=weights.device)
    if k == 0:
        return torch.empty(len(weights), 0, dtype=torch.int64, device=weights.device)
    weights.nan_to_num_(nan=0.0)  # a diverged network is for the training loop to report, not for a choice of edges
    weights[targets, first + targets] = -1.0
    weakest = weights.topk(k, dim=1).values[:, -1:]
    above, tied = weights > weakest, weights == weakest
    room = k - above.sum(dim=1, keepdim=True)
    keep = above | (tied & (tied.cumsum(dim=1) <= room))
    return keep.nonzero()[:, 1].view(len(weights), k)

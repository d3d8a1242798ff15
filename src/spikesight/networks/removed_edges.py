"""A gradient for edges that a threshold removed, where a block leaves them out altogether, as attention does.

A block that sums weighted messages gives every edge a gradient, the removed ones too. Attention normalises over the
edges that are there; one that is gone would stay gone. ``with_pull_of_removed`` gives it the gradient of what it would
bring: training makes it stronger if the target should have been drawn towards that source.
"""

from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd import Function

from spikesight.networks.adjacency import Edges, SparseEdges

_PAIRS: Final = 2000
"""Edges looked at together: two tensors of 10 MB for 160 slices of 8 channels."""


def with_pull_of_removed(out: Tensor, source: Tensor, edges: Edges) -> Tensor:
    """Return ``out``, with a gradient for the edges of weight 0 added to its backward pass.

    The gradient of weight ``ij`` is ``sum over slices and channels of grad_j (source_i - out_j)``: that of an
    attention that would begin to go from where it is to source i. All other gradients are as they were.

    Parameters
    ----------
    out
        Output of an attention, an average of sources, ``(G, S, N, C)``.
    source
        What is averaged, of the same shape.
    edges
        Graphs that were attended to.
    """
    sources = edges.sources if isinstance(edges, SparseEdges) else None
    weights = edges.weights if isinstance(edges, SparseEdges) else edges.dense()
    pulled: Tensor = _Pull.apply(out, source, weights, sources)  # type: ignore[no-untyped-call]
    return pulled


class _Pull(Function):
    @staticmethod
    def forward(ctx: Any, out: Tensor, source: Tensor, weights: Tensor, sources: Tensor | None) -> Tensor:
        ctx.save_for_backward(out, source, weights, sources)
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, Tensor | None, None]:
        out, source, weights, sources = ctx.saved_tensors
        (grad,) = grads
        removed = weights == 0
        if not ctx.needs_input_grad[2] or not removed.any():
            return grad, None, None, None
        staying = (grad * out).sum(dim=(1, 3))
        if sources is not None:
            return grad, None, _of_kept(source, grad, staying, sources, removed), None
        pull = torch.einsum("gsic,gsjc->gij", source, grad) - staying[:, None, :]
        return grad, None, pull * removed, None


def _of_kept(source: Tensor, grad: Tensor, staying: Tensor, sources: Tensor, removed: Tensor) -> Tensor:
    """Return the pull of kept edges (G, N, k) of weight 0; they are few, as the strongest ones are kept."""
    pull = torch.zeros(sources.shape, dtype=grad.dtype, device=grad.device)
    positions = removed.nonzero()
    for at in range(0, len(positions), _PAIRS):
        graph, target, edge = positions[at : at + _PAIRS].unbind(dim=1)
        by_unit = (source.transpose(1, 2)[graph, sources[graph, target, edge]], grad.transpose(1, 2)[graph, target])
        pull[graph, target, edge] = (by_unit[0] * by_unit[1]).sum(dim=(1, 2)) - staying[graph, target]
    return pull

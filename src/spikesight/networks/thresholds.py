"""A threshold that removes edges and still lets them come back."""

from typing import Any

from torch import Tensor
from torch.autograd import Function


def above(values: Tensor, threshold: float) -> Tensor:
    """Return ``values`` where they are above ``threshold`` and exactly 0 elsewhere, with a straight-through gradient.

    The gradient of what was removed is that of what it would be if it were there (Bengio et al. 2013), so that
    training can bring it back. Only one part of it is stopped: a value that is already at or below 0 is not pushed
    further down, as it would need as many steps to return.

    Blocks that sum weighted messages give removed edges a gradient. Attention leaves them out altogether: there,
    `spikesight.networks.removed_edges.with_pull_of_removed` gives them one.

    Parameters
    ----------
    values
        Any shape.
    threshold
        0 or more, so that what is returned is not negative.

    References
    ----------
    Bengio, Leonard and Courville (2013), "Estimating or propagating gradients through stochastic neurons for
    conditional computation", arXiv:1308.3432.
    """
    kept: Tensor = _Above.apply(values, threshold)  # type: ignore[no-untyped-call]
    return kept


class _Above(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, threshold: float) -> Tensor:
        ctx.save_for_backward(values)
        return values * (values > threshold)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (values,) = ctx.saved_tensors
        (grad,) = grads
        return grad.masked_fill((values <= 0) & (grad > 0), 0.0), None

"""Graph attention over weighted, directed edges between units: exact GATv2, forward and gradients, in compiled loops.

Brody, Alon and Yahav 2022, "How attentive are graph attention networks?", with the weight of an edge as its only
feature. For one slice (one trial and bin), source unit i and target unit j ::

    score_ij = attention . leaky_relu(source_i + target_j + weight_ij * edge_vector)
    out_j    = sum_i alpha_ij source_i,      alpha_.j = softmax over the edges into j of score_.j

There is an edge where the weight is not 0. Beside these, every unit has one edge to itself, of weight 0; what stands on
the diagonal of the weights is not read. It is what PyTorch Geometric's ``GATv2Conv(edge_dim=1, fill_value=0.0)``
computes between its linear maps. Where there is no edge there is no gradient.

The softmax is over the edges into a target of one slice, so a batch of trials is a batch: no trial sees another. All
slices of a graph share its weights, and each adds to their gradient. No array of slices x units x units is formed.
The same input gives the same bits, whatever ``torch.get_num_threads()`` is.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikesight.networks.attention_backward import dense_backward
from spikesight.networks.attention_kernels import channel_constants, dense_forward, dense_weight_sums
from spikesight.networks.attention_lanes import LANES
from spikesight.networks.attention_sparse import EDGES_AT_A_TIME, sparse_backward, sparse_forward, sparse_weight_sums

_SHARES: Final = 8
"""Into how many shares the slices of all graphs are cut, about: it must not depend on the number of threads."""

Arrays = list[NDArray[np.floating[Any]]]


def dense_attention(
    source: Tensor, target: Tensor, edges: Tensor, edge_vector: Tensor, attention: Tensor, slope: float = 0.2
) -> Tensor:
    """Attend over all edges of dense graphs.

    Parameters
    ----------
    source, target
        Units as senders and as receivers, shape (graphs, slices, units, channels).
    edges
        ``edges[graph, source, target]``, shape (graphs, units, units); 0 is no edge.
    edge_vector, attention
        Shape (channels,).
    slope
        Of the leaky rectifier below zero.

    Returns
    -------
    Tensor
        Shape (graphs, slices, units, channels).

    Raises
    ------
    ValueError
        If the shapes, types or devices do not fit each other.
    """
    _check_units(source, target, edge_vector, attention)
    n_graphs, _, n_units, _ = source.shape
    _check_like(source, "edges", edges, (n_graphs, n_units, n_units))
    return _apply(_DenseAttention, source, target, edges, edge_vector, attention, slope)


def sparse_attention(
    source: Tensor,
    target: Tensor,
    sources: Tensor,
    weights: Tensor,
    edge_vector: Tensor,
    attention: Tensor,
    slope: float = 0.2,
) -> Tensor:
    """Attend over k incoming edges of every unit, and its edge to itself.

    Parameters
    ----------
    source, target
        Units as senders and as receivers, shape (graphs, slices, units, channels).
    sources
        The unit from which each edge comes, integers of shape (graphs, units, k): row j has the edges into unit j.
    weights
        Their weights, shape (graphs, units, k); 0 is no edge. An edge of a unit to itself is no edge either: every
        unit has one, of weight 0. Two edges from one source are two edges.
    edge_vector, attention
        Shape (channels,).
    slope
        Of the leaky rectifier below zero.

    Returns
    -------
    Tensor
        Shape (graphs, slices, units, channels).

    Raises
    ------
    ValueError
        If the shapes, types or devices do not fit each other, or a source is no unit.
    """
    _check_units(source, target, edge_vector, attention)
    _check_sources(source, sources)
    _check_like(source, "weights", weights, tuple(sources.shape))
    return _apply(_SparseAttention, source, target, sources, weights, edge_vector, attention, slope)


def attention_weights(
    source: Tensor,
    target: Tensor,
    weights: Tensor,
    edge_vector: Tensor,
    attention: Tensor,
    slope: float = 0.2,
    *,
    sources: Tensor | None = None,
) -> Tensor:
    """Average the attention weights over slices; no gradient.

    Parameters
    ----------
    source, target, edge_vector, attention, slope
        As for `dense_attention`.
    weights, sources
        Edges of dense graphs, shape (graphs, units, units), and None; or weights and sources as for
        `sparse_attention`.

    Returns
    -------
    Tensor
        Of dense graphs: shape (graphs, units, units), source to target; what a unit gives itself is on the diagonal,
        and each column sums to 1. With ``sources``: shape (graphs, units, k); what is missing to 1 a unit gives itself.
    """
    _check_units(source, target, edge_vector, attention)
    n_graphs, n_slices, n_units, _ = source.shape
    values = [value.detach().contiguous() for value in (source, target, weights, edge_vector, attention)]
    x, y, kept, vector, a = [value.numpy() for value in values]
    constants = channel_constants(vector, a, slope)
    if sources is None:
        _check_like(source, "weights", weights, (n_graphs, n_units, n_units))
        sums = np.empty_like(kept)
        for g in range(n_graphs):
            out, log_sums = np.empty_like(x[g]), np.empty(x.shape[1:3], x.dtype)
            dense_forward(x[g], y[g], kept[g], constants, out, log_sums)
            dense_weight_sums(x[g], y[g], kept[g], constants, log_sums, sums[g])
        return torch.from_numpy(sums / n_slices)
    _check_sources(source, sources)
    _check_like(source, "weights", weights, tuple(sources.shape))
    x, y, edges, kept, _, _ = _as_sparse([*values[:2], sources, *values[2:]])
    sums = np.zeros_like(kept)
    for g, first in product(range(n_graphs), range(0, n_slices, LANES)):
        sparse_weight_sums(x[g], y[g], edges[g], kept[g], constants, a.size, first, sums[g])
    return torch.from_numpy(sums[:, :, : sources.shape[2]] / n_slices)


def _apply(function: Any, *arguments: Any) -> Tensor:
    result: Tensor = function.apply(*arguments)
    return result


class _DenseAttention(torch.autograd.Function):
    """Keeps what goes in, what comes out and one number per softmax; the backward pass finds the rest again."""

    @staticmethod
    def forward(
        ctx: Any, source: Tensor, target: Tensor, edges: Tensor, edge_vector: Tensor, attention: Tensor, slope: float
    ) -> Tensor:
        inputs = [tensor.detach().contiguous() for tensor in (source, target, edges, edge_vector, attention)]
        x, y, weights, vector, a = [tensor.numpy() for tensor in inputs]
        constants = channel_constants(vector, a, slope)
        out, log_sums = np.empty_like(x), np.empty(x.shape[:3], x.dtype)

        def attend(g: int, run: slice) -> None:
            dense_forward(x[g, run], y[g, run], weights[g], constants, out[g, run], log_sums[g, run])

        _in_threads(attend, _shares(*x.shape[:2]))
        result = torch.from_numpy(out)
        ctx.save_for_backward(*inputs, result, torch.from_numpy(log_sums))
        ctx.slope = slope
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weights, vector, a, out, log_sums = [tensor.detach().numpy() for tensor in ctx.saved_tensors]
        constants, grads = channel_constants(vector, a, ctx.slope), grad.detach().contiguous().numpy()
        source_grad, target_grad = np.zeros_like(x), np.empty_like(y)
        shares = _shares(*x.shape[:2])
        parts = np.empty((len(shares), *weights.shape[1:]), x.dtype)
        sums = np.empty((len(shares), 2, a.size))

        def spread(g: int, run: slice, share: int) -> None:
            dense_backward(
                x[g, run], y[g, run], weights[g], constants, ctx.slope, out[g, run], log_sums[g, run], grads[g, run],
                source_grad[g, run], target_grad[g, run], parts[share], sums[share],
            )  # fmt: skip

        _in_threads(spread, [(*share, number) for number, share in enumerate(shares)])
        weight_grad = _add_parts(parts, len(weights))
        total = sums.sum(axis=0).astype(x.dtype)
        return (*map(torch.from_numpy, (source_grad, target_grad, weight_grad, total[1], total[0])), None)


class _SparseAttention(torch.autograd.Function):
    """Keeps what goes in only; the backward pass finds the rest again."""

    @staticmethod
    def forward(
        ctx: Any,
        source: Tensor,
        target: Tensor,
        sources: Tensor,
        weights: Tensor,
        edge_vector: Tensor,
        attention: Tensor,
        slope: float,
    ) -> Tensor:
        inputs = [value.detach().contiguous() for value in (source, target, sources, weights, edge_vector, attention)]
        x, y, edges, kept, vector, a = _as_sparse(inputs)
        constants = channel_constants(vector, a, slope)
        out = np.empty_like(x)

        def attend(g: int, first: int) -> None:
            sparse_forward(x[g], y[g], edges[g], kept[g], constants, a.size, first, out[g])

        _in_threads(attend, list(product(range(len(x)), range(0, x.shape[1], LANES))))
        ctx.save_for_backward(*inputs)
        ctx.slope = slope
        return torch.from_numpy(out).view(source.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # read once: more is refused where this pass is computed anew in backward
        source, _, sources, *_ = saved
        x, y, edges, kept, vector, a = _as_sparse(saved)
        constants, grads = channel_constants(vector, a, ctx.slope), grad.detach().contiguous().numpy().reshape(x.shape)
        source_grad, target_grad = np.empty_like(x), np.empty_like(y)
        tiles = list(product(range(len(x)), range(0, x.shape[1], LANES)))
        parts = np.empty((len(tiles), *kept.shape[1:]), x.dtype)
        sums = np.empty((len(tiles), 2, a.size))

        def spread(g: int, first: int, tile: int) -> None:
            sparse_backward(
                x[g], y[g], edges[g], kept[g], constants, ctx.slope, a.size, first, grads[g], source_grad[g],
                target_grad[g], parts[tile], sums[tile],
            )  # fmt: skip

        _in_threads(spread, [(*tile, number) for number, tile in enumerate(tiles)])
        weight_grad = np.ascontiguousarray(_add_parts(parts, len(x))[:, :, : sources.shape[2]])
        total = sums.sum(axis=0).astype(x.dtype)
        return (
            torch.from_numpy(source_grad).view(source.shape),
            torch.from_numpy(target_grad).view(source.shape),
            None,
            torch.from_numpy(weight_grad),
            torch.from_numpy(total[1]),
            torch.from_numpy(total[0]),
            None,
        )


def _as_sparse(tensors: Sequence[Tensor]) -> Any:
    """Give arrays for the kernels: units and channels as one axis, edges in fours, no edge of a unit to itself."""
    source, target, sources, weights, edge_vector, attention = [tensor.detach() for tensor in tensors]
    x, y = source.flatten(2).numpy(), target.flatten(2).numpy()
    own = torch.arange(source.shape[2])[:, None]
    missing = -sources.shape[2] % EDGES_AT_A_TIME
    kept = torch.nn.functional.pad(weights.masked_fill(sources == own, 0), (0, missing))
    edges = torch.nn.functional.pad(sources.to(torch.int64), (0, missing))
    return x, y, edges.numpy(), kept.numpy(), edge_vector.numpy(), attention.numpy()


def _shares(n_graphs: int, n_slices: int) -> list[tuple[int, slice]]:
    """Cut the slices of every graph into runs, the same number for each graph."""
    n_runs = max(1, min(n_slices, -(-_SHARES // n_graphs)))
    bounds = np.linspace(0, n_slices, n_runs + 1).astype(int).tolist()
    runs = [slice(begin, end) for begin, end in pairwise(bounds)]
    return list(product(range(n_graphs), runs))


def _add_parts(parts: NDArray[Any], n_graphs: int) -> NDArray[Any]:
    """Add the parts of each graph, in their order."""
    by_graph = parts.reshape(n_graphs, -1, *parts.shape[1:])
    total: NDArray[Any] = by_graph[:, 0]
    for run in range(1, by_graph.shape[1]):
        total += by_graph[:, run]
    return np.ascontiguousarray(total)


def _in_threads(function: Callable[..., None], shares: list[Any]) -> None:
    """Call ``function(*share)`` for each share, in as many plain threads as torch may use.

    Not in numba's threads: those abort the process when two threads of a program use them at the same time.
    """
    n_threads = min(torch.get_num_threads(), len(shares))
    if n_threads <= 1:
        for share in shares:
            function(*share)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(lambda share: function(*share), shares))


def _check_units(source: Tensor, target: Tensor, edge_vector: Tensor, attention: Tensor) -> None:
    if source.ndim != 4 or 0 in source.shape:
        raise ValueError(
            f"source must have the shape (graphs, slices, units, channels), none of them 0; got {tuple(source.shape)}"
        )
    if source.dtype not in (torch.float32, torch.float64) or source.device.type != "cpu":
        raise ValueError(f"source must be float32 or float64 on the CPU; got {source.dtype} on {source.device}")
    _check_like(source, "target", target, tuple(source.shape))
    _check_like(source, "edge_vector", edge_vector, (source.shape[3],))
    _check_like(source, "attention", attention, (source.shape[3],))


def _check_sources(source: Tensor, sources: Tensor) -> None:
    n_graphs, _, n_units, _ = source.shape
    if sources.ndim != 3 or sources.shape[:2] != (n_graphs, n_units):
        raise ValueError(
            f"sources must have the shape ({n_graphs}, {n_units}, k) to fit a source of {tuple(source.shape)}; "
            f"got {tuple(sources.shape)}"
        )
    if sources.is_floating_point() or sources.is_complex() or sources.dtype == torch.bool:
        raise ValueError(f"sources must be integers; got {sources.dtype}")
    if sources.numel() and not 0 <= int(sources.min()) <= int(sources.max()) < n_units:
        raise ValueError(
            f"sources must be units from 0 to {n_units - 1}; got {int(sources.min())} to {int(sources.max())}"
        )


def _check_like(source: Tensor, name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise ValueError(
            f"{name} must have the shape {shape} to fit a source of {tuple(source.shape)}; got {tuple(value.shape)}"
        )
    if value.dtype != source.dtype or value.device != source.device:
        raise ValueError(
            f"{name} must be {source.dtype} on {source.device}, as source is; got {value.dtype} on {value.device}"
        )

"""Compiled loops of graph attention (GATv2) over k incoming edges per unit; ``attention_kernels`` has the notation.

Slices lie along the lanes of a vector, eight at a time: an edge then takes whole rows of its source, wherever that is,
and no number is gathered by itself. One tile of slices is turned into this layout, (units x channels, lanes), worked on
and turned back. The softmax of a unit has k + 1 terms; the backward pass simply does it again.

Edges are taken four at a time, in the forward pass and for the scores of the backward pass; so the lists of edges are
padded to a multiple of four with edges of weight 0, which are no edges.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikesight.networks.attention_kernels import NO_SCORE, Floats, kernel, linear_edge_score
from spikesight.networks.attention_lanes import (
    LANES,
    exponential,
    fma,
    larger,
    load,
    positive_part,
    splat,
    store,
    total,
    transpose_square,
    where_nonzero,
    where_positive,
)

Indices = NDArray[np.int64]

EDGES_AT_A_TIME: Final = 4
"""The lists of edges have a multiple of it."""
_TARGETS_PER_FLUSH: Final = 32
"""Targets whose sums are added in the precision of the arrays, before they go to float64."""


@kernel
def _take_slices(values: Floats, first: int, tile: Floats) -> None:
    """Transpose slices from ``first`` of ``values`` (slices, numbers) into ``tile`` (numbers, lanes), or zeros."""
    n_slices, n_numbers = values.shape
    whole = n_numbers // LANES * LANES if first + LANES <= n_slices else 0
    for m in range(0, whole, LANES):
        transpose_square(values, first, m, tile, m, 0)
    for m in range(whole, n_numbers):
        for lane in range(LANES):
            tile[m, lane] = values[first + lane, m] if first + lane < n_slices else 0


@kernel
def _put_slices(tile: Floats, first: int, values: Floats) -> None:
    """Transpose ``tile`` (numbers, lanes) back into slices from ``first`` of ``values`` (slices, numbers)."""
    n_slices, n_numbers = values.shape
    whole = n_numbers // LANES * LANES if first + LANES <= n_slices else 0
    for m in range(0, whole, LANES):
        transpose_square(tile, m, 0, values, first, m)
    for m in range(whole, n_numbers):
        for lane in range(min(LANES, n_slices - first)):
            values[first + lane, m] = tile[m, lane]


@kernel
def _linear_scores(sources: Floats, constants: Floats, n_channels: int, linear: Floats) -> None:
    """Write the linear half of the score of each unit as a source, (units, lanes)."""
    for i in range(linear.shape[0]):
        score = splat(linear, 0.0)
        for c in range(n_channels):
            score = fma(splat(linear, constants[2, c]), load(sources, i * n_channels + c, 0), score)
        store(linear, i, 0, score)


@kernel
def _score_edges(
    j: int, edges: Indices, weights: Floats, sources: Floats, targets: Floats, linear: Floats, constants: Floats,
    n_channels: int, edge_score: float, scores: Floats,
) -> None:  # fmt: skip
    """Score the edges into unit ``j``, then its edge to itself, (edges + 1, lanes)."""
    n_edges = edges.shape[1]
    t = j * n_channels
    for k in range(0, n_edges, EDGES_AT_A_TIME):
        i0, i1, i2, i3 = edges[j, k], edges[j, k + 1], edges[j, k + 2], edges[j, k + 3]
        w0, w1 = splat(scores, weights[j, k]), splat(scores, weights[j, k + 1])
        w2, w3 = splat(scores, weights[j, k + 2]), splat(scores, weights[j, k + 3])
        slope = splat(scores, edge_score)
        s0, s1 = fma(w0, slope, load(linear, i0, 0)), fma(w1, slope, load(linear, i1, 0))
        s2, s3 = fma(w2, slope, load(linear, i2, 0)), fma(w3, slope, load(linear, i3, 0))
        i0, i1, i2, i3 = i0 * n_channels, i1 * n_channels, i2 * n_channels, i3 * n_channels
        for c in range(n_channels):
            y, e, b = load(targets, t + c, 0), splat(scores, constants[0, c]), splat(scores, constants[1, c])
            s0 = fma(b, positive_part(fma(w0, e, y + load(sources, i0 + c, 0))), s0)
            s1 = fma(b, positive_part(fma(w1, e, y + load(sources, i1 + c, 0))), s1)
            s2 = fma(b, positive_part(fma(w2, e, y + load(sources, i2 + c, 0))), s2)
            s3 = fma(b, positive_part(fma(w3, e, y + load(sources, i3 + c, 0))), s3)
        store(scores, k, 0, s0)
        store(scores, k + 1, 0, s1)
        store(scores, k + 2, 0, s2)
        store(scores, k + 3, 0, s3)
    own = load(linear, j, 0)
    for c in range(n_channels):
        b = splat(scores, constants[1, c])
        own = fma(b, positive_part(load(targets, t + c, 0) + load(sources, t + c, 0)), own)
    store(scores, n_edges, 0, own)


@kernel
def _softmax(j: int, weights: Floats, scores: Floats) -> None:
    """Turn the scores of the edges into unit ``j`` into attention weights, in place; 0 where there is no edge."""
    n_edges = weights.shape[1]
    zero, none = splat(scores, 0.0), splat(scores, NO_SCORE)
    top = load(scores, n_edges, 0)
    for k in range(n_edges):
        top = larger(top, where_nonzero(splat(scores, weights[j, k]), load(scores, k, 0), none))
    own = exponential(load(scores, n_edges, 0) - top)
    summed = own
    for k in range(n_edges):
        alpha = where_nonzero(splat(scores, weights[j, k]), exponential(load(scores, k, 0) - top), zero)
        summed = summed + alpha
        store(scores, k, 0, alpha)
    share = splat(scores, 1.0) / summed
    for k in range(n_edges):
        store(scores, k, 0, load(scores, k, 0) * share)
    store(scores, n_edges, 0, own * share)


@kernel
def sparse_forward(
    source: Floats, target: Floats, edges: Indices, weights: Floats, constants: Floats, n_channels: int, first: int,
    out: Floats,
) -> None:  # fmt: skip
    """Attend in ``LANES`` slices from ``first``; ``source``, ``target`` and ``out`` are (slices, units x channels).

    ``edges`` and ``weights`` are (units, edges).
    """
    n_units, n_edges = weights.shape
    dtype = source.dtype
    sources, targets = np.empty((source.shape[1], LANES), dtype), np.empty((source.shape[1], LANES), dtype)
    linear, alphas = np.empty((n_units, LANES), dtype), np.empty((n_edges + 1, LANES), dtype)
    _take_slices(source, first, sources)
    _take_slices(target, first, targets)
    _linear_scores(sources, constants, n_channels, linear)
    edge_score = linear_edge_score(constants)
    for j in range(n_units):
        _score_edges(j, edges, weights, sources, targets, linear, constants, n_channels, edge_score, alphas)
        _softmax(j, weights, alphas)
        t = j * n_channels
        for c in range(n_channels):
            message = load(alphas, n_edges, 0) * load(sources, t + c, 0)
            for k in range(n_edges):
                message = fma(load(alphas, k, 0), load(sources, edges[j, k] * n_channels + c, 0), message)
            store(targets, t + c, 0, message)  # in place: this target is not needed any more
    _put_slices(targets, first, out)


@kernel
def _score_gradients(
    j: int, edges: Indices, sources: Floats, grads: Floats, n_channels: int, alphas: Floats, gradients: Floats
) -> None:
    """Set the gradients of the scores of the edges into unit ``j``, its edge to itself last."""
    n_edges = edges.shape[1]
    t = j * n_channels
    delta = splat(alphas, 0.0)
    for k in range(n_edges + 1):
        i = (edges[j, k] if k < n_edges else j) * n_channels
        match = splat(alphas, 0.0)
        for c in range(n_channels):
            match = fma(load(sources, i + c, 0), load(grads, t + c, 0), match)
        delta = fma(load(alphas, k, 0), match, delta)
        store(gradients, k, 0, match)
    for k in range(n_edges + 1):
        store(gradients, k, 0, load(alphas, k, 0) * (load(gradients, k, 0) - delta))


@kernel
def _spread_edge(
    i: int, j: int, weight: Any, alpha_row: int, sources: Floats, targets: Floats, grads: Floats, constants: Floats,
    n_channels: int, alphas: Floats, gradients: Floats, source_grads: Floats, target_kinks: Floats, sums: Floats,
) -> float:  # fmt: skip
    """Add what one edge gives source, target, attention and edge vector; return the kinks' share for its weight."""
    w, g, alpha = splat(alphas, weight), load(gradients, alpha_row, 0), load(alphas, alpha_row, 0)
    edge = splat(alphas, 0.0)
    s, t = i * n_channels, j * n_channels
    for c in range(n_channels):
        z = fma(w, splat(alphas, constants[0, c]), load(targets, t + c, 0) + load(sources, s + c, 0))
        kink = where_positive(z, g)
        by_message = fma(alpha, load(grads, t + c, 0), load(source_grads, s + c, 0))
        store(source_grads, s + c, 0, fma(splat(alphas, constants[1, c]), kink, by_message))
        store(target_kinks, c, 0, load(target_kinks, c, 0) + kink)
        store(sums, c, 0, fma(z, kink, load(sums, c, 0)))
        store(sums, n_channels + c, 0, fma(w, kink, load(sums, n_channels + c, 0)))
        edge = fma(splat(alphas, constants[3, c]), kink, edge)
    by_kinks: float = total(edge)
    return by_kinks


@kernel
def _flush(sums: Floats, totals: Floats) -> None:
    """Move running sums per lane to float64, before they lose digits."""
    for row in range(sums.shape[0]):
        totals[row] += total(load(sums, row, 0))
    sums[:] = 0


@kernel
def _finish_sources(
    sources: Floats, linear: Floats, constants: Floats, slope: float, n_channels: int, source_grads: Floats,
    totals: Floats,
) -> None:  # fmt: skip
    """Add the linear half of the scores to the gradients of the sources, and to the attention's sums."""
    for c in range(n_channels):
        a, rest = splat(linear, constants[2, c]), splat(linear, 0.0)
        for i in range(linear.shape[0]):
            row = i * n_channels + c
            g = load(linear, i, 0)
            store(source_grads, row, 0, fma(a, g, load(source_grads, row, 0)))
            rest = fma(load(sources, row, 0), g, rest)
        totals[c] = (1 - slope) * totals[c] + slope * total(rest)


@kernel
def sparse_backward(
    source: Floats, target: Floats, edges: Indices, weights: Floats, constants: Floats, slope: float, n_channels: int,
    first: int, grad: Floats, source_grad: Floats, target_grad: Floats, weight_grad: Floats, channel_grads: Floats,
) -> None:  # fmt: skip
    """Fill the gradients of ``LANES`` slices from ``first``.

    ``weight_grad`` (units, edges) and ``channel_grads`` (2, channels: attention, edge vector; float64) are those of
    these slices.
    """
    n_units, n_edges = weights.shape
    dtype, n_numbers = source.dtype, source.shape[1]
    sources, targets = np.empty((n_numbers, LANES), dtype), np.empty((n_numbers, LANES), dtype)
    grads, source_grads = np.empty((n_numbers, LANES), dtype), np.zeros((n_numbers, LANES), dtype)
    linear, linear_grads = np.empty((n_units, LANES), dtype), np.zeros((n_units, LANES), dtype)
    alphas, gradients = np.empty((n_edges + 1, LANES), dtype), np.empty((n_edges + 1, LANES), dtype)
    kinks, sums = np.empty((n_channels, LANES), dtype), np.zeros((2 * n_channels + 1, LANES), dtype)
    totals = np.zeros(2 * n_channels + 1)
    _take_slices(source, first, sources)
    _take_slices(target, first, targets)
    _take_slices(grad, first, grads)
    _linear_scores(sources, constants, n_channels, linear)
    edge_score = linear_edge_score(constants)
    for j in range(n_units):
        _score_edges(j, edges, weights, sources, targets, linear, constants, n_channels, edge_score, alphas)
        _softmax(j, weights, alphas)
        _score_gradients(j, edges, sources, grads, n_channels, alphas, gradients)
        kinks[:] = 0
        for k in range(n_edges + 1):
            i, weight = (edges[j, k], weights[j, k]) if k < n_edges else (j, weights.dtype.type(0))
            g = load(gradients, k, 0)
            store(linear_grads, i, 0, load(linear_grads, i, 0) + g)
            store(sums, 2 * n_channels, 0, fma(splat(sums, weight), g, load(sums, 2 * n_channels, 0)))
            by_kinks = _spread_edge(
                i, j, weight, k, sources, targets, grads, constants, n_channels, alphas, gradients, source_grads,
                kinks, sums,
            )  # fmt: skip
            if k < n_edges:
                weight_grad[j, k] = edge_score * total(g) + by_kinks
        for c in range(n_channels):
            row = j * n_channels + c
            store(targets, row, 0, splat(kinks, constants[1, c]) * load(kinks, c, 0))  # in place
        if j % _TARGETS_PER_FLUSH == 0 or j == n_units - 1:
            _flush(sums, totals)
    _finish_sources(sources, linear_grads, constants, slope, n_channels, source_grads, totals)
    _put_slices(source_grads, first, source_grad)
    _put_slices(targets, first, target_grad)
    for c in range(n_channels):
        weighted = totals[2 * n_channels]
        kink = totals[n_channels + c]
        channel_grads[0, c] = totals[c] + slope * constants[0, c] * weighted
        channel_grads[1, c] = constants[2, c] * weighted + constants[1, c] * kink


@kernel
def sparse_weight_sums(
    source: Floats, target: Floats, edges: Indices, weights: Floats, constants: Floats, n_channels: int, first: int,
    sums: Floats,
) -> None:  # fmt: skip
    """Add the attention weights of ``LANES`` slices from ``first`` up, (units, edges)."""
    n_units, n_edges = weights.shape
    dtype = source.dtype
    sources, targets = np.empty((source.shape[1], LANES), dtype), np.empty((source.shape[1], LANES), dtype)
    linear, alphas = np.empty((n_units, LANES), dtype), np.empty((n_edges + 1, LANES), dtype)
    _take_slices(source, first, sources)
    _take_slices(target, first, targets)
    _linear_scores(sources, constants, n_channels, linear)
    edge_score = linear_edge_score(constants)
    for j in range(n_units):
        _score_edges(j, edges, weights, sources, targets, linear, constants, n_channels, edge_score, alphas)
        _softmax(j, weights, alphas)
        for k in range(n_edges):
            sums[j, k] += alphas[k, : min(LANES, source.shape[0] - first)].sum()

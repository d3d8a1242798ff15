"""Compiled loops of graph attention (GATv2) over k incoming edges per unit; ``attention_kernels`` has the notation.

Slices lie along the lanes of a vector: an edge then takes whole rows of its source, wherever that is, and no number is
gathered by itself. One tile of ``LANES`` slices is turned into this layout, (units x channels, lanes), worked on and
turned back. The softmax of a unit has k + 1 terms; the backward pass simply does it again.

Edges are taken four at a time, in the forward pass and for the scores of the backward pass; so the lists of edges are
padded to a multiple of four with edges of weight 0, which are no edges.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikesight.networks.attention_kernels import NO_SCORE, Floats, kernel, linear_edge_score, part
from spikesight.networks.attention_lanes import (
    LANES,
    exponential,
    fma,
    larger,
    load_row,
    positive_part,
    splat,
    store_row,
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


@part
def _take_slices(values: Floats, first: int, tile: Floats) -> None:
    """Transpose slices from ``first`` of ``values`` (slices, numbers) into ``tile`` (numbers, lanes), or zeros."""
    n_slices, n_numbers = values.shape
    whole = n_numbers // LANES * LANES if first + LANES <= n_slices else 0
    for m in range(0, whole, LANES):
        transpose_square(values, first, m, tile, m, 0)
    for m in range(whole, n_numbers):
        for lane in range(LANES):
            tile[m, lane] = values[first + lane, m] if first + lane < n_slices else 0


@part
def _put_slices(tile: Floats, first: int, values: Floats) -> None:
    """Transpose ``tile`` (numbers, lanes) back into slices from ``first`` of ``values`` (slices, numbers)."""
    n_slices, n_numbers = values.shape
    whole = n_numbers // LANES * LANES if first + LANES <= n_slices else 0
    for m in range(0, whole, LANES):
        transpose_square(tile, m, 0, values, first, m)
    for m in range(whole, n_numbers):
        for lane in range(min(LANES, n_slices - first)):
            values[first + lane, m] = tile[m, lane]


@part
def _linear_scores(sources: Floats, constants: Floats, n_channels: int, linear: Floats) -> None:
    """Write the linear half of the score of each unit as a source, (units, lanes)."""
    for i in range(linear.shape[0]):
        score = splat(linear, 0.0)
        for c in range(n_channels):
            score = fma(splat(linear, constants[2, c]), load_row(sources, i * n_channels + c), score)
        store_row(linear, i, score)


@part
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
        s0, s1 = fma(w0, slope, load_row(linear, i0)), fma(w1, slope, load_row(linear, i1))
        s2, s3 = fma(w2, slope, load_row(linear, i2)), fma(w3, slope, load_row(linear, i3))
        i0, i1, i2, i3 = i0 * n_channels, i1 * n_channels, i2 * n_channels, i3 * n_channels
        for c in range(n_channels):
            y, e, b = load_row(targets, t + c), splat(scores, constants[0, c]), splat(scores, constants[1, c])
            s0 = fma(b, positive_part(fma(w0, e, y + load_row(sources, i0 + c))), s0)
            s1 = fma(b, positive_part(fma(w1, e, y + load_row(sources, i1 + c))), s1)
            s2 = fma(b, positive_part(fma(w2, e, y + load_row(sources, i2 + c))), s2)
            s3 = fma(b, positive_part(fma(w3, e, y + load_row(sources, i3 + c))), s3)
        store_row(scores, k, s0)
        store_row(scores, k + 1, s1)
        store_row(scores, k + 2, s2)
        store_row(scores, k + 3, s3)
    own = load_row(linear, j)
    for c in range(n_channels):
        b = splat(scores, constants[1, c])
        own = fma(b, positive_part(load_row(targets, t + c) + load_row(sources, t + c)), own)
    store_row(scores, n_edges, own)


@part
def _softmax(j: int, weights: Floats, scores: Floats) -> None:
    """Turn the scores of the edges into unit ``j`` into attention weights, in place; 0 where there is no edge."""
    n_edges = weights.shape[1]
    zero, none = splat(scores, 0.0), splat(scores, NO_SCORE)
    top = load_row(scores, n_edges)
    for k in range(n_edges):
        top = larger(top, where_nonzero(splat(scores, weights[j, k]), load_row(scores, k), none))
    own = exponential(load_row(scores, n_edges) - top)
    summed = own
    for k in range(n_edges):
        alpha = where_nonzero(splat(scores, weights[j, k]), exponential(load_row(scores, k) - top), zero)
        summed = summed + alpha
        store_row(scores, k, alpha)
    share = splat(scores, 1.0) / summed
    for k in range(n_edges):
        store_row(scores, k, load_row(scores, k) * share)
    store_row(scores, n_edges, own * share)


@part
def _receive(j: int, edges: Indices, sources: Floats, n_channels: int, alphas: Floats, out: Floats) -> None:
    """Write the sum of the weighted sources of unit ``j``; four sums at a time, none has to wait for another."""
    n_edges = edges.shape[1]
    t = j * n_channels
    own = load_row(alphas, n_edges)
    for c in range(n_channels):
        m0, m1, m2, m3 = own * load_row(sources, t + c), splat(out, 0.0), splat(out, 0.0), splat(out, 0.0)
        for k in range(0, n_edges, EDGES_AT_A_TIME):
            m0 = fma(load_row(alphas, k), load_row(sources, edges[j, k] * n_channels + c), m0)
            m1 = fma(load_row(alphas, k + 1), load_row(sources, edges[j, k + 1] * n_channels + c), m1)
            m2 = fma(load_row(alphas, k + 2), load_row(sources, edges[j, k + 2] * n_channels + c), m2)
            m3 = fma(load_row(alphas, k + 3), load_row(sources, edges[j, k + 3] * n_channels + c), m3)
        store_row(out, t + c, (m0 + m1) + (m2 + m3))


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
        _receive(j, edges, sources, n_channels, alphas, targets)  # in place: this target is not needed any more
    _put_slices(targets, first, out)


@part
def _score_gradients(
    j: int, edges: Indices, sources: Floats, grads: Floats, n_channels: int, alphas: Floats, gradients: Floats
) -> None:
    """Set the gradients of the scores of the edges into unit ``j``, its edge to itself last."""
    n_edges = edges.shape[1]
    t = j * n_channels
    zero = splat(alphas, 0.0)
    for k in range(0, n_edges, EDGES_AT_A_TIME):
        i0, i1, i2, i3 = edges[j, k], edges[j, k + 1], edges[j, k + 2], edges[j, k + 3]
        i0, i1, i2, i3 = i0 * n_channels, i1 * n_channels, i2 * n_channels, i3 * n_channels
        m0, m1, m2, m3 = zero, zero, zero, zero
        for c in range(n_channels):
            grad = load_row(grads, t + c)
            m0, m1 = fma(load_row(sources, i0 + c), grad, m0), fma(load_row(sources, i1 + c), grad, m1)
            m2, m3 = fma(load_row(sources, i2 + c), grad, m2), fma(load_row(sources, i3 + c), grad, m3)
        store_row(gradients, k, m0)
        store_row(gradients, k + 1, m1)
        store_row(gradients, k + 2, m2)
        store_row(gradients, k + 3, m3)
    match = zero
    for c in range(n_channels):
        match = fma(load_row(sources, t + c), load_row(grads, t + c), match)
    store_row(gradients, n_edges, match)
    delta = zero
    for k in range(n_edges + 1):
        delta = fma(load_row(alphas, k), load_row(gradients, k), delta)
    for k in range(n_edges + 1):
        store_row(gradients, k, load_row(alphas, k) * (load_row(gradients, k) - delta))


@part
def _spread_pair(
    j: int, k: int, edges: Indices, weights: Floats, sources: Floats, targets: Floats, grads: Floats,
    constants: Floats, n_channels: int, edge_score: float, alphas: Floats, gradients: Floats, source_grads: Floats,
    linear_grads: Floats, kinks: Floats, sums: Floats, weight_grad: Floats,
) -> None:  # fmt: skip
    """Add what two edges into unit ``j`` give sources, target, attention, edge vector and their own weights."""
    wa, wb = splat(alphas, weights[j, k]), splat(alphas, weights[j, k + 1])
    ga, gb = load_row(gradients, k), load_row(gradients, k + 1)
    alpha_a, alpha_b = load_row(alphas, k), load_row(alphas, k + 1)
    edge_a, edge_b = splat(alphas, edge_score) * ga, splat(alphas, edge_score) * gb
    a, b, t = edges[j, k], edges[j, k + 1], j * n_channels
    store_row(linear_grads, a, load_row(linear_grads, a) + ga)
    store_row(linear_grads, b, load_row(linear_grads, b) + gb)
    store_row(sums, 2 * n_channels, fma(wa, ga, fma(wb, gb, load_row(sums, 2 * n_channels))))
    a, b = a * n_channels, b * n_channels
    for c in range(n_channels):
        y, e, grad = load_row(targets, t + c), splat(alphas, constants[0, c]), load_row(grads, t + c)
        scale, by_edge = splat(alphas, constants[1, c]), splat(alphas, constants[3, c])
        za = fma(wa, e, y + load_row(sources, a + c))
        ka = where_positive(za, ga)
        store_row(source_grads, a + c, fma(scale, ka, fma(alpha_a, grad, load_row(source_grads, a + c))))
        zb = fma(wb, e, y + load_row(sources, b + c))
        kb = where_positive(zb, gb)
        store_row(source_grads, b + c, fma(scale, kb, fma(alpha_b, grad, load_row(source_grads, b + c))))
        edge_a, edge_b = fma(by_edge, ka, edge_a), fma(by_edge, kb, edge_b)
        store_row(kinks, c, load_row(kinks, c) + (ka + kb))
        store_row(sums, 2 * c, fma(za, ka, fma(zb, kb, load_row(sums, 2 * c))))
        store_row(sums, 2 * c + 1, fma(wa, ka, fma(wb, kb, load_row(sums, 2 * c + 1))))
    weight_grad[j, k] = total(edge_a)
    weight_grad[j, k + 1] = total(edge_b)


@part
def _spread_own(
    j: int, sources: Floats, targets: Floats, grads: Floats, constants: Floats, n_channels: int, alpha: Any, g: Any,
    source_grads: Floats, kinks: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Add what the edge of unit ``j`` to itself gives source, target and attention."""
    for c in range(n_channels):
        row = j * n_channels + c
        z = load_row(targets, row) + load_row(sources, row)
        kink = where_positive(z, g)
        by_message = fma(alpha, load_row(grads, row), load_row(source_grads, row))
        store_row(source_grads, row, fma(splat(kinks, constants[1, c]), kink, by_message))
        store_row(kinks, c, load_row(kinks, c) + kink)
        store_row(sums, 2 * c, fma(z, kink, load_row(sums, 2 * c)))


@part
def _flush(sums: Floats, totals: Floats) -> None:
    """Move running sums per lane to float64, before they lose digits."""
    for row in range(sums.shape[0]):
        totals[row] += total(load_row(sums, row))
    sums[:] = 0


@part
def _finish_sources(
    sources: Floats, linear: Floats, constants: Floats, slope: float, n_channels: int, source_grads: Floats,
    totals: Floats,
) -> None:  # fmt: skip
    """Add the linear half of the scores to the gradients of the sources, and to the attention's sums."""
    for c in range(n_channels):
        a, rest = splat(linear, constants[2, c]), splat(linear, 0.0)
        for i in range(linear.shape[0]):
            row = i * n_channels + c
            g = load_row(linear, i)
            store_row(source_grads, row, fma(a, g, load_row(source_grads, row)))
            rest = fma(load_row(sources, row), g, rest)
        totals[2 * c] = (1 - slope) * totals[2 * c] + slope * total(rest)


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
        for k in range(0, n_edges, 2):
            _spread_pair(
                j, k, edges, weights, sources, targets, grads, constants, n_channels, edge_score, alphas, gradients,
                source_grads, linear_grads, kinks, sums, weight_grad,
            )  # fmt: skip
        own = load_row(gradients, n_edges)
        store_row(linear_grads, j, load_row(linear_grads, j) + own)
        _spread_own(
            j, sources, targets, grads, constants, n_channels, load_row(alphas, n_edges), own, source_grads, kinks, sums
        )
        for c in range(n_channels):
            row = j * n_channels + c
            store_row(targets, row, splat(kinks, constants[1, c]) * load_row(kinks, c))  # in place
        if j % _TARGETS_PER_FLUSH == 0 or j == n_units - 1:
            _flush(sums, totals)
    _finish_sources(sources, linear_grads, constants, slope, n_channels, source_grads, totals)
    _put_slices(source_grads, first, source_grad)
    _put_slices(targets, first, target_grad)
    for c in range(n_channels):
        weighted = totals[2 * n_channels]
        kink = totals[2 * c + 1]
        channel_grads[0, c] = totals[2 * c] + slope * constants[0, c] * weighted
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

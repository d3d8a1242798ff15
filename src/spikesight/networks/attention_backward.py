"""The backward pass of dense graph attention: see ``attention_kernels`` for the notation and the layout.

With ``alpha`` the attention weights and ``grad`` the gradient of the output, the gradient of the score of i for j is ::

    g_ij = alpha_ij (source_i . grad_j - delta_j),   delta_j = sum_i alpha_ij source_i . grad_j = out_j . grad_j

and that of z is ``g_ij (slope * attention + b [z > 0])``. Of the first half only sums of g are needed; the loop over
channels adds up ``g [z > 0]`` per source, per target, per edge and per channel.
"""

import numpy as np

from spikesight.networks.attention_kernels import (
    ROWS,
    UNROLLED,
    Floats,
    kernel,
    linear_edge_score,
    part,
    score_rows,
    self_scores,
    take_rows,
    take_tile,
    take_weights,
    tile_width,
)
from spikesight.networks.attention_lanes import (
    LANES,
    TILE,
    exponential,
    fma,
    load,
    load_row,
    splat,
    store,
    store_row,
    total,
    where_nonzero,
    where_positive,
)


@part
def _match_rows(rows: Floats, n_rows: int, width: int, grads: Floats, matches: Floats) -> None:
    """Multiply each source of a block with the gradient of each output of a tile."""
    zero = splat(grads, 0.0)
    for r in range(0, n_rows, UNROLLED):
        for j in range(0, width, LANES):
            m0, m1, m2, m3 = zero, zero, zero, zero
            n0, n1, n2, n3 = zero, zero, zero, zero
            for c in range(0, grads.shape[0], 2):
                g, h = load(grads, c, j), load(grads, c + 1, j)
                m0, n0 = fma(g, splat(grads, rows[r, c]), m0), fma(h, splat(grads, rows[r, c + 1]), n0)
                m1, n1 = fma(g, splat(grads, rows[r + 1, c]), m1), fma(h, splat(grads, rows[r + 1, c + 1]), n1)
                m2, n2 = fma(g, splat(grads, rows[r + 2, c]), m2), fma(h, splat(grads, rows[r + 2, c + 1]), n2)
                m3, n3 = fma(g, splat(grads, rows[r + 3, c]), m3), fma(h, splat(grads, rows[r + 3, c + 1]), n3)
            store(matches, r, j, m0 + n0)
            store(matches, r + 1, j, m1 + n1)
            store(matches, r + 2, j, m2 + n2)
            store(matches, r + 3, j, m3 + n3)


@part
def _score_gradients(
    n_rows: int, width: int, weights: Floats, first: int, target_sums: Floats, edge_score: float, scores: Floats,
    matches: Floats, row_sums: Floats, weight_grads: Floats,
) -> float:  # fmt: skip
    """Turn scores into attention weights and matches into gradients of scores, in place.

    ``target_sums`` holds per target the logarithm of the softmax's sum, and delta. Adds the linear half's part to
    ``weight_grads``; returns the sum of weight times gradient.
    """
    zero, slope = splat(scores, 0.0), splat(scores, edge_score)
    weighted = zero
    for r in range(n_rows):
        row = zero
        for j in range(0, width, LANES):
            w = load(weights, first + r, j)
            alpha = where_nonzero(w, exponential(load(scores, r, j) - load(target_sums, 0, j)), zero)
            gradient = alpha * (load(matches, r, j) - load(target_sums, 1, j))
            store(scores, r, j, alpha)
            store(matches, r, j, gradient)
            row = row + gradient
            weighted = fma(w, gradient, weighted)
            store(weight_grads, first + r, j, fma(slope, gradient, load(weight_grads, first + r, j)))
        row_sums[r] = total(row)
    result: float = total(weighted)
    return result


@part
def _spread_messages(n_rows: int, width: int, alphas: Floats, grads: Floats, row_grads: Floats) -> None:
    """Set the gradient that sources get by way of the messages they send."""
    for r in range(0, n_rows, 2):
        for c in range(0, grads.shape[0], 2):
            ee = splat(grads, 0.0)
            eo, oe, oo = ee, ee, ee
            for j in range(0, width, LANES):
                a, b = load(alphas, r, j), load(alphas, r + 1, j)
                g, h = load(grads, c, j), load(grads, c + 1, j)
                ee, eo = fma(a, g, ee), fma(a, h, eo)
                oe, oo = fma(b, g, oe), fma(b, h, oo)
            row_grads[r, c] = total(ee)
            row_grads[r, c + 1] = total(eo)
            row_grads[r + 1, c] = total(oe)
            row_grads[r + 1, c + 1] = total(oo)


@part
def _spread_scores(
    rows: Floats, n_rows: int, width: int, targets: Floats, weights: Floats, first: int, constants: Floats,
    gradients: Floats, kinks: Floats, target_kinks: Floats, channel_kinks: Floats, weight_grads: Floats,
) -> None:  # fmt: skip
    """Add up g [z > 0]: per source (set) and target, weighted by the edge per channel, weighted by b e per edge."""
    zero = splat(targets, 0.0)
    for r in range(0, n_rows, UNROLLED):
        i = first + r
        for c in range(targets.shape[0]):
            x0, x1 = splat(targets, rows[r, c]), splat(targets, rows[r + 1, c])
            x2, x3 = splat(targets, rows[r + 2, c]), splat(targets, rows[r + 3, c])
            e, b = splat(targets, constants[0, c]), splat(targets, constants[3, c])
            k0, k1, k2, k3 = zero, zero, zero, zero
            v0, v1, v2, v3 = load_row(channel_kinks, c), zero, zero, zero
            for j in range(0, width, LANES):
                t = load(targets, c, j)
                w = load(weights, i, j)
                g0 = where_positive(fma(w, e, t + x0), load(gradients, r, j))
                v0 = fma(w, g0, v0)
                store(weight_grads, i, j, fma(b, g0, load(weight_grads, i, j)))
                k0 = k0 + g0
                w = load(weights, i + 1, j)
                g1 = where_positive(fma(w, e, t + x1), load(gradients, r + 1, j))
                v1 = fma(w, g1, v1)
                store(weight_grads, i + 1, j, fma(b, g1, load(weight_grads, i + 1, j)))
                k1 = k1 + g1
                w = load(weights, i + 2, j)
                g2 = where_positive(fma(w, e, t + x2), load(gradients, r + 2, j))
                v2 = fma(w, g2, v2)
                store(weight_grads, i + 2, j, fma(b, g2, load(weight_grads, i + 2, j)))
                k2 = k2 + g2
                w = load(weights, i + 3, j)
                g3 = where_positive(fma(w, e, t + x3), load(gradients, r + 3, j))
                v3 = fma(w, g3, v3)
                store(weight_grads, i + 3, j, fma(b, g3, load(weight_grads, i + 3, j)))
                k3 = k3 + g3
                store(target_kinks, c, j, load(target_kinks, c, j) + ((g0 + g1) + (g2 + g3)))
            store_row(channel_kinks, c, (v0 + v1) + (v2 + v3))
            kinks[r, c] = total(k0)
            kinks[r + 1, c] = total(k1)
            kinks[r + 2, c] = total(k2)
            kinks[r + 3, c] = total(k3)


@part
def _finish_rows(
    rows: Floats, first: int, slope: float, constants: Floats, row_grads: Floats, row_sums: Floats, kinks: Floats,
    source_grad: Floats, attention_sums: Floats,
) -> None:  # fmt: skip
    """Add a block's gradients to those of the sources, and its share to the attention's."""
    n_units, n_channels = source_grad.shape
    for r in range(min(ROWS, n_units - first)):
        for c in range(n_channels):
            source_grad[first + r, c] += row_grads[r, c] + constants[2, c] * row_sums[r] + constants[1, c] * kinks[r, c]
            attention_sums[c] += rows[r, c] * (slope * row_sums[r] + (1 - slope) * kinks[r, c])


@part
def _self_gradients(
    sources: Floats, targets: Floats, width: int, grads: Floats, constants: Floats, target_sums: Floats,
    scores: Floats, source_grads: Floats, target_kinks: Floats,
) -> None:  # fmt: skip
    """Set, per target of a tile, what its edge to itself gives; ``scores`` holds score, g and the attention weight."""
    self_scores(sources, targets, width, constants, scores)
    for j in range(0, width, LANES):
        match = splat(targets, 0.0)
        for c in range(targets.shape[0]):
            match = fma(load(sources, c, j), load(grads, c, j), match)
        alpha = exponential(load(scores, 0, j) - load(target_sums, 0, j))
        gradient = alpha * (match - load(target_sums, 1, j))
        store(scores, 1, j, gradient)
        for c in range(targets.shape[0]):
            own = load(sources, c, j)
            kink = where_positive(own + load(targets, c, j), gradient)
            store(target_kinks, c, j, kink)
            by_score = fma(splat(targets, constants[1, c]), kink, splat(targets, constants[2, c]) * gradient)
            store(source_grads, c, j, fma(alpha, load(grads, c, j), by_score))


@part
def _finish_tile(
    sources: Floats, targets: Floats, width: int, first: int, slope: float, constants: Floats, self_gradients: Floats,
    source_grads: Floats, target_kinks: Floats, source_grad: Floats, target_grad: Floats, attention_sums: Floats,
) -> None:  # fmt: skip
    """Write the gradients of a tile's targets, and add those by their edges to themselves."""
    n_units, n_channels = source_grad.shape
    for j in range(min(width, n_units - first)):
        for c in range(n_channels):
            source_grad[first + j, c] += source_grads[c, j]
            target_grad[first + j, c] = constants[1, c] * target_kinks[c, j]
            slope_here = 1.0 if sources[c, j] + targets[c, j] > 0 else slope
            by_source = slope_here * self_gradients[1, j] * sources[c, j]
            attention_sums[c] += by_source + (1 - slope) * target_kinks[c, j] * targets[c, j]


@part
def _take_sums(out: Floats, grad: Floats, log_sums: Floats, first: int, width: int, target_sums: Floats) -> None:
    """Copy a tile's logarithms of the softmax's sums, and work out its deltas."""
    n_units, n_channels = out.shape
    target_sums[:] = 0
    for j in range(min(width, n_units - first)):
        target_sums[0, j] = log_sums[first + j]
        for c in range(n_channels):
            target_sums[1, j] += out[first + j, c] * grad[first + j, c]


@kernel
def dense_backward(
    source: Floats, target: Floats, weights: Floats, constants: Floats, slope: float, out: Floats, log_sums: Floats,
    grad: Floats, source_grad: Floats, target_grad: Floats, weight_grad: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Fill the gradients of one graph and a run of slices.

    ``source_grad`` must hold zeros. ``weight_grad`` (units, units) and ``sums`` (2, channels: attention, edge vector;
    float64) are those of this run of slices.
    """
    n_slices, n_units, n_channels = source.shape
    width, padded, dtype = tile_width(n_units), constants.shape[1], source.dtype
    weight_tile, weight_grads = np.empty((n_units + ROWS, TILE), dtype), np.empty((n_units + ROWS, TILE), dtype)
    tiles = np.zeros((5, padded, TILE), dtype)
    targets, sources, grads, target_kinks, source_grads = tiles[0], tiles[1], tiles[2], tiles[3], tiles[4]
    blocks = np.zeros((3, ROWS, padded), dtype)
    rows, row_grads, kinks = blocks[0], blocks[1], blocks[2]
    linear, row_sums = np.zeros(ROWS, dtype), np.zeros(ROWS, dtype)
    scores, matches = np.empty((ROWS, TILE), dtype), np.empty((ROWS, TILE), dtype)
    target_sums, own = np.zeros((2, TILE), dtype), np.zeros((2, TILE), dtype)
    channel_kinks = np.empty((padded, LANES), dtype)
    edge_score = linear_edge_score(constants)
    sums[:] = 0
    for first in range(0, n_units, width):
        take_weights(weights, first, width, weight_tile)
        weight_grads[:] = 0
        for s in range(n_slices):
            take_tile(target[s], first, width, targets)
            take_tile(source[s], first, width, sources)
            take_tile(grad[s], first, width, grads)
            _take_sums(out[s], grad[s], log_sums[s], first, width, target_sums)
            _self_gradients(sources, targets, width, grads, constants, target_sums, own, source_grads, target_kinks)
            channel_kinks[:] = 0
            weighted = 0.0
            for i in range(0, n_units, ROWS):
                n_rows = take_rows(source[s], i, constants, rows, linear)
                score_rows(rows, linear, n_rows, targets, width, weight_tile, i, constants, edge_score, scores)
                _match_rows(rows, n_rows, width, grads, matches)
                weighted += _score_gradients(
                    n_rows, width, weight_tile, i, target_sums, edge_score, scores, matches, row_sums, weight_grads
                )
                _spread_messages(n_rows, width, scores, grads, row_grads)
                _spread_scores(
                    rows, n_rows, width, targets, weight_tile, i, constants, matches, kinks, target_kinks,
                    channel_kinks, weight_grads,
                )  # fmt: skip
                _finish_rows(rows, i, slope, constants, row_grads, row_sums, kinks, source_grad[s], sums[0])
            _finish_tile(
                sources, targets, width, first, slope, constants, own, source_grads, target_kinks, source_grad[s],
                target_grad[s], sums[0],
            )  # fmt: skip
            for c in range(n_channels):
                kink = channel_kinks[c].sum()
                sums[0, c] += constants[0, c] * (slope * weighted + (1 - slope) * kink)
                sums[1, c] += constants[2, c] * weighted + constants[1, c] * kink
        for i in range(n_units):
            for j in range(min(width, n_units - first)):
                weight_grad[i, first + j] = weight_grads[i, j]

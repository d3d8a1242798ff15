"""Compiled loops of graph attention (GATv2) over all pairs of units: forward, and backward by recomputation.

With ``b = (1 - slope) * attention``, the score of source unit i for target unit j is ::

    attention . leaky_relu(z) = slope * attention . z + b . max(z, 0)
    z = source_i + target_j + weight_ij * edge_vector

The first half is a sum of a number per i, one per j (which the softmax over i takes away) and one per weight. Only the
second needs a loop over i, j and the channels. Targets lie along the lanes of a vector, a tile of them at a time
(their channels stay in the nearest cache), and sources pass by in blocks: the softmax keeps a running maximum and sum
per target (Milakov and Gimelshein 2018), so that no array of slices x units x units exists. The backward pass finds
each weight again from the logarithm of that sum. Dao et al. 2022 do the same for attention by inner products.

Every function here works on one graph and a run of its slices; what is summed over slices is returned as a part, to be
added in a fixed order.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from spikesight.networks.attention_lanes import (
    LANES,
    TILE,
    exponential,
    fma,
    larger,
    load,
    positive_part,
    splat,
    store,
    where_nonzero,
)

ROWS: Final = 16
"""Sources in a block: their scores for one tile of targets stay in the nearest cache."""
UNROLLED: Final = 4
"""Sources that one pass over the channels serves."""
NO_SCORE: Final = -1e30
"""Below every score of an edge; finite, so that differences are."""

F = TypeVar("F", bound=Callable[..., Any])
Floats = NDArray[np.floating[Any]]


_SOURCES: Final = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("attention*.py")))
_DIGEST: Final = hashlib.sha256(_SOURCES).hexdigest()[:12]
"""Of all files of kernels: each takes parts and constants from others."""


def kernel(function: F) -> F:
    """Compile without the interpreter lock; keep the machine code on disk where a folder can be written.

    numba takes kept code for current as long as the kernel's own file is unchanged. With the digest of all files in its
    name, code that holds an older constant of another file is never found again.
    """
    function.__qualname__ += f"_{_DIGEST}"
    try:
        return numba.njit(function, nogil=True, cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # "cannot cache function: no locator available": no folder is writable
        return numba.njit(function, nogil=True)  # type: ignore[no-any-return]


def part(function: F) -> F:
    """Compile a part of kernels, which nothing but compiled code calls: a third less to compile."""
    return numba.njit(function, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload,no-any-return]


@part
def tile_width(n_units: int) -> int:
    """Cut the units into tiles of about one width, a multiple of the lanes."""
    n_tiles = (n_units + TILE - 1) // TILE
    return (n_units + n_tiles * LANES - 1) // (n_tiles * LANES) * LANES


@part
def even(n_channels: int) -> int:
    """Round up: channels are taken in pairs."""
    return n_channels + n_channels % 2


@kernel
def channel_constants(edge_vector: Floats, attention: Floats, slope: float) -> Floats:
    """Lay out per channel: edge vector, b, slope * attention, b * edge vector; rows are padded with zeros."""
    constants = np.zeros((4, even(attention.size)), attention.dtype)
    for c in range(attention.size):
        constants[0, c] = edge_vector[c]
        constants[1, c] = (1 - slope) * attention[c]
        constants[2, c] = slope * attention[c]
        constants[3, c] = constants[1, c] * edge_vector[c]
    return constants


@part
def linear_edge_score(constants: Floats) -> float:
    """Work out what an edge of weight 1 adds to a score by the linear half."""
    result = 0.0
    for c in range(constants.shape[1]):
        result += constants[0, c] * constants[2, c]
    return result


@part
def take_tile(values: Floats, first: int, width: int, tile: Floats) -> None:
    """Transpose ``values[first:]`` (units, channels) into a tile (channels, targets); absent units become zero."""
    n_units, n_channels = values.shape
    for j in range(width):
        for c in range(n_channels):
            tile[c, j] = values[first + j, c] if first + j < n_units else 0


@part
def take_weights(weights: Floats, first: int, width: int, tile: Floats) -> None:
    """Copy the columns of a tile of targets; edges of a unit to itself and of absent units become zero."""
    n_units = weights.shape[0]
    tile[:] = 0
    for i in range(n_units):
        for j in range(min(width, n_units - first)):
            tile[i, j] = weights[i, first + j]
        if first <= i < first + width:
            tile[i, i - first] = 0


@part
def take_rows(source: Floats, first: int, constants: Floats, rows: Floats, linear: Floats) -> int:
    """Copy a block of sources, padded with zeros, and its linear scores; return how many rows are to be worked on."""
    n_units, n_channels = source.shape
    n_rows: int = min(ROWS, (n_units - first + UNROLLED - 1) // UNROLLED * UNROLLED)
    for r in range(n_rows):
        score = constants.dtype.type(0)
        for c in range(n_channels):
            value = source[first + r, c] if first + r < n_units else 0
            rows[r, c] = value
            score += value * constants[2, c]
        linear[r] = score
    return n_rows


@part
def self_scores(sources: Floats, targets: Floats, width: int, constants: Floats, scores: Floats) -> None:
    """Score every target of a tile for itself: no edge weight."""
    for j in range(0, width, LANES):
        score = splat(targets, 0.0)
        for c in range(targets.shape[0]):
            own = load(sources, c, j)
            score = fma(splat(targets, constants[2, c]), own, score)
            score = fma(splat(targets, constants[1, c]), positive_part(own + load(targets, c, j)), score)
        store(scores, 0, j, score)


@part
def score_rows(
    rows: Floats, linear: Floats, n_rows: int, targets: Floats, width: int, weights: Floats, first: int,
    constants: Floats, edge_score: float, scores: Floats,
) -> None:  # fmt: skip
    """Score a block of sources for a tile of targets."""
    for r in range(0, n_rows, UNROLLED):
        i = first + r
        for j in range(0, width, LANES):
            w0, w1, w2, w3 = (
                load(weights, i, j),
                load(weights, i + 1, j),
                load(weights, i + 2, j),
                load(weights, i + 3, j),
            )
            slope = splat(targets, edge_score)
            s0 = fma(w0, slope, splat(targets, linear[r]))
            s1 = fma(w1, slope, splat(targets, linear[r + 1]))
            s2 = fma(w2, slope, splat(targets, linear[r + 2]))
            s3 = fma(w3, slope, splat(targets, linear[r + 3]))
            for c in range(targets.shape[0]):
                t, e, b = load(targets, c, j), splat(targets, constants[0, c]), splat(targets, constants[1, c])
                s0 = fma(b, positive_part(fma(w0, e, t + splat(targets, rows[r, c]))), s0)
                s1 = fma(b, positive_part(fma(w1, e, t + splat(targets, rows[r + 1, c]))), s1)
                s2 = fma(b, positive_part(fma(w2, e, t + splat(targets, rows[r + 2, c]))), s2)
                s3 = fma(b, positive_part(fma(w3, e, t + splat(targets, rows[r + 3, c]))), s3)
            store(scores, r, j, s0)
            store(scores, r + 1, j, s1)
            store(scores, r + 2, j, s2)
            store(scores, r + 3, j, s3)


@part
def _weigh_block(
    n_rows: int, width: int, weights: Floats, first: int, scores: Floats, running: Floats, out: Floats
) -> None:
    """Turn a block's scores into weights relative to the largest score so far; rescale what was summed before.

    ``running`` holds the largest score and the sum of the weights per target; ``out`` (channels, targets).
    """
    zero, none = splat(scores, 0.0), splat(scores, NO_SCORE)
    for j in range(0, width, LANES):
        before = load(running, 0, j)
        top = before
        for r in range(n_rows):
            top = larger(top, where_nonzero(load(weights, first + r, j), load(scores, r, j), none))
        shrink = exponential(before - top)
        summed = load(running, 1, j) * shrink
        for r in range(n_rows):
            weight = exponential(load(scores, r, j) - top)
            weight = where_nonzero(load(weights, first + r, j), weight, zero)
            summed = summed + weight
            store(scores, r, j, weight)
        store(running, 0, j, top)
        store(running, 1, j, summed)
        for c in range(out.shape[0]):
            store(out, c, j, load(out, c, j) * shrink)


@part
def _add_messages(rows: Floats, n_rows: int, width: int, weights: Floats, out: Floats) -> None:
    """Add the weighted sources of a block to the tile's output (channels, targets)."""
    zero = splat(out, 0.0)
    for c in range(0, out.shape[0], 2):
        d = c + 1
        for j in range(0, width, LANES):
            c0, c1, c2, c3 = load(out, c, j), zero, zero, zero
            d0, d1, d2, d3 = load(out, d, j), zero, zero, zero
            for r in range(0, n_rows, UNROLLED):  # eight sums, none of which waits for another
                w = load(weights, r, j)
                c0, d0 = fma(w, splat(out, rows[r, c]), c0), fma(w, splat(out, rows[r, d]), d0)
                w = load(weights, r + 1, j)
                c1, d1 = fma(w, splat(out, rows[r + 1, c]), c1), fma(w, splat(out, rows[r + 1, d]), d1)
                w = load(weights, r + 2, j)
                c2, d2 = fma(w, splat(out, rows[r + 2, c]), c2), fma(w, splat(out, rows[r + 2, d]), d2)
                w = load(weights, r + 3, j)
                c3, d3 = fma(w, splat(out, rows[r + 3, c]), c3), fma(w, splat(out, rows[r + 3, d]), d3)
            store(out, c, j, (c0 + c1) + (c2 + c3))
            store(out, d, j, (d0 + d1) + (d2 + d3))


@kernel
def dense_forward(
    source: Floats, target: Floats, weights: Floats, constants: Floats, out: Floats, log_sums: Floats
) -> None:
    """Attend: fill ``out`` (slices, units, channels) and the logarithm of each softmax's sum (slices, units)."""
    n_slices, n_units, n_channels = source.shape
    width, padded, dtype = tile_width(n_units), constants.shape[1], source.dtype
    weight_tile = np.empty((n_units + ROWS, TILE), dtype)
    targets, sources, summed = (
        np.zeros((padded, TILE), dtype),
        np.zeros((padded, TILE), dtype),
        np.zeros((padded, TILE), dtype),
    )
    rows, linear = np.zeros((ROWS, padded), dtype), np.zeros(ROWS, dtype)
    scores, running = np.empty((ROWS, TILE), dtype), np.empty((2, TILE), dtype)
    edge_score = linear_edge_score(constants)
    for first in range(0, n_units, width):
        take_weights(weights, first, width, weight_tile)
        for s in range(n_slices):
            take_tile(target[s], first, width, targets)
            take_tile(source[s], first, width, sources)
            self_scores(sources, targets, width, constants, running)
            running[1, :] = 1
            summed[:] = sources
            for i in range(0, n_units, ROWS):
                n_rows = take_rows(source[s], i, constants, rows, linear)
                score_rows(rows, linear, n_rows, targets, width, weight_tile, i, constants, edge_score, scores)
                _weigh_block(n_rows, width, weight_tile, i, scores, running, summed)
                _add_messages(rows, n_rows, width, scores, summed)
            for j in range(min(width, n_units - first)):
                log_sums[s, first + j] = running[0, j] + np.log(running[1, j])
                for c in range(n_channels):
                    out[s, first + j, c] = summed[c, j] / running[1, j]


@kernel
def dense_weight_sums(
    source: Floats, target: Floats, weights: Floats, constants: Floats, log_sums: Floats, sums: Floats
) -> None:
    """Add the attention weights of all slices up, (source unit, target unit)."""
    n_slices, n_units, _ = source.shape
    width, padded, dtype = tile_width(n_units), constants.shape[1], source.dtype
    weight_tile = np.empty((n_units + ROWS, TILE), dtype)
    targets, sources = np.zeros((padded, TILE), dtype), np.zeros((padded, TILE), dtype)
    rows, linear = np.zeros((ROWS, padded), dtype), np.zeros(ROWS, dtype)
    scores, own = np.empty((ROWS, TILE), dtype), np.empty((1, TILE), dtype)
    edge_score = linear_edge_score(constants)
    sums[:] = 0
    for first in range(0, n_units, width):
        take_weights(weights, first, width, weight_tile)
        for s in range(n_slices):
            take_tile(target[s], first, width, targets)
            take_tile(source[s], first, width, sources)
            self_scores(sources, targets, width, constants, own)
            for i in range(0, n_units, ROWS):
                n_rows = take_rows(source[s], i, constants, rows, linear)
                score_rows(rows, linear, n_rows, targets, width, weight_tile, i, constants, edge_score, scores)
                for r in range(min(n_rows, n_units - i)):
                    for j in range(min(width, n_units - first)):
                        if weight_tile[i + r, j] != 0:
                            sums[i + r, first + j] += np.exp(scores[r, j] - log_sums[s, first + j])
            for j in range(min(width, n_units - first)):
                sums[first + j, first + j] += np.exp(own[0, j] - log_sums[s, first + j])

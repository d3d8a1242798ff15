"""Compiled loops that count spikes between edges, and the tables that they read.

A spike belongs to bin ``j`` of a window if and only if ``edges[j] <= t < edges[j + 1]`` in float64. Nothing is
estimated: a table of equal cells only narrows down where an edge may be, and the edges themselves decide. The same
expression puts edges and spikes into cells, and it grows with ``t``; so an edge in an earlier cell is before the spike,
one in a later cell is after it, and only the edges of the spike's own cell (nearly always one) are compared.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

MAX_CELLS_PER_EDGE: Final = 8
"""Bounds the cell table where very short and very long bins stand in one stretch."""

_SHARES_PER_THREAD: Final = 8
"""Rates differ a thousandfold between units; with more shares than threads, every thread is busy to the end."""

_TILE: Final = 64
"""Side of the square that is transposed at a time: 64 rows of one cache line each."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def compiled(function: F) -> F:
    """Compile without the interpreter lock; keep the machine code on disk where a folder can be written.

    The code is kept in ``__pycache__`` beside the module, else in the user's cache folder, or in ``NUMBA_CACHE_DIR``.
    """
    try:
        return numba.njit(function, nogil=True, cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # "cannot cache function: no locator available": no folder is writable
        return numba.njit(function, nogil=True)  # type: ignore[no-any-return]


def n_threads() -> int:
    """Say how many threads to count with: all processors of this process, or ``NUMBA_NUM_THREADS``."""
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def in_threads(function: Callable[[int, int], T], shares: Iterable[tuple[int, int]]) -> list[T]:
    """Call ``function(first, stop)`` for every share, spread over ``n_threads()`` threads.

    Plain threads over kernels that hold no lock, rather than numba's own threads: those abort the process when two
    threads of a program count at the same time.
    """
    with ThreadPoolExecutor(n_threads()) as pool:
        return list(pool.map(lambda share: function(*share), shares))


def unit_shares(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut units, parted by ``offsets`` (n_units + 1,), into shares (first, stop) of about as much work each."""
    n_shares = _SHARES_PER_THREAD * n_threads()
    # Every unit costs something beside its spikes: its row has to be cleared.
    work = (offsets - offsets[0]) / max(1, offsets[-1] - offsets[0]) + np.linspace(0, 1, offsets.size)
    cuts = np.searchsorted(work, np.linspace(0, work[-1], n_shares + 1)[1:-1])
    bounds = np.unique(np.concatenate([[0], cuts, [offsets.size - 1]])).tolist()
    return list(pairwise(bounds))


class Stretches(NamedTuple):
    """Windows that follow each other closely, as tables.

    Attributes
    ----------
    start, stop
        Seconds, shape (n_stretches,): the first and the last edge.
    cells_per_second
        Resolution of the cell table, shape (n_stretches,).
    cell_offsets
        Where each stretch's cells begin in ``first_edge``, shape (n_stretches + 1,).
    first_edge
        Per cell: the last edge in an earlier cell of the stretch (the stretch's first edge, if none is).
    edges
        Seconds, ascending within a stretch, infinity at its end.
    bins
        Per edge: the bin that begins there. Where a gap between windows begins: the complement ``~bin`` of the bin
        before it, which is negative.
    """

    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    cells_per_second: NDArray[np.float64]
    cell_offsets: NDArray[np.int64]
    first_edge: NDArray[np.int32]
    edges: NDArray[np.float64]
    bins: NDArray[np.int32]


@compiled
def assign_layers(starts: NDArray[np.float64], stops: NDArray[np.float64]) -> NDArray[np.int64]:
    """Spread windows, sorted by start, over layers in which none overlaps another; the lowest free layer is taken."""
    layers = np.empty(starts.size, np.int64)
    busy_until = np.full(starts.size, -np.inf)
    for window in range(starts.size):
        layer = 0
        while busy_until[layer] > starts[window]:
            layer += 1
        layers[window] = layer
        busy_until[layer] = stops[window]
    return layers


@compiled
def lay_edges(
    flat: NDArray[np.float64], window_offsets: NDArray[np.int64], order: NDArray[np.int64], begins: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int64]]:
    """Set the edges of the windows one behind the other in ``order``, and close each stretch with infinity.

    ``begins`` marks, per position in ``order``, where a stretch begins. An edge shared by two windows is set once.
    Window ``w`` holds ``flat[window_offsets[w]:window_offsets[w + 1]]``, thus one bin less than edges; its bins are
    numbered from ``window_offsets[w] - w``. Returns ``edges``, ``bins`` and the stretches' offsets in them.
    """
    edges = np.empty(flat.size + order.size, np.float64)
    bins = np.empty(edges.size, np.int32)
    edge_offsets = np.zeros(begins.sum() + 1, np.int64)
    size = 0
    stretch = 0
    for position in range(order.size):
        window = order[position]
        first, last = window_offsets[window], window_offsets[window + 1] - 1
        if begins[position]:
            edge_offsets[stretch] = size
            stretch += 1
        elif edges[size - 1] == flat[first]:
            size -= 1
        for e in range(first, last + 1):
            edges[size] = flat[e]
            bins[size] = e - window if e < last else ~(last - 1 - window)
            size += 1
        if position + 1 == order.size or begins[position + 1]:
            edges[size] = np.inf
            bins[size] = bins[size - 1]
            size += 1
    edge_offsets[stretch] = size
    return edges[:size], bins[:size], edge_offsets


@compiled
def narrowest_bins(
    edges: NDArray[np.float64], bins: NDArray[np.int32], edge_offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Find the width, in seconds, of each stretch's narrowest bin that is not empty; infinity if all are."""
    narrowest = np.full(edge_offsets.size - 1, np.inf)
    for stretch in range(narrowest.size):
        for edge in range(edge_offsets[stretch], edge_offsets[stretch + 1]):
            if bins[edge] >= 0 and edges[edge + 1] > edges[edge]:
                narrowest[stretch] = min(narrowest[stretch], edges[edge + 1] - edges[edge])
    return narrowest


@compiled
def fill_cells(
    edges: NDArray[np.float64],
    edge_offsets: NDArray[np.int64],
    cells_per_second: NDArray[np.float64],
    cell_offsets: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Write for every cell the last edge in an earlier cell of its stretch (the stretch's first edge, if none is)."""
    first_edge = np.empty(cell_offsets[-1], np.int32)
    for stretch in range(cells_per_second.size):
        edge = edge_offsets[stretch]
        start = edges[edge]
        rate = cells_per_second[stretch]
        for cell in range(cell_offsets[stretch + 1] - cell_offsets[stretch]):
            while edges[edge + 1] < np.inf and np.int64((edges[edge + 1] - start) * rate) < cell:
                edge += 1
            first_edge[cell_offsets[stretch] + cell] = edge
    return first_edge


@compiled
def _first_at_or_after(times: NDArray[np.float64], low: int, high: int, t: float) -> int:
    """Gallop from ``low`` to the first of the ascending ``times[low:high]`` that is not before ``t``."""
    step = 1
    probe = low
    while probe < high and times[probe] < t:
        low = probe + 1
        probe += step
        step *= 2
    high = min(probe, high)
    while low < high:
        middle = (low + high) >> 1
        if times[middle] < t:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def first_faulty_unit(times: NDArray[np.float64], offsets: NDArray[np.int64], first_unit: int, stop_unit: int) -> int:
    """Find the first unit whose spike times are not finite or not ascending; -1 if there is none.

    Times that never fail to be at or after the one before hold no NaN, and infinity only at the ends.
    """
    for unit in range(first_unit, stop_unit):
        begin, end = offsets[unit], offsets[unit + 1]
        if begin == end:
            continue
        falls = 0
        for i in range(begin + 1, end):
            falls += not times[i] >= times[i - 1]
        if falls > 0 or not np.isfinite(times[begin]) or not np.isfinite(times[end - 1]):
            return unit
    return -1


@compiled
def count_units(
    times: NDArray[np.float64],
    offsets: NDArray[np.int64],
    stretches: Stretches,
    counts: NDArray[np.unsignedinteger],
    first_unit: int,
    stop_unit: int,
) -> bool:
    """Count the spikes of units ``first_unit`` to ``stop_unit`` into their rows of ``counts`` (units, bins).

    Returns whether every count fitted into the dtype of ``counts``; gives up at the first unit where one does not.
    The loop has no branch that depends on where a spike falls, and unsigned indices spare the test for negative ones:
    four times faster than the plain form.
    """
    start, stop, cells_per_second, cell_offsets, first_edge, edges, bins = stretches
    for unit in range(first_unit, stop_unit):
        row = counts[unit]
        row[:] = 0
        wrapped = False
        spike = offsets[unit]
        end = offsets[unit + 1]
        for s in range(start.size):
            if s > 0 and start[s] < stop[s - 1]:
                spike = offsets[unit]  # a new layer of windows goes back in time
            spike = _first_at_or_after(times, spike, end, start[s])
            last = _first_at_or_after(times, spike, end, stop[s])
            origin, rate, cells = start[s], cells_per_second[s], cell_offsets[s]
            for i in range(spike, last):
                t = times[i]
                edge = np.uint32(first_edge[np.uint64(cells + np.int64((t - origin) * rate))])
                edge += np.uint32(t >= edges[edge + np.uint32(1)])
                while t >= edges[edge + np.uint32(1)]:
                    edge += np.uint32(1)
                sign = bins[edge] >> 31  # 0 in a bin, -1 in a gap
                at = np.uint32(bins[edge] ^ sign)
                added = counts.dtype.type(1 + sign)
                row[at] = counts.dtype.type(row[at] + added)
                wrapped |= row[at] < added
            spike = last
        if wrapped:
            return False
    return True


@compiled
def transpose_rows(source: NDArray[np.integer], target: NDArray[np.integer], first_row: int, stop_row: int) -> None:
    """Write columns ``first_row`` to ``stop_row`` of ``source`` into the rows of ``target``, tile by tile."""
    n_columns = source.shape[0]
    for row in range(first_row, stop_row, _TILE):
        for column in range(0, n_columns, _TILE):
            for r in range(row, min(row + _TILE, stop_row)):
                for c in range(column, min(column + _TILE, n_columns)):
                    target[np.uint64(r), np.uint64(c)] = source[np.uint64(c), np.uint64(r)]

"""Count the spikes of many units in many windows at once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikesight.data import count_kernels as kernels
from spikesight.errors import PresentationsError

_DTYPES: Final = (np.uint8, np.uint16, np.uint32)


def count_spikes(
    times: NDArray[np.float64], offsets: NDArray[np.int64], edges: NDArray[np.float64]
) -> NDArray[np.unsignedinteger]:
    """Count spikes between edges: bin ``j`` of a window holds those with ``edges[j] <= t < edges[j + 1]``.

    Parameters
    ----------
    times
        Seconds, shape (n_spikes,), finite and ascending within each unit.
    offsets
        Shape (n_units + 1,): unit ``i`` holds ``times[offsets[i]:offsets[i + 1]]``.
    edges
        Seconds, shape (n_windows, n_bins + 1), finite and not descending along a row. Windows come in any order and
        may overlap.

    Returns
    -------
    numpy.ndarray
        Shape (n_windows, n_bins, n_units), the smallest of uint8, uint16 and uint32 that holds the largest count. A
        view whose memory runs through all bins of one unit before the next.

    Raises
    ------
    PresentationsError
        If edges are not finite or descend.
    """
    n_windows, n_edges = edges.shape
    window_offsets = np.arange(n_windows + 1, dtype=np.int64) * n_edges
    counts = count_ragged(times, offsets, np.ascontiguousarray(edges, np.float64).ravel(), window_offsets)
    return counts.reshape(len(counts), n_windows, n_edges - 1).transpose(1, 2, 0)


def count_ragged(
    times: NDArray[np.float64],
    offsets: NDArray[np.int64],
    edges: NDArray[np.float64],
    window_offsets: NDArray[np.int64],
) -> NDArray[np.unsignedinteger]:
    """Count spikes between edges, as :func:`count_spikes` does, in windows of different numbers of bins.

    Parameters
    ----------
    times, offsets
        As for :func:`count_spikes`.
    edges
        Seconds, the edges of all windows end to end.
    window_offsets
        Shape (n_windows + 1,): window ``w`` holds ``edges[window_offsets[w]:window_offsets[w + 1]]``.

    Returns
    -------
    numpy.ndarray
        Shape (n_units, number of bins of all windows).

    Raises
    ------
    PresentationsError
        If edges are not finite or descend.
    """
    _check_edges(edges, window_offsets)
    times = np.ascontiguousarray(times, np.float64)
    offsets = np.ascontiguousarray(offsets, np.int64)
    n_units, n_bins = offsets.size - 1, edges.size - (window_offsets.size - 1)
    if n_units == 0 or n_bins == 0:
        return np.zeros((n_units, n_bins), np.uint8)
    stretches = _stretches(edges, window_offsets)
    shares = kernels.unit_shares(offsets)
    for dtype in _DTYPES:
        counts: NDArray[np.unsignedinteger] = np.empty((n_units, n_bins), dtype)
        count = _Counter(times, offsets, stretches, counts)
        if all(kernels.in_threads(count, shares)):
            return counts
    raise PresentationsError(f"a bin holds more than {np.iinfo(np.uint32).max} spikes; use shorter bins.")


class _Counter:
    """What all shares of the units have in common."""

    def __init__(
        self,
        times: NDArray[np.float64],
        offsets: NDArray[np.int64],
        stretches: kernels.Stretches,
        counts: NDArray[np.unsignedinteger],
    ) -> None:
        self._arguments = times, offsets, stretches, counts

    def __call__(self, first_unit: int, stop_unit: int) -> bool:
        return kernels.count_units(*self._arguments, first_unit, stop_unit)


def _stretches(edges: NDArray[np.float64], window_offsets: NDArray[np.int64]) -> kernels.Stretches:
    """Sort windows into layers without overlap and, within a layer, into stretches that are worth streaming through.

    A gap longer than the window before it ends a stretch: the spikes in it are then leapt over.
    """
    first, last = edges[window_offsets[:-1]], edges[window_offsets[1:] - 1]
    order = np.argsort(first, kind="stable")
    layers = kernels.assign_layers(first[order], last[order])
    by_layer = np.argsort(layers, kind="stable")
    order, layers = order[by_layer], layers[by_layer]
    gaps = first[order[1:]] - last[order[:-1]]
    begins = np.ones(order.size, bool)
    begins[1:] = (np.diff(layers) > 0) | (gaps > (last - first)[order[:-1]])
    laid, bins, edge_offsets = kernels.lay_edges(edges, window_offsets, order, begins)
    start, stop = laid[edge_offsets[:-1]], laid[edge_offsets[1:] - 2]
    span = stop - start
    n_cells = np.minimum(
        span / kernels.narrowest_bins(laid, bins, edge_offsets), kernels.MAX_CELLS_PER_EDGE * np.diff(edge_offsets)
    )
    cells_per_second = np.divide(n_cells, span, out=np.zeros_like(span), where=span > 0)
    cell_offsets = np.concatenate([[0], np.cumsum((span * cells_per_second).astype(np.int64) + 1)])
    first_edge = kernels.fill_cells(laid, edge_offsets, cells_per_second, cell_offsets)
    return kernels.Stretches(start, stop, cells_per_second, cell_offsets, first_edge, laid, bins)


def _check_edges(edges: NDArray[np.float64], window_offsets: NDArray[np.int64]) -> None:
    """Refuse edges that are not finite or descend within a window."""
    falls = np.diff(edges) < 0
    falls[window_offsets[1:-1] - 1] = False
    bad = ~np.isfinite(edges)
    bad[1:] |= falls
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        window = int(np.searchsorted(window_offsets, at, side="right")) - 1
        raise PresentationsError(
            f"expected finite bin edges that do not descend; the window in row {window} has "
            f"{edges[max(at - 1, int(window_offsets[window])) : at + 1].tolist()} s."
        )

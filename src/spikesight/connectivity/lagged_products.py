"""Sums of products of spike counts at two lags, spike by spike: cost grows with coincidences, not with bins."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.data.count_kernels import compiled, in_threads, n_threads


def lagged_products(trains: SpikeTrains, n_lags: int) -> NDArray[np.float64]:
    """Sum ``c_i(t - a) c_j(t - b)`` over all ``t`` whose past of ``n_lags`` bins lies in its segment.

    Returns
    -------
    numpy.ndarray
        Shape (n_lags + 1, n_lags + 1, n_units, n_units), ``[a, b, i, j]``.
    """
    n_units = trains.n_units
    edges = np.linspace(0, trains.n_bins, n_threads() + 1).astype(np.int64)
    ends = trains.offsets[1:][trains.segment_of_bin]
    begins = trains.offsets[:-1][trains.segment_of_bin]

    def share(first: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        whole = np.zeros((n_lags + 1, n_units, n_units))
        border = np.zeros((n_lags + 1, n_lags + 1, n_units, n_units))
        _add_products(*trains.spikes, begins, ends, first, stop, n_lags, whole, border)
        return whole, border

    parts = in_threads(share, pairwise(edges))
    whole = np.sum([part[0] for part in parts], axis=0)
    products = np.sum([part[1] for part in parts], axis=0)
    for a in range(n_lags + 1):
        for b in range(a, n_lags + 1):
            products[a, b] += whole[b - a]
            products[b, a] = products[a, b].T
    return np.asarray(products, np.float64)


@compiled
def _add_products(
    first: Any, unit: Any, begins: Any, ends: Any, from_bin: int, to_bin: int, n_lags: int, whole: Any, border: Any
) -> None:
    """Add the pairs of spikes whose later one lies in these bins.

    A later spike at ``u`` and an earlier one at ``u - d`` belong to all ``t = u + a`` with ``t - n_lags`` and ``t`` in
    the segment. Far from the borders that is every ``a`` from 0 to ``n_lags - d``: one sum per ``d`` serves them all.
    """
    for u in range(from_bin, to_bin):
        if first[u] == first[u + 1]:
            continue
        low = max(0, n_lags - (u - begins[u]))
        for d in range(min(n_lags, u - begins[u]) + 1):
            high = min(n_lags - d, ends[u] - 1 - u)
            is_whole = low == 0 and high == n_lags - d
            for later in range(first[u], first[u + 1]):
                i = unit[later]
                for earlier in range(first[u - d], first[u - d + 1]):
                    j = unit[earlier]
                    if is_whole:
                        whole[d, i, j] += 1
                    else:
                        for a in range(low, high + 1):
                            border[a, a + d, i, j] += 1

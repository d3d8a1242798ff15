"""Compiled loops of the coupled Poisson regression: sparse rows, likelihood with derivatives, group descent.

A row of the regression is a bin of the target. At 1 ms it has about two spikes in reach, of hundreds of columns; so a
row is the short list of its columns, and a column that counts two spikes stands in it twice. All entries are then one,
and no values are stored.
"""

from typing import Any

import numpy as np

from spikesight.data.count_kernels import compiled


@compiled
def target_rows(
    spike_first: Any,
    spike_unit: Any,
    spike_bin: Any,
    bins: Any,
    starts: Any,
    counts: Any,
    own: Any,
    target: int,
    min_lag: int,
    max_lag: int,
    term_of_lag: Any,
    n_columns: int,
) -> Any:
    """List the columns of each row of one target, in order of time, and sum them over the target's spikes.

    Parameters
    ----------
    spike_first, spike_unit
        All spikes, see `spikesight.connectivity.spike_trains.Spikes`.
    spike_bin
        Bin of each spike, shape (n_spikes,).
    bins
        The bin of each row, shape (n_rows,).
    starts
        The first bin of each row's segment, shape (n_rows,).
    counts
        Counts of the target, shape (n_bins,).
    own
        Bins of the target's spikes, ascending, shape (n_own_spikes,).
    target
        Row of the target's unit.
    min_lag, max_lag
        Of the couplings, bins.
    term_of_lag
        Column of the history term of each lag, shape (n_history + 1,); entry 0 is not used.
    n_columns
        Of couplings and history: each source but the target has ``max_lag - min_lag + 1``, history terms follow.

    Returns
    -------
    first
        Shape (n_rows + 1,): row ``r`` holds ``column[first[r]]`` to ``column[first[r + 1]]``.
    column
        Shape (n_entries,), uint32.
    observed
        Sum of every column over the target's spikes, shape (n_columns,).
    """
    n_lags = max_lag - min_lag + 1
    longest = term_of_lag.size - 1
    first = np.zeros(bins.size + 1, np.int64)
    column = np.empty(spike_unit.size * n_lags + own.size * longest, np.uint32)
    observed = np.zeros(n_columns)
    size, oldest, newest = 0, 0, 0
    for row in range(bins.size):
        now = bins[row]
        for spike in range(spike_first[now - max_lag], spike_first[now - min_lag + 1]):
            source = spike_unit[spike]
            if source != target:
                place = source if source < target else source - 1
                column[size] = place * n_lags + now - min_lag - spike_bin[spike]
                size += 1
        reach = max(starts[row], now - longest)
        while oldest < own.size and own[oldest] < reach:
            oldest += 1
        while newest < own.size and own[newest] < now:
            newest += 1
        for spike in range(oldest, newest):
            column[size] = term_of_lag[now - own[spike]]
            size += 1
        first[row + 1] = size
        for entry in range(first[row], size if counts[now] > 0 else first[row]):
            observed[column[entry]] += counts[now]
    return first, column[:size], observed


@compiled
def expected_spikes(first: Any, column: Any, exposure: Any, block_first: Any, theta: Any, hessian: Any) -> float:
    """Return the expected number of spikes at ``theta``, and write its second derivative into ``hessian``.

    Parameters
    ----------
    first, column
        Sparse rows, see `target_rows`.
    exposure
        Rate of each row relative to the others by what the stimulus explains, shape (n_rows,).
    block_first
        First row of each block of the baseline, shape (n_blocks + 1,).
    theta
        Log-rate weights; those of the blocks come last. Shape (n_parameters,).
    hessian
        Shape (n_parameters, n_parameters), is overwritten. The rows of the blocks, summed, are the first derivative.
    """
    n_blocks = block_first.size - 1
    n_columns = theta.size - n_blocks
    hessian[:] = 0.0
    expected = 0.0
    for block in range(n_blocks):
        base = np.exp(theta[n_columns + block])
        sums = hessian[n_columns + block]
        total = 0.0
        for row in range(block_first[block], block_first[block + 1]):
            begin, end = first[row], first[row + 1]
            rate = base * exposure[row]
            if end > begin:
                drive = 0.0
                for entry in range(begin, end):
                    drive += theta[column[entry]]
                rate *= np.exp(drive)
            total += rate
            for entry in range(begin, end):
                one = column[entry]
                sums[one] += rate
                products = hessian[one]
                for other in range(entry + 1, end):  # every pair once, on either side of the diagonal
                    products[column[other]] += rate
        sums[n_columns + block] = total
        expected += total
    for one in range(n_columns):
        hessian[one, one] *= 2.0
        for block in range(n_columns, theta.size):
            hessian[one, one] += hessian[block, one]
            hessian[one, block] = hessian[block, one]
        for other in range(one):
            both = hessian[one, other] + hessian[other, one]
            hessian[one, other] = both
            hessian[other, one] = both
    return expected


@compiled
def group_descent(
    hessian: Any, slope: Any, start: Any, curvature: Any, threshold: Any, max_sweeps: int, tol: float
) -> Any:
    """Minimise a quadratic plus the weighted norms of groups, one group at a time by soft thresholding.

    Parameters
    ----------
    hessian, slope
        Second and first derivative at ``start``, shapes (n, n) and (n,).
    start
        Shape (n,): groups of equal size, end to end.
    curvature
        Largest eigenvalue of each group's block of ``hessian``, shape (n_groups,).
    threshold
        Weight of each group's norm, shape (n_groups,).
    max_sweeps, tol
        Stop after so many sweeps, or when no group moves by more than ``tol`` of its own standard error.

    Returns
    -------
    numpy.ndarray
        The minimum, shape (n,); groups without effect are exactly 0.
    """
    size = start.size // threshold.size
    now = start.copy()
    slope = slope.copy()
    wanted = np.empty(size)
    for _ in range(max_sweeps):
        largest = 0.0
        for group in range(threshold.size):
            bend = curvature[group]
            if bend <= 0.0:
                continue
            begin = group * size
            norm = 0.0
            for k in range(size):
                wanted[k] = now[begin + k] - slope[begin + k] / bend
                norm += wanted[k] ** 2
            norm = np.sqrt(norm) * bend
            scale = 1.0 - threshold[group] / norm if norm > threshold[group] else 0.0
            moved = 0.0
            for k in range(size):
                step = scale * wanted[k] - now[begin + k]
                if step != 0.0:
                    now[begin + k] = scale * wanted[k]
                    slope += step * hessian[begin + k]
                    moved += step**2
            largest = max(largest, moved * bend)
        if largest <= tol**2:
            break
    return now

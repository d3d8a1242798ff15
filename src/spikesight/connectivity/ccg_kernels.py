"""Compiled loops of the jitter-corrected cross-correlogram: coincidences, moments under jitter, surrogates.

The CCG of a source with a target at lag ``k`` is ``sum over t of source(t) * target(t + k)``, both bins in one segment.
Jitter moves every spike of the source on its own, uniformly within its window; the targets stay. So, given the targets,
a CCG under jitter is a sum of independent terms, one per source spike, and a window without source spikes adds nothing.
"""

from typing import Any

import numpy as np

from spikesight.data.count_kernels import compiled


@compiled
def place_spikes(row: Any, offsets: Any, width: int) -> Any:
    """List the spikes of a unit in order of time, (n_spikes, 4): bin, start and stop of its window, segment.

    Parameters
    ----------
    row
        Counts of the unit, (n_bins,).
    offsets
        Bounds of the segments, (n_segments + 1,).
    width
        Bins of a window; windows begin with each segment, and the last one of a segment may be shorter.
    """
    n_spikes = 0
    for at in range(row.size):
        n_spikes += row[at]
    places = np.empty((n_spikes, 4), np.int64)
    spike = 0
    for segment in range(offsets.size - 1):
        for at in range(offsets[segment], offsets[segment + 1]):
            for _ in range(row[at]):
                start = at - (at - offsets[segment]) % width
                places[spike, 0] = at
                places[spike, 1] = start
                places[spike, 2] = min(start + width, offsets[segment + 1])
                places[spike, 3] = segment
                spike += 1
    return places


@compiled
def _add_coincidences(
    at: int, start: int, stop: int, first: Any, unit: Any, low: int, high: int, amount: float, total: Any
) -> None:
    """Add ``amount`` for every spike of the segment (``start`` to ``stop``) that follows bin ``at`` by a lag asked."""
    for lag in range(max(low, start - at), min(high, stop - 1 - at) + 1):
        for spike in range(first[at + lag], first[at + lag + 1]):
            total[unit[spike], lag - low] += amount


@compiled
def jitter_moments(
    places: Any, offsets: Any, first: Any, unit: Any, n_units: int, low: int, high: int, factors: Any
) -> Any:
    """Return CCGs of one source, and their mean and variance under jitter in closed form.

    A source spike in window ``w`` (n_w bins) adds ``mean over u in w of target(u + k)`` to the mean, and the variance
    of ``target(u + k)`` over ``u`` to the variance.

    Parameters
    ----------
    places
        Spikes of the source, see `place_spikes`.
    offsets
        Bounds of the segments, (n_segments + 1,).
    first, unit
        Spikes of all units in order of time, see `spikesight.connectivity.spike_trains.Spikes`.
    n_units
        Number of units.
    low, high
        First and last lag, bins; they may be negative.
    factors
        What the coincidences of each segment count in ``excess``, (n_segments,).

    Returns
    -------
    ccg, mean, variance, excess
        Each (n_units, n_lags); ``excess`` is ``ccg - mean``, with each segment multiplied by its factor.
    """
    n_lags = high - low + 1
    ccg, mean = np.zeros((n_units, n_lags)), np.zeros((n_units, n_lags))
    variance, excess = np.zeros((n_units, n_lags)), np.zeros((n_units, n_lags))
    sums, squares = np.zeros((n_units, n_lags)), np.zeros((n_units, n_lags))
    met = np.zeros(n_units, np.bool_)
    targets = np.empty(n_units, np.int64)
    spike = 0
    while spike < len(places):
        start, stop, segment = places[spike, 1], places[spike, 2], places[spike, 3]
        begin, end = offsets[segment], offsets[segment + 1]
        n_source = 0
        while spike < len(places) and places[spike, 1] == start:
            at = places[spike, 0]
            _add_coincidences(at, begin, end, first, unit, low, high, 1.0, ccg)
            _add_coincidences(at, begin, end, first, unit, low, high, factors[segment], excess)
            n_source += 1
            spike += 1
        n_met = _add_window(start, stop, begin, end, first, unit, low, high, sums, squares, met, targets)
        share = 1.0 / (stop - start)
        for target in targets[:n_met]:
            for lag in range(n_lags):
                average = sums[target, lag] * share
                mean[target, lag] += n_source * average
                variance[target, lag] += n_source * (squares[target, lag] * share - average * average)
                excess[target, lag] -= factors[segment] * n_source * average
                sums[target, lag] = 0.0
                squares[target, lag] = 0.0
            met[target] = False
    return ccg, mean, variance, excess


@compiled
def _add_window(
    start: int,
    stop: int,
    begin: int,
    end: int,
    first: Any,
    unit: Any,
    low: int,
    high: int,
    sums: Any,
    squares: Any,
    met: Any,
    targets: Any,
) -> int:
    """Sum ``target(u + lag)``, and its square, over the bins ``u`` of a window; list the targets that have spikes."""
    n_met = 0
    for at in range(max(start + low, begin), min(stop - 1 + high, end - 1) + 1):
        spike = first[at]
        while spike < first[at + 1]:
            target = unit[spike]
            count = 0
            while spike < first[at + 1] and unit[spike] == target:
                count += 1
                spike += 1
            if not met[target]:
                met[target] = True
                targets[n_met] = target
                n_met += 1
            for lag in range(max(low, at - stop + 1), min(high, at - start) + 1):
                sums[target, lag - low] += count
                squares[target, lag - low] += count * count
    return n_met


@compiled
def near_spikes(places: Any, offsets: Any, first: Any, unit: Any, low: int, high: int) -> Any:
    """Copy the spikes that jittered spikes of a source may meet, window by window: small enough for the cache.

    Parameters
    ----------
    places, offsets, first, unit, low, high
        As for `jitter_moments`; lags above 0.

    Returns
    -------
    window
        Number of the window of each spike of the source, (n_spikes,).
    begin
        Where in ``cell`` the bin begins that is ``low + r`` after the start of a window, (n_windows, n_offsets + 1).
    cell
        Of each copied spike: ``unit * n_lags + r``.
    """
    n_lags = high - low + 1
    n_windows, n_offsets, size = 0, 0, 0
    window = np.empty(len(places), np.int64)
    for spike in range(len(places)):
        start, stop, end = places[spike, 1], places[spike, 2], offsets[places[spike, 3] + 1]
        if spike == 0 or start != places[spike - 1, 1]:
            n_windows += 1
            n_offsets = max(n_offsets, stop - start + n_lags - 1)
            size += first[min(stop + high, end)] - first[min(start + low, end)]
        window[spike] = n_windows - 1
    begin = np.empty((n_windows, n_offsets + 1), np.int32)
    cell = np.empty(size, np.int32)
    size = 0
    for spike in range(len(places)):
        start, stop, end = places[spike, 1], places[spike, 2], offsets[places[spike, 3] + 1]
        if spike > 0 and start == places[spike - 1, 1]:
            continue
        for r in range(n_offsets + 1):
            begin[window[spike], r] = size
            at = start + low + r
            if at < min(stop + high, end):
                for met in range(first[at], first[at + 1]):
                    cell[size] = unit[met] * n_lags + r
                    size += 1
    return window, begin, cell


@compiled
def count_as_strong(places: Any, near: Any, mean: Any, scale: Any, observed: Any, n_surrogates: int, seed: int) -> Any:
    """Count the surrogates whose largest |z| over lags exceeds the observed one, and half of those that equal it.

    Parameters
    ----------
    places
        Spikes of the source, see `place_spikes`.
    near
        What they may meet, see `near_spikes`.
    mean, scale
        Mean of the CCG under jitter and the inverse of its standard deviation (0 where that is 0), (n_units, n_lags).
    observed
        Largest |z| of each target, (n_units,).
    n_surrogates
        Number of surrogates; each moves all spikes of the source.
    seed
        Of this source's random numbers: they depend on nothing else.

    Returns
    -------
    ndarray
        Shape (n_units,).
    """
    np.random.seed(seed)  # noqa: NPY002 (numba keeps this state per thread, apart from numpy's)
    window, begin, cell = near
    n_units, n_lags = mean.shape
    reached = np.zeros(n_units)
    ccg = np.zeros(n_units * n_lags, np.int32)
    for _ in range(n_surrogates):
        ccg[:] = 0
        for spike in range(len(places)):
            move = int(np.random.random() * (places[spike, 2] - places[spike, 1]))  # noqa: NPY002
            here = begin[window[spike]]
            for met in range(here[move], here[move + n_lags]):
                ccg[cell[met] - move] += 1
        for target in range(n_units):
            largest = 0.0
            for lag in range(n_lags):
                away = abs(ccg[target * n_lags + lag] - mean[target, lag])
                largest = max(largest, away * scale[target, lag])
            if largest >= observed[target] * (1 - 1e-9):
                reached[target] += 1.0 if largest > observed[target] * (1 + 1e-9) else 0.5
    return reached

"""From spike times to spike counts."""

import json
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.behaviour import behaviour_coords
from spikesight.data.counting import count_ragged, count_spikes
from spikesight.data.dataset import make_dataset, unit_coords
from spikesight.data.presentations import Trials
from spikesight.data.session import Session
from spikesight.errors import ConfigError, NoTrialsError, NoUnitsError, PresentationsError
from spikesight.schema import SPIKE_COUNTS, START, STOP, TIME, UNITS_OF_MEASURE

WHOLE_BINS_TOLERANCE: Final = 1e-9
"""How far, relatively, a window may be from a whole number of bins: what decimal fractions lose in binary."""


def bin_spikes(
    trials: Trials,
    *,
    n_bins: int | None = None,
    bin_size: float | None = None,
    window: tuple[float, float] | None = None,
) -> xr.Dataset:
    """Count the spikes of every unit in the bins of every trial.

    Either ``n_bins`` cuts each presentation's own duration into equal bins, or ``bin_size`` and ``window`` cut the
    same stretch around each ``start_time``. Bins are half-open, ``left <= t < right``, with float64 edges
    ``start + duration * j / n_bins`` (the last is ``stop_time`` itself) or ``start_time + (window[0] + bin_size * j)``
    (the last is ``start_time + window[1]``). Windows may overlap: a spike then counts in each.

    Parameters
    ----------
    trials
        From :func:`spikesight.data.presentations.select_trials`.
    n_bins
        Number of bins of each presentation.
    bin_size
        Seconds.
    window
        Seconds from ``start_time``, a whole number of bins long.

    Returns
    -------
    xarray.Dataset
        ``spike_counts`` with dims (trial, time, unit), in the smallest of uint8, uint16, uint32 that holds the largest
        count. ``time`` is the beginning of each bin in seconds from ``start_time`` (with ``n_bins``: for the median
        duration). What the session knows of running and the pupil is along (see `spikesight.data.behaviour`).

    Raises
    ------
    ConfigError
        If the options do not describe whole bins.
    NoTrialsError, NoUnitsError
        If there is nothing to count.
    PresentationsError
        If a start or stop time is not finite, or a presentation does not last.
    SpikeTimesError
        If spike times are NaN, infinite or unsorted.
    """
    if len(trials.table) == 0:
        raise NoTrialsError(f"no trial of {trials.stimulus!r} to bin; left out: {dict(trials.dropped) or 'none'}.")
    if len(trials.session.units) == 0:
        raise NoUnitsError(f"no unit to bin; left out: {dict(trials.session.dropped_units) or 'none'}.")
    if n_bins is not None and bin_size is None and window is None:
        edges = _presentation_edges(trials.table, n_bins)
        time = np.median(edges[:, -1] - edges[:, 0]) * np.arange(n_bins) / n_bins
    elif n_bins is None and bin_size is not None and window is not None:
        offsets_from_start = _window_edges(bin_size, window)
        edges = _float64(trials.table[START])[:, None] + offsets_from_start
        time = offsets_from_start[:-1]
    else:
        raise ConfigError(
            "expected either n_bins, or bin_size together with window; "
            f"got n_bins={n_bins}, bin_size={bin_size}, window={window}."
        )
    counts = count_spikes(*trials.session.checked_spike_times(), edges)
    attrs = {
        **_provenance(trials),
        "n_bins": counts.shape[1],
        "bin_size": float("nan") if bin_size is None else float(bin_size),
        "window": "presentation" if window is None else [float(window[0]), float(window[1])],
    }
    dataset = make_dataset(counts, time, trials.table, trials.session.units, attrs)
    return dataset.assign_coords(behaviour_coords(trials.session, trials.table, edges))


def bin_periods(session: Session, periods: pd.DataFrame, bin_size: float) -> xr.DataArray:
    """Count the spikes of every unit in continuous stretches of the recording, one stretch after the other.

    Parameters
    ----------
    session
        The recording.
    periods
        ``start_time`` and ``stop_time`` (s), one row per stretch, of any lengths and in any order.
    bin_size
        Seconds. Bin ``j`` of a period begins at ``start_time + j * bin_size``; what is left at the end of a period and
        is shorter than a bin is not counted.

    Returns
    -------
    xarray.DataArray
        Dims (time, unit), the periods end to end. Coordinates: ``time`` (s, absolute, the beginning of each bin),
        ``period`` (along time, the row of ``periods``, from 0), and those of the units. Use
        ``counts.groupby("period")`` or compare ``period`` before relating neighbouring bins.

    Raises
    ------
    ConfigError
        If ``bin_size`` is not positive.
    PresentationsError
        If a time is not finite, or a period is shorter than one bin.
    SpikeTimesError
        If spike times are NaN, infinite or unsorted.
    """
    _check_bin_size(bin_size)
    starts, stops = _float64(periods[START]), _float64(periods[STOP])
    with np.errstate(invalid="ignore"):
        lengths = (stops - starts) / bin_size * (1 + WHOLE_BINS_TOLERANCE)
    short = ~(np.isfinite(lengths) & (lengths >= 1))
    if short.any():
        row = int(np.flatnonzero(short)[0])
        raise PresentationsError(
            f"expected finite periods of at least one bin of {bin_size} s; {short.sum()} of {short.size} are not, "
            f"first row {row}: {starts[row]} to {stops[row]} s."
        )
    n_bins = np.floor(lengths).astype(np.int64)
    edges = [start + bin_size * np.arange(n + 1) for start, n in zip(starts, n_bins, strict=True)]
    window_offsets = np.concatenate([[0], np.cumsum(n_bins + 1)])
    times, offsets = session.checked_spike_times()
    counts = count_ragged(times, offsets, np.concatenate([np.empty(0), *edges]), window_offsets)
    coords: dict[str, Any] = {
        TIME: (TIME, np.concatenate([np.empty(0), *(e[:-1] for e in edges)]), {"units": UNITS_OF_MEASURE[TIME]}),
        "period": (TIME, np.repeat(np.arange(len(n_bins)), n_bins)),
        **unit_coords(session.units),
    }
    attrs = {"session_id": session.session_id, "source": session.source, "bin_size": float(bin_size)}
    return xr.DataArray(counts.T, coords, (TIME, "unit"), name=SPIKE_COUNTS, attrs=attrs)


def _presentation_edges(table: pd.DataFrame, n_bins: int) -> NDArray[np.float64]:
    if n_bins < 1:
        raise ConfigError(f"expected n_bins of at least 1, got {n_bins}.")
    starts, stops = _float64(table[START])[:, None], _float64(table[STOP])[:, None]
    lasting = (np.isfinite(starts) & np.isfinite(stops) & (starts < stops))[:, 0]
    if not lasting.all():
        rows = np.flatnonzero(~lasting)
        raise PresentationsError(
            f"expected finite times with stop_time after start_time; {rows.size} of {lasting.size} presentations are "
            f"otherwise, rows {rows[:10].tolist()}; row {rows[0]} runs from {starts[rows[0], 0]} to "
            f"{stops[rows[0], 0]} s."
        )
    edges = np.minimum(starts + (stops - starts) * np.arange(n_bins + 1) / n_bins, stops)
    edges[:, -1] = stops[:, 0]
    return np.asarray(edges, np.float64)


def _window_edges(bin_size: float, window: tuple[float, float]) -> NDArray[np.float64]:
    """Edges of the bins in seconds from start_time."""
    _check_bin_size(bin_size)
    low, high = float(window[0]), float(window[1])
    n = (high - low) / bin_size
    if not (np.isfinite(n) and n > 0):
        raise ConfigError(f"expected a window (start, stop) in seconds with start < stop, got {window}.")
    n_bins = round(n)
    if n_bins < 1 or abs(n - n_bins) > WHOLE_BINS_TOLERANCE * n_bins:
        raise ConfigError(
            f"expected a window of a whole number of bins; {low} to {high} s holds {n:.6g} bins of {bin_size} s. "
            f"Try the window ({low}, {low + max(1, n_bins) * bin_size:.6g})."
        )
    edges = low + bin_size * np.arange(n_bins + 1)
    edges[-1] = high
    return np.asarray(edges, np.float64)


def _check_bin_size(bin_size: float) -> None:
    if not (np.isfinite(bin_size) and bin_size > 0):
        raise ConfigError(f"expected a positive bin_size in seconds, got {bin_size}.")


def _float64(column: "pd.Series[Any]") -> NDArray[np.float64]:
    return column.to_numpy(np.float64)


def _provenance(trials: Trials) -> dict[str, str]:
    """Say where the counts come from, in values that any file format can hold."""
    session = trials.session
    invalid = {f"invalid times of {probe}": n for probe, n in trials.dropped_units.items()}
    return {
        "session_id": session.session_id,
        "source": session.source,
        "stimulus_name": trials.stimulus,
        "target": trials.target if isinstance(trials.target, str) else ", ".join(trials.target),
        "blanks": trials.blanks,
        "dropped_trials": json.dumps(dict(trials.dropped)),
        "dropped_units": json.dumps({**session.dropped_units, **invalid}),
        "unit_filters": json.dumps(dict(session.unit_filters), default=str),
    }

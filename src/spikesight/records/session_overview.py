"""What a reader wants to see of a session before its numbers: a card, a raster, the rate of each area."""

import itertools
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.binning import bin_spikes
from spikesight.data.context import context_of, describe_context, own_bins
from spikesight.data.presentations import Trials
from spikesight.schema import AREA, BLANK_FRAME, BLOCK, REPEAT, SPIKE_COUNTS, START, STOP, TARGET, TIME, TRIAL, UNIT

MOST_CLASSES: Final = 12
MOST_REPEATS: Final = 10
MOST_RASTER_UNITS: Final = 80
MOST_RATE_TRIALS: Final = 400
MOST_AREAS: Final = 12
DEPTH: Final = "probe_vertical_position"
MARGIN: Final = 0.05
"""Seconds shown before and after a presentation."""


def panels_file(session_id: str) -> str:
    """Name, inside a run directory, of the file with the panels of a session; safe whatever the id holds."""
    return f"panels/{urllib.parse.quote(session_id, safe='')[:150]}.json"


def session_card(dataset: xr.Dataset) -> dict[str, Any]:
    """Say what went into the decoders: units, trials, and what was left out and why.

    Parameters
    ----------
    dataset
        Binned trials of one session.

    Returns
    -------
    dict
        JSON-able. ``n_bins`` counts the bins of neighbouring presentations (``context``) too, ``n_own_bins`` does not.
        ``units_per_area`` and ``median_rate_per_area`` (spikes/s) list areas by falling number of units;
        ``dropped_units`` and ``dropped_trials`` map a reason to a number.
    """
    attrs = dataset.attrs
    n_bins = dataset.sizes[TIME]
    context = describe_context(*context_of(dataset))
    dataset = dataset.isel({TIME: list(own_bins(dataset))})  # rates are those of a trial's own bins
    areas = dataset[AREA].to_series().astype(str).where(lambda area: area != "", "not given")
    per_area = areas.value_counts()
    seconds = float(_recorded_seconds(dataset).sum())
    spikes = dataset[SPIKE_COUNTS].sum((TRIAL, TIME), dtype=np.int64).to_series()
    rates = spikes / seconds if seconds > 0 else spikes * np.nan  # a file of counts may hold no times
    repeats = dataset[TARGET].to_series().value_counts()
    return {
        "session_id": str(attrs.get("session_id", "")),
        "source": str(attrs.get("source", "")),
        "stimulus": str(attrs.get("stimulus_name", "")),
        "target": _joined(attrs.get("target", "")),
        "blanks": str(attrs.get("blanks", "none")),
        "n_trials": dataset.sizes[TRIAL],
        "n_classes": len(repeats),
        "repeats": [int(repeats.min()), float(repeats.median()), int(repeats.max())],
        "blocks": _blocks(dataset),
        "n_units": dataset.sizes[UNIT],
        "units_per_area": {str(area): int(count) for area, count in per_area.items()},
        # Without dropna, pandas 2 warns where no rate of an area is known.
        "median_rate_per_area": {str(area): _number(rates[areas == area].dropna().median()) for area in per_area.index},
        "n_bins": n_bins,
        "n_own_bins": dataset.sizes[TIME],
        "context": context,
        "bin_size": _number(attrs.get("bin_size")),
        "window": _window(attrs.get("window")),
        "dropped_units": _reasons(attrs.get("dropped_units")),
        "dropped_trials": _reasons(attrs.get("dropped_trials")),
        "unit_filters": _reasons(attrs.get("unit_filters")),
    }


def raster_excerpt(trials: Trials) -> dict[str, Any]:
    """Cut out the spikes of some repeats of a few classes in the most active units of each area.

    Parameters
    ----------
    trials
        Trials of one session with spike times.

    Returns
    -------
    dict
        JSON-able: ``window`` (s), ``stop`` (median duration, s), ``units`` ([id, area, depth] top to bottom; depth is
        the file's ``probe_vertical_position``, um from the tip of the probe, None where it is not known) and
        ``classes``: label and ``trials``, each with its ``repeat``, and per spike the ``row`` of the unit and the
        ``time`` (ms from the start of the presentation).
    """
    table = trials.table
    duration = float((table[STOP] - table[START]).median())
    window = (-MARGIN, duration + MARGIN)
    rows, units = _raster_units(trials)
    times, offsets = trials.session.select_units(units.index.to_numpy()).checked_spike_times()
    labels = sorted(table[TARGET].unique())
    if trials.blanks == "kept" and len(labels) > 1:
        labels = [label for label in labels if label not in (BLANK_FRAME, "blank")]
    places = np.unique(np.linspace(0, len(labels) - 1, min(MOST_CLASSES, len(labels))).astype(int))
    classes = []
    for label in (labels[place] for place in places):
        own = table[table[TARGET] == label].head(MOST_REPEATS)
        excerpt = [_spikes_around(float(start), window, times, offsets) for start in own[START]]
        repeats = own[REPEAT].tolist()
        classes.append(
            {
                "label": str(label),
                "trials": [
                    {"repeat": int(repeat), "row": row, "time": time}
                    for repeat, (row, time) in zip(repeats, excerpt, strict=True)
                ],
            }
        )
    return {"window": list(window), "stop": duration, "units": rows, "classes": classes}


def area_rates(trials: Trials, *, bin_size: float = 0.01) -> dict[str, Any]:
    """Average the firing rate over the units of each area, in short bins around the presentation.

    Parameters
    ----------
    trials
        Trials of one session with spike times; at most ``MOST_RATE_TRIALS`` of them, evenly spread, are read.
    bin_size
        Seconds.

    Returns
    -------
    dict
        JSON-able: ``time`` (centres of bins, ms), ``bin_size`` (s), ``stop`` (s), ``n_trials`` and ``areas``, each
        with its ``n_units``, ``mean``, ``low`` and ``high`` (spikes/s; a normal 95 % interval of the mean over
        presentations, for these units).
    """
    table = trials.table
    duration = float((table[STOP] - table[START]).median())
    step = max(1, -(-len(table) // MOST_RATE_TRIALS))
    excerpt = Trials(
        table.iloc[::step], trials.session, trials.stimulus, trials.target, trials.blanks, trials.dropped,
        trials.dropped_units,
    )  # fmt: skip
    n_bins = max(1, round((duration + 2 * MARGIN) / bin_size))
    dataset = bin_spikes(excerpt, bin_size=bin_size, window=(-MARGIN, -MARGIN + n_bins * bin_size))
    counts = dataset[SPIKE_COUNTS].transpose(UNIT, TRIAL, TIME).to_numpy()
    areas = trials.session.units[AREA].astype(str)
    most = areas.value_counts().head(MOST_AREAS)
    centre = (dataset[TIME].to_numpy() + bin_size / 2) * 1000
    return {
        "time": _rounded(centre, 2),
        "bin_size": bin_size,
        "stop": duration,
        "n_trials": len(excerpt),
        "areas_left_out": int(areas.nunique() - len(most)),
        "areas": [_area_rate(str(area), counts[(areas == area).to_numpy()] / bin_size) for area in most.index],
    }


def _area_rate(area: str, rate: NDArray[np.float64]) -> dict[str, Any]:
    """Average rates (n_units, n_trials, n_bins); a single presentation has no interval."""
    per_trial = rate.mean(axis=0)
    mean = per_trial.mean(axis=0)
    n_trials = len(per_trial)
    half = 1.96 * per_trial.std(axis=0, ddof=1) / np.sqrt(n_trials) if n_trials > 1 else np.zeros_like(mean)
    interval = {"low": _rounded(np.clip(mean - half, 0, None), 3), "high": _rounded(mean + half, 3)}
    return {"area": area or "not given", "n_units": len(rate), "mean": _rounded(mean, 3), **interval}


def _raster_units(trials: Trials) -> tuple[list[list[Any]], pd.DataFrame]:
    """Pick the units with most spikes of each area, an equal share per area."""
    session = trials.session
    units = session.units[[AREA]].assign(spikes=session.spike_times.select(session.units.index.to_numpy()).sizes())
    most = units[AREA].value_counts().head(MOST_AREAS).index
    share = max(1, MOST_RASTER_UNITS // max(1, len(most)))
    picked = pd.concat([units[units[AREA] == area].nlargest(share, "spikes") for area in most])
    depth = session.units.get(DEPTH, pd.Series(np.nan, session.units.index)).reindex(picked.index)
    rows = zip(picked.index, picked[AREA], depth, strict=True)
    return [[int(unit), str(area) or "not given", _number(um)] for unit, area, um in rows], picked


def _spikes_around(
    start: float, window: tuple[float, float], times: NDArray[np.float64], offsets: NDArray[np.int64]
) -> tuple[list[int], list[float]]:
    """Row of the unit and time (ms) of every spike in ``window`` around ``start``."""
    rows: list[int] = []
    found: list[float] = []
    for row, (low, high) in enumerate(itertools.pairwise(offsets)):
        own = times[low:high]
        first, last = np.searchsorted(own, [start + window[0], start + window[1]])
        rows.extend([row] * int(last - first))
        found.extend(_rounded((own[first:last] - start) * 1000, 1))
    return rows, found


def _blocks(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """Count the trials of every stimulus block, and say when it ran (s)."""
    start, stop = dataset[START].to_numpy(), dataset[STOP].to_numpy()
    block_of = dataset[BLOCK].to_numpy()
    found = []
    for block in np.unique(block_of):
        own = block_of == block
        extent = {"start": _number(start[own].min()), "stop": _number(stop[own].max())}
        found.append({"block": int(block), "n_trials": int(own.sum()), **extent})
    return found


def _recorded_seconds(dataset: xr.Dataset) -> NDArray[np.float64]:
    """Seconds of each trial that were counted."""
    bin_size = _number(dataset.attrs.get("bin_size"))
    if bin_size is not None:
        return np.full(dataset.sizes[TRIAL], bin_size * dataset.sizes[TIME])
    seconds: NDArray[np.float64] = (dataset[STOP] - dataset[START]).to_numpy().astype(float)
    return seconds


def _rounded(values: NDArray[np.float64], decimals: int) -> list[float]:
    return [float(value) for value in np.round(values, decimals)]


def _number(value: object) -> float | None:
    """Return a finite number as a float, else None."""
    return float(value) if isinstance(value, (int, float, np.number)) and np.isfinite(value) else None


def _window(value: object) -> list[float] | None:
    """Return (start, stop) as a list; "presentation", which stands for each trial's own duration, becomes None."""
    return None if value is None or isinstance(value, str) else [float(edge) for edge in np.asarray(value)]


def _joined(names: object) -> str:
    return names if isinstance(names, str) else ", ".join(str(name) for name in np.atleast_1d(np.asarray(names)))


def _reasons(value: object) -> dict[str, Any]:
    """Read a mapping that an attribute holds as JSON."""
    if isinstance(value, str) and value:
        value = json.loads(value)
    return dict(value) if isinstance(value, Mapping) else {}

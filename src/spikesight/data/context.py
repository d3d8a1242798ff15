"""Neighbouring presentations as context: what a unit fired just before and just after a trial.

Presentations follow each other without a pause, so the response to one runs into the next window, and the activity just
before tells the state of the network. No label is read. The row of a trial then holds counts of other presentations
too: a splitter must leave a gap of at least ``previous + following`` trials between training and test rows.
"""

import json
from typing import Any, Final

import numpy as np
import xarray as xr

from spikesight.data.timeline import FAR, places, trial_step
from spikesight.errors import ConfigError, NoTrialsError
from spikesight.schema import BLOCK, DIMS, SPIKE_COUNTS, START, TIME, TRIAL, UNITS_OF_MEASURE, validate_dataset

CONTEXT: Final = "context"
"""Attribute: ``[previous, following]``."""
PRESENTATION: Final = "context_presentation"
"""Coordinate along time: 0 for a trial's own bins, -1 for those of the presentation before it, 1 for the next."""
PLACE: Final = "context_place"
"""Coordinate along trial: place in the sequence of presentations; context reaches over places next to each other."""
FIRST_START: Final = "context_first_start"
LAST_START: Final = "context_last_start"
"""Coordinates along trial: start (s) of the first and of the last presentation whose counts are in the row."""


def add_context(dataset: xr.Dataset, previous: int = 1, following: int = 1) -> xr.Dataset:
    """Put the bins of the neighbouring presentations before and after each trial's own.

    Neighbours are the trials right before and after in time, within one block and without an interruption (see
    `spikesight.data.timeline.places`). A trial that lacks one of them (the first and the last of a stretch, and those
    beside a presentation that was left out) is dropped, whatever its label.

    Parameters
    ----------
    dataset
        Binned trials in time order.
    previous, following
        Number of presentations before and after each trial.

    Returns
    -------
    xarray.Dataset
        The trials that are left, with ``previous + 1 + following`` times the bins, in the order of time. ``time`` goes
        on across presentations: bins of the one before are a median step from onset to onset earlier. New are the
        coordinates ``context_presentation`` (along time; 0 = own bins), ``context_place``, ``context_first_start`` and
        ``context_last_start`` (along trial); ``attrs["context"]`` is ``[previous, following]`` and
        ``attrs["dropped_trials"]`` counts the trials that lack a neighbour. Targets and repeats stay as they were.

    Raises
    ------
    ConfigError
        If no neighbour is asked for, a number is negative, or the dataset has context already.
    NoTrialsError
        If no trial has all of its neighbours.
    """
    validate_dataset(dataset)
    _check(dataset, previous, following)
    start = dataset[START].to_numpy()
    place = places(dataset[BLOCK].to_numpy(), start)
    width = previous + following
    rows = np.arange(previous, len(place) - following)
    rows = rows[place[rows + following] - place[rows - previous] == width]
    if not len(rows):
        raise NoTrialsError(
            f"expected trials with {previous} presentation(s) right before and {following} right after them; none of "
            f"{len(place)} trials has all of these. Ask for less context."
        )
    offsets = np.arange(-previous, following + 1)
    counts = dataset[SPIKE_COUNTS].transpose(*DIMS).to_numpy()
    n_bins = counts.shape[1]
    stacked = np.concatenate([counts[rows + offset] for offset in offsets], axis=1)
    own = dataset.isel({TRIAL: rows})
    step = trial_step(dataset[BLOCK].to_numpy(), start)
    time = dataset[TIME].to_numpy()
    shift = step if np.isfinite(step) else _spacing(time) * n_bins
    coords: dict[Any, Any] = {name: coord.variable for name, coord in own.coords.items() if TIME not in coord.dims}
    coords |= {
        name: (
            (TRIAL, TIME),
            np.concatenate([coord.transpose(TRIAL, TIME).to_numpy()[rows + offset] for offset in offsets], axis=1),
            coord.attrs,
        )
        for name, coord in dataset.coords.items()
        if set(coord.dims) == {TRIAL, TIME}
    }
    coords |= {
        TIME: (TIME, (time + shift * offsets[:, None]).ravel(), {"units": UNITS_OF_MEASURE[TIME]}),
        PRESENTATION: (TIME, np.repeat(offsets, n_bins)),
        PLACE: (TRIAL, place[rows]),
        FIRST_START: (TRIAL, start[rows - previous], {"units": UNITS_OF_MEASURE[START]}),
        LAST_START: (TRIAL, start[rows + following], {"units": UNITS_OF_MEASURE[START]}),
    }
    dropped = json.loads(dataset.attrs.get("dropped_trials") or "{}")
    dropped["without all neighbours"] = len(place) - len(rows)
    attrs = {**dataset.attrs, "dropped_trials": json.dumps(dropped), CONTEXT: [previous, following]}
    attrs["n_bins"] = stacked.shape[1]
    variable = (DIMS, stacked, dataset[SPIKE_COUNTS].attrs)
    return validate_dataset(xr.Dataset({SPIKE_COUNTS: variable}, coords, attrs))


def context_of(dataset: xr.Dataset) -> tuple[int, int]:
    """Return how many presentations before and after each trial are in its row; (0, 0) without context."""
    previous, following = dataset.attrs.get(CONTEXT, (0, 0))
    return int(previous), int(following)


def own_bins(dataset: xr.Dataset) -> tuple[int, ...]:
    """Places of the bins that are a trial's own; without context, of all."""
    previous, following = context_of(dataset)
    n_bins = dataset.sizes[TIME] // (previous + 1 + following)
    return tuple(range(previous * n_bins, (previous + 1) * n_bins))


def describe_context(previous: int, following: int) -> str:
    """Name the context in a few words; "" where there is none."""
    parts = [f"{number} {side}" for number, side in ((previous, "previous"), (following, "next")) if number]
    return ", ".join(parts)


def _check(dataset: xr.Dataset, previous: int, following: int) -> None:
    if min(previous, following) < 0 or not 0 < previous + following < FAR:
        raise ConfigError(
            f"expected a number of neighbouring presentations, at least one in all, got {previous} before and "
            f"{following} after."
        )
    if CONTEXT in dataset.attrs:
        has = describe_context(*context_of(dataset))
        raise ConfigError(f"the trials have context already ({has}). Leave the option out, or bin them again.")


def _spacing(time: Any) -> float:
    """Step from bin to bin; 1 where there is only one."""
    return float(np.diff(time).mean()) if len(time) > 1 else 1.0

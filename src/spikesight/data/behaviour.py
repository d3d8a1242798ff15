"""What the mouse did during each trial and bin: running speed, size and place of the pupil.

Means are weighted by time: every sample stands for the stretch of time that it was measured over, and a bin takes each
sample by as much as the two overlap. So bins that are shorter than a sample have a value as well, and samples that came
in unevenly do not count double. What was not measured is NaN, never filled in.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.session import Session
from spikesight.errors import ConfigError, NoTrialsError
from spikesight.schema import BEHAVIOUR_UNITS, BY_BIN, PUPIL_AREA, PUPIL_X, PUPIL_Y, RUNNING_SPEED, TIME, TRIAL

Floats = NDArray[np.float64]
Running = Literal["stationary", "running", "all"]

RUNNING_THRESHOLD: Final = 1.0
"""Mean speed over a trial from which on the mouse runs, cm/s.

AllenSDK has the same: ``StimulusAnalysis.get_running_modulation(threshold=1)`` compares the mean velocity during the
presentation, sign included, so that a mouse that is pushed back counts as stationary.
"""
FEWEST_COVERED: Final = 0.5
"""A bin of which less than this part was measured has no value."""
LONGEST_HOLD: Final = 1.5
"""A moment of the pupil stands for at most this many usual steps between moments; beyond, nothing was measured."""

_PUPIL: Final = {"area": PUPIL_AREA, "x": PUPIL_X, "y": PUPIL_Y}


class Signal:
    """A measure in time, held over disjoint stretches, that can be averaged over any bins.

    Parameters
    ----------
    start, stop
        Bounds of the stretch that each value stands for, s, shape (n_samples,). A stretch that reaches into the next
        ends where that begins. Stretches and values that are not finite, or do not last, are left out.
    value
        Shape (n_samples,).
    """

    def __init__(self, start: Floats, stop: Floats, value: Floats) -> None:
        known = np.isfinite(start) & np.isfinite(stop) & np.isfinite(value)
        order = np.argsort(start[known], kind="stable")
        start, stop, value = (values[known][order] for values in (start, stop, value))
        stop = np.minimum(stop, np.append(start[1:], np.inf))
        lasting = stop > start
        start, stop, value = start[lasting], stop[lasting], value[lasting]
        # Sums over hours lose digits beside a large mean, so they are of what differs from the middle.
        self._middle = float(np.median(value)) if value.size else 0.0
        self._edges = np.stack([start, stop], axis=1).ravel()
        length = np.zeros(self._edges.size)
        length[1::2] = stop - start
        self._seconds = np.cumsum(length)
        self._sum = np.cumsum(length * np.repeat(value - self._middle, 2))

    def mean(self, edges: Floats) -> Floats:
        """Average over the bins between edges.

        Parameters
        ----------
        edges
            Seconds, shape (n_rows, n_bins + 1), not descending along a row.

        Returns
        -------
        ndarray of shape (n_rows, n_bins)
            NaN where less than ``FEWEST_COVERED`` of a bin was measured.
        """
        if not self._edges.size:
            return np.full((len(edges), edges.shape[1] - 1), np.nan)
        seconds, total = (np.diff(np.interp(edges, self._edges, sums)) for sums in (self._seconds, self._sum))
        covered = seconds >= FEWEST_COVERED * np.diff(edges) - 1e-12
        measured = covered & (seconds > 0)
        means = np.divide(total, seconds, out=np.full(seconds.shape, np.nan), where=measured)
        return np.asarray(means + self._middle, np.float64)


def behaviour_signals(session: Session) -> dict[str, Signal]:
    """Give what a session knows of the mouse, by the names of ``BEHAVIOUR_UNITS``.

    A sample of the running speed lasts from its ``start_time`` to its ``stop_time``. The pupil was measured at moments:
    each stands for the time half way to its neighbours, but no more than ``LONGEST_HOLD`` usual steps in all.
    """
    signals = {}
    if session.running is not None:
        columns = (session.running[name].to_numpy(np.float64) for name in ("start_time", "stop_time", "velocity"))
        signals[RUNNING_SPEED] = Signal(*columns)
    if session.pupil is not None:
        start, stop = _around(session.pupil["time"].to_numpy(np.float64))
        for column, name in _PUPIL.items():
            if column in session.pupil:
                signals[name] = Signal(start, stop, session.pupil[column].to_numpy(np.float64))
    return signals


def behaviour_coords(session: Session, trials: pd.DataFrame, edges: Floats) -> dict[str, Any]:
    """Coordinates of a dataset of binned trials: each measure over the presentation, and over each bin.

    Parameters
    ----------
    session
        The recording.
    trials
        ``start_time`` and ``stop_time`` (s) of each presentation.
    edges
        Edges of the bins, s, shape (n_trials, n_bins + 1).

    Returns
    -------
    dict
        ``running_speed`` along trial, ``running_speed_by_bin`` along (trial, time), and the same of the pupil; only of
        what the session holds.
    """
    presentation = trials[["start_time", "stop_time"]].to_numpy(np.float64)
    coords: dict[str, Any] = {}
    for name, signal in behaviour_signals(session).items():
        attrs = {"units": BEHAVIOUR_UNITS[name]}
        coords[name] = (TRIAL, signal.mean(presentation)[:, 0], attrs)
        coords[name + BY_BIN] = ((TRIAL, TIME), signal.mean(edges), attrs)
    return coords


def select_running(dataset: xr.Dataset, state: Running) -> xr.Dataset:
    """Keep the trials during which the mouse ran, or those during which it did not.

    Parameters
    ----------
    dataset
        Binned trials with the coordinate ``running_speed``.
    state
        ``"running"``: mean speed of at least ``RUNNING_THRESHOLD``; ``"stationary"``: of less; ``"all"``: no choice.

    Returns
    -------
    xarray.Dataset
        ``attrs["dropped_trials"]`` counts what was left out, trials without a known speed by themselves. Repeats keep
        their numbers.

    Raises
    ------
    ConfigError
        If the dataset does not tell the speed.
    NoTrialsError
        If no trial is left.
    """
    if state == "all":
        return dataset
    if not _is_measure(dataset, RUNNING_SPEED, {TRIAL}):
        source = dataset.attrs.get("source") or "these trials"
        raise ConfigError(
            f"expected a running speed to choose {state} trials by; {source} holds none. Files of counts have it as "
            f"numbers in {RUNNING_SPEED!r} along trials (cm/s). Leave the option (--running) out, or give the NWB file."
        )
    speed = dataset[RUNNING_SPEED].to_numpy().astype(np.float64)
    known = np.isfinite(speed)
    runs = known & (speed >= RUNNING_THRESHOLD)
    other, kept = ("stationary", runs) if state == "running" else ("running", known & ~runs)
    reasons = {f"{other} (mean speed, 1 cm/s)": known & ~kept, "running speed not known": ~known}
    dropped: dict[str, int] = json.loads(dataset.attrs.get("dropped_trials") or "{}")
    dropped |= {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}
    if not kept.any():
        raise NoTrialsError(f"expected {state} trials; none of {len(speed)} is. Dropped: {dropped}.")
    return dataset.isel({TRIAL: kept}).assign_attrs(dropped_trials=json.dumps(dropped))


def behaviour_arrays(dataset: xr.Dataset) -> Mapping[str, Floats]:
    """Give each measure that a dataset holds as (n_trials, n_bins); one that is known by trial has it in every bin."""
    arrays = {}
    for name in BEHAVIOUR_UNITS:
        if _is_measure(dataset, name + BY_BIN, {TRIAL, TIME}):
            arrays[name] = dataset[name + BY_BIN].transpose(TRIAL, TIME).to_numpy().astype(np.float64)
        elif _is_measure(dataset, name, {TRIAL}):
            by_trial = dataset[name].to_numpy().astype(np.float64)
            arrays[name] = np.repeat(by_trial[:, None], dataset.sizes[TIME], axis=1)
    return arrays


def _is_measure(dataset: xr.Dataset, name: str, dims: set[str]) -> bool:
    """Tell if a coordinate holds numbers along these dimensions: files of counts may hold anything of that name."""
    return name in dataset.coords and set(dataset[name].dims) == dims and dataset[name].dtype.kind in "fiu"


def _around(times: Floats) -> tuple[Floats, Floats]:
    """Bounds of the time that each moment stands for, in the order of ``times``; NaN for a moment that is not known."""
    start, stop = np.full((2, times.size), np.nan)
    order = np.argsort(times, kind="stable")
    order = order[np.isfinite(times[order])]
    if order.size < 2:
        return start, stop
    own = times[order]
    steps = np.diff(own)
    half = np.minimum(steps, LONGEST_HOLD * np.median(steps)) / 2
    start[order] = own - np.append(half[:1], half)
    stop[order] = own + np.append(half, half[-1:])
    return start, stop

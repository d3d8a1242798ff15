"""A session as pynapple objects, for the analyses that pynapple has.

pynapple is an export and not what a session is kept in: it rounds times to nanoseconds, and its sets of intervals
cannot touch or overlap. Where a presentation touches the next one, as scenes do, its end comes 1 us earlier here;
pynapple would do the same, with a warning.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.dataset import plain_values
from spikesight.data.invalid_times import merge
from spikesight.errors import ConfigError, PresentationsError
from spikesight.schema import START, STOP

TRIM: Final = 1e-6
"""Seconds between the end of an interval and the start of the next."""


class Recorded(Protocol):
    """What is exported of a session."""

    @property
    def units(self) -> pd.DataFrame:
        """One row per unit."""

    @property
    def stimulus_presentations(self) -> Mapping[str, pd.DataFrame]:
        """One table per stimulus."""

    @property
    def invalid_times(self) -> pd.DataFrame:
        """Stretches not to be trusted."""

    @property
    def running(self) -> pd.DataFrame | None:
        """Running speed."""

    @property
    def pupil(self) -> pd.DataFrame | None:
        """Pupil area, and place where known."""

    def checked_spike_times(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Spike times of all units, end to end."""


@dataclass(frozen=True, eq=False)
class PynappleSession:
    """A session as pynapple objects; all times in seconds.

    Attributes
    ----------
    units
        ``TsGroup``: spike times by unit id, with the columns of ``Session.units`` as metadata. Its time support is the
        recording, from the first to the last moment that anything is known of.
    stimuli
        Stimulus name -> ``IntervalSet`` of its presentations, with the stimulus' own columns and
        ``stimulus_presentation_id`` as metadata.
    invalid_times
        ``IntervalSet`` of stretches not to be trusted, joined where they overlap; empty if there are none.
    running
        ``Tsd`` of running speed (cm/s) at the start of each sample, or None.
    pupil
        ``Tsd`` of pupil area (pixel^2; NaN where not seen), or None.
    pupil_position
        ``TsdFrame`` of the pupil's centre, columns ``x`` and ``y`` (pixel), or None.
    """

    units: Any
    stimuli: Mapping[str, Any] = field(default_factory=dict)
    invalid_times: Any = None
    running: Any = None
    pupil: Any = None
    pupil_position: Any = None


def to_pynapple(session: Recorded) -> PynappleSession:
    """Export a session; see :meth:`spikesight.data.session.Session.to_pynapple`."""
    try:
        import pynapple as nap
    except ImportError as error:
        raise ConfigError(
            f"expected pynapple, it cannot be imported ({error}). Install it: pip install 'spikesight[pynapple]'."
        ) from error
    times, offsets = session.checked_spike_times()
    tables = {name: table.sort_values(START, kind="stable") for name, table in session.stimulus_presentations.items()}
    running, pupil = _known(session.running, START), _known(session.pupil, "time")
    support = _support(nap, times, tables, running, pupil)
    return PynappleSession(
        units=_units(nap, session.units, times, offsets, support),
        stimuli={name: _presentations(nap, name, table) for name, table in tables.items()},
        invalid_times=_joined(nap, session.invalid_times),
        running=_tsd(nap, running, START, "velocity", support),
        pupil=_tsd(nap, pupil, "time", "area", support),
        pupil_position=_position(nap, pupil, support),
    )


def _known(samples: pd.DataFrame | None, time: str) -> pd.DataFrame | None:
    """Take the samples whose time is known; None if there are none."""
    if samples is None:
        return None
    found = samples[np.isfinite(samples[time].to_numpy(np.float64))]
    return None if found.empty else found


def _support(
    nap: Any,
    times: NDArray[np.float64],
    tables: Mapping[str, pd.DataFrame],
    running: pd.DataFrame | None,
    pupil: pd.DataFrame | None,
) -> Any:
    """Span everything that has a time: without a support, pynapple cuts each series at its own ends."""
    ends = [0.0, 0.0 if not times.size else float(times.min()), 1.0 if not times.size else float(times.max())]
    for table, columns in [
        *((table, (START, STOP)) for table in tables.values()),
        *((samples, names) for samples, names in ((running, (START, STOP)), (pupil, ("time",))) if samples is not None),
    ]:
        known = table[list(columns)].to_numpy(np.float64)
        known = known[np.isfinite(known)]
        ends += [float(known.min()), float(known.max())] if known.size else []
    # Times are rounded to nanoseconds: a last spike must not fall out for half of one.
    return nap.IntervalSet(min(ends) - TRIM if min(ends) < 0 else 0.0, max(ends) + TRIM)


def _units(nap: Any, units: pd.DataFrame, times: NDArray[np.float64], offsets: NDArray[np.int64], support: Any) -> Any:
    spikes = {
        int(unit_id): nap.Ts(times[offsets[row] : offsets[row + 1]], time_support=support)
        for row, unit_id in enumerate(units.index)
    }
    reserved = dir(nap.TsGroup({0: nap.Ts(np.array([0.0]), time_support=support)}, time_support=support))
    metadata = _metadata(units, reserved, "unit")
    return nap.TsGroup(spikes, time_support=support, metadata=metadata)


def _presentations(nap: Any, stimulus: str, table: pd.DataFrame) -> Any:
    start, stop = table[START].to_numpy(np.float64), table[STOP].to_numpy(np.float64).copy()
    if start.size:
        stop[:-1] = np.where(stop[:-1] >= start[1:], start[1:] - TRIM, stop[:-1])
    lost = ~(stop > start)  # NaN included
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise PresentationsError(
            f"expected presentations of {stimulus!r} that last and begin one after the other, as pynapple's intervals "
            f"must; {lost.sum()} of {len(table)} do not: one runs from {start[row]} to {table[STOP].iloc[row]} s. "
            "Correct the file's interval table."
        )
    own = table.drop(columns=[START, STOP, "stimulus_name"], errors="ignore")
    own.insert(0, "stimulus_presentation_id", table.index)
    metadata = _metadata(own, dir(nap.IntervalSet(0.0, 1.0)), "stimulus") if len(own) else None
    return nap.IntervalSet(start, stop, metadata=metadata)


def _joined(nap: Any, table: pd.DataFrame) -> Any:
    """Join stretches that overlap or touch; their tags are in the session."""
    start, stop = (table[name].to_numpy(np.float64) for name in (START, STOP))
    return nap.IntervalSet(*merge(start, stop))


def _tsd(nap: Any, samples: pd.DataFrame | None, time: str, column: str, support: Any) -> Any:
    if samples is None:
        return None
    ordered = samples.sort_values(time, kind="stable")
    return nap.Tsd(ordered[time].to_numpy(np.float64), ordered[column].to_numpy(np.float64), time_support=support)


def _position(nap: Any, pupil: pd.DataFrame | None, support: Any) -> Any:
    if pupil is None or not {"x", "y"} <= set(pupil):
        return None
    ordered = pupil.sort_values("time", kind="stable")
    values = ordered[["x", "y"]].to_numpy(np.float64)
    return nap.TsdFrame(ordered["time"].to_numpy(np.float64), values, time_support=support, columns=["x", "y"])


def _metadata(table: pd.DataFrame, reserved: list[str], prefix: str) -> dict[str, NDArray[Any]]:
    """Columns as arrays; a name that is an attribute of the object, or cannot be one, gets a prefix or underscores."""
    taken, metadata = set(reserved), {}
    for column in table.columns:
        name = re.sub(r"\W", "_", str(column))
        while name in taken or not name.isidentifier():
            name = f"{prefix}_{name}"
        taken.add(name)
        metadata[name] = plain_values(table[column])
    return metadata

"""Which presentations fall into stretches of a recording that are not to be trusted."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import PresentationsError

STIMULUS: Final = "stimulus"
ALL_PROBES: Final = "all_probes"
UNTAGGED: Final = "untagged"
"""Reason of an invalid time whose tags name neither a probe nor one of the above; it counts for all probes."""
_PROBE_TAGS: Final = "probe"


class Invalid(NamedTuple):
    """Rows that overlap invalid times: by reason for those of all probes, and by probe."""

    everywhere: dict[str, NDArray[np.bool_]]
    by_probe: dict[str, NDArray[np.bool_]]


def find_invalid(
    invalid_times: pd.DataFrame, start: NDArray[np.float64], stop: NDArray[np.float64], probes: Iterable[str]
) -> Invalid:
    """Find the presentations that overlap invalid times.

    Parameters
    ----------
    invalid_times
        ``start_time``, ``stop_time`` (s) and ``tags``, as in ``Session.invalid_times``. AllenSDK writes three tags:
        kind of object, its id, and ``"stimulus"``, ``"all_probes"`` or the probe's name.
    start, stop
        Bounds of the presentations, s, shape (n_presentations,).
    probes
        Names of the probes that have units. Invalid times of other probes do not matter.

    Raises
    ------
    PresentationsError
        If an invalid time is NaN or ends before it starts.
    """
    low = invalid_times["start_time"].to_numpy(np.float64)
    high = invalid_times["stop_time"].to_numpy(np.float64)
    bad = np.flatnonzero(~(low <= high))
    if bad.size:
        raise PresentationsError(
            f"expected invalid times that end after they start; rows {bad[:10].tolist()} do not: row {bad[0]} runs "
            f"from {low[bad[0]]} to {high[bad[0]]} s. Correct the file's invalid_times."
        )
    known = set(probes)
    rows: dict[str, list[int]] = {}
    for row, tags in enumerate(invalid_times["tags"]):
        for reason in _reasons(tuple(tags), known):
            rows.setdefault(reason, []).append(row)
    found = {reason: overlaps(start, stop, *merge(low[at], high[at])) for reason, at in rows.items()}
    order = [reason for reason in (STIMULUS, ALL_PROBES, UNTAGGED) if reason in found]
    return Invalid(
        {reason: found[reason] for reason in order}, {probe: found[probe] for probe in sorted(known) if probe in found}
    )


def merge(start: NDArray[np.float64], stop: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Join intervals that overlap or touch; empty ones vanish.

    Returns
    -------
    start, stop
        Bounds of disjoint intervals in ascending order.
    """
    filled = stop > start
    order = np.argsort(start[filled], kind="stable")
    start, stop = start[filled][order], stop[filled][order]
    reach = np.maximum.accumulate(stop)
    begins = np.ones(start.size, bool)
    begins[1:] = start[1:] > reach[:-1]
    return start[begins], reach[np.append(begins[1:], True)] if start.size else reach


def overlaps(
    start: NDArray[np.float64], stop: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Say which half-open intervals ``[start, stop)`` share time with any of the disjoint, rising ``[low, high)``."""
    nearest = np.searchsorted(high, start, side="right")
    beyond = np.append(low, np.inf)
    return np.asarray(beyond[nearest] < stop)


def _reasons(tags: tuple[str, ...], probes: set[str]) -> list[str]:
    for everywhere in (STIMULUS, ALL_PROBES):
        if everywhere in tags:
            return [everywhere]
    named = [tag for tag in tags if tag in probes]
    if named or any(tag.startswith(_PROBE_TAGS) for tag in tags):
        return named
    return [UNTAGGED]

"""What is left of units after each filter, and of presentations after invalid times."""

from typing import Any

import numpy as np
import pandas as pd

from spikesight.data.invalid_times import find_invalid
from spikesight.data.session import Session
from spikesight.schema import START, STOP


def unit_steps(session: Session) -> list[dict[str, Any]]:
    """Units before and after each filter, in the order in which filters were applied.

    Returns
    -------
    list of dict
        ``filter``, ``value`` (what it asks for), ``before``, ``removed``, ``after``.
    """
    left = len(session.units) + sum(session.dropped_units.values())
    steps = []
    for name, removed in session.dropped_units.items():
        value = session.unit_filters.get(name)
        steps.append(
            {"filter": name, "value": value, "before": left, "removed": int(removed), "after": left - int(removed)}
        )
        left -= int(removed)
    return steps


def presentation_steps(session: Session, table: pd.DataFrame) -> dict[str, Any]:
    """Presentations before and after invalid times.

    Returns
    -------
    dict
        ``before``, ``after``; ``dropped`` counts by reason what is never trusted (each presentation once, under the
        first reason), ``by_probe`` the presentations during which one probe is not to be trusted: they cost the probe's
        units, or the trials (``probe_invalid``).

    Raises
    ------
    PresentationsError
        If an invalid time is NaN or ends before it starts.
    """
    start, stop = (table[name].to_numpy(np.float64) for name in (START, STOP))
    invalid = find_invalid(session.invalid_times, start, stop, set(session.units["probe"]) - {""})
    kept = np.ones(len(table), bool)
    dropped = {}
    for reason, rows in invalid.everywhere.items():
        if (rows & kept).any():
            dropped[reason] = int((rows & kept).sum())
        kept &= ~rows
    by_probe = {probe: int((rows & kept).sum()) for probe, rows in invalid.by_probe.items() if (rows & kept).any()}
    return {"before": len(table), "after": int(kept.sum()), "dropped": dropped, "by_probe": by_probe}

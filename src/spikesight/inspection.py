"""What a file holds, before anything is decoded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from spikesight.config import BenchmarkConfig
from spikesight.data.public_source import Source
from spikesight.data.session import Session
from spikesight.places import Place, holds_counts
from spikesight.progress import Progress
from spikesight.schema import AREA, START, STOP
from spikesight.session_overview import session_card
from spikesight.sources import load_source, located_source, open_session


def inspect_file(
    path: Place, *, quality: bool | None = None, source: Source = "s3", progress: Progress | None = None
) -> dict[str, Any]:
    """Describe a session file or a file of binned trials.

    Parameters
    ----------
    path
        NWB, ``.npz`` or ``.nc``; or the id of a public session, or the address of an NWB file, of which no spikes are
        read.
    quality
        Apply the default quality filters; None applies them to NWB files and not to binned trials.
    source
        Where public sessions are read.
    progress
        Hears how far the reading from a server is.

    Returns
    -------
    dict
        JSON-able. ``kind`` is ``"session"`` (units per area, what the filters drop, stimuli with presentations,
        columns and duration in s) or ``"counts"`` (a session card).

    Raises
    ------
    SpikesightError
        If the file cannot be read.
    """
    config = BenchmarkConfig(sources=(path,), quality=quality, archive=source)
    located = located_source(path, config)
    if isinstance(located, Path) and holds_counts(located):
        return {"kind": "counts", **session_card(load_source(located, config).dataset)}
    return {"kind": "session", **_describe_session(open_session(located, config, progress))}


def _describe_session(session: Session) -> dict[str, Any]:
    areas = session.units[AREA].astype(str).where(lambda area: area != "", "not given").value_counts()
    return {
        "session_id": session.session_id,
        "source": session.source,
        "session_type": session.session_type,
        "subject": {str(name): str(value) for name, value in session.subject.items()},
        "n_units": len(session.units),
        "units_per_area": {str(area): int(count) for area, count in areas.items()},
        "dropped_units": {str(name): int(count) for name, count in session.dropped_units.items()},
        "unit_filters": dict(session.unit_filters),
        "n_spikes": int(session.spike_times.select(session.units.index.to_numpy()).sizes().sum()),
        "stimuli": _describe_stimuli(session.stimulus_presentations),
        "n_invalid_times": len(session.invalid_times),
        "running": session.running is not None,
        "pupil": session.pupil is not None,
    }


def _describe_stimuli(presentations: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    found = []
    for name in sorted(presentations):
        table = presentations[name]
        columns = [str(column) for column in table.columns if column not in (START, STOP)]
        duration = float((table[STOP] - table[START]).median()) if len(table) else None
        found.append({"stimulus": name, "n_presentations": len(table), "duration": duration, "columns": columns})
    return found

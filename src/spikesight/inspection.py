"""What a file holds, before anything is decoded."""

from pathlib import Path
from typing import Any

from spikesight.config import BenchmarkConfig
from spikesight.data.public_source import Source
from spikesight.data.session import Session
from spikesight.evaluation.sources import load_source, located_source, open_session
from spikesight.places import Place, holds_counts
from spikesight.quality.session_quality import describe_counts_quality, describe_quality
from spikesight.records.session_overview import session_card
from spikesight.schema import AREA
from spikesight.tracking.progress import Progress


def inspect_file(
    path: Place,
    *,
    quality: bool | None = None,
    quick: bool | None = None,
    source: Source = "s3",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Describe a session file or a file of binned trials.

    Parameters
    ----------
    path
        NWB, ``.npz`` or ``.nc``; or the id of a public session, or the address of an NWB file, of which no spikes are
        read.
    quality
        Apply the default quality filters; None applies them to NWB files and not to binned trials.
    quick
        Leave out the checks that read spikes; None leaves them out where spikes would come from a server.
    source
        Where public sessions are read.
    progress
        Hears how far the reading from a server and the checks are.

    Returns
    -------
    dict
        JSON-able. ``kind`` is ``"session"`` (units per area, what the filters drop, stimuli with presentations,
        columns and times in s) or ``"counts"`` (a session card); both with what was checked
        (`spikesight.quality.session_quality`).

    Raises
    ------
    SpikesightError
        If the file cannot be read.
    """
    config = BenchmarkConfig(sources=(path,), quality=quality, archive=source)
    located = located_source(path, config, progress)
    quick = not isinstance(located, Path) if quick is None else quick
    if isinstance(located, Path) and holds_counts(located):
        dataset = load_source(located, config).dataset
        return {"kind": "counts", **session_card(dataset), **describe_counts_quality(dataset, quick=quick)}
    session = open_session(located, config, progress)
    checked = describe_quality(session, quick=quick, progress=progress)
    return {"kind": "session", **_describe_session(session), **checked}


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
        "n_invalid_times": len(session.invalid_times),
        "running": session.running is not None,
        "pupil": session.pupil is not None,
    }

"""Everything that a report shows of one session."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from spikesight.records.run_record import RunRecord
from spikesight.reports.confusion import confusion_panel
from spikesight.reports.numbers import rows_of
from spikesight.reports.spikes import raster_panel
from spikesight.reports.training import calibration_panel, epochs_panel
from spikesight.reports.tuning import tuning_section

DRAWN: Final = (
    "id",
    "name",
    "group",
    "leaderboard",
    "confusion",
    "raster",
    "rates",
    "epochs",
    "calibration",
    "pictured",
)
"""What the page's own script draws of a session, beside its searches."""


def session_section(
    record: RunRecord,
    card: Mapping[str, Any],
    group: int,
    name: str,
    predictions: pd.DataFrame,
    n_sessions: int,
    *,
    pictures: bool = False,
) -> dict[str, Any]:
    """Collect the panels of a session; one without data is None.

    Parameters
    ----------
    record
        The runs that the session belongs to, as one.
    card
        The session's card.
    group
        Which of the page's groups of runs it belongs to.
    name
        What the page calls it.
    predictions
        The session's own.
    n_sessions
        Sessions that share the page.
    pictures
        Whether the page has pictures of frames.
    """
    frames = str(card["target"]) == "frame"
    pictured = pictures and frames
    pictures_left_out = (
        "classes are not frames"
        if pictures
        else "write this page again with `spikesight report RUN --images IMAGES`"
        if frames
        else ""
    )
    session = str(card["session_id"])
    table = record.per_session[record.per_session["session"].astype(str) == session]
    panels = record.panels.get(session, {})
    raster = raster_panel(panels.get("raster"), n_sessions)
    units = raster["units"] if raster else []
    return {
        "id": session,
        "name": name,
        "group": group,
        "card": card,
        "leaderboard": rows_of(table),
        "confusion": confusion_panel(predictions, table, n_sessions),
        "raster": raster,
        "raster_areas": list(dict.fromkeys(unit[1] for unit in units)),
        "raster_depths": any(unit[2] is not None for unit in units),
        "rates": panels.get("rates"),
        "left_out": dict(card.get("panels_left_out", {})),
        "epochs": epochs_panel(record.epochs, session),
        "calibration": calibration_panel(predictions, table),
        "pictured": pictured,
        "pictures_left_out": "" if pictured else pictures_left_out,
        "tuning": tuning_section(record, session),
    }


def drawn(session: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what the page's own script draws of a session."""
    tuning = {"tuning": session["tuning"]["drawn"]} if session["tuning"] else {}
    return {**{key: session[key] for key in DRAWN}, **tuning}

"""Everything that a report shows of one session."""

from collections.abc import Mapping
from typing import Any, Final

from spikesight.report_confusion import confusion_panel
from spikesight.report_numbers import rows_of
from spikesight.report_tuning import tuning_section
from spikesight.run_record import RunRecord

DRAWN: Final = ("id", "name", "group", "leaderboard", "confusion", "raster", "rates")
"""What the page's own script draws of a session, beside its searches."""


def session_section(
    record: RunRecord, card: Mapping[str, Any], group: int, name: str, n_sessions: int
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
    n_sessions
        Sessions that share the page.
    """
    session = str(card["session_id"])
    table = record.per_session[record.per_session["session"].astype(str) == session]
    panels = record.panels.get(session, {})
    return {
        "id": session,
        "name": name,
        "group": group,
        "card": card,
        "leaderboard": rows_of(table),
        "confusion": confusion_panel(record.predictions, session, table, n_sessions),
        "raster": panels.get("raster"),
        "rates": panels.get("rates"),
        "left_out": dict(card.get("panels_left_out", {})),
        "tuning": tuning_section(record, session),
    }


def drawn(session: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what the page's own script draws of a session."""
    tuning = {"tuning": session["tuning"]["drawn"]} if session["tuning"] else {}
    return {**{key: session[key] for key in DRAWN}, **tuning}

"""One self-contained HTML page about a run: it opens from disk, needs no network, and lets no file's text run."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from spikesight.figures import theme
from spikesight.figures.confusion import count_confusions
from spikesight.page import render_page, write_whole
from spikesight.report_text import headline, methods, provenance_rows
from spikesight.report_tuning import importances, tuning_section
from spikesight.run_record import REFERENCE, RunRecord, read_run
from spikesight.statistics import WHAT_INTERVALS_COVER
from spikesight.tuning_results import HOW_IMPORTANCE

REPORT: Final = "report.html"
MOST_CONFUSION_CELLS: Final = 120_000
"""Non-zero cells of confusion matrices in one page, shared by its sessions: about 1 MB."""


def write_report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run directory.

    Parameters
    ----------
    run
        A run directory that has results.
    out
        The file to write; None means ``report.html`` in the run directory.

    Returns
    -------
    Path
        The file, which appears only when it is complete.

    Raises
    ------
    RunDirectoryError
        If ``run`` has no results or is damaged, or ``out`` cannot be written.
    """
    path = Path(out) if out is not None else Path(run) / REPORT
    write_whole(path, render(read_run(run)))
    return path


def render(record: RunRecord) -> str:
    """Return the page of a run as HTML."""
    several = record.over_sessions is not None
    sessions = [_session(record, card) for card in record.cards]
    return render_page(
        "report.html",
        "report.js" if record.candidates is None else ("tuning.js", "report.js"),
        _page_data(record, sessions),
        {"percent": _percent, "points": _points, "seconds": _seconds, "count": _count},
        title=headline(record)["question"],
        headline=headline(record),
        several=several,
        over_sessions=_rows(record.over_sessions) if record.over_sessions is not None else [],
        sessions=sessions,
        how_importance=HOW_IMPORTANCE,
        interval_note=WHAT_INTERVALS_COVER,
        methods=methods(record),
        provenance=provenance_rows(record.provenance),
        config=yaml.safe_dump(record.config, sort_keys=False, allow_unicode=True),
        failures=record.failures,
    )


def _session(record: RunRecord, card: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the page shows of one session."""
    name = str(card["session_id"])
    table = record.per_session[record.per_session["session"].astype(str) == name]
    budget = MOST_CONFUSION_CELLS // max(1, len(record.cards))
    panels = record.panels.get(name, {})
    return {
        "id": name,
        "card": card,
        "leaderboard": _rows(table),
        "confusion": _confusions(record.predictions, name, table, budget),
        "raster": panels.get("raster"),
        "rates": panels.get("rates"),
        "left_out": dict(card.get("panels_left_out", {})),
        "tuning": tuning_section(record, name),
    }


def _page_data(record: RunRecord, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Collect what the page's own script draws."""
    drawn = ("id", "leaderboard", "confusion", "raster", "rates")
    tuning = {} if record.candidates is None else {"importance": importances(record)}
    return {
        "theme": {
            "ink": theme.INK,
            "soft": theme.SOFT_INK,
            "rule": theme.RULE,
            "accent": theme.ACCENT,
            "reference": theme.REFERENCE,
            "palette": theme.PALETTE,
            "sequential": theme.SEQUENTIAL,
        },
        **tuning,
        "sessions": [
            {
                **{key: session[key] for key in drawn},
                **({"tuning": session["tuning"]["drawn"]} if session["tuning"] else {}),
            }
            for session in sessions
        ],
        "overSessions": _rows(record.over_sessions) if record.over_sessions is not None else None,
    }


def _confusions(predictions: pd.DataFrame, session: str, table: pd.DataFrame, budget: int) -> dict[str, Any]:
    """Confusion matrices as (shown, decoded, trials) triples, for the best rows that fit the budget of cells.

    The first matrix is always there.
    """
    own = predictions[predictions["session"].astype(str) == session]
    by_row = dict(iter(own.groupby(["decoder", "selection"], sort=False)))
    labels = [str(label) for label in count_confusions(own["y_true"], own["y_pred"])["y_true"].to_numpy()]
    place = {label: at for at, label in enumerate(labels)}
    rows: list[dict[str, Any]] = []
    for decoder, selection in table[["decoder", "selection"]].itertuples(index=False):
        trials = by_row[decoder, selection]
        pairs = trials.groupby(["y_true", "y_pred"], sort=False).size().reset_index(name="n")
        budget -= len(pairs)
        if rows and budget < 0:
            break
        triples = zip(pairs["y_true"].map(place), pairs["y_pred"].map(place), pairs["n"], strict=True)
        cells = [int(number) for triple in triples for number in triple]
        rows.append({"decoder": str(decoder), "selection": str(selection), "cells": cells})
    first = next((at for at, row in enumerate(rows) if row["selection"] != REFERENCE), 0)
    return {"labels": labels, "rows": rows, "first": first, "left_out": len(table) - len(rows)}


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a leaderboard; NaN, which JSON does not have, becomes None."""
    records = table.to_dict("records")
    rows = [{str(key): None if _is_nan(value) else value for key, value in record.items()} for record in records]
    return [{**row, "is_reference": row["selection"] == REFERENCE} for row in rows]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _percent(value: float | None) -> str:
    """Write a fraction as a percentage without its sign."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _points(value: float | None) -> str:
    """Write a difference of fractions in percent points, with its sign."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:+.1f}".replace("-", "\u2212")


def _seconds(value: float) -> str:
    return f"{value / 60:.1f} min" if value >= 120 else f"{value:.1f} s" if value >= 0.95 else f"{1000 * value:.0f} ms"


def _count(value: float) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{int(value):,}".replace(",", "\u202f")

"""One self-contained HTML page about runs: it opens from disk, needs no network, and lets no file's text run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from spikesight.errors import ConfigError
from spikesight.figures import theme
from spikesight.records.connectivity_record import ConnectivityRecord, holds_connectivity
from spikesight.records.finished_run import COMMANDS, read_finished_run
from spikesight.records.merged_runs import Pool, against_bins, different_terms, pool_runs, run_names
from spikesight.records.run_record import RunRecord
from spikesight.reports import connectivity_report
from spikesight.reports.numbers import FILTERS, rows_of
from spikesight.reports.page import render_page, write_whole
from spikesight.reports.pictures import thumbnails
from spikesight.reports.session import drawn, session_section
from spikesight.reports.text import headline, methods, methods_to_paste, provenance_rows
from spikesight.reports.tuning import importances
from spikesight.reports.unit_panels import holds_receptive_fields, unit_panels
from spikesight.statistics import WHAT_INTERVALS_COVER
from spikesight.tuning_results import HOW_IMPORTANCE

if TYPE_CHECKING:
    import xarray as xr

REPORT: Final = "report.html"
PANELS: Final = tuple(f"report_{name}.js" for name in ("leaderboard", "spikes", "confusion", "training", "sorting"))
"""Scripts of the panels; report_tools.js comes before them, report.js after."""

Record = RunRecord | ConnectivityRecord


def write_report(
    runs: str | Path | Sequence[str | Path], out: str | Path | None = None, images: "xr.DataArray | None" = None
) -> Path:
    """Write the report of one run directory, or of several on one page.

    Parameters
    ----------
    runs
        Run directories that have results, of benchmarks or of connectivity estimates, and folders of receptive fields
        beside them. Attributions are found in the runs that they are of.
    out
        The file to write; None, for a single run, means ``report.html`` in the run directory.
    images
        What was shown, dims (frame, row, column) and coordinate ``frame``: small pictures beside the classes.

    Returns
    -------
    Path
        The file, which appears only when it is complete.

    Raises
    ------
    ConfigError
        If there are several runs and no ``out``, or one is given twice.
    RunDirectoryError
        If a run has no results or is damaged, or ``out`` cannot be written.
    """
    places = [Path(runs)] if isinstance(runs, str | Path) else [Path(run) for run in runs]
    if not places:
        raise ConfigError("expected at least one run directory, got none.")
    if len({place.resolve() for place in places}) < len(places):
        raise ConfigError(f"expected each run once, got {', '.join(map(str, places))}; leave out the repeats.")
    if out is None and len(places) > 1:
        raise ConfigError(
            f"expected a file to write the report of {len(places)} runs to, got none; name it with --out report.html."
        )
    path = Path(out) if out is not None else places[0] / REPORT
    if len(places) == 1 and holds_connectivity(places[0]):
        return connectivity_report.write_connectivity_report(places[0], path)
    maps = [place for place in places if holds_receptive_fields(place)]
    if len(maps) == len(places):
        raise ConfigError(
            f"expected a run of a benchmark or of connectivity, {', '.join(map(str, maps))} holds receptive fields "
            "alone. Give a run beside it."
        )
    commands = f"{COMMANDS}, and beside one of these that of `spikesight receptive-fields`"
    records = [read_finished_run(place, commands) for place in places if place not in maps]
    write_whole(path, render(records, images, maps))
    return path


def render(records: Record | Sequence[Record], images: "xr.DataArray | None" = None, maps: Sequence[Path] = ()) -> str:
    """Return the page of one or several runs as HTML, with pictures of frames and maps of units if they are given."""
    given = [records] if isinstance(records, RunRecord | ConnectivityRecord) else list(records)
    pools = pool_runs([record for record in given if isinstance(record, RunRecord)])
    links = [record for record in given if isinstance(record, ConnectivityRecord)]
    names = run_names([record.path for record in given])
    sessions = _sessions(pools, pictures=images is not None)
    pictures = {} if images is None else thumbnails(images, _frames(sessions))
    for session in sessions:
        if session["pictured"] and not pictures.keys() & set(session["confusion"]["labels"]):
            session.update(pictured=False, pictures_left_out="no image has the number of a class")
    bins = against_bins(pools)
    connectivity = [connectivity_report.connectivity_section(record, len(links)) for record in links]
    overview = _overview(pools, links)
    of_units = unit_panels([record.path for record in given if isinstance(record, RunRecord)], maps)
    own = ["tuning.js"] if any(session["tuning"] for session in sessions) else []
    own += ["connectivity_panel.js"] if links else []
    return render_page(
        "report.html",
        ("report_tools.js", *PANELS, *own, "report.js"),
        {**_page_data(pools, sessions, connectivity), **_if_any(pictures=pictures, againstBins=bins)},
        {**connectivity_report.FILTERS, **FILTERS},
        title=_title([head["question"] for head in overview]),
        overview=overview,
        groups=[_group(at, pool) for at, pool in enumerate(pools)],
        several_groups=len(pools) > 1,
        different=different_terms(pools) if len(pools) > 1 else [],
        against_bins=bins,
        several=len(sessions) > 1,
        sessions=sessions,
        connectivity=connectivity,
        receptive_fields=of_units["receptive_fields"],
        attributions=of_units["attributions"],
        how_importance=HOW_IMPORTANCE,
        interval_note=WHAT_INTERVALS_COVER,
        methods=_methods(pools, links),
        provenance=[_provenance(name, record) for name, record in zip(names, given, strict=True)],
        failures=[failure for pool in pools for failure in pool.record.failures],
    )


def _overview(pools: Sequence[Pool], links: Sequence[ConnectivityRecord]) -> list[dict[str, str]]:
    """Put question, data and answer of every group of runs; of connectivity alone where there is no other."""
    if pools:
        return [{**headline(pool.record), "name": pool.name} for pool in pools]
    heads = [connectivity_report.headline(record) for record in links]
    names = run_names([record.path for record in links])
    return [
        {"name": name, "question": head["question"], "value": "", "share": f"{head['value']} {head['share']}",
         "decoder": "", "how": "", "chance": head["trust"], "data": head["data"]}
        for name, head in zip(names, heads, strict=True)
    ]  # fmt: skip


def _title(questions: list[str]) -> str:
    different = list(dict.fromkeys(questions))
    return different[0] if len(different) == 1 else " ".join(different[:3])


def _if_any(**parts: object) -> dict[str, object]:
    return {name: part for name, part in parts.items() if part}


def _frames(sessions: Sequence[dict[str, Any]]) -> list[str]:
    return [label for session in sessions if session["pictured"] for label in session["confusion"]["labels"]]


def _sessions(pools: Sequence[Pool], *, pictures: bool) -> list[dict[str, Any]]:
    n_sessions = sum(len(pool.record.cards) for pool in pools)
    sections = []
    for at, pool in enumerate(pools):
        tested = pool.record.predictions
        by_session = dict(iter(tested.groupby(tested["session"].astype(str), sort=False)))
        for card in pool.record.cards:
            session = str(card["session_id"])
            if session not in by_session:  # all its fits failed: the list of what is not finished names them
                continue
            name = f"{session} ({pool.name})" if len(pools) > 1 else session
            sections.append(
                session_section(pool.record, card, at, name, by_session[session], n_sessions, pictures=pictures)
            )
    return sections


def _group(number: int, pool: Pool) -> dict[str, Any]:
    """Collect what the page shows of runs on equal terms, beside their sessions."""
    record = pool.record
    table = record.over_sessions
    everywhere = set() if table is None else set(table["decoder"].astype(str) + " " + table["selection"].astype(str))
    rows = dict.fromkeys(record.per_session["decoder"].astype(str) + " " + record.per_session["selection"].astype(str))
    return {
        "number": number,
        "name": pool.name,
        "notes": pool.notes,
        "n_sessions": int(record.per_session["session"].nunique()),
        "over_sessions": [] if table is None else rows_of(table),
        "not_everywhere": [row for row in rows if row not in everywhere],
    }


def _methods(pools: Sequence[Pool], links: Sequence[ConnectivityRecord]) -> list[dict[str, Any]]:
    found = [
        {"name": pool.name, "paragraphs": methods(pool.record), "paste": methods_to_paste(pool.record)}
        for pool in pools
    ]
    names = run_names([record.path for record in links])
    for name, record in zip(names, links, strict=True):
        found.append({"name": name, "paragraphs": connectivity_report.methods(record), "paste": ""})
    return found


def _provenance(name: str, record: Record) -> dict[str, Any]:
    return {
        "name": name,
        "rows": provenance_rows(record.provenance),
        "config": yaml.safe_dump(record.config, sort_keys=False, allow_unicode=True),
    }


def _page_data(
    pools: Sequence[Pool], sessions: Sequence[dict[str, Any]], connectivity: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Collect what the page's own script draws."""
    groups = []
    for pool in pools:
        table = pool.record.over_sessions
        tuning = {} if pool.record.candidates is None else {"importance": importances(pool.record)}
        groups.append({"name": pool.name, "overSessions": None if table is None else rows_of(table), **tuning})
    return {
        "theme": {
            "ink": theme.INK,
            "soft": theme.SOFT_INK,
            "rule": theme.RULE,
            "accent": theme.ACCENT,
            "reference": theme.REFERENCE,
            "palette": theme.PALETTE,
            "sequential": theme.SEQUENTIAL,
            "diverging": theme.DIVERGING,
        },
        "groups": groups,
        "sessions": [drawn(session) for session in sessions],
        **({"connectivity": [panel["drawn"] for panel in connectivity]} if connectivity else {}),
    }

"""The page of a connectivity estimate: who drives whom, how sure that is, and how it was found."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from spikesight.connectivity_files import Q
from spikesight.figures import theme
from spikesight.records.connectivity_record import FIGURES, ConnectivityRecord, read_connectivity
from spikesight.reports.connectivity_panel import connectivity_panel
from spikesight.reports.page import picture, render_page, write_whole
from spikesight.reports.text import provenance_rows

REPORT: Final = "report.html"
TITLES: Final = {
    "matrix": "The matrix",
    "areas": "The graph of areas",
    "units": "The graph of units",
    "lags": "Lags of the edges",
    "ccf": "Where the edges run",
}
"""Figures, by the name of their file."""


def write_connectivity_report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the page of a run directory of a connectivity estimate; by default ``report.html`` in it.

    Raises
    ------
    RunDirectoryError
        If ``run`` is no such directory, or ``out`` cannot be written.
    """
    path = Path(out) if out is not None else Path(run) / REPORT
    write_whole(path, render(read_connectivity(run)))
    return path


def render(record: ConnectivityRecord) -> str:
    """Return the page as HTML."""
    panel = connectivity_panel(record)
    return render_page(
        "connectivity.html",
        ("report_tools.js", "connectivity_panel.js", "connectivity.js"),
        {"theme": _theme(), "panel": panel["drawn"]},
        FILTERS,
        title=headline(record)["question"],
        headline=headline(record),
        panel={**panel, "headline": None},
        area_rows=_shown_areas(record.areas).to_dict("records"),
        n_empty=len(record.areas) - len(_shown_areas(record.areas)),
        figures=_figures(record.path),
        trust=trust(record),
        left_out=record.summary["left_out"],
        methods=methods(record),
        provenance=provenance_rows(record.provenance),
        config=yaml.safe_dump(record.config, sort_keys=False, allow_unicode=True),
    )


def connectivity_section(record: ConnectivityRecord, n_panels: int = 1) -> dict[str, Any]:
    """Collect what a page with several panels shows of an estimate; ``n_panels`` of them share the size of the page.

    Returns
    -------
    dict
        Values of the template ``connectivity_panel.html``, where it is called ``panel``; ``drawn``, JSON-able, is what
        ``connectivity_panel.js`` draws.
    """
    return {**connectivity_panel(record, n_panels), "headline": headline(record), "trust": trust(record)[1:]}


def headline(record: ConnectivityRecord) -> dict[str, str]:
    """Put the question, the data and the answer in a sentence each."""
    summary = record.summary
    pairs = f"{summary['n_pairs']:,}"
    tested = summary["n_edges"] is not None
    kind = "ordered pairs" if summary["directed"] else "pairs"
    return {
        "question": "Which unit drives which?" if summary["directed"] else "Which units fire together?",
        "value": f"{summary['n_edges']:,} of {pairs}" if tested else pairs,
        "share": (
            f"{kind} of units have an edge by {summary['method']}, {_rule(summary)}."
            if tested
            else f"{kind} of units were ranked by {summary['method']}, which has no test."
        ),
        "trust": _stability(summary),
        "data": (
            f"{summary['n_units']:,} units of session {summary['session_id'] or 'without a name'}, "
            f"{summary['duration'] / 60:.1f} minutes of {summary['period']} in bins of "
            f"{1000 * summary['bin_size']:g} ms."
        ),
    }


def _shown_areas(areas: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of areas that have an edge; all, where none was tested or none has one."""
    some = areas["n_edges"] > 0
    return areas[some] if some.any() else areas


def _rule(summary: Mapping[str, Any]) -> str:
    if summary["rule"] == "7sd":
        return "by the rule of seven standard deviations"
    return f"at a false-discovery rate of {100 * Q:g}\u00a0%"


def trust(record: ConnectivityRecord) -> list[str]:
    """Say what speaks for the matrix and what it cannot show."""
    untested = record.summary["n_untested"]
    few = [f"{untested:,} pairs have no p-value: too few spikes for so many sources."] if untested else []
    return [
        _stability(record.summary),
        *few,
        "An edge is a statistical one: the source's spikes foretell the target's beyond what the method accounts for. "
        "Common input from units that were not recorded, and gain that units share, can make edges where there is no "
        "synapse, and a synapse may be too weak to be found. The validation page of the documentation says how often, "
        "on networks whose couplings are known.",
    ]


def methods(record: ConnectivityRecord) -> list[str]:
    """Say how the matrix was found."""
    summary = record.summary
    stimulus = {
        "psth": "The mean response to each condition was removed, bin by bin.",
        "shuffle": "Estimates were compared with those of trials permuted within conditions, unit by unit.",
        "none": "Nothing was removed for the stimulus.",
    }[summary["stimulus"]]
    options = ", ".join(f"{name} = {value}" for name, value in summary["params"].items())
    sure = "The method has no p-values."
    if summary["rule"] == "7sd":
        sure = "A pair is an edge if its peak exceeds seven standard deviations of the flanks (Siegle et al. 2021)."
    elif summary["n_edges"] is not None:
        n_tested = summary["n_pairs"] - summary["n_untested"]
        sure = (
            f"p-values are corrected for the choice among lags, and q-values for {n_tested:,} pairs (Benjamini and "
            "Hochberg 1995)."
        )
    if summary["n_dropped_segments"]:
        sure += f" {summary['n_dropped_segments']:,} trials whose condition was shown once were left out."
    stretches = "one stretch" if summary["n_segments"] == 1 else f"{summary['n_segments']:,} stretches"
    return [
        f"Spikes were counted in bins of {1000 * summary['bin_size']:g} ms in {stretches} of "
        f"{summary['period']}. {summary['summary'][0].upper()}{summary['summary'][1:]} ({summary['method']}; "
        f"{options}). {stimulus} {sure}"
    ]


def _stability(summary: Mapping[str, Any]) -> str:
    split, seeds = summary["split_half"], summary["seed_to_seed"]
    if not summary["stability_asked"]:
        return "Its stability was not asked for."
    if split is None:
        halves = "Half of the recording is too short for an estimate of its own"
    else:
        halves = (
            f"Weights from two halves of the recording correlate by {split:.2f} (over all pairs, most of which may "
            "have no coupling)"
        )
    return f"{halves}." if seeds is None else f"{halves}; those of two seeds by {seeds:.2f}."


def _theme() -> dict[str, Any]:
    return {
        "ink": theme.INK,
        "soft": theme.SOFT_INK,
        "rule": theme.RULE,
        "accent": theme.ACCENT,
        "reference": theme.REFERENCE,
        "palette": theme.PALETTE,
        "diverging": theme.DIVERGING,
    }


def _figures(path: Path) -> list[dict[str, str]]:
    there = {name: path / FIGURES / f"{name}.png" for name in TITLES}
    return [{"title": TITLES[name], "picture": picture(file)} for name, file in there.items() if file.is_file()]


def _unknown(value: float | None) -> bool:
    return value is None or pd.isna(value)


def _number(value: float) -> str:
    return "-" if _unknown(value) else f"{value:.3g}".replace("-", "\u2212")


FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "count": lambda value: f"{int(value):,}",
    "number": _number,
    "whole": lambda value: "-" if _unknown(value) else f"{value:,.0f}",
    "percent": lambda value: "-" if _unknown(value) else f"{100 * value:.1f}",
    "milliseconds": lambda value: "-" if _unknown(value) else f"{1000 * value:g}",
}
"""Filters of the templates."""

"""What the command line prints: tables on stdout, plain where that is not a terminal."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from spikesight.commands.terminal_progress import PLAIN_WIDTH, console
from spikesight.commands.terminal_tables import caption, table_of, without
from spikesight.connectivity_files import Q, found_edges
from spikesight.figures.theme import counted
from spikesight.records.connectivity_record import read_connectivity
from spikesight.records.leaderboard import SELECTIONS, most_thorough
from spikesight.records.run_record import REFERENCE, RunRecord, read_run
from spikesight.reports.connectivity_report import headline
from spikesight.reports.report import REPORT
from spikesight.reports.text import asked_of_counts
from spikesight.search_space import as_plain
from spikesight.statistics import WHAT_INTERVALS_COVER
from spikesight.tracking.run_directory import LOG

VALIDATION_COLUMNS: Final = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "direction": "direction",
    "sign_accuracy": "sign",
    "tpr_at_1pct": "TPR at 1 %",
    "lag_error_ms": "lag error ms",
    "false_positives_5pct": "p < 5 %",
    "false_positives_1pct": "p < 1 %",
    "seconds": "seconds",
}
"""Scores that a terminal shows, and what it calls them."""
SPARE: Final = ("seconds", "units", "trials", "top-5 %", "chance %", "minus best [95 %]")
"""Columns of a leaderboard that a narrow terminal goes without, the first first."""
MANY_AREAS: Final = 12
"""Most areas that a terminal has columns for."""


def leaderboard_tables(record: RunRecord, width: int = PLAIN_WIDTH) -> list[Table]:
    """Lay out the leaderboard of a run; of several sessions, their mean and one line per session.

    Columns that do not fit into ``width`` are left out, and the caption says so.
    """
    title = _title(record)
    sessions = record.per_session["session"].unique()
    if len(sessions) == 1:
        return [_leaderboard(record.per_session, f"Session {sessions[0]}: {title}", width)]
    by_session = _by_session(record.per_session, width)
    if record.over_sessions is None:  # no decoder has a row in all of them
        return [by_session]
    return [_leaderboard(record.over_sessions, f"Mean over {len(sessions)} sessions: {title}", width), by_session]


def _leaderboard(rows: pd.DataFrame, title: str, width: int) -> Table:
    """One line per decoder and selection."""
    lines = [_leaderboard_line(row) for row in rows.to_dict("records")]
    columns = list(lines[0])
    left_out = without(columns, lines, width, SPARE)
    table = Table(
        title=Text(title), title_justify="left", caption=caption(left_out, WHAT_INTERVALS_COVER),
        caption_justify="left", box=None, pad_edge=False, header_style="dim",
    )  # fmt: skip
    shown = [name for name in columns if name not in left_out]
    for name in shown:
        table.add_column(Text(name), justify="left" if name in columns[:2] else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(line[name]) for name in shown), style="yellow" if line["constants"] == REFERENCE else "")
    return table


def _leaderboard_line(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "decoder": str(row["decoder"]),
        "constants": str(row["selection"]),
        "accuracy %": _percent(row["accuracy"]),
        "[95 %]": f"[{_percent(row['low'])}, {_percent(row['high'])}]",
        "minus best [95 %]": _difference(row),
        "chance %": _percent(row["chance"]),
        "top-5 %": _percent(row["top5_accuracy"]),
        "trials": f"{row['n_trials']:,}",
        "units": f"{row['n_units']:,}",
        "seconds": f"{row['seconds']:.1f}",
    }


def _by_session(per_session: pd.DataFrame, width: int) -> Table:
    """One line per session: accuracy and half its interval, of the most thorough row of each decoder."""
    own = most_thorough(per_session)
    how = " or else ".join(name for name in SELECTIONS[:-1] if (own["selection"] == name).any())
    order = own.groupby("decoder")["accuracy"].mean().sort_values(ascending=False).index
    lines = []
    for session, rows in own.groupby("session", sort=False):
        first = rows.iloc[0]
        by_decoder = rows.set_index("decoder")
        values = {str(name): _accuracy(by_decoder.loc[name]) if name in by_decoder.index else "-" for name in order}
        size = {"units": f"{rows['n_units'].max():,}", "trials": f"{first['n_trials']:,}"}
        lines.append({"session": str(session), **size, "chance": _percent(first["chance"]), **values})
    columns = list(lines[0])
    # Those that decode worst go first; the best stays.
    left_out = without(columns, lines, width, [*columns[:4:-1], "units", "trials", "chance"])
    table = Table(
        title=Text(f"Accuracy in % ± half its interval{how and ', '}{how}"), title_justify="left",
        caption=caption(left_out), caption_justify="left", box=None, pad_edge=False, header_style="dim",
    )  # fmt: skip
    shown = [name for name in columns if name not in left_out]
    for name in shown:
        table.add_column(Text(name), justify="left" if name == "session" else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(line[name]) for name in shown))
    return table


def _title(record: RunRecord) -> str:
    """Stimulus, target, blanks, splitter, gap, context and detrending."""
    row = record.results.iloc[0]
    blanks = {"kept": ", blanks kept", "dropped": ", blanks dropped"}.get(str(row["blanks"]), "")
    counts = asked_of_counts(record.results)
    return f"{row['target']} of {row['stimulus']}{blanks}; {row['splitter']}, gap {row['gap']}{counts and '; '}{counts}"


def _accuracy(row: "pd.Series[Any]") -> str:
    return f"{_percent(row['accuracy'])} ±{50 * (row['high'] - row['low']):.1f}"


def _difference(row: Mapping[Any, Any]) -> str:
    """Write the paired difference to the best row, in percent points; its interval where it has one."""
    mean, low, high = (row[name] for name in ("minus_best", "minus_best_low", "minus_best_high"))
    if math.isnan(mean):
        return "-"
    return f"{100 * mean:+.1f}" + ("" if math.isnan(low) else f" [{100 * low:+.1f}, {100 * high:+.1f}]")


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def print_json(value: Any) -> None:
    """Write JSON on stdout; NaN, which it does not have, becomes null."""
    sys.stdout.write(json.dumps(_json_able(value), indent=2, allow_nan=False) + "\n")


def print_run(run: Path, *, as_json: bool = False) -> int:
    """Write the leaderboard and the place of the report; return 1 if some fits failed, else 0."""
    record = read_run(run)
    report = (run / REPORT).resolve()
    if as_json:
        rows = {"results": record.results, "leaderboard": record.per_session, "over_sessions": record.over_sessions}
        tables = {name: None if table is None else table.to_dict("records") for name, table in rows.items()}
        print_json({"run": str(run.resolve()), "report": str(report), **tables, "failures": record.failures})
    else:
        out = console()
        for table in leaderboard_tables(record, out.width):
            out.print(table)
            out.print()
        out.print(Text(f"report: {report}"), soft_wrap=True)
    for text in _trouble(record, run):
        console(stderr=True).print(Text(text))
    return int(bool(record.failures))


def _trouble(record: RunRecord, run: Path) -> Iterator[str]:
    """Say which sessions and fits are missing."""
    lost = [failure for failure in record.failures if failure["decoder"] is None]
    failed = [failure for failure in record.failures if failure["decoder"] is not None]
    if lost:
        names = ", ".join(str(failure["session"]) for failure in lost)
        yield (
            f"error: left out {counted(len(lost), 'session')} ({names}), the first because of {lost[0]['error']} Start "
            "the same command again to try once more; what is finished is kept."
        )
    if failed:
        first = failed[0]
        yield (
            f"error: {counted(len(failed), 'fit')} failed, the first is {first['decoder']} ({first['selection']}) on "
            f"fold {first['fold']} of session {first['session']}: {first['error']}. "
            f"The leaderboard is of the rest; {run / LOG} holds the tracebacks."
        )


def print_connectivity(run: Path, *, as_json: bool = False) -> None:
    """Write what an estimate found: numbers, stability, the strongest edges, and where the page is."""
    record = read_connectivity(run)
    summary = record.summary
    page = str((run / REPORT).resolve())
    found = found_edges(record.edges)
    if as_json:
        print_json({"run": str(run.resolve()), "report": page, **summary, "edges": found.to_dict("records")})
        return
    out = console()
    lines = headline(record)
    out.print(Text(f"{lines['value']} {lines['share']}"), soft_wrap=True)
    out.print(Text(lines["trust"]), soft_wrap=True)
    out.print(Text(lines["data"]), soft_wrap=True)
    if summary["left_out"]:
        named = ", ".join(f"{unit['unit']} ({unit['n_spikes']:,} spikes)" for unit in summary["left_out"][:10])
        more = f" and {len(summary['left_out']) - 10} more" if len(summary["left_out"]) > 10 else ""
        out.print(Text(f"left out, {summary['left_out'][0]['reason']}: {named}{more}"), soft_wrap=True)
    out.print()
    if found.empty:
        smallest = f"No pair has a q of {Q:g} or less; the smallest is {record.edges['q_value'].min():.2g}."
        out.print(Text("No pair passes the rule." if summary["rule"] == "7sd" else smallest), soft_wrap=True)
    else:
        title = "Most certain edges" if summary["n_edges"] is not None else "Strongest pairs"
        out.print(_edge_table(found.head(10), title))
    out.print(Text(f"weight: {summary['measure']}"), soft_wrap=True)
    out.print(Text(f"report: {page}"), soft_wrap=True)


def _edge_table(edges: pd.DataFrame, title: str) -> Table:
    columns = ("source", "target", "areas", "weight", "z", "q", "lag ms")
    rows = [
        {
            "source": edge["source_unit"],
            "target": edge["target_unit"],
            "areas": f"{edge['source_area'] or '-'} to {edge['target_area'] or '-'}",
            "weight": f"{edge['weight']:.3g}",
            "z": _or_dash(edge["z"], ".1f"),
            "q": _or_dash(edge["q_value"], ".1g"),
            "lag ms": _or_dash(1000 * edge["lag"], "g"),
        }
        for edge in edges.to_dict("records")
    ]
    return table_of(rows, title, columns=columns)


def _or_dash(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def print_methods(specs: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Write a line for every connectivity estimator."""
    rows = [{"name": name, "summary": spec.summary, "bin_size": spec.bin_size} for name, spec in specs.items()]
    if as_json:
        print_json(rows)
        return
    width = max(len(name) for name in specs)
    for row in rows:
        line = f"{row['name']:<{width}}  {row['summary']} (bins of {1000 * row['bin_size']:g} ms)"
        console().print(Text(line), soft_wrap=True)


def print_validation(table: pd.DataFrame, means: pd.DataFrame, *, as_json: bool = False) -> None:
    """Write the scores of estimators on networks whose couplings are known, mean over networks."""
    if as_json:
        print_json(means.to_dict("records"))
        return
    varied = [name for name in ("network", "duration", "fraction_observed", "rate_asked") if means[name].nunique() > 1]
    scored = [name for name in VALIDATION_COLUMNS if means[name].notna().any()]
    names = {name: VALIDATION_COLUMNS.get(name, name.replace("_", " ")) for name in ["method", *varied, *scored]}
    rows = [{shown: _cell(row[name]) for name, shown in names.items()} for row in means.to_dict("records")]
    n_networks = table["seed"].nunique()
    title = f"Mean over {n_networks} simulated network{'s' if n_networks > 1 else ''}; intervals: --json"
    console().print(table_of(rows, title, columns=list(names.values())))
    for row in means[means["error"] != ""].to_dict("records"):
        console(stderr=True).print(Text(f"{row['method']} failed in {row['n_failed']}: {row['error']}"), soft_wrap=True)


def _cell(value: Any) -> str:
    return _or_dash(value, ".3g") if isinstance(value, float) else str(value)


def print_sessions(sessions: Sequence[Mapping[str, Any]], source: str, *, as_json: bool = False) -> None:
    """Write the public sessions, one a line."""
    if as_json:
        print_json(sessions)
        return
    areas = sorted({name for session in sessions for name in session["default_units_per_area"]})
    if len(areas) > MANY_AREAS:  # of all areas that have names, those of visual cortex; the others are in the JSON
        areas = [name for name in areas if name.startswith("VIS")]
    rows = [
        {
            **session,
            "type": session["session_type"],
            "age": session["age_in_days"],
            "line": session["genotype"].split("/")[0],
            **{name: session["default_units_per_area"].get(name, "-") for name in areas},
        }
        for session in sessions
    ]
    title = f"{counted(len(rows), 'session')}; units that the default filters keep per area ({source})"
    out, columns = console(), ("session_id", "type", "sex", "age", "line", *areas)
    out.print(table_of(rows, title, columns=columns, width=out.width, spare=("sex", "age", "line")))


def print_card(card: Mapping[str, Any]) -> None:
    """Write a session card."""
    out = console()
    out.print(Text(f"session {card['session_id']}: {card['target']} of {card['stimulus']}"))
    out.print(Text(str(card["source"])), soft_wrap=True)
    low, _, high = card["repeats"]
    repeats = f"{low}" if low == high else f"{low} to {high}"
    out.print(Text(f"{card['n_trials']:,} trials of {card['n_classes']:,} classes, {repeats} repeats each"))
    bins = "1 bin" if card["n_bins"] == 1 else f"{card['n_bins']} bins"
    out.print(Text(f"{bins}; {card['n_units']:,} units: {listed(card['units_per_area'])}"))
    out.print(Text(f"dropped units: {listed(card['dropped_units'])}; dropped trials: {listed(card['dropped_trials'])}"))
    if "out" in card:
        out.print(Text(f"wrote {card['out']}"), soft_wrap=True)


def print_predictions(table: pd.DataFrame, *, as_json: bool = False) -> None:
    """Write one line per trial, and how many are right of the test trials and the new ones."""
    if as_json:
        print_json(table.to_dict("records"))
        return
    out = console()
    columns = ("trial", "start_time", "y_true", "y_pred", "confidence", "role")
    shown = table[list(columns)].assign(
        start_time=table["start_time"].map("{:.3f}".format),
        confidence=[_or_dash(value, ".3f") for value in table["confidence"]],
    )
    rows = [dict(zip(columns, row, strict=True)) for row in shown.itertuples(index=False)]
    out.print(table_of(rows, "Predictions", columns=columns))
    counts = table["role"].value_counts()
    unseen = table[table["role"].isin(["test", "new"])]
    right = int(unseen["correct"].sum())
    share = f" ({_percent(right / len(unseen))} %)" if len(unseen) else ""
    left_out = f"not counted: {counts.get('training', 0):,} trials of its training, {counts.get('gap', 0):,} of the gap"
    out.print(Text(f"{right:,} of {len(unseen):,} test or new trials right{share}; {left_out}"))


def print_decoders(
    specs: Mapping[str, Any], broken: Mapping[str, str], *, details: bool = False, as_json: bool = False
) -> None:
    """Write a line for every decoder, or all that the registry knows of it."""
    rows = [
        {
            "name": name,
            "summary": spec.summary,
            "several bins": spec.several_bins,
            "candidates": [dict(candidate) for candidate in spec.candidates],
            "search space": as_plain(spec.search_space),
        }
        for name, spec in specs.items()
    ]
    if as_json:
        print_json({"decoders": rows, "broken": dict(broken)})
        return
    out = console()
    width = max(len(name) for name in specs)
    for row in rows:
        out.print(Text(f"{row['name']:<{width}}  {row['summary']}"), soft_wrap=True)
        if details:
            out.print(Text(f"  several bins: {row['several bins']}"), soft_wrap=True)
            out.print(Text(f"  candidates: {_candidates(row['candidates'])}"), soft_wrap=True)
            out.print(Text(f"  search space: {_ranges(row['search space'])}"), soft_wrap=True)
    for name, reason in broken.items():
        out.print(Text(f"broken plug-in {name}: {reason}"))


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> str:
    """Write candidates in one line: the values of each constant."""
    names = dict.fromkeys(name for candidate in candidates for name in candidate)
    values = {name: [candidate[name] for candidate in candidates if name in candidate] for name in names}
    return "; ".join(f"{name} = {' | '.join(map(str, found))}" for name, found in values.items()) or "none"


def _ranges(space: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a search space in one line, as YAML would have it."""
    return (
        "; ".join(
            f"{name} in {' | '.join(map(str, plain['values']))}"
            if "values" in plain
            else f"{name} from {plain['low']:g} to {plain['high']:g}"
            + (", whole" if plain["whole"] else "")
            + (", log" if plain["log"] else "")
            for name, plain in space.items()
        )
        or "none"
    )


def listed(counts: Mapping[str, Any]) -> str:
    """Write names with their numbers in one line."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "none"


def _json_able(value: Any) -> Any:
    """Turn numpy values and paths into JSON's own, and NaN into None."""
    if isinstance(value, Mapping):
        return {str(key): _json_able(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_able(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)

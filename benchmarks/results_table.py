"""The tables of docs/results.md, in Markdown, from finished run directories.

Run ``python benchmarks/results_table.py RUN [RUN ...]``. Everything is computed from ``results.parquet`` and
``predictions.parquet`` of the runs, by the functions that the report uses. Several runs, of other decoders on the same
sessions and terms, make one table.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from spikesight.records.leaderboard import SELECTIONS, mean_leaderboard, session_leaderboard
from spikesight.records.run_record import read_run
from spikesight.statistics import paired_difference

BEST = "fa-lda"


TERMS = ("splitter", "gap", "target", "n_bins", "context", "detrend")
"""Columns of results that say what was asked: the same in all runs that go into one table."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+", help="run directories of a benchmark, on the same sessions and terms")
    parser.add_argument("--per-session", help="names of decoders, after commas, for the tables of sessions; else all")
    asked = parser.parse_args()
    results, predictions = together(asked.run)
    per_session = session_leaderboard(results, predictions)
    several = per_session["session"].nunique() > 1
    table = mean_leaderboard(per_session, predictions) if several else per_session
    for selection in selections(per_session):
        print(f"\n### {'Mean over sessions' if several else 'One session'}, {selection} constants\n")
        print_table(decoder_rows(table, results, selection))
    gains = graph_rows(per_session)
    if gains:
        over = ", paired over sessions" if several else ""
        print(f"\n### What the graph adds: each graph decoder less itself with the identity graph{over}\n")
        print_table(gains)
    if not several:
        return
    differences = difference_rows(per_session)
    if differences:
        print(f"\n### {BEST} against each other decoder, paired over sessions\n")
        print_table(differences)
    chosen = asked.per_session.split(",") if asked.per_session else None
    for selection in selections(per_session):
        print(f"\n### Each session, {selection} constants\n")
        print_table(session_rows(per_session, selection, chosen))


def together(runs: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the results and predictions of several runs; a row that is in two of them counts once."""
    records = [read_run(run) for run in runs]
    results = pd.concat([record.results for record in records], ignore_index=True)
    terms = results.reindex(columns=list(TERMS)).astype(str).drop_duplicates()
    if len(terms) > 1:
        raise SystemExit(f"expected runs of the same terms, got several:\n{terms.to_string(index=False)}")
    cell = ["session", "decoder", "selection", "fold"]
    predictions = pd.concat([record.predictions for record in records], ignore_index=True)
    return results.drop_duplicates(cell), predictions.drop_duplicates([*cell, "trial"])


def selections(per_session: pd.DataFrame) -> list[str]:
    """Ways to set constants that the run has rows of."""
    return [name for name in SELECTIONS if (per_session["selection"] == name).any()]


def decoder_rows(table: pd.DataFrame, results: pd.DataFrame, selection: str) -> list[dict[str, str]]:
    """Build one row per decoder, references among them."""
    own = table[table["selection"].isin([selection, "reference"])]
    columns = ["decoder", "selection", "fit_seconds", "n_parameters"]
    fits = results.reindex(columns=columns).groupby(columns[:2]).mean()
    rows = []
    for row in own.to_dict("records"):
        fit = fits.loc[(row["decoder"], row["selection"])]
        rows.append(
            {
                "decoder": row["decoder"],
                "accuracy": percent(row["accuracy"]),
                "95 % interval": interval(row),
                "chance": percent(row["chance"]),
                "top-5": percent(row["top5_accuracy"]),
                "test trials": f"{row['n_trials']:,}",
                "seconds a fit": f"{fit['fit_seconds']:,.1f}",
                "parameters": "" if pd.isna(fit["n_parameters"]) else f"{fit['n_parameters']:,.0f}",
            }
        )
    return rows


def difference_rows(per_session: pd.DataFrame) -> list[dict[str, str]]:
    """Compare the best decoder with each other one, tuned with tuned and so on, where it has such rows."""
    rows = []
    for selection in selections(per_session):
        own = per_session[per_session["selection"] == selection]
        table = own.pivot(index="session", columns="decoder", values="accuracy")
        others = table.mean().sort_values(ascending=False).index.drop(BEST) if BEST in table else []
        for name in others:
            both = table[[BEST, name]].dropna()  # a decoder that was stopped has not all sessions
            found = paired_difference(both[BEST], both[name])
            rows.append(
                {
                    "constants": selection,
                    "other": name,
                    "difference (points)": f"{100 * found.mean:+.1f}",
                    "95 % interval": f"[{100 * found.low:.1f}, {100 * found.high:.1f}]",
                    "sessions": str(found.n),
                    "p (sign flips)": f"{found.p_value:.3f}",
                }
            )
    return rows


def graph_rows(per_session: pd.DataFrame) -> list[dict[str, str]]:
    """Compare each graph decoder with its control, where both were run in a session."""
    control = ", identity graph"
    table = per_session[per_session["selection"].isin(["default", "reference"])].pivot(
        index="session", columns="decoder", values="accuracy"
    )
    rows = []
    for name in [name.removesuffix(control) for name in table.columns if name.endswith(control)]:
        both = table[[name, name + control]].dropna()
        row = {
            "decoder": name,
            "accuracy": percent(both[name].mean()),
            "with the identity graph": percent(both[name + control].mean()),
            "difference (points)": f"{100 * (both[name] - both[name + control]).mean():+.1f}",
        }
        if len(table) > 1:
            found = paired_difference(both[name], both[name + control])
            row |= {
                "95 % interval": f"[{100 * found.low:.1f}, {100 * found.high:.1f}]",
                "sessions": str(found.n),
            }
        rows.append(row)
    return rows


def session_rows(
    per_session: pd.DataFrame, selection: str, chosen: Sequence[str] | None = None
) -> list[dict[str, str]]:
    """Build one row per session, one column per decoder (all, or the chosen ones), best decoder first."""
    own = per_session[per_session["selection"] == selection]
    own = own if chosen is None else own[own["decoder"].isin(chosen)]
    order = own.groupby("decoder")["accuracy"].mean().sort_values(ascending=False).index
    rows = []
    for session, cells in own.groupby("session"):
        first = cells.iloc[0]
        by_name = {row["decoder"]: row for row in cells.to_dict("records")}
        head = {"session": str(session), "units": str(first["n_units"]), "trials": f"{first['n_trials']:,}"}
        scores = {
            name: f"{percent(by_name[name]['accuracy'])} {interval(by_name[name])}" if name in by_name else "not run"
            for name in order
        }
        rows.append({**head, "chance": percent(first["chance"]), **scores})
    return rows


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def interval(row: dict[Any, Any]) -> str:
    return f"[{percent(row['low'])}, {percent(row['high'])}]"


def print_table(rows: Sequence[dict[str, str]]) -> None:
    columns = list(rows[0])
    print_row(columns)
    print_row("---" for _ in columns)
    for row in rows:
        print_row(row[name] for name in columns)


def print_row(cells: Iterable[str]) -> None:
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

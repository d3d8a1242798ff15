"""The tables of docs/results.md, in Markdown, from a finished run directory.

Run ``python benchmarks/results_table.py RUN``. Everything is computed from ``results.parquet`` and
``predictions.parquet`` of the run, by the functions that the report uses.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from spikesight.run_record import read_run
from spikesight.statistics import paired_difference

BEST = "fa-lda"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run directory of a benchmark")
    record = read_run(parser.parse_args().run)
    table = record.per_session if record.over_sessions is None else record.over_sessions
    where = "One session" if record.over_sessions is None else "Mean over sessions"
    for selection in selections(record.per_session):
        print(f"\n### {where}, {selection} constants\n")
        print_table(decoder_rows(table, record.results, selection))
    if record.over_sessions is None:
        return
    print(f"\n### {BEST} against each other decoder, paired over sessions\n")
    print_table(difference_rows(record.per_session))
    gains = graph_rows(record.per_session)
    if gains:
        print(
            "\n### What the graph adds: each graph decoder less itself with the identity graph, paired over sessions\n"
        )
        print_table(gains)
    for selection in selections(record.per_session):
        print(f"\n### Each session, {selection} constants\n")
        print_table(session_rows(record.per_session, selection))


def selections(per_session: pd.DataFrame) -> list[str]:
    """Ways to set constants that the run has rows of."""
    return [name for name in ("tuned", "default") if (per_session["selection"] == name).any()]


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
    """Compare the best decoder with each other one, tuned with tuned and default with default."""
    rows = []
    for selection in selections(per_session):
        own = per_session[per_session["selection"] == selection]
        table = own.pivot(index="session", columns="decoder", values="accuracy")
        for name in table.mean().sort_values(ascending=False).index.drop(BEST):
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
    table = per_session[per_session["selection"] != "tuned"].pivot(
        index="session", columns="decoder", values="accuracy"
    )
    rows = []
    for name in [name.removesuffix(control) for name in table.columns if name.endswith(control)]:
        both = table[[name, name + control]].dropna()
        found = paired_difference(both[name], both[name + control])
        rows.append(
            {
                "decoder": name,
                "accuracy": percent(both[name].mean()),
                "with the identity graph": percent(both[name + control].mean()),
                "difference (points)": f"{100 * found.mean:+.1f}",
                "95 % interval": f"[{100 * found.low:.1f}, {100 * found.high:.1f}]",
                "sessions": str(found.n),
            }
        )
    return rows


def session_rows(per_session: pd.DataFrame, selection: str) -> list[dict[str, str]]:
    """Build one row per session, one column per decoder, best decoder first."""
    own = per_session[per_session["selection"] == selection]
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

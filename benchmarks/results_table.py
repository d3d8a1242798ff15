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
    parser.add_argument("run", help="run directory of a benchmark of several sessions")
    record = read_run(parser.parse_args().run)
    if record.over_sessions is None:
        parser.error("expected a run of several sessions")
    for selection in ("tuned", "default"):
        print(f"\n### Mean over sessions, {selection} constants\n")
        print_table(mean_rows(record.over_sessions, selection))
    print(f"\n### {BEST} against each other decoder, paired over sessions\n")
    print_table(difference_rows(record.per_session))
    for selection in ("tuned", "default"):
        print(f"\n### Each session, {selection} constants\n")
        print_table(session_rows(record.per_session, selection))


def mean_rows(over_sessions: pd.DataFrame, selection: str) -> list[dict[str, str]]:
    """Build one row per decoder; the chance decoder stands in both tables."""
    own = over_sessions[over_sessions["selection"].isin([selection, "reference"])]
    return [
        {
            "decoder": row["decoder"],
            "accuracy": percent(row["accuracy"]),
            "95 % interval": interval(row),
            "top-5": percent(row["top5_accuracy"]),
            "test trials": f"{row['n_trials']:,}",
            "seconds": f"{row['seconds']:,.0f}",
        }
        for row in own.to_dict("records")
    ]


def difference_rows(per_session: pd.DataFrame) -> list[dict[str, str]]:
    """Compare the best decoder with each other one, tuned with tuned and default with default."""
    rows = []
    for selection in ("tuned", "default"):
        own = per_session[per_session["selection"] == selection]
        table = own.pivot(index="session", columns="decoder", values="accuracy")
        for name in table.mean().sort_values(ascending=False).index.drop(BEST):
            found = paired_difference(table[BEST], table[name])
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


def session_rows(per_session: pd.DataFrame, selection: str) -> list[dict[str, str]]:
    """Build one row per session, one column per decoder, best decoder first."""
    own = per_session[per_session["selection"] == selection]
    order = own.groupby("decoder")["accuracy"].mean().sort_values(ascending=False).index
    rows = []
    for session, cells in own.groupby("session"):
        first = cells.iloc[0]
        by_name = {row["decoder"]: row for row in cells.to_dict("records")}
        head = {"session": str(session), "units": str(first["n_units"]), "trials": f"{first['n_trials']:,}"}
        scores = {name: f"{percent(by_name[name]['accuracy'])} {interval(by_name[name])}" for name in order}
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

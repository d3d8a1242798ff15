"""What searches gained over defaults, in Markdown and as a picture, from finished runs of ``spikesight tune``.

Run ``python benchmarks/tuning_page.py RUN [RUN ...] [--image FILE --of DECODER]``. The picture has the candidates of
one decoder beside what searches gained on test trials.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spikesight.evaluation.fitting import DEFAULT, SEARCHED
from spikesight.records.leaderboard import session_leaderboard
from spikesight.records.run_record import RunRecord, read_run
from spikesight.statistics import block_bootstrap
from spikesight.tuning_results import CANDIDATES, optimisation_history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+", type=Path, help="run directories of spikesight tune")
    parser.add_argument("--image", type=Path, help="PNG to write")
    parser.add_argument("--of", help="decoder whose candidates are drawn; else the first")
    asked = parser.parse_args()
    records = [read_run(run) for run in asked.run]
    rows = [row for run, record in zip(asked.run, records, strict=True) for row in gains(run, record)]
    print_table(rows)
    print_winners(asked.run)
    if asked.image is not None:
        draw(asked.run, records, asked.image, asked.of)


def gains(run: Path, record: RunRecord) -> list[dict[str, Any]]:
    """Compare searched and default constants of each session and decoder, paired over test trials."""
    candidates = pd.read_parquet(run / CANDIDATES)
    keys = ["session", "decoder"]
    found = []
    for (session, decoder), results in record.results.groupby(keys, sort=False):
        by_selection = dict(iter(results.groupby("selection")))
        if not {SEARCHED, DEFAULT} <= set(by_selection):
            continue
        own = record.predictions[(record.predictions[keys] == [session, decoder]).all(axis=1)]
        trials = own.pivot(index="row", columns="selection", values="correct").astype(float)
        difference = (trials[SEARCHED] - trials[DEFAULT]).to_numpy()
        low, high = block_bootstrap(difference, extremes=(-1, 1))[-2:]
        states = candidates[(candidates[keys] == [session, decoder]).all(axis=1)]["state"].value_counts()
        board = session_leaderboard(results, own).set_index("selection")
        found.append(
            {
                "decoder": decoder, "session": session, "bins": int(results["n_bins"].iloc[0]),
                "inner folds": percent(by_selection[SEARCHED]["inner_accuracy"].mean()),
                "searched, test": with_interval(board.loc[SEARCHED]),
                "default, test": with_interval(board.loc[DEFAULT]),
                "difference": f"{100 * np.mean(difference):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]",
                "chance": percent(results["chance"].iloc[0]), "test trials": f"{len(trials):,}",
                "candidates": ", ".join(f"{count} {state}" for state, count in states.items()),
            }
        )  # fmt: skip
    return found


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def with_interval(row: "pd.Series[Any]") -> str:
    return f"{percent(row['accuracy'])} [{percent(row['low'])}, {percent(row['high'])}]"


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |")


def print_winners(runs: Sequence[Path]) -> None:
    """Print the constants of each search's winner."""
    print("\n| decoder | fold | inner folds | constants |\n|---|---|---|---|")
    for run in runs:
        table = pd.read_parquet(run / CANDIDATES)
        for row in table[table["chosen"]].to_dict("records"):
            values = json.loads(row["params"])
            text = ", ".join(
                f"{name} {value:.2g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in values.items()
            )
            print(f"| {row['decoder']} | {row['fold']} | {percent(row['accuracy'])} | {text} |")


def draw(runs: Sequence[Path], records: Sequence[RunRecord], file: Path, decoder: str | None) -> None:
    """Draw the candidates of one decoder beside what searches gained on test trials."""
    import matplotlib.pyplot as plt

    from spikesight.figures import plot_optimisation_history, plot_tuned_against_default

    candidates = pd.concat([pd.read_parquet(run / CANDIDATES) for run in runs], ignore_index=True)
    of = decoder or candidates["decoder"].iloc[0]
    own = candidates[candidates["decoder"] == of]
    board = pd.concat([record.per_session for record in records], ignore_index=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained")
    plot_optimisation_history(optimisation_history(own[own["session"] == own["session"].iloc[0]]), ax=left)
    left.set_title(f"{of}: candidates on inner folds of training trials")
    plot_tuned_against_default(board, ax=right)
    right.set_title("the winners on test trials", pad=22)
    figure.savefig(file, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    main()

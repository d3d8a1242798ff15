"""The tables of "Which units carry the prediction" in docs/results.md, in Markdown, from attributed runs.

Run ``python benchmarks/attribution_table.py RUN [RUN ...] [--truth FILE.truth.npz] [--units UNITS.parquet]``.
``--truth`` compares importance with the tuning of simulated units; ``--units``, a table of Allen's units
(``ecephys_unit_id``, ``p_value_rf``), with whether Allen found a receptive field.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from spikesight.attribution.files import ABLATION_TABLE, SUMMARY, UNITS_TABLE, Q
from spikesight.data.simulation.truth import GroundTruth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--units", type=Path)
    asked = parser.parse_args()
    for run in asked.run:
        for folder in sorted(path.parent for path in run.glob(f"attribution/*/{SUMMARY}")):
            print(f"\n### {run.name}, {folder.name}\n")
            summary = json.loads((folder / SUMMARY).read_text())
            print(f"seeds {summary['seeds']}, other answers than the run: {summary['other_answers']}")
            if (folder / UNITS_TABLE).is_file():
                print_units(pd.read_parquet(folder / UNITS_TABLE), asked.truth, asked.units)
            if (folder / ABLATION_TABLE).is_file():
                print_ablation(pd.read_parquet(folder / ABLATION_TABLE))


def print_units(table: pd.DataFrame, truth: Path | None, allen: Path | None) -> None:
    carries = table["q_value"] <= Q
    total = table["importance"].clip(lower=0).sum()
    top = table["importance"].head(max(1, len(table) // 10)).sum() / total
    lost = (
        f", of accuracy lost at most {100 * table['accuracy_lost'].max():.2f} %"
        if table["accuracy_lost"].notna().any()
        else ""
    )
    print(f"{carries.sum()} of {len(table)} carry; the top tenth has {top:.0%} of all importance{lost}")
    by_area = table.assign(carries=carries).groupby("area").agg(n=("unit", "size"), share=("carries", "mean"))
    print(by_area["share"].map("{:.0%}".format).to_dict(), by_area["n"].to_dict())
    if truth is not None:
        strength = GroundTruth.load(truth).tuning_strength(table["unit"].to_numpy())
        weak = strength < 0.05
        print(f"rank correlation with tuning strength {spearmanr(strength, table['importance']).statistic:.2f}")
        print(f"of {weak.sum()} hardly tuned units (below 0.05) {carries[weak].sum()} carry; ", end="")
        print(f"of {(strength >= 0.3).sum()} tuned ones (from 0.3) {carries[strength >= 0.3].mean():.0%}")
    if allen is not None:
        known = pd.read_parquet(allen, columns=["ecephys_unit_id", "p_value_rf"]).set_index("ecephys_unit_id")
        p_value = known["p_value_rf"].reindex(table["unit"]).to_numpy()
        field = p_value < 0.01
        told = np.isfinite(p_value)
        print(
            f"carry with a receptive field (p < 0.01) {carries[told & field].mean():.0%} of {(told & field).sum()}, ",
            end="",
        )
        print(f"without {carries[told & ~field].mean():.0%} of {(told & ~field).sum()}")


def print_ablation(table: pd.DataFrame) -> None:
    curves = table[table["area"] == ""]
    for how, own in curves.groupby("how"):
        wide = own.groupby(["order", "share_dropped"])["accuracy"].mean().unstack()
        print(how, (100 * wide).round(1).to_string(), sep="\n")
    areas = table[table["area"] != ""].groupby(["how", "order", "area"])["accuracy"].mean().unstack()
    print((100 * areas).round(1).to_string())


if __name__ == "__main__":
    main()

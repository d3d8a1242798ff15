"""Everything that docs/connectivity_validation.md shows, by one command: tables, and figures as PNG.

Run ``python benchmarks/validation_page.py --out runs/validation`` (about an hour on two cores; started again, it goes
on), or ``--quick`` to see that it works. ``tables.md`` holds the tables, ``images/`` the figures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd

from spikesight.commands.terminal_progress import TerminalProgress
from spikesight.connectivity_validation.methods import method_of
from spikesight.connectivity_validation.networks import constants_of, simulate
from spikesight.connectivity_validation.scores import matrices_of, score
from spikesight.connectivity_validation.validate import calibration, stability, summary, validate
from spikesight.figures import plot_calibration, plot_ground_truth, plot_validation_curve, plot_validation_scores

PARTS: Final[dict[str, dict[str, Any]]] = {
    "reference": {"network": "reference"},
    "lif": {"network": "integrate-and-fire"},
    "durations": {"network": "reference", "durations": (150.0, 300.0, 600.0)},
    "fractions": {"network": "reference", "fractions": (0.25, 0.5, 0.75)},
    "rates": {"network": "reference", "durations": (600.0,), "rates": (2.0, 4.0, 15.0)},
}
MEASURES: Final = (
    ("auroc", "AUROC"), ("average_precision", "AP"), ("direction", "direction"), ("sign_accuracy", "sign"),
    ("tpr_at_1pct", "TPR at 1 %"), ("lag_error_ms", "lag error, ms"), ("false_positives_5pct", "p < 5 %"),
    ("seconds", "seconds"),
)  # fmt: skip
SHOWN: Final = "ccg-jitter"
"""Method of the matrix that is drawn beside the truth."""


def measure(out: Path, seeds: Sequence[int], *, quick: bool) -> dict[str, pd.DataFrame]:
    """Return the means of every part; finished rows are read."""
    means = {}
    with TerminalProgress() as progress:
        for name, options in PARTS.items():
            progress.note(name)
            own = {"network": options["network"]} if quick else options
            means[name] = summary(validate(**own, seeds=seeds, quick=quick, out=out / name, progress=progress))
        progress.note("calibration")
        means["calibration"] = summary(
            calibration(seeds=seeds, quick=quick, out=out / "calibration", progress=progress)
        )
    return means


def stabilities(methods: Sequence[str], *, quick: bool) -> pd.DataFrame:
    """Return split-half and seed-to-seed correlations on the first reference network."""
    rows = [{"method": name, **stability(name, quick=quick)._asdict()} for name in methods]
    return pd.DataFrame(rows)


def table(means: pd.DataFrame, terms: Sequence[str] = ()) -> str:
    """Write means and intervals as a Markdown table."""
    heads = ["method", *terms, *(name for _, name in MEASURES)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in means.to_dict("records"):
        cells = [_code(row["method"]), *(f"{row[term]:g}" for term in terms)]
        cells += [_cell(row, name) for name, _ in MEASURES]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _code(name: str) -> str:
    return "`" + name.replace("|", r"\|") + "`"  # a bar would end the cell


def _cell(row: dict[str, Any], name: str) -> str:
    value, low, high = row[name], row.get(f"{name}_low"), row.get(f"{name}_high")
    if pd.isna(value):
        return "-"
    digits = 1 if name in ("seconds", "lag_error_ms") else 3
    whole = f"{value:.{digits}f}"
    return whole if name == "seconds" or pd.isna(low) else f"{whole} [{low:.{digits}f}, {high:.{digits}f}]"


def write_tables(means: dict[str, pd.DataFrame], stable: pd.DataFrame, file: Path) -> None:
    """Write all tables."""
    terms = {"durations": ["duration"], "fractions": ["fraction_observed"], "rates": ["rate_asked"]}
    parts = [
        f"## {name}\n\n{table(own, terms.get(name, []))}\n" for name, own in means.items() if name != "calibration"
    ]
    kinds = means["calibration"].pivot(index="method", columns="network", values="false_positives_5pct")
    ones = means["calibration"].pivot(index="method", columns="network", values="false_positives_1pct")
    heads = [f"{kind}, {level} %" for kind in kinds.columns for level in (5, 1)]
    lines = ["| method | " + " | ".join(heads) + " |", "|" + "---|" * (len(heads) + 1)]
    for name in kinds.index:
        cells = [f"{100 * part.loc[name, kind]:.1f}" for kind in kinds.columns for part in (kinds, ones)]
        lines.append(f"| {_code(name)} | " + " | ".join(cells) + " |")
    parts.append("## calibration: pairs without an edge below the level, %\n\n" + "\n".join(lines) + "\n")
    lines = ["| method | split-half r | seed-to-seed r |", "|---|---|---|"]
    lines += [f"| `{row.method}` | {row.split_half:.2f} | {row.seed_to_seed:.2f} |" for row in stable.itertuples()]
    parts.append("## stability\n\n" + "\n".join(lines) + "\n")
    file.write_text("\n".join(parts), encoding="utf-8")


def draw(means: dict[str, pd.DataFrame], folder: Path, *, quick: bool) -> None:
    """Write all figures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("reference", "lif"):
        for measured in ("auroc", "average_precision"):
            _save(plot_validation_scores(means[name], measured), folder / f"validation_{name}_{measured}.png")
    for name, condition in (
        ("durations", "duration"), ("fractions", "fraction_observed"), ("rates", "rate_asked"),
    ):  # fmt: skip
        if means[name][condition].notna().any():
            both = means[name] if name == "rates" else pd.concat([means[name], means["reference"]])
            _save(plot_validation_curve(both, condition, "average_precision"), folder / f"validation_{name}.png")
    _save(plot_calibration(means["calibration"]), folder / "validation_calibration.png")
    known = simulate(constants_of("reference", quick=quick), 0)
    method = method_of(SHOWN)
    fitted = method.make().fit(known.counts(method.bin_size, by_trial=True))
    found = score(known, matrices_of(fitted, known))
    scores = {"AUROC": found.auroc, "average precision": found.average_precision}
    left, _ = plot_ground_truth(fitted.z_.assign_attrs(measure=f"z of {SHOWN}"), _truth(fitted, known), scores=scores)
    _save(left, folder / "connectivity_ground_truth.png")


def _truth(fitted: Any, known: Any) -> Any:
    truth = fitted.connectivity_.copy()
    places = [known.observed.tolist().index(unit) for unit in truth.source_unit.to_numpy().tolist()]
    truth.values = known.weight[places][:, places]
    return truth.assign_attrs(measure="weight of the coupling")


def _save(axes: Any, file: Path) -> None:
    axes.figure.savefig(file, dpi=130)
    plt.close(axes.figure)


def main() -> int:
    """Measure, write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/validation"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small networks: shows that it works, no more")
    asked = parser.parse_args()
    mpl.use("Agg")
    means = measure(asked.out, range(asked.seeds), quick=asked.quick)
    tested = list(dict.fromkeys(name for name in means["reference"]["method"] if "|" not in name))
    write_tables(means, stabilities(tested, quick=asked.quick), asked.out / "tables.md")
    draw(means, asked.out / "images", quick=asked.quick)
    sys.stdout.write(f"{asked.out / 'tables.md'}\n{asked.out / 'images'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

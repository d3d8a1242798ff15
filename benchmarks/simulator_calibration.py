"""Draw the quartiles of simulated and of real units: ``python benchmarks/simulator_calibration.py [--out FILE.png]``.

Simulates sessions of the full natural-scene design (half a minute), computes AllenSDK's unit metrics of the
visual-cortex units, prints their quartiles beside the real ones (``REAL_QUARTILES`` names the source) and draws both.
``--json`` prints one JSON object instead. Ends with code 1 if a quartile deviates by more than 25 %.
"""

import argparse
import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from spikesight.data.simulation import simulate_session
from spikesight.data.simulation.natural_scene_metrics import natural_scene_metrics
from spikesight.data.simulation.real_units import (
    N_REAL_UNITS,
    REAL_QUARTILES,
    VISUAL_CORTEX,
    Quartiles,
    relative_deviation,
)

mpl.use("Agg")
from matplotlib import pyplot as plt

SEEDS = (0, 1)
N_UNITS = 600
LIMIT = 0.25
TITLES = {
    "firing_rate_ns": "firing rate (Hz)",
    "fano_ns": "Fano factor at the preferred scene",
    "image_selectivity_ns": "image selectivity",
    "lifetime_sparseness_ns": "lifetime sparseness",
    "time_to_peak_ns": "time to peak (s)",
    "run_mod_ns": "running modulation",
}
RANGES = {
    "firing_rate_ns": (0.2, 60.0),
    "fano_ns": (0.4, 6.0),
    "image_selectivity_ns": (-0.2, 1.0),
    "lifetime_sparseness_ns": (0.0, 1.0),
    "time_to_peak_ns": (0.0, 0.25),
    "run_mod_ns": (-1.0, 1.0),
}


def simulated_metrics() -> pd.DataFrame:
    """Compute the metrics of the visual-cortex units of all sessions."""
    found = []
    for seed in SEEDS:
        session = simulate_session("scenes", seed, n_units=N_UNITS).session
        cortical = session.units.index[session.units["area"].isin(VISUAL_CORTEX)]
        found.append(natural_scene_metrics(session.select_units(cortical)))
    return pd.concat(found, ignore_index=True)


def draw(metrics: pd.DataFrame, path: Path) -> None:
    """Draw the simulated distribution of each metric, and both sets of quartiles."""
    figure, axes = plt.subplots(2, 3, figsize=(11.5, 6.2), layout="constrained")
    for axis, (name, real) in zip(axes.flat, REAL_QUARTILES.items(), strict=True):
        values = metrics[name].dropna().to_numpy()
        low, high = RANGES[name]
        logarithmic = name in ("firing_rate_ns", "fano_ns")
        edges = np.geomspace(low, high, 41) if logarithmic else np.linspace(low, high, 41)
        heights, _, _ = axis.hist(values, edges, color="#c9d7e8", zorder=1)
        top = heights.max()
        ours = Quartiles(*np.quantile(values, [0.25, 0.5, 0.75]))
        for level, quartiles, colour, label in (
            (1.16, real, "#1b1b1b", f"real ({N_REAL_UNITS} units)"),
            (1.06, ours, "#1f5fa8", f"simulated ({len(metrics)} units)"),
        ):
            axis.plot(quartiles[::2], [level * top] * 2, color=colour, linewidth=3, solid_capstyle="butt", label=label)
            axis.plot(quartiles.median, level * top, "o", color=colour, markersize=7)
        if logarithmic:
            axis.set_xscale("log")
            axis.set_xticks([0.5, 1, 2, 5] if name == "fano_ns" else [0.5, 2, 10, 50], minor=False)
            axis.xaxis.set_major_formatter("{x:g}")
            axis.xaxis.set_minor_formatter("")
        if name == "run_mod_ns":
            axis.set_xticks([-1, -0.5, 0, 0.5, 1])
        axis.set(xlabel=TITLES[name], xlim=(low, high), ylim=(0, 1.24 * top), yticks=[])
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.get_layout_engine().set(wspace=0.06, hspace=0.06)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel("bars: 25 to 75 %, dots: median; shaded: distribution of the simulated units", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Compare, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/simulator_calibration.png"))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    metrics = simulated_metrics()
    table = {}
    for name, real in REAL_QUARTILES.items():
        ours = Quartiles(*metrics[name].quantile([0.25, 0.5, 0.75]))
        table[name] = {"real": real, "simulated": ours, "deviation": relative_deviation(name, ours)}
    draw(metrics, options.out)
    if options.json:
        print(json.dumps({"n_units": len(metrics), "metrics": table}))
    else:
        for name, row in table.items():
            print(f"{name:24s}", *(f"{label} " + " ".join(f"{x:7.3f}" for x in row[label]) for label in row))
        print(f"drawn to {options.out}")
    return int(any(abs(part) > LIMIT for row in table.values() for part in row["deviation"]))


if __name__ == "__main__":
    sys.exit(main())

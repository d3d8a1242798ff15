"""Connectivity estimators on real spikes: agreement and stability, and a control without any connection.

Run ``python benchmarks/real_connectivity.py --data FOLDER`` (``--json``). ``FOLDER`` holds two recordings.

``steinmetz2019``: trials of 39 bins of 10 ms, units recorded together. Estimators that are valid at lags of 10 ms are
compared, the others refuse. Nothing is known of the true connections.

``allen-npx-drifting-gratings``: spike times in windows of 100 ms, units of 32 sessions, without their names. Units that
stand near each other in the file fire together beyond the stimulus (noise correlation of whole trials 0.07 within 10
places, 0.005 beyond 200): they are of one session. Pairs beyond ``FAR`` places are the control: no edge between them
can be true, so next to none may survive the false-discovery rate.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.connectivity import registry
from spikesight.connectivity.edges import false_discovery_rates
from spikesight.connectivity.stability import stability, weight_correlation
from spikesight.connectivity_files import Q
from spikesight.errors import SpikesightError

LONG_LAGS: Final = {"max_lag": 0.03}
AT_10_MS: Final[dict[str, dict[str, Any]]] = {
    "granger": {**LONG_LAGS, "min_spikes": 300},
    "poisson-glm": {**LONG_LAGS, "min_lag": 0.01, "min_spikes": 300},
    "forecast-gat": {**LONG_LAGS, "min_spikes": 300},
    "noise-correlation": {"window": 0.03, "min_spikes": 300},
    "ccg-jitter": {**LONG_LAGS, "min_spikes": 300},
    "transfer-entropy": {**LONG_LAGS, "min_spikes": 300},
}
CONTROL: Final = ("ccg-jitter", "granger", "poisson-glm", "transfer-entropy", "noise-correlation")
"""Methods with p-values."""
N_SETS, SET_SIZE = 3, 60
"""Sets of units of the control, from the busiest on: of more units at a time, 20 s hold too few spikes."""
FAR: Final = 200
"""Places in the file beyond which two units are taken to be of different sessions."""


def steinmetz(file: Path) -> xr.DataArray:
    """Return counts (trial, time, unit) in bins of 10 ms; what was shown, at least twice, is the pair of contrasts."""
    with np.load(file, allow_pickle=False) as archive:
        counts = archive["spks"].transpose(0, 2, 1)
        contrasts = zip(archive["contrast_left"], archive["contrast_right"], strict=True)
        shown = [f"{left:g} {right:g}" for left, right in contrasts]
    coords = {"time": 0.01 * np.arange(counts.shape[1]), "unit": np.arange(counts.shape[2]), "target": ("trial", shown)}
    whole = xr.DataArray(counts, coords, ("trial", "time", "unit"), attrs={"bin_size": 0.01})
    repeats = whole["target"].to_series().value_counts()
    return whole.isel(trial=whole["target"].isin(repeats.index[repeats >= 2].tolist()).to_numpy())


def gratings(file: Path, bin_size: float, ranks: slice) -> xr.DataArray:
    """Return counts (trial, time, unit) of units of these ranks, the busiest first, 100 ms a trial."""
    with np.load(file, allow_pickle=False) as archive:
        times, bounds, shown = archive["spike_times"], archive["ii_spike_times"], archive["orientation"]
    busiest = np.argsort(-(bounds[..., 1] - bounds[..., 0]).sum(axis=0), kind="stable")[ranks]
    n_bins = round(0.1 / bin_size)
    counts = np.zeros((len(shown), n_bins, len(busiest)), np.uint8)
    for trial in range(len(shown)):
        for place, unit in enumerate(busiest):
            first, stop = bounds[trial, unit]
            at = np.minimum((times[first:stop] / bin_size).astype(int), n_bins - 1)
            np.add.at(counts, (trial, at, place), 1)
    coords = {"time": bin_size * np.arange(n_bins), "unit": busiest, "target": ("trial", shown)}
    return xr.DataArray(counts, coords, ("trial", "time", "unit"), attrs={"bin_size": bin_size})


def on_recording(counts: xr.DataArray) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return a row per method, and how far the absolute weights of every two methods correlate."""
    rows, fitted = [], {}
    for name, params in AT_10_MS.items():
        estimator = registry.make(name, **params)
        try:
            estimator.fit(counts)
        except SpikesightError as error:
            rows.append({"method": name, "refused": str(error)})
            continue
        fitted[name] = estimator
        rows.append({**describe(name, estimator, estimator.edges()), **stability(estimator, counts)._asdict()})
    pairs = combinations(fitted, 2)
    return rows, {f"{a}, {b}": weight_correlation(_Absolute(fitted[a]), _Absolute(fitted[b])) for a, b in pairs}


def on_control(file: Path) -> list[dict[str, Any]]:
    """Return a row per method on units that were never recorded together, and one on those that may have been."""
    rows = []
    for name in CONTROL:
        found = []
        for first in range(0, N_SETS * SET_SIZE, SET_SIZE):
            counts = gratings(file, registry.spec(name).bin_size, slice(first, first + SET_SIZE))
            estimator = registry.make(name, min_spikes=100).fit(counts)
            found.append(estimator.edges())
        edges = pd.concat(found)
        far = (edges["source_unit"] - edges["target_unit"]).abs() >= FAR
        for pairs, own in (("far", edges[far]), ("near", edges[~far])):
            q_values = false_discovery_rates(own["p_value"].to_numpy())
            rows.append({"pairs": pairs, **describe(name, estimator, own.assign(q_value=q_values))})
    return rows


def describe(name: str, fitted: Any, edges: pd.DataFrame) -> dict[str, Any]:
    """Return numbers of units, pairs and edges of a fit."""
    tested = bool(edges["q_value"].notna().any())
    return {
        "method": name,
        "stimulus": fitted.stimulus_,
        "n_units": len(fitted.units_),
        "n_pairs": len(edges),
        "p_below_5pct": float((edges["p_value"] < 0.05).mean()) if tested else None,
        "n_edges": int((edges["q_value"] <= Q).sum()) if tested else None,
        "share_edges": float((edges["q_value"] <= Q).mean()) if tested else None,
    }


class _Absolute:
    """The weights of a fit without their sign."""

    def __init__(self, fitted: Any) -> None:
        self.connectivity_ = abs(fitted.connectivity_)


def show(rows: list[Mapping[str, Any]]) -> str:
    """Write rows as a Markdown table."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(name)) for name in names) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SPIKESIGHT_DATA", "../shared/data")))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    for file in sorted((asked.data / "steinmetz2019").glob("*.npz")):
        rows, agreement = on_recording(steinmetz(file))
        found[file.stem] = {"methods": rows, "agreement": agreement}
    control = next((asked.data / "allen-npx-drifting-gratings").glob("*.npz"))
    found["control"] = on_control(control)
    if asked.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    for name, part in found.items():
        rows = part if isinstance(part, list) else part["methods"]
        sys.stdout.write(f"{name}\n\n{show(rows)}\n\n")
        if not isinstance(part, list):
            pairs = "; ".join(f"{names} {r:.2f}" for names, r in part["agreement"].items())
            sys.stdout.write(f"correlation of absolute weights: {pairs}\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

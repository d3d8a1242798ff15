"""How hard simulated sessions are: accuracy of a linear decoder on eight sessions in the full natural-scene design.

Run ``python benchmarks/bench_simulator_difficulty.py`` (about 15 minutes on one core; ``--folds 1`` for a fifth of it,
``--only 0:150,7:1200`` for some of the sessions). The decoder is scikit-learn only, so that changes to spikesight's
own decoders cannot move it: square-root counts of the 250 ms of a presentation, StandardScaler, PCA to 200 components
(fewer units: all), LogisticRegression with its defaults; all fitted in the fold, ``BlockKFold(5, gap=10)``. Classes are
118 scenes and the blank: chance is 1/119. Published sessions lie between 50 and 95 %.
Ends with code 1 if the accuracies do not span 50 to 95 %.
"""

import argparse
import json
import sys
import time
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spikesight.data.arrays import to_arrays
from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import select_trials
from spikesight.data.simulation import simulate_session
from spikesight.decoders.oracle import Oracle
from spikesight.splits import BlockKFold

SESSIONS = ((0, 150), (1, 200), (2, 250), (3, 300), (4, 400), (5, 550), (6, 750), (7, 1200))
"""(seed, number of units) of the eight sessions."""
N_COMPONENTS = 200
LOWEST, HIGHEST = 0.50, 0.95


def pca_logistic(n_units: int) -> Any:
    """Build the decoder that measures the difficulty."""
    n_components = min(n_units, N_COMPONENTS)
    return make_pipeline(StandardScaler(), PCA(n_components, random_state=0), LogisticRegression(max_iter=500))


def measure(seed: int, n_units: int, n_folds: int) -> dict[str, Any]:
    """Simulate a session and decode its scenes."""
    begin = time.perf_counter()
    simulation = simulate_session("scenes", seed, n_units=n_units)
    simulated = time.perf_counter() - begin
    X, y, groups = to_arrays(bin_spikes(select_trials(simulation.session, "natural_scenes"), n_bins=1))
    root = np.sqrt(X.reshape(len(X), -1) + 3 / 8)
    deciders = {
        "pca_logistic": (pca_logistic(n_units), root),
        "logistic": (make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), root),
        "oracle": (Oracle.from_truth(simulation.truth), X),
    }
    hits: dict[str, list[float]] = {name: [] for name in deciders}
    for train, test in list(BlockKFold(5, gap=10).split(X, y, groups))[:n_folds]:
        for name, (decoder, rows) in deciders.items():
            hits[name].append(float(decoder.fit(rows[train], y[train]).score(rows[test], y[test])))
    accuracy = {name: float(np.mean(values)) for name, values in hits.items()}
    return {"seed": seed, "n_units": n_units, "n_trials": len(y), **accuracy, "simulate_seconds": simulated}


def main() -> int:
    """Measure the sessions and say whether they span the range."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5, help="how many of the five folds to use")
    parser.add_argument("--only", help="seed:units[,seed:units...] instead of the eight sessions")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    chosen = SESSIONS
    if options.only:
        chosen = tuple(tuple(map(int, part.split(":"))) for part in options.only.split(","))
    rows = []
    for seed, n_units in chosen:
        rows.append(measure(seed, n_units, options.folds))
        if not options.json:
            row = rows[-1]
            print(
                "  ".join(
                    f"{key} {row[key]:.3f}"
                    if "seconds" not in key and isinstance(row[key], float)
                    else f"{key} {row[key]:.0f}"
                    for key in row
                ),
                flush=True,
            )
    reached = [row["pca_logistic"] for row in rows]
    spans = min(reached) <= LOWEST and max(reached) >= HIGHEST
    if options.json:
        print(json.dumps({"sessions": rows, "lowest": min(reached), "highest": max(reached), "spans": spans}))
    else:
        print(f"pca-logistic from {min(reached):.3f} to {max(reached):.3f}")
    return 0 if spans or options.only else 1


if __name__ == "__main__":
    sys.exit(main())

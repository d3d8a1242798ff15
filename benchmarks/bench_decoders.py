"""Fit and predict, side by side in one process: fa-lda against scikit-learn's LogisticRegression with its scaling.

Run ``python benchmarks/bench_decoders.py`` (one bin, 4760 trials of 2000 units in 119 classes for training, 1190 for
testing; about 2 GB and a few minutes), or smaller: ``--units 300 --trials 1190``. Medians over interleaved repeats, of
seconds and of the memory that a fit takes beyond what the process held before it. The ratios are what counts, as they
hold on other machines. Epochs of networks are in ``bench_graph.py``. Ends with code 1 if fa-lda takes more than a tenth
of the quickest LogisticRegression.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from peak_memory import forget_peak, resident
from spikesight.decoders import registry

AT_MOST = 0.1
PENALTIES = (1.0, 0.01)
"""scikit-learn's default, and what is best on real sessions."""

Data = tuple[NDArray[np.uint8], NDArray[np.intp]]


def simulate(n_trials: int, n_units: int, n_classes: int, seed: int) -> Data:
    """Poisson counts at log-normal rates, sparse tuning, a gain common to all units and ten factors of shared noise.

    The noise makes LogisticRegression (C=1) take as many iterations as on real sessions (25) and keeps every decoder
    away from the ceiling, where it would stop early.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_trials) % n_classes)
    tuning = rng.normal(0, 0.3, (n_classes, n_units)) * (rng.random((n_classes, n_units)) < 0.2)
    gain = rng.normal(0, 0.5, (n_trials, 1)) * rng.uniform(0.3, 1.7, n_units)
    shared = rng.normal(0, 0.3, (n_trials, 10)) @ rng.normal(0, 1, (10, n_units))
    counts = rng.poisson(np.exp(rng.normal(-0.5, 1.0, n_units) + tuning[y] + gain + shared))
    return np.minimum(counts, 255).astype(np.uint8), y


def methods(q: int) -> dict[str, Callable[[], Any]]:
    """Return what makes each decoder: fa-lda without and with its choice on inner folds, and the references."""
    made: dict[str, Callable[[], Any]] = {
        "fa-lda": lambda: registry.make("fa-lda", q=q, calibrate=False),
        "fa-lda, calibrated": lambda: registry.make("fa-lda", q=q),
        "lda": lambda: registry.make("lda"),
    }
    for penalty in PENALTIES:
        made[f"LogisticRegression(C={penalty:g})"] = lambda C=penalty: make_pipeline(
            StandardScaler(), LogisticRegression(C=C, max_iter=1000)
        )
    return made


def compare(train: Data, test: Data, q: int, repeats: int) -> dict[str, dict[str, float]]:
    """Time fit and predict of each decoder in turn, and score what it predicts."""
    seconds: dict[str, list[float]] = {name: [] for name in methods(q)}
    n_bytes: dict[str, list[float]] = {name: [] for name in methods(q)}
    accuracy: dict[str, float] = {}
    for make in methods(q).values():  # imports and first calls do not count
        make().fit(train[0][:300, :50], train[1][:300]).predict(test[0][:, :50])
    for _ in range(repeats):
        for name, make in methods(q).items():
            forget_peak()
            before = resident("VmRSS")
            begin = time.perf_counter()
            predicted = make().fit(*train).predict(test[0])
            seconds[name].append(time.perf_counter() - begin)
            n_bytes[name].append(resident("VmHWM") - before)
            accuracy[name] = float((predicted == test[1]).mean())
    return {
        name: {
            "seconds": float(np.median(seconds[name])),
            "bytes": float(np.median(n_bytes[name])),
            "accuracy": accuracy[name],
        }
        for name in seconds
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5950, help="training and test trials together (a fifth is test)")
    parser.add_argument("--units", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=119)
    parser.add_argument("--q", type=int, default=30, help="noise factors of fa-lda")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    X, y = simulate(args.trials, args.units, args.classes, args.seed)
    n_train = 4 * args.trials // 5
    with threadpool_limits(1):  # as in the processes of a benchmark; more threads only disturb each other there
        found = compare((X[:n_train], y[:n_train]), (X[n_train:], y[n_train:]), args.q, args.repeats)
    quickest = min(values["seconds"] for name, values in found.items() if name.startswith("LogisticRegression"))
    result = {
        "n_train": n_train,
        "n_test": args.trials - n_train,
        "n_units": args.units,
        "n_classes": args.classes,
        "repeats": args.repeats,
        "blas_threads": 1,
        "sklearn": sklearn.__version__,
        "decoders": found,
        "ratio_to_quickest_logistic_regression": found["fa-lda"]["seconds"] / quickest,
        "at_most": AT_MOST,
    }
    result["met"] = result["ratio_to_quickest_logistic_regression"] <= AT_MOST
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{n_train} training and {args.trials - n_train} test trials x {args.units} units, {args.classes} classes"
        )
        for name, values in found.items():
            print(
                f"  {name:30s} {values['seconds']:8.2f} s  {values['bytes'] / 1e6:6.0f} MB   "
                f"accuracy {values['accuracy']:.3f}"
            )
        ratio = result["ratio_to_quickest_logistic_regression"]
        print(f"fa-lda / quickest LogisticRegression = {ratio:.3f} (at most {AT_MOST})")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())

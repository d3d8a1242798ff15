"""A small session of binned trials, and a benchmark of it, for tests of what a run directory records."""

import numpy as np
import xarray as xr

from spikesight.decoders.feedforward import MLP
from spikesight.evaluation.benchmark import Benchmark
from spikesight.evaluation.cells import name_cells
from spikesight.evaluation.fitting import Contender
from spikesight.evaluation.folds import as_problem
from spikesight.splits import BlockKFold
from spikesight.tracking.run_directory import RunDirectory

SPLITTER = BlockKFold(n_splits=3, gap=2)
N_EPOCHS = 3


def session(n_trials=120, n_units=8, n_classes=4, name="s0"):
    """Trials with a rate for each class and unit, one bin each, in one block."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.arange(n_trials) % n_classes)
    rates = rng.gamma(2, 1.5, (n_classes, n_units))
    start = np.arange(n_trials) * 0.25
    return xr.Dataset(
        {"spike_counts": (("trial", "time", "unit"), rng.poisson(rates[codes])[:, None, :].astype("uint8"))},
        {
            "trial": np.arange(n_trials),
            "unit": np.arange(n_units) + 900,
            "time": [0.0],
            "start_time": ("trial", start),
            "stop_time": ("trial", start + 0.25),
            "stimulus_block": ("trial", np.zeros(n_trials, int)),
            "repeat": ("trial", np.zeros(n_trials, int)),
            "target": ("trial", codes),
        },
        {"session_id": name, "stimulus_name": "natural_scenes", "target": "frame", "blanks": "kept"},
    )


def brief_mlp(**params):
    """A network that is trained for ``N_EPOCHS`` epochs."""
    return MLP(max_epochs=N_EPOCHS, **params)


def one_cell(estimator=None, name="mlp", selection="default", fold=0):
    """A cell, and the trials that it is to be run on."""
    problem = as_problem(session())
    entrant = Contender(name, selection, brief_mlp() if estimator is None else estimator)
    return name_cells([entrant], problem, problem.folds(SPLITTER), SPLITTER, 0)[fold], problem


def benchmark(**options):
    """A benchmark of the session with default constants."""
    given = {"datasets": {"s0": session()}, "splitter": SPLITTER, "selections": ("default",), **options}
    return Benchmark(**given)


def run_in(folder, plan):
    """Run it in a run directory."""
    with RunDirectory(folder, {"seed": plan.seed}) as run:
        return plan.run(run)

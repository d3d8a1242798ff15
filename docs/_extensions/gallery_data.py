"""What the pictures of the gallery show: simulated sessions and small runs on them, made once per build folder.

Everything is in ``build/gallery_data``, or where ``SPIKESIGHT_GALLERY_DATA`` says. Runs resume, so a second build finds
them finished.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = Path(__file__).parents[2] / "build" / "gallery_data"
DECODERS = ("fa-lda", "lda", "ridge", "poisson-bayes")
BEST = "fa-lda"


def folder() -> Path:
    """Return the folder of sessions and runs."""
    path = Path(os.environ.get("SPIKESIGHT_GALLERY_DATA", FOLDER))
    path.mkdir(parents=True, exist_ok=True)
    return path


@cache
def session_file(seed: int = 0) -> Path:
    """Simulate a session of the preset ``demo``: 150 units, 118 scenes and the blank, 12 times each."""
    from spikesight.demo import save_simulation

    path = folder() / f"session_{seed}.nwb"
    if not path.exists():
        save_simulation("demo", seed, path)
    return path


@cache
def session(seed: int = 0) -> Any:
    """Read a simulated session."""
    import spikesight as ss

    return ss.read_session(session_file(seed))


@cache
def trials() -> Any:
    """Presentations of natural scenes."""
    import spikesight as ss

    return ss.select_trials(session(), "natural_scenes")


@cache
def counts() -> Any:
    """Spike counts of these presentations in one bin."""
    import spikesight as ss

    return ss.bin_spikes(trials(), n_bins=1)


@cache
def benchmark() -> Any:
    """Decode three sessions: four decoders as they come, three folds."""
    import spikesight as ss

    asked = {"decoders": DECODERS, "selection": ("default",), "n_splits": 3}
    sources = tuple(session_file(seed) for seed in range(3))
    run = ss.run_benchmark(ss.BenchmarkConfig(sources=sources, out=folder() / "benchmark", **asked))
    return ss.read_run(run)


def predictions(decoder: str = BEST) -> pd.DataFrame:
    """Test trials of one decoder in the first session."""
    found = benchmark()
    own = (found.predictions["decoder"] == decoder) & (
        found.predictions["session"] == found.predictions["session"].iloc[0]
    )
    return found.predictions[own]


@cache
def search() -> Any:
    """Search the constants of ``mlp`` on the units of VISp: twelve candidates in each of two outer folds."""
    import spikesight as ss

    left = dict.fromkeys(("max_epochs", "weight_decay", "label_smoothing", "noise_factors"))  # None: not searched
    settings = ss.TuningConfig(candidates=12, space={"mlp": left})
    asked = {"decoders": ("mlp",), "selection": ("searched", "default"), "n_splits": 2, "areas": ("VISp",)}
    config = ss.BenchmarkConfig(sources=(session_file(),), tuning=settings, jobs=2, out=folder() / "search", **asked)
    return ss.read_run(ss.run_benchmark(config))


@cache
def connectivity() -> Any:
    """Estimate who drives whom in the spontaneous time of a session."""
    from spikesight.connectivity_config import load_connectivity_config
    from spikesight.connectivity_run import run_connectivity
    from spikesight.records.connectivity_record import read_connectivity

    asked = {"source": session_file(), "method": "granger", "stability": False, "out": folder() / "connectivity"}
    return read_connectivity(run_connectivity(load_connectivity_config(asked)))


@cache
def network() -> tuple[Any, Any]:
    """Simulate a small network and fit it by ``ccg-jitter``: what is known, and what was found."""
    from spikesight.connectivity_validation.methods import method_of
    from spikesight.connectivity_validation.networks import constants_of, simulate

    known = simulate(constants_of("reference", quick=True), 0)
    method = method_of("ccg-jitter")
    return known, method.make().fit(known.counts(method.bin_size, by_trial=True))


@cache
def validation(condition: str) -> pd.DataFrame:
    """Score three estimators on small networks; ``condition`` is "duration" or "calibration"."""
    from spikesight.connectivity_validation import validate

    methods, kept = ("granger", "ccg-jitter", "noise-correlation"), folder() / condition
    if condition == "calibration":
        return validate.summary(validate.calibration(methods, seeds=(0, 1, 2), quick=True, out=kept))
    scores = validate.validate(methods, seeds=(0, 1, 2), durations=(30.0, 60.0, 120.0), quick=True, out=kept)
    return validate.summary(scores)


@cache
def pictures() -> Any:
    """Return the pictures of a simulated session, dims (frame, row, column)."""
    from spikesight.data.images import images_of_simulation

    return images_of_simulation(session_file())


@cache
def networks() -> list[Any]:
    """Decode one session with 1, 3 and 5 bins, a network among the decoders; the units of one area."""
    import spikesight as ss

    asked = {"decoders": ("fa-lda", "mlp", "poisson-bayes"), "selection": ("default",), "n_splits": 2}
    runs = []
    for n_bins in (1, 3, 5):
        where = {"sources": (session_file(),), "areas": ("VISp",), "n_bins": n_bins, "out": folder() / f"bins_{n_bins}"}
        runs.append(ss.read_run(ss.run_benchmark(ss.BenchmarkConfig(**where, **asked))))
    return runs


@cache
def graph_per_bin() -> Any:
    """Fit a decoder with a graph for each of three bins, and return the graph."""
    import spikesight as ss
    from spikesight import decoders

    dataset = ss.bin_spikes(trials(), n_bins=3)
    dataset = dataset.sel(unit=dataset["area"] == "VISp")
    X, y, _ = ss.to_arrays(dataset)
    made = decoders.make("st-gcn", graph="learned-per-bin", max_epochs=5, random_state=0)
    return made.fit(X, y).adjacency_.assign_coords(
        source_unit=dataset["unit"].to_numpy(), target_unit=dataset["unit"].to_numpy()
    )


@cache
def receptive_fields() -> Path:
    """Map units over natural scenes, make neural images and look for held-out pictures; return the directory."""
    from spikesight.receptive_fields.run import Question, run_receptive_fields

    where = folder() / "receptive_fields"
    if not (where / "summary.json").exists():
        run_receptive_fields(Question(session_file(), stimulus="natural_scenes", folds=3, shuffles=99, out=where))
    return where


@cache
def attribution(method: str) -> Path:
    """Ask which units carry the prediction of ``lda`` in one session; return the directory."""
    import spikesight as ss
    from spikesight.attribution.run import run_attribution

    asked = {"decoders": ("lda",), "selection": ("default",), "n_splits": 2}
    run = ss.run_benchmark(ss.BenchmarkConfig(sources=(session_file(),), out=folder() / "attributed", **asked))
    return run_attribution(run, decoder="lda", method=method, seeds=2, permutations=2)

"""HEBO 0.3.6 through Ray's HEBOSearch, in the environment of `make test-hebo`: its surrogate really chooses."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.hebo

N_PARAMETERS = 3
N_INITIAL = 1 + N_PARAMETERS
"""HEBO draws this many candidates quasi-randomly before it fits its first surrogate."""
N_CANDIDATES = 10
BEST = 0.37


def space() -> dict[str, Any]:
    from ray import tune

    return {
        "shift": tune.uniform(-1.0, 1.0),
        "learning_rate": tune.loguniform(1e-4, 1e-1),
        "block": tune.choice(["gat", "gcn"]),
        "n_bins": 5,
    }


def accuracy(config: dict[str, Any]) -> float:
    """Highest, and 1, at the best shift and at a learning rate of 0.01, with attention."""
    miss = np.square([config["shift"] - BEST, np.log10(config["learning_rate"]) + 2, float(config["block"] != "gat")])
    return float(np.exp(-miss.sum()))


def report_accuracy(config: dict[str, Any]) -> None:
    from ray import tune

    assert config["n_bins"] == 5, "what is no parameter of the search comes along"
    tune.report({"accuracy": accuracy(config)})


def make_searcher(seed: int = 0) -> Any:
    from ray.tune.search.hebo import HEBOSearch

    searcher = HEBOSearch(random_state_seed=seed, max_concurrent=1)
    searcher.set_search_properties("accuracy", "max", space())
    return searcher


def run(searcher: Any, candidates: range) -> list[dict[str, Any]]:
    suggested = []
    for place in candidates:
        suggested.append(searcher.suggest(str(place)))
        searcher.on_trial_complete(str(place), {"accuracy": accuracy(suggested[-1])})
    return suggested


@pytest.fixture
def surrogates(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the surrogates that HEBO makes from here on."""
    import hebo.optimizers.hebo as optimizer

    made: list[str] = []
    make = optimizer.get_model
    monkeypatch.setattr(
        optimizer, "get_model", lambda name, *args, **kw: (made.append(name), make(name, *args, **kw))[1]
    )
    return made


def test_ray_searches_with_hebos_gaussian_process_and_improves_on_its_initial_design(
    local_ray: None, surrogates: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from ray import cloudpickle, tune
    from ray.tune.search.hebo import HEBOSearch

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers do not find test modules
    results = tune.Tuner(
        report_accuracy,
        param_space=space(),
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            search_alg=HEBOSearch(random_state_seed=0, max_concurrent=1),
            num_samples=N_CANDIDATES,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="hebo", storage_path=str(tmp_path), verbose=0),
    ).fit()
    assert results.num_errors == 0
    found = [result.metrics["accuracy"] for result in results]
    assert len(found) == N_CANDIDATES
    assert surrogates == ["gp"] * (N_CANDIDATES - N_INITIAL)
    assert "jitter" not in capfd.readouterr().out, "the Gaussian process could not be fitted"
    assert max(found) > 0.9
    assert max(found) not in found[:N_INITIAL]
    assert results.get_best_result().config["block"] == "gat"


def test_candidates_are_plain_values_inside_the_space(surrogates: list[str]) -> None:
    for candidate in run(make_searcher(), range(N_INITIAL + 1)):
        assert {name: type(value) for name, value in candidate.items()} == {
            "shift": float,
            "learning_rate": float,
            "block": str,
        }
        assert -1 <= candidate["shift"] <= 1
        assert 1e-4 <= candidate["learning_rate"] <= 1e-1
    assert surrogates == ["gp"]


def test_a_restored_search_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    searcher = make_searcher()
    run(searcher, range(N_INITIAL))
    running = searcher.suggest("running")
    searcher.save(str(tmp_path / "state.pkl"))
    other = make_searcher(seed=1)
    other.restore(str(tmp_path / "state.pkl"))
    for each in (other, searcher):
        each.on_trial_complete("running", {"accuracy": accuracy(running)})
    after_restore = run(other, range(2))
    other.restore(str(tmp_path / "state.pkl"))  # the random numbers of numpy and torch, which all searches share
    assert run(searcher, range(2)) == after_restore


def test_without_a_finite_value_a_candidate_is_not_learned_from(surrogates: list[str]) -> None:
    searcher = make_searcher()
    for place, result in enumerate([{"accuracy": float("nan")}, None, *[{"accuracy": float("-inf")}] * N_INITIAL]):
        assert searcher.suggest(str(place)) is not None
        searcher.on_trial_complete(str(place), result, error=result is None)
    assert surrogates == []

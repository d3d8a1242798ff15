"""HEBO 0.3.6 in the environment of `make test-hebo`: its Gaussian process really chooses, and leaves no trace."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from searched_decoder import Searched, labelled_folds
from spikesight.search_space import Choice, Range, Space
from spikesight.tuning.ray_search import RaySearch
from spikesight.tuning_config import TuningConfig

pytestmark = pytest.mark.hebo

SPACE: Space = {
    "shift": Range(-0.3, 0.3),
    "learning_rate": Range(1e-4, 1e-1, log=True),
    "shrinkage": Choice(("auto", 0.5, None, True)),
}
N_INITIAL = 1 + len(SPACE)
"""HEBO draws so many candidates quasi-randomly before it fits its first surrogate."""
DEFAULT = {"shift": 0.0, "learning_rate": 1e-3, "shrinkage": 0.5}


def accuracy(config: dict[str, Any]) -> float:
    """Highest, and 1, at a shift of 0.1 and a learning rate of 0.01, with automatic shrinkage."""
    miss = [5 * (config["shift"] - 0.1), np.log10(config["learning_rate"]) + 2, config["shrinkage"] != "auto"]
    return float(np.exp(-np.square(miss).sum()))


def make_searcher(seed: int = 0, at_a_time: int = 1, first: Any = (DEFAULT,)) -> Any:
    from spikesight.tuning.hebo_search import HeboSearch
    from spikesight.tuning.ray_tune import METRIC, ray_space

    searcher = HeboSearch(METRIC, seed, first, at_a_time)
    assert searcher.set_search_properties(METRIC, "max", ray_space(SPACE))
    return searcher


def go_on(searcher: Any, candidates: range) -> list[dict[str, Any]]:
    proposed = []
    for place in candidates:
        proposed.append(searcher.suggest(str(place)))
        searcher.on_trial_complete(str(place), {"accuracy": accuracy(proposed[-1])})
    return proposed


@pytest.fixture
def surrogates(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the surrogates that HEBO makes from here on."""
    import spikesight.tuning.hebo_search  # noqa: F401  (quietly)

    from hebo.optimizers import hebo as optimizer  # isort: skip

    made: list[str] = []
    make = optimizer.get_model

    def noted(name: str, *args: Any, **options: Any) -> Any:
        made.append(name)
        return make(name, *args, **options)

    monkeypatch.setattr(optimizer, "get_model", noted)
    return made


def test_a_search_by_hebo_ends_with_a_choice_of_its_gaussian_process(
    local_ray: None, surrogates: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    space = {"skill": Range(0.0, 1.0), "max_epochs": Choice((1, 2))}
    settings = TuningConfig(search="hebo", candidates=9, scheduler="none")
    chosen = RaySearch(space, settings, jobs=1)(Searched(skill=0.2), labelled_folds(), tmp_path / "search")
    table = chosen.candidates
    assert list(table["state"]) == ["finished"] * 9
    assert surrogates == ["gp"] * (9 - 3)
    assert json.loads(table["params"][0]) == {"skill": 0.2, "max_epochs": 2}
    assert chosen.params["skill"] >= 0.95
    assert table["accuracy"].idxmax() >= 3
    assert capfd.readouterr().out == ""


def test_candidates_are_values_of_the_space_and_improve_on_the_initial_ones(surrogates: list[str]) -> None:
    proposed = go_on(make_searcher(), range(N_INITIAL + 3))
    assert surrogates == ["gp"] * 3
    assert proposed[0] == DEFAULT
    for candidate in proposed:
        assert all(SPACE[name].holds(value) for name, value in candidate.items()), candidate
        assert candidate.keys() == SPACE.keys()
    found = [accuracy(candidate) for candidate in proposed]
    assert max(found[N_INITIAL:]) > max(found[:N_INITIAL])


def test_the_same_seed_proposes_the_same_whatever_random_numbers_others_draw_or_have(surrogates: list[str]) -> None:
    once = go_on(make_searcher(), range(N_INITIAL + 1))
    np.random.seed(5)  # noqa: NPY002  (the state that HEBO would use)
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002
    assert go_on(make_searcher(), range(N_INITIAL + 1)) == once
    assert go_on(make_searcher(seed=1), range(3))[1:] != once[1:3]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]
    assert surrogates == ["gp"] * 2


def test_a_restored_search_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    searcher = make_searcher()
    go_on(searcher, range(N_INITIAL))
    running = searcher.suggest("running")
    searcher.save(str(tmp_path / "state.pkl"))
    other = make_searcher(seed=1)
    other.restore(str(tmp_path / "state.pkl"))
    for each in (searcher, other):
        each.on_trial_complete("running", {"accuracy": accuracy(running)})
        each.on_trial_complete("proposed after the state was kept", {"accuracy": 1.0})
    assert go_on(other, range(1)) == go_on(searcher, range(1))


def test_so_many_candidates_as_work_at_once_are_proposed_together() -> None:
    searcher = make_searcher(at_a_time=2, first=())
    assert None not in (searcher.suggest("a"), searcher.suggest("b"))
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("a", {"accuracy": 0.1})
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("b", error=True)
    assert searcher.suggest("c") is not None


def test_the_search_space_of_every_decoder_can_be_searched(surrogates: list[str]) -> None:
    from spikesight.decoders import registry
    from spikesight.tuning.hebo_search import HeboSearch
    from spikesight.tuning.ray_tune import METRIC, ray_space

    for name in registry.names():
        space = registry.spec(name).search_space
        searcher = HeboSearch(METRIC, 0, [], 1)
        if not space:
            continue
        assert searcher.set_search_properties(METRIC, "max", ray_space(space)), name
        with_surrogate = 2 if name == "lda" else 0  # a single choice, among a text and numbers
        for place in range(1 + len(space) + with_surrogate):
            candidate = searcher.suggest(str(place))
            assert all(space[key].holds(value) for key, value in candidate.items()), (name, candidate)
            searcher.on_trial_complete(str(place), {METRIC: 0.1 * place})
        inside = searcher._space.sample(50)
        searcher._space.transform(inside)  # what the surrogate does to values, which fails on texts beside numbers
    assert surrogates == ["gp"] * 2


def test_a_choice_of_nothing_but_chance_goes_on_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """HEBO cannot fit equal accuracies, and prints thousands of lines about it."""
    searcher = make_searcher()
    for place in range(N_INITIAL + 1):
        assert searcher.suggest(str(place)) is not None
        searcher.on_trial_complete(str(place), {"accuracy": 0.25})
    assert capfd.readouterr() == ("", "")

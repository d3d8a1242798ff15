"""A search sees training trials only: with other values in the test rows, every candidate comes out the same."""

import numpy as np
import pytest

from fitted_state import state
from spikesight.cluster import connected
from spikesight.decoders import registry
from spikesight.evaluation.contenders import contender
from spikesight.evaluation.folds import as_problem, run_fold
from spikesight.tuning.ray_search import RaySearch
from spikesight.tuning_config import TuningConfig
from test_leakage import FOLDS, SMALL, SMALL_DATASET, SPLITTER, with_other_values


@pytest.fixture(scope="module", autouse=True)
def _ray():
    with connected("local", jobs=1):
        yield


def searched(name, problem):
    """What a search of one candidate at a time, whose outcome hangs on no clock, leaves of the first fold."""
    params = {"max_epochs": 2} if "max_epochs" in registry.make(name).get_params() else {}
    space = {key: value for key, value in registry.spec(name).search_space.items() if key not in params}
    search = RaySearch(space, TuningConfig(search="random", candidates=4, scheduler="asha"), label=name, jobs=1)
    entrant = contender(name, "searched", params, search)
    fitted, result, _ = run_fold(entrant, problem, SPLITTER, 0, FOLDS[0], 0)
    candidates = fitted.chosen.candidates.drop(columns=["started", "seconds"]).to_csv()
    chosen = result[["params", "inner_accuracy", "n_candidates"]].to_csv()
    return state(fitted.decoder), candidates, chosen, state(fitted.decoder.predict(SMALL.X[FOLDS[0][1]]))


@pytest.mark.parametrize("name", ["ridge", pytest.param("mlp", marks=pytest.mark.slow)])
def test_other_values_in_the_test_rows_leave_a_search_and_its_winner_bit_identical(name):
    test = FOLDS[0][1]
    changed = as_problem(with_other_values(SMALL_DATASET, test))
    assert (changed.X[test] != SMALL.X[test]).any()
    assert (changed.y[test] != SMALL.y[test]).all()
    assert searched(name, SMALL) == searched(name, changed)


def test_other_values_in_the_training_rows_do_change_it():
    train = FOLDS[0][0]
    changed = as_problem(with_other_values(SMALL_DATASET, train))
    assert searched("ridge", SMALL)[1] != searched("ridge", changed)[1]
    assert np.array_equal(changed.X[FOLDS[0][1]], SMALL.X[FOLDS[0][1]])

"""What every registered connectivity estimator promises, whatever its method."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from coupled_units import driven, presentations, recording
from spikesight.connectivity import registry
from spikesight.connectivity.base import STIMULUS, ConnectivityEstimator
from spikesight.connectivity.edges import EDGE_COLUMNS
from spikesight.errors import ConfigError, DataError, NoUnitsError

NAMES = registry.names()
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "connectivity.md"
QUICK = {"forecast-gat": {"max_epochs": 2}, "ccg-jitter": {"n_surrogates": 20}}


def make(name, **params):
    return registry.make(name, **{"min_spikes": 20, **QUICK.get(name, {}), **params})


@pytest.fixture(scope="module")
def counts():
    return recording(driven(12_000, 5, lag=2, weight=0.7, seed=4, mean=0.03), bin_size=0.001)


@pytest.fixture(scope="module")
def fitted(counts):
    return {name: make(name).fit(counts) for name in NAMES}


def test_every_estimator_that_is_registered_is_documented_and_no_other():
    rows = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENTATION.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_matrices_are_labelled_and_say_what_they_measure(name, fitted):
    found = fitted[name]
    for matrix in (found.connectivity_, found.p_values_, found.z_, found.lag_, found.sign_):
        assert matrix.dims == ("source_unit", "target_unit")
        assert matrix.source_unit.to_numpy().tolist() == matrix.target_unit.to_numpy().tolist() == list(range(100, 105))
    assert np.isfinite(found.connectivity_).all()
    assert found.connectivity_.attrs["measure"] == found.measure
    np.testing.assert_array_equal(found.sign_, np.sign(found.connectivity_))
    p = found.p_values_.to_numpy()
    assert np.isnan(p).all() or ((p[np.isfinite(p)] >= 0) & (p[np.isfinite(p)] <= 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_planted_edge_comes_first_with_its_direction(name, fitted):
    first = fitted[name].edges().iloc[0]

    assert tuple(fitted[name].edges().columns) == EDGE_COLUMNS
    if fitted[name].directed:
        assert (first.source_unit, first.target_unit, first["sign"]) == (100, 101, 1)
        assert first.lag == pytest.approx(0.002, abs=1e-9)
    else:
        np.testing.assert_allclose(fitted[name].connectivity_, fitted[name].connectivity_.T)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_an_estimator_that_can_be_cloned_and_leaves_its_parameters_alone(name, fitted, counts):
    copy = clone(fitted[name])

    assert isinstance(copy, ConnectivityEstimator)
    assert copy.get_params() == fitted[name].get_params()
    assert {"stimulus", "min_spikes", "n_shuffles", "random_state"} <= set(copy.get_params())
    assert not [key for key in vars(copy) if key.endswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_numbers_and_numpys_own_generator_is_left_alone(name, fitted, counts):
    before = np.random.get_state()[1].copy()  # noqa: NPY002  the global generator is what is looked at

    again = make(name).fit(counts)

    np.testing.assert_array_equal(again.connectivity_, fitted[name].connectivity_)
    np.testing.assert_array_equal(again.p_values_, fitted[name].p_values_)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_trials_with_conditions_have_their_mean_response_removed(name, counts):
    targets = np.arange(60) % 3
    trials = presentations(counts.to_numpy().reshape(60, 200, 5), targets, bin_size=0.001)

    assert make(name).fit(trials).stimulus_ == "psth"
    assert make(name, stimulus="none").fit(trials).stimulus_ == "none"


@pytest.mark.parametrize("name", NAMES)
def test_units_with_few_spikes_are_listed_and_left_out(name, counts):
    few = counts.copy(data=counts.to_numpy().copy())
    few[:, 3] = 0

    found = make(name).fit(few)

    assert found.left_out_.unit.tolist() == [103]
    assert 103 not in found.connectivity_.source_unit


@pytest.mark.parametrize("name", NAMES)
def test_its_cost_is_told_in_seconds_and_bytes(name, counts):
    cost = make(name).cost(counts)

    assert 0 < cost.seconds < 1000
    assert 0 < cost.n_bytes < 1e10


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_honoured_is_refused(name, counts):
    with pytest.raises(ConfigError, match=", ".join(STIMULUS)):
        make(name, stimulus="average").fit(counts)
    with pytest.raises(ConfigError, match="random_state of 0 or more"):
        make(name, random_state=-1).fit(counts)
    with pytest.raises(NoUnitsError, match="at least two units"):
        make(name, min_spikes=10**6).fit(counts)
    with pytest.raises(DataError, match="DataArray"):
        make(name).fit(counts.to_numpy())


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_what_it_measures_and_where_it_comes_from(name):
    text = inspect.getdoc(type(registry.make(name))) or ""

    assert "connectivity_" in text
    assert "References" in text
    assert "p-value" in text or "p_values_" in text


def test_names_are_taken_once_and_unknown_ones_offer_the_nearest():
    with pytest.raises(ConfigError, match="taken by"):
        registry.register("granger", registry.spec("granger"))
    with pytest.raises(ConfigError, match="Did you mean 'granger'"):
        registry.spec("grangr")
    with pytest.raises(ConfigError, match=r"no parameter 'order'\. Its parameters: drift, max_lag"):
        registry.make("granger", order=3)

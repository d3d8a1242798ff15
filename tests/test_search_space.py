"""Search spaces as plain data: what is refused, what a user changes, and what every decoder offers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.decoders import registry
from spikesight.errors import ConfigError
from spikesight.search_space import Choice, Range, as_dimension, as_plain, with_changes


def test_a_range_and_a_choice_are_read_from_plain_data():
    assert as_dimension("C", {"low": 0.001, "high": 1, "log": True}) == Range(0.001, 1, log=True)
    assert as_dimension("graph", {"values": [None, "learned"]}) == Choice((None, "learned"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"low": 2, "high": 1}, "low below high"),
        ({"low": 0, "high": 1, "log": True}, "above 0"),
        ({"low": 0.5, "high": 2, "whole": True}, "whole numbers"),
        ({"low": "a", "high": 2}, "expected numbers"),
        ({"low": float("nan"), "high": 2}, "expected numbers"),
        ({"values": [1]}, "two or more"),
        ({"values": [1, 1]}, "two or more"),
        ({"values": [1, [2]]}, "to choose from"),
        ({"lowest": 1}, "{low: 0.001, high: 1}"),
        ([1, 2], "expected a search range for C"),
    ],
)
def test_what_is_no_range_is_refused_with_the_reason(written, said):
    with pytest.raises(ConfigError, match=said):
        as_dimension("C", written)


def test_a_user_changes_adds_and_removes_dimensions():
    own = {"C": Range(0.1, 1), "degree": Choice((2, 3))}
    changed = with_changes(own, {"C": {"low": 1, "high": 2}, "degree": None, "gamma": {"values": [1, 2]}})
    assert changed == {"C": Range(1, 2), "gamma": Choice((1, 2))}


def test_true_is_no_number_and_one_is_not_true():
    assert not Range(0, 2).holds(True)
    assert not Choice((True, False)).holds(1)
    assert not Range(0, 3, whole=True).holds(1.5)
    assert Choice((None, "auto", 0.1)).holds(None)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_plain_data_is_read_back_as_it_was(low, high, log):
    if low == high:
        return
    space = {"alpha": Range(min(low, high), max(low, high), log=log), "kind": Choice(("a", None, 2))}
    assert {name: as_dimension(name, plain) for name, plain in as_plain(space).items()} == space


@pytest.mark.parametrize("name", registry.names())
def test_every_space_varies_parameters_of_its_decoder_around_their_defaults(name):
    own = registry.make(name).get_params()
    space = registry.spec(name).search_space
    assert {parameter for parameter in space if not space[parameter].holds(own[parameter])} == set()
    assert bool(space) == (name != "chance")

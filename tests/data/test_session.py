import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.errors import SpikesightError, SpikeTimesError, UnitIdsError


def make_session(spikes):
    units = pd.DataFrame({"area": "VISp", "probe": "probeC"}, pd.Index(list(spikes), name="unit_id"))
    return Session(
        session_id="1",
        units=units,
        spike_times=RaggedArray.from_arrays({key: np.array(times, np.float64) for key, times in spikes.items()}),
        stimulus_presentations={},
        invalid_times=pd.DataFrame({"start_time": [], "stop_time": [], "tags": []}),
    )


def test_checked_spike_times_are_those_of_each_unit_in_the_order_of_units():
    times, offsets = make_session({4: [1.0, 2.0], 2: [], 9: [0.5]}).checked_spike_times()

    assert times.tolist() == [1.0, 2.0, 0.5]
    assert offsets.tolist() == [0, 2, 2, 3]


def test_spikes_at_the_same_time_are_in_order():
    times, _ = make_session({1: [1.0, 1.0]}).checked_spike_times()

    assert times.tolist() == [1.0, 1.0]


def test_select_units_selects_rows_and_spikes_alike():
    chosen = make_session({4: [1.0], 2: [2.0], 9: [3.0]}).select_units([9, 4])

    assert chosen.units.index.tolist() == [9, 4]
    assert chosen.checked_spike_times()[0].tolist() == [3.0, 1.0]


def test_a_session_is_frozen_and_can_be_pickled():
    session = make_session({1: [1.0]})

    with pytest.raises(dataclasses.FrozenInstanceError):
        session.session_id = "2"
    assert pickle.loads(pickle.dumps(session)).spike_times[1].tolist() == [1.0]


@given(st.lists(st.lists(st.floats(0, 100), max_size=5), min_size=1, max_size=6))
def test_any_sorted_units_pass_the_check(units):
    session = make_session({key: sorted(times) for key, times in enumerate(units)})

    times, _ = session.checked_spike_times()

    assert times.tolist() == [time for unit in units for time in sorted(unit)]


@given(st.lists(st.lists(st.floats(0, 100), max_size=5), min_size=1, max_size=6))
def test_any_unsorted_unit_fails_the_check(units):
    session = make_session(dict(enumerate(units)))
    unsorted = [key for key, times in enumerate(units) if times != sorted(times)]
    if unsorted:
        with pytest.raises(SpikeTimesError, match=f"unit {unsorted[0]} has"):
            session.checked_spike_times()
    else:
        session.checked_spike_times()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_spike_time_that_is_not_finite_names_its_unit(value):
    session = make_session({7: [1.0, 2.0], 3: [], 8: [value, 1.0], 9: [5.0]})

    with pytest.raises(SpikeTimesError, match=f"unit 8 has {value}"):
        session.checked_spike_times()


def test_unsorted_spike_times_name_the_unit_and_the_times():
    session = make_session({7: [1.0, 2.0], 8: [0.5, 3.0, 2.0]})

    with pytest.raises(SpikeTimesError, match=r"unit 8 has 3\.000000 s followed by 2\.000000 s"):
        session.checked_spike_times()


def test_duplicated_unit_ids_are_refused():
    session = make_session({1: [1.0], 2: [2.0]})

    with pytest.raises(UnitIdsError, match=r"\[2\]"):
        dataclasses.replace(session, units=session.units.iloc[[0, 1, 1]])


def test_selecting_a_unit_that_is_not_there_is_our_error():
    session = make_session({1: [1.0], 2: [2.0]})

    with pytest.raises(UnitIdsError, match=r"\[5\]"):
        session.select_units([1, 5])
    without_row = dataclasses.replace(session, units=session.units.loc[[1]])
    with pytest.raises(UnitIdsError, match=r"\[2\]"):
        without_row.select_units([2])
    with pytest.raises(SpikesightError, match="unique"):
        session.select_units([1, 1])


def test_a_session_is_shown_in_one_line():
    session = dataclasses.replace(make_session({1: [1.0], 2: [2.0]}), stimulus_presentations={"gabors": pd.DataFrame()})

    assert repr(session) == "<Session 1: 2 units; stimuli: gabors>"

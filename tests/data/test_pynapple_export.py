"""A session as pynapple objects; pynapple itself is what it is compared with."""

import builtins
import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_presentations import make_session, make_table

from spikesight.data.binning import bin_spikes
from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.data.pynapple_export import TRIM
from spikesight.data.ragged import RaggedArray
from spikesight.data.simulation import simulate_session
from spikesight.errors import ConfigError, PresentationsError

nap = pytest.importorskip("pynapple", reason="pip install 'spikesight[pynapple]'")


@pytest.fixture(scope="module")
def session():
    return simulate_session("tiny", 2).session


@pytest.fixture(scope="module")
def exported(session):
    return session.to_pynapple()


def test_every_spike_of_every_unit_is_there(session, exported):
    assert isinstance(exported.units, nap.TsGroup)
    assert sorted(exported.units.keys()) == sorted(session.units.index)
    for unit_id in session.units.index:
        np.testing.assert_allclose(exported.units[unit_id].t, session.spike_times[unit_id], rtol=0, atol=1e-9)


def test_units_carry_their_metadata(session, exported):
    areas = exported.units["area"]
    assert {unit: areas[unit] for unit in session.units.index} == session.units["area"].to_dict()
    metadata = exported.units.metadata
    for name in ("probe", "snr", "firing_rate", "probe_vertical_position"):
        np.testing.assert_array_equal(metadata[name], session.units.sort_index()[name].to_numpy())
    visp = exported.units[exported.units["area"] == "VISp"]
    assert set(visp.keys()) == set(session.units.index[session.units["area"] == "VISp"])


def test_presentations_are_interval_sets_with_the_columns_of_the_file(session, exported):
    assert set(exported.stimuli) == set(session.stimulus_presentations)
    for name, table in session.stimulus_presentations.items():
        intervals = exported.stimuli[name]
        assert isinstance(intervals, nap.IntervalSet)
        assert len(intervals) == len(table), name
        np.testing.assert_allclose(intervals.start, table["start_time"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(intervals.end, table["stop_time"], rtol=0, atol=TRIM * 1.1)
        assert intervals["stimulus_presentation_id"].tolist() == table.index.tolist()
    scenes = session.stimulus_presentations["natural_scenes"]
    np.testing.assert_array_equal(exported.stimuli["natural_scenes"]["frame"], scenes["frame"])
    assert "stimulus_size" in exported.stimuli["gabors"].metadata_columns


def test_running_and_pupil_are_series_at_the_times_of_the_file(session, exported):
    assert isinstance(exported.running, nap.Tsd)
    np.testing.assert_allclose(exported.running.t, session.running["start_time"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(exported.running.d, session.running["velocity"])
    np.testing.assert_array_equal(exported.pupil.d, session.pupil["area"])


def test_pynapple_counts_the_same_spikes_in_the_presentations(session, exported):
    trials = select_trials(dataclasses.replace(session, invalid_times=session.invalid_times.iloc[:0]), "flashes")
    binned = bin_spikes(trials, n_bins=1)
    intervals = exported.stimuli["flashes"]
    for unit_id in session.units.index:
        counted = [len(exported.units[unit_id].restrict(intervals[row])) for row in range(len(intervals))]
        assert counted == binned["spike_counts"].sel(unit=unit_id).values.ravel().tolist()


def test_invalid_times_are_joined_where_they_overlap():
    invalid = pd.DataFrame({"start_time": [5.0, 1.0, 2.0], "stop_time": [6.0, 3.0, 4.0], "tags": [("all_probes",)] * 3})
    found = make_session(make_table([0.0, 1.0]), invalid).to_pynapple().invalid_times
    assert found.values.tolist() == [[1.0, 4.0], [5.0, 6.0]]
    assert len(make_session(make_table([0.0, 1.0])).to_pynapple().invalid_times) == 0


def test_what_a_session_lacks_is_none():
    exported = make_session(make_table([0.0, 1.0])).to_pynapple()
    assert (exported.running, exported.pupil, exported.pupil_position) == (None, None, None)


def test_the_pupils_place_is_exported_where_it_is_known(session):
    place = session.pupil.assign(x=1.0, y=np.arange(len(session.pupil), dtype=float))
    found = dataclasses.replace(session, pupil=place).to_pynapple().pupil_position
    assert list(found.columns) == ["x", "y"]
    np.testing.assert_array_equal(found.d, place[["x", "y"]])


def test_presentations_that_begin_together_are_refused():
    with pytest.raises(PresentationsError, match="one after the other"):
        make_session(make_table([0.0, 1.0, 1.0])).to_pynapple()
    with pytest.raises(PresentationsError, match="one after the other"):
        make_session(make_table([0.0, np.nan])).to_pynapple()


def test_units_without_spikes_stay():
    session = make_session(make_table([0.0, 1.0]))
    silent = RaggedArray.from_arrays({1: np.array([0.5]), 2: np.array([]), 3: np.array([])})
    exported = dataclasses.replace(session, spike_times=silent).to_pynapple()
    assert [len(exported.units[unit]) for unit in (1, 2, 3)] == [1, 0, 0]
    none = RaggedArray.from_arrays({unit: np.array([]) for unit in (1, 2, 3)})
    assert len(dataclasses.replace(session, spike_times=none).to_pynapple().units) == 3


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 5000), max_size=20), min_size=1, max_size=5),
    st.lists(st.tuples(st.floats(0.01, 20), st.floats(0.01, 20)), min_size=1, max_size=20),
)
def test_any_spikes_and_presentations_come_through(spikes, steps):
    onsets = np.cumsum([step for step, _ in steps])
    table = make_table(onsets).assign(stop_time=onsets + np.array([length for _, length in steps]))
    units = pd.DataFrame({"area": "VISp", "probe": "probeA"}, pd.Index(np.arange(len(spikes))[::-1], name="unit_id"))
    times = RaggedArray.from_arrays(
        {unit: np.sort(np.array(own)) for unit, own in zip(units.index, spikes, strict=True)}
    )
    session = dataclasses.replace(make_session(table), units=units, spike_times=times)
    exported = session.to_pynapple()
    for unit_id in units.index:
        np.testing.assert_allclose(exported.units[unit_id].t, times[unit_id], rtol=0, atol=1e-9)
    intervals = exported.stimuli["natural_scenes"]
    np.testing.assert_allclose(intervals.start, onsets, rtol=0, atol=1e-9)
    expected = np.minimum(table["stop_time"], np.append(onsets[1:] - TRIM, np.inf))
    np.testing.assert_allclose(intervals.end, expected, rtol=0, atol=2e-6)


def test_files_that_allensdk_wrote_are_exported(recordings):
    for name in ("session_sdk200.nwb", "session_sdk2162.nwb"):
        session = read_session(recordings / "allensdk-written" / name)
        exported = session.to_pynapple()
        assert len(exported.units) == len(session.units)
        assert len(exported.stimuli["natural_scenes"]) == 476
        assert exported.running is not None


def test_without_pynapple_the_error_says_what_to_install(session, monkeypatch):
    whole_import = builtins.__import__

    def without(name, *arguments, **options):
        if name == "pynapple":
            raise ModuleNotFoundError("No module named 'pynapple'", name="pynapple")
        return whole_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'spikesight\[pynapple\]'"):
        session.to_pynapple()


def test_pynapple_is_not_imported_before_it_is_needed():
    code = "import spikesight.data.session, sys; assert 'pynapple' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

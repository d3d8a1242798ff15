from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spikesight.data.periods import period_counts
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.errors import ConfigError, PresentationsError, StimulusNotFoundError


def invalid(*rows):
    return pd.DataFrame(rows, columns=["start_time", "stop_time", "tags"])


@pytest.fixture
def session():
    units = pd.DataFrame({"area": "VISp", "probe": "probeA"}, index=pd.Index([5, 7], name="unit_id"))
    times = RaggedArray.from_arrays({5: np.arange(0.05, 40, 0.1), 7: np.array([3.0, 39.5])})
    presentations = {
        "spontaneous": pd.DataFrame({"start_time": [20.0, 0.0, 30.0], "stop_time": [24.0, 2.0, 30.5]}),
        "flashes": pd.DataFrame(
            {"start_time": [4.0, 5.0, 6.0], "stop_time": [4.251, 5.25, 6.1], "color": [1.0, -1.0, 1.0]}
        ),
    }
    return Session("7", units, times, presentations, invalid())


def test_spontaneous_stretches_of_a_second_or_more_in_order_of_time(session):
    counts = period_counts(session, "spontaneous", 0.5)

    assert counts.dims == ("time", "unit")
    assert counts.period.to_numpy().tolist() == [0] * 4 + [1] * 8
    assert counts.time.to_numpy()[[0, 4]].tolist() == [0.0, 20.0]
    assert counts.to_numpy()[:, 0].tolist() == [5] * 12


def test_invalid_times_are_cut_out_and_short_rests_dropped(session):
    cut = replace(session, invalid_times=invalid((20.5, 21.0, ("probeA",)), (0.5, 1.5, ("stimulus",))))

    counts = period_counts(cut, "spontaneous", 0.5)

    assert counts.time.to_numpy().tolist() == [21.0 + 0.5 * at for at in range(6)]


def test_seconds_of_the_recording(session):
    counts = period_counts(session, "10:12, 30:31.5", 0.5)

    assert counts.time.to_numpy().tolist() == [10.0, 10.5, 11.0, 11.5, 30.0, 30.5, 31.0]


def test_the_whole_recording_from_the_first_spike_to_the_last(session):
    counts = period_counts(session, "all", 1.0)

    assert counts.sizes["time"] == 39
    assert counts.time.to_numpy()[0] == pytest.approx(0.05)


def test_presentations_become_trials_of_whole_bins_and_short_ones_are_left_out(session):
    counts = period_counts(session, "flashes", 0.05)

    assert counts.dims == ("trial", "time", "unit")
    assert counts.shape == (2, 5, 2)
    assert counts.target.to_numpy().tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("period", "error", "said"),
    [
        ("flash", StimulusNotFoundError, r"no period 'flash'. Did you mean 'flashes'\? It has: spontaneous, all, fl"),
        ("10:5", PresentationsError, "end after they start"),
        ("10:20,15:30", PresentationsError, "do not overlap"),
        ("10:20,x", ConfigError, "seconds such as 100:1600"),
        ("10:10.4", PresentationsError, "at least 1.0 s"),
        ("1.2.3:5", StimulusNotFoundError, "no period '1.2.3:5'"),
        ("10:9999999", PresentationsError, r"whose last spike is at 40\.0 s"),
    ],
)
def test_what_is_no_period_is_refused(session, period, error, said):
    with pytest.raises(error, match=said):
        period_counts(session, period, 0.05)


def test_bins_longer_than_a_presentation_are_refused(session):
    with pytest.raises(ConfigError, match="shorter than a presentation of 'flashes'"):
        period_counts(session, "flashes", 0.5)


def test_a_session_without_spontaneous_periods_says_what_there_is(session):
    without = replace(session, stimulus_presentations={"flashes": session.stimulus_presentations["flashes"]})
    with pytest.raises(StimulusNotFoundError, match="no spontaneous period; it was shown flashes"):
        period_counts(without, "spontaneous", 0.001)

"""Seconds of a movie, from a table of frames."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_presentations import make_invalid, make_session

from spikesight.data.movies import FRAME_WINDOW, FRAMES_A_SEGMENT, INCOMPLETE, cut_segments, window_of
from spikesight.data.presentations import select_trials
from spikesight.errors import NoTrialsError

FRAME = 1 / 30


def frames(numbers, *, start=0.0, block=0, step=FRAME):
    onsets = start + np.arange(len(numbers) + 1) * step
    return pd.DataFrame(
        {
            "start_time": onsets[:-1],
            "stop_time": onsets[1:],
            "stimulus_block": float(block),
            "frame": np.asarray(numbers, np.float64),
        }
    )


def movie(*parts):
    return pd.concat(parts, ignore_index=True).rename_axis("stimulus_presentation_id")


def select(table, target=None, stimulus="natural_movie_one", invalid_times=None):
    return select_trials(make_session(table, invalid_times, stimulus), stimulus, target)


def test_thirty_frames_in_order_are_one_trial_of_a_second():
    table = movie(frames(np.arange(90)), frames(np.arange(90), start=3.0))
    trials = select(table)
    assert trials.target == "segment"
    assert trials.table["target"].tolist() == [0, 1, 2, 0, 1, 2]
    assert trials.table["target"].dtype == np.int64
    assert trials.table["repeat"].tolist() == [0, 0, 0, 1, 1, 1]
    assert trials.table["frame"].tolist() == [0, 30, 60, 0, 30, 60]
    assert trials.table.index.tolist() == [0, 30, 60, 90, 120, 150]
    np.testing.assert_allclose(trials.table["start_time"], np.arange(6.0))
    np.testing.assert_allclose(trials.table["stop_time"], np.arange(1.0, 7.0))
    assert trials.dropped == {}


def test_a_single_frame_is_a_trial_if_frames_are_asked_for():
    trials = select(movie(frames(np.arange(90))), "frame")
    assert trials.table["target"].tolist() == list(range(90))
    assert "segment" not in trials.table


@pytest.mark.parametrize(
    ("table", "left", "n_lost"),
    [
        (movie(frames(np.arange(100))), [0, 1, 2], 10),
        (movie(frames(np.arange(10, 90))), [1, 2], 20),
        (movie(frames(np.delete(np.arange(90), 40))), [0, 2], 29),
        (movie(frames(np.arange(45)), frames(np.arange(45, 90), start=1.6)), [0, 2], 30),
        (movie(frames(np.arange(45)), frames(np.arange(45, 90), start=1.5, block=1)), [0, 2], 30),
    ],
    ids=["the end of a file", "a late start", "a lost frame", "a pause", "another block"],
)
def test_what_is_no_whole_second_is_left_out_and_counted(table, left, n_lost):
    trials = select(table)
    assert trials.table["target"].tolist() == left
    assert trials.dropped == {INCOMPLETE: n_lost}


def test_shuffled_frames_stay_trials_labelled_with_their_second():
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(90), 3))
    trials = select(movie(frames(order)), stimulus="natural_movie_one_shuffled")
    assert trials.table["target"].tolist() == (order // FRAMES_A_SEGMENT).tolist()
    assert len(trials) == 270
    assert window_of("natural_movie_one_shuffled", trials.table) == FRAME_WINDOW


def test_a_shuffled_movie_whose_frames_are_numbered_as_shown_is_cut_into_seconds():
    trials = select(
        movie(frames(np.arange(60)), frames(np.arange(60), start=2.0)), stimulus="natural_movie_one_shuffled"
    )
    assert trials.table["target"].tolist() == [0, 1, 0, 1]


def test_a_second_is_invalid_if_one_of_its_frames_is():
    trials = select(movie(frames(np.arange(90))), invalid_times=make_invalid((1.5, 1.51, "stimulus")))
    assert trials.table["target"].tolist() == [0, 2]
    assert trials.dropped == {"invalid_times: stimulus": 1}


def test_frames_of_which_no_second_is_whole_are_refused_with_what_to_do():
    with pytest.raises(NoTrialsError, match="target 'frame'"):
        select(movie(frames(np.arange(20))))


def test_windows_are_for_single_frames_of_movies_only():
    seconds, single = select(movie(frames(np.arange(60)))).table, movie(frames(np.arange(60)))
    assert window_of("natural_movie_one", single) == FRAME_WINDOW
    assert window_of("natural_movie_one", seconds) is None
    assert window_of("natural_scenes", single) is None
    assert window_of("natural_movie_one", single.iloc[:0]) is None


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 100), st.booleans()), min_size=1, max_size=8))
def test_segments_are_whole_disjoint_and_lose_no_frame_uncounted(runs):
    """Runs of frames that begin and end anywhere: what comes out is what a slow walk over them finds."""
    parts, clock, number = [], 0.0, 0
    for first, length, is_new_block in runs:
        number += is_new_block
        parts.append(frames(np.arange(first, first + length), start=clock, block=number))
        clock += length * FRAME + 0.2
    table = movie(*parts)
    block = table["stimulus_block"].to_numpy(np.int64)
    cut, n_lost = cut_segments(table, block)
    expected, row, frame = [], 0, table["frame"].to_numpy()
    bounds = np.cumsum([run[1] for run in runs])
    while row < len(table):
        stop = row + FRAMES_A_SEGMENT
        if frame[row] % FRAMES_A_SEGMENT == 0 and stop <= bounds[np.searchsorted(bounds, row, side="right")]:
            expected.append(row)
            row = stop
        else:
            row += 1
    within = np.diff(block) == 0
    if within.any() and (np.diff(frame)[within] == 1).mean() > 0.5:
        assert cut.index.tolist() == expected
        assert n_lost + FRAMES_A_SEGMENT * len(cut) == len(table)
        assert (cut["start_time"].to_numpy()[1:] >= cut["stop_time"].to_numpy()[:-1]).all()
    else:
        assert (len(cut), n_lost) == (len(table), 0)

"""Schedules: counts, order and edges of the presentations."""

from itertools import pairwise

import numpy as np
import pytest

from spikesight.data.simulation.presets import PRESETS
from spikesight.data.simulation.schedule import make_schedule


@pytest.fixture(scope="module")
def allen():
    return make_schedule(PRESETS["allen"], 0)


def in_order(schedule):
    """(start, name, number of block) of all stimulus blocks, in order of time."""
    found = []
    for name, table in schedule.presentations.items():
        if name != "spontaneous":
            for number, block in table.groupby("stimulus_block"):
                found.append((block["start_time"].min(), name, number))
    return sorted(found)


def test_the_allen_preset_has_the_real_number_of_presentations(allen):
    assert {name: len(table) for name, table in allen.presentations.items()} == {
        "gabors": 3645,
        "flashes": 150,
        "drifting_gratings": 628,
        "natural_movie_three": 36000,
        "natural_movie_one": 18000,
        "natural_scenes": 5950,
        "static_gratings": 6000,
        "spontaneous": 15,
    }
    assert 2.5 < allen.duration / 3600 < 2.7


def test_the_allen_preset_shows_its_blocks_in_the_real_order(allen):
    blocks = in_order(allen)
    assert [number for _, _, number in blocks] == list(range(15))
    assert [name for _, name, _ in blocks] == [
        *["gabors", "flashes", "drifting_gratings", "natural_movie_three", "natural_movie_one", "drifting_gratings"],
        *["natural_movie_three", "drifting_gratings", "static_gratings", "natural_scenes", "natural_scenes"],
        *["static_gratings", "natural_movie_one", "natural_scenes", "static_gratings"],
    ]


@pytest.mark.parametrize("preset", ["allen", "scenes"])
def test_natural_scenes_are_119_frames_50_times_in_three_blocks(preset):
    table = make_schedule(PRESETS[preset], 0).presentations["natural_scenes"]
    assert table["frame"].value_counts().eq(50).all()
    assert sorted(table["frame"].unique()) == list(range(-1, 118))
    assert table.groupby("stimulus_block").size().tolist() == [1920, 1920, 2110]


def test_left_over_rows_are_blank_sweeps(allen):
    gratings = allen.presentations["drifting_gratings"]
    assert gratings["orientation"].isna().sum() == 28
    assert gratings.groupby(["orientation", "temporal_frequency"]).size().eq(15).all()


def test_presentations_of_scenes_share_their_edges(allen):
    for _, block in allen.presentations["natural_scenes"].groupby("stimulus_block"):
        assert (block["stop_time"].to_numpy()[:-1] == block["start_time"].to_numpy()[1:]).all()
        assert (block["stop_time"] - block["start_time"]).mean() == pytest.approx(0.2502, abs=1e-4)


def test_blocks_and_stretches_of_grey_do_not_overlap(allen):
    spans = [(table["start_time"].min(), table["stop_time"].max()) for table in _blocks(allen)]
    spans.sort()
    assert all(stop <= start + 1e-9 for (_, stop), (start, _) in pairwise(spans))


def _blocks(schedule):
    for name, table in schedule.presentations.items():
        if name == "spontaneous":
            yield from (table.iloc[[row]] for row in range(len(table)))
        else:
            yield from (block for _, block in table.groupby("stimulus_block"))


def test_movies_show_their_frames_in_order_unless_shuffled():
    schedule = make_schedule(PRESETS["functional_connectivity"], 0)
    shown = schedule.presentations["natural_movie_one_more_repeats"]["frame"].to_numpy()
    assert (shown == np.arange(len(shown)) % 900).all()
    shuffled = schedule.presentations["natural_movie_one_shuffled"]["frame"].to_numpy()
    assert not (np.diff(shuffled) == 1).mean() > 0.1


def test_the_functional_connectivity_preset_has_the_other_stimuli():
    assert set(make_schedule(PRESETS["functional_connectivity"], 0).presentations) == {
        *["spontaneous", "gabors", "flashes", "drifting_gratings_contrast", "natural_movie_one_more_repeats"],
        *["natural_movie_one_shuffled", "dot_motion", "drifting_gratings_75_repeats"],
    }


def test_another_seed_gives_another_sequence_at_the_same_times():
    first, second = (make_schedule(PRESETS["tiny"], seed).presentations["natural_scenes"] for seed in (0, 1))
    assert (first["start_time"] == second["start_time"]).all()
    assert (first["frame"] != second["frame"]).any()


@pytest.mark.parametrize("preset", PRESETS)
def test_events_lie_in_time_order_within_the_recording_and_point_into_the_input_table(preset):
    schedule = make_schedule(PRESETS[preset], 0)
    assert (np.diff(schedule.events.time) > 0).all()
    assert 0 < schedule.events.time[0] < schedule.events.time[-1] < schedule.duration
    assert schedule.events.input.min() == 0

"""Neighbouring presentations beside each trial's own bins."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from spikesight.data.context import add_context, context_of, describe_context, own_bins
from spikesight.data.counts import read_counts, write_counts
from spikesight.data.timeline import FAR, places
from spikesight.errors import ConfigError, NoTrialsError


def trials(counts, start, blocks, n_bins=1):
    counts = np.asarray(counts, "uint8").reshape(len(start), n_bins, -1)
    n = len(start)
    return xr.Dataset(
        {"spike_counts": (("trial", "time", "unit"), counts)},
        {
            "trial": 100 + np.arange(n),
            "time": 0.1 * np.arange(n_bins),
            "unit": 900 + np.arange(counts.shape[2]),
            "start_time": ("trial", np.asarray(start, float)),
            "stop_time": ("trial", np.asarray(start, float) + 0.25),
            "stimulus_block": ("trial", np.asarray(blocks)),
            "repeat": ("trial", np.arange(n)),
            "target": ("trial", np.arange(n) % 2),
            "area": ("unit", np.full(counts.shape[2], "VISp")),
        },
        {"n_bins": n_bins, "dropped_trials": json.dumps({"invalid times": 2})},
    )


def steps(n, step=0.25, begin=0.0):
    return begin + step * np.arange(n)


def test_bins_of_the_presentation_before_come_first_then_own_ones_then_those_of_the_next():
    found = add_context(trials([1, 2, 3, 4], steps(4), [0] * 4))
    assert found["spike_counts"].to_numpy().tolist() == [[[1], [2], [3]], [[2], [3], [4]]]
    assert found["spike_counts"].dtype == np.uint8
    assert found["trial"].to_numpy().tolist() == [101, 102]
    assert found["target"].to_numpy().tolist() == [1, 0]
    assert found["time"].to_numpy().tolist() == [-0.25, 0.0, 0.25]
    assert found["context_presentation"].to_numpy().tolist() == [-1, 0, 1]
    assert found["context_place"].to_numpy().tolist() == [1, 2]
    assert found["context_first_start"].to_numpy().tolist() == [0.0, 0.25]
    assert found["context_last_start"].to_numpy().tolist() == [0.5, 0.75]
    assert found["area"].to_numpy().tolist() == ["VISp"]


def test_attributes_say_what_was_added_and_what_it_cost():
    found = add_context(trials([1, 2, 3, 4], steps(4), [0] * 4), 1, 0)
    assert found.attrs["context"] == [1, 0]
    assert found.attrs["n_bins"] == 2
    assert json.loads(found.attrs["dropped_trials"]) == {"invalid times": 2, "without all neighbours": 1}
    assert context_of(found) == (1, 0)
    assert own_bins(found) == (1,)
    assert context_of(trials([1], [0.0], [0])) == (0, 0)


def test_bins_of_several_per_presentation_stay_together_and_time_goes_on():
    found = add_context(trials([[1, 2], [3, 4], [5, 6]], steps(3), [0] * 3, n_bins=2), 1, 1)
    assert found["spike_counts"].to_numpy().tolist() == [[[1], [2], [3], [4], [5], [6]]]
    np.testing.assert_allclose(found["time"], [-0.25, -0.15, 0, 0.1, 0.25, 0.35], atol=1e-12)
    assert found["context_presentation"].to_numpy().tolist() == [-1, -1, 0, 0, 1, 1]
    assert own_bins(found) == (2, 3)


def test_neighbours_are_not_taken_across_blocks_nor_over_a_presentation_that_is_missing():
    start = [*steps(3), *steps(3, begin=0.75), *steps(3, begin=1.75)]  # blocks touch; then one is missing
    found = add_context(trials(range(9), start, [0, 0, 0, 1, 1, 1, 1, 1, 1]))
    assert found["spike_counts"].to_numpy()[:, :, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    place = found["context_place"].to_numpy()
    assert (np.diff(place) > 2).all()


def test_a_late_onset_of_a_frame_or_two_is_no_interruption():
    assert places([0] * 4, [0, 0.25, 0.51, 0.76]).tolist() == [0, 1, 2, 3]
    assert places([0] * 4, [0, 0.25, 0.75, 1.0]).tolist() == [0, 1, 1 + FAR, 2 + FAR]


def test_trials_without_known_times_follow_each_other_within_a_block():
    unknown = trials(range(5), [np.nan] * 5, [0, 0, 0, 1, 1])
    found = add_context(unknown, 0, 1)
    assert found["spike_counts"].to_numpy()[:, :, 0].tolist() == [[0, 1], [1, 2], [3, 4]]
    assert found["time"].to_numpy().tolist() == [0, 1]
    assert np.isnan(found["context_first_start"]).all()


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    previous=st.integers(0, 2),
    following=st.integers(0, 2),
    n_bins=st.integers(1, 2),
)
def test_every_row_is_its_neighbours_in_order_and_every_trial_that_has_them_is_kept(sizes, previous, following, n_bins):
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    n = len(blocks)
    dataset = trials(np.arange(n * n_bins), steps(n), blocks, n_bins=n_bins)
    wanted = [
        row
        for row in range(n)
        if row >= previous and row + following < n and len(set(blocks[row - previous : row + following + 1])) == 1
    ]
    if not previous + following:
        return
    if not wanted:
        with pytest.raises(NoTrialsError, match="Ask for less context"):
            add_context(dataset, previous, following)
        return
    found = add_context(dataset, previous, following)
    assert (found["trial"].to_numpy() - 100).tolist() == wanted
    flat = dataset["spike_counts"].to_numpy().ravel()
    for row, counts in zip(wanted, found["spike_counts"].to_numpy()[:, :, 0], strict=True):
        assert counts.tolist() == flat[(row - previous) * n_bins : (row + following + 1) * n_bins].tolist()


def test_labels_decide_nothing():
    one = trials(range(8), steps(8), [0] * 8)
    other = one.assign_coords(target=("trial", np.arange(8)[::-1]))
    np.testing.assert_array_equal(add_context(one)["spike_counts"], add_context(other)["spike_counts"])


def test_the_order_of_dimensions_does_not_matter():
    dataset = trials(np.arange(12), steps(6), [0] * 6)
    turned = dataset.transpose("unit", "time", "trial")
    xr.testing.assert_identical(add_context(turned), add_context(dataset))


def test_context_is_kept_in_a_file(tmp_path):
    dataset = add_context(trials(range(6), steps(6), [0] * 6), 1, 2)
    write_counts(dataset, tmp_path / "context.nc")
    again = read_counts(tmp_path / "context.nc")
    assert context_of(again) == (1, 2)
    np.testing.assert_array_equal(again["spike_counts"], dataset["spike_counts"])
    np.testing.assert_array_equal(again["context_place"], dataset["context_place"])


@pytest.mark.parametrize(("previous", "following"), [(0, 0), (-1, 2), (600, 600)])
def test_a_context_of_nothing_or_of_less_is_refused(previous, following):
    with pytest.raises(ConfigError, match="at least one in all"):
        add_context(trials(range(4), steps(4), [0] * 4), previous, following)


def test_context_of_context_is_refused():
    dataset = add_context(trials(range(9), steps(9), [0] * 9))
    with pytest.raises(ConfigError, match=r"context already \(1 previous, 1 next\)"):
        add_context(dataset)


def test_a_context_is_described_in_words():
    assert describe_context(1, 1) == "1 previous, 1 next"
    assert describe_context(0, 2) == "2 next"
    assert describe_context(0, 0) == ""

"""What a simulated network gives: counts, a part of its units, a stretch of its time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.connectivity.spike_trains import read_trains
from spikesight.connectivity_validation.coupled_point_process import coupled_point_process
from spikesight.connectivity_validation.simulated_network import SimulatedNetwork, draw_edges, split_spikes
from spikesight.errors import ConfigError, NoTrialsError


def network(weight, spike_times=None, n_trials=0):
    """A network of 4 s with these weights, and presentations of 1 s of the conditions 0, 1, 0, ..."""
    weight = np.asarray(weight, float)
    n_units = len(weight)
    times = [np.array([0.25 + unit]) for unit in range(n_units)] if spike_times is None else spike_times
    starts = np.arange(n_trials, dtype=float)
    return SimulatedNetwork(
        spike_times=tuple(np.asarray(t, float) for t in times),
        duration=4.0,
        presentations=pd.DataFrame(
            {"start_time": starts, "stop_time": starts + 1.0, "target": np.arange(n_trials) % 2}
        ),
        weight=weight,
        delay=np.where(weight != 0, 0.002, np.nan),
        observed=np.arange(n_units),
        n_simulated=n_units,
        common_input=np.zeros((n_units, n_units), bool),
    )


def test_counts_of_the_whole_recording_are_one_stretch():
    counts = network([[0, 1], [0, 0]], [[0.0, 0.6, 0.7], [1.0, 3.9]]).counts(0.5)

    assert counts.dims == ("time", "unit")
    assert counts.values.T.tolist() == [[1, 2, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 1]]
    trains = read_trains(counts)
    assert trains.lengths.tolist() == [8]
    assert trains.bin_size == 0.5
    assert trains.conditions is None


def test_counts_by_trial_say_what_was_shown():
    counts = network([[0, 1], [0, 0]], [[0.0, 0.6, 0.7], [1.0, 2.9, 3.9]], n_trials=3).counts(0.5, by_trial=True)

    assert counts.transpose("unit", "trial", "time").values.tolist() == [
        [[1, 2], [0, 0], [0, 0]],
        [[0, 0], [1, 0], [0, 1]],
    ]
    assert counts.target.values.tolist() == [0, 1, 0]
    assert counts.start_time.values.tolist() == [0, 1, 2]
    assert counts.stop_time.values.tolist() == [1, 2, 3]
    trains = read_trains(counts)
    assert trains.lengths.tolist() == [2, 2, 2]
    assert trains.conditions.tolist() == [0, 1, 0]


def test_counts_by_trial_need_a_stimulus():
    with pytest.raises(NoTrialsError, match="has none"):
        network([[0, 1], [0, 0]]).counts(0.5, by_trial=True)


def test_hiding_units_restricts_the_truth_to_pairs_in_sight():
    whole = network([[0, 1, 2, 3], [4, 0, 5, 6], [7, 8, 0, 9], [10, 11, 12, 0]])

    seen = whole.observe(3, seed=1)

    kept = seen.observed
    assert len(kept) == 3
    assert seen.n_simulated == 4
    assert seen.weight.tolist() == [[whole.weight[i, j] for j in kept] for i in kept]
    assert np.array_equal(seen.delay, [[whole.delay[i, j] for j in kept] for i in kept], equal_nan=True)
    assert [t.tolist() for t in seen.spike_times] == [[0.25 + unit] for unit in kept]
    assert seen.counts(1.0).unit.values.tolist() == kept.tolist()


def test_two_targets_of_a_hidden_unit_share_an_input():
    # Whichever unit is hidden: it drives the other two, except that nobody is driven by unit 2.
    whole = network([[0, 1, 1], [1, 0, 1], [0, 0, 0]])

    for seed in range(20):
        seen = whole.observe(2, seed)
        expected = 2 in seen.observed
        assert seen.common_input.tolist() == [[False, expected], [expected, False]]
    assert not whole.common_input.any()


def test_a_fraction_counts_as_that_many_units():
    whole = network(np.zeros((10, 10)))
    assert whole.observe(0.5).observed.tolist() == whole.observe(5).observed.tolist()
    assert whole.observe(1.0).n_units == 10


@given(st.integers(2, 9), st.integers(0, 100))
def test_fewer_units_in_sight_are_a_subset(n, seed):
    whole = network(np.arange(100.0).reshape(10, 10))
    fewer, more = whole.observe(n, seed), whole.observe(n + 1, seed)
    assert set(fewer.observed) < set(more.observed)
    assert np.array_equal(fewer.weight, whole.weight[np.ix_(fewer.observed, fewer.observed)])


@pytest.mark.parametrize("n", [1, 5, 0.1, 1.5])
def test_impossible_numbers_of_units_are_refused(n):
    with pytest.raises(ConfigError, match="2 to 4 units"):
        network(np.zeros((4, 4))).observe(n)


def test_a_stretch_begins_at_zero_and_holds_whole_presentations():
    part = network([[0, 1], [0, 0]], [[0.5, 1.5, 2.0], [1.75]], n_trials=4).cut(1.5, 4.0)

    assert part.duration == 2.5
    assert [t.tolist() for t in part.spike_times] == [[0.0, 0.5], [0.25]]
    assert part.presentations.start_time.tolist() == [0.5, 1.5]
    assert part.presentations.target.tolist() == [0, 1]
    assert part.rates.tolist() == [2 / 2.5, 1 / 2.5]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 2), (1, 5)])
def test_a_stretch_outside_of_the_recording_is_refused(start, stop):
    with pytest.raises(ConfigError, match="within 0 to 4 s"):
        network(np.zeros((2, 2))).cut(start, stop)


def test_trials_of_a_simulation_are_counted_in_bins_of_every_estimator():
    simulated = coupled_point_process(n_units=3, duration=20.0)
    for bin_size, n_bins in ((0.001, 250), (0.002, 125), (0.005, 50), (0.025, 10)):
        assert simulated.counts(bin_size, by_trial=True).sizes == {"trial": 80, "time": n_bins, "unit": 3}


def test_drawn_edges_have_no_loops_and_their_density():
    edges, inhibits = draw_edges(200, 0.06, 0.2, np.random.default_rng(0))
    assert not np.diag(edges).any()
    n_pairs = 200 * 199
    assert abs(edges.sum() - 0.06 * n_pairs) < 4 * np.sqrt(n_pairs * 0.06 * 0.94)
    assert inhibits.sum() == 40


def test_spikes_are_split_by_unit_in_order_of_time():
    split = split_spikes(np.array([2, 0, 2, 0]), np.array([0.4, 0.3, 0.1, 0.2]), 3)
    assert [t.tolist() for t in split] == [[0.2, 0.3], [], [0.1, 0.4]]

import numpy as np
import pytest

from coupled_units import driven, independent, presentations, recording
from spikesight.connectivity import registry
from spikesight.connectivity.granger import Granger
from spikesight.connectivity.stability import halves, stability, weight_correlation


def test_trials_of_each_condition_alternate_between_the_halves():
    counts = presentations(independent(8 * 5, 3).reshape(8, 5, 3), [0, 0, 1, 1, 0, 0, 1, 1])

    first, second = halves(counts)

    assert first.trial.to_numpy().tolist() == [0, 2, 4, 6]
    assert second.trial.to_numpy().tolist() == [1, 3, 5, 7]


def test_pieces_of_continuous_time_alternate_and_stay_apart():
    first, second = halves(recording(independent(100, 3)))

    assert first.sizes["time"] == second.sizes["time"] == 50
    assert np.unique(first.period).size == 10
    assert first.time.to_numpy()[:6] == pytest.approx([0, 0.002, 0.004, 0.006, 0.008, 0.02])


def test_a_planted_edge_makes_the_halves_agree():
    counts = recording(driven(80_000, 6, weight=0.6))
    found = stability(Granger().fit(counts), counts)

    assert found.split_half > 0.9


def test_independent_units_agree_on_nothing():
    counts = recording(independent(80_000, 12))

    assert abs(stability(Granger().fit(counts), counts).split_half) < 0.3


def test_the_halves_are_treated_as_the_whole_was():
    rng = np.random.default_rng(1)
    course = rng.gamma(0.5, 0.3, (40, 20, 1)).repeat(5, axis=1) * np.ones((1, 1, 8))
    targets = np.tile(np.arange(40), 4)
    counts = presentations(rng.poisson(course[targets]).astype(np.uint8), targets)

    assert abs(stability(Granger(min_spikes=50).fit(counts), counts).split_half) < 0.5
    twice = counts.isel(trial=slice(0, 80))
    assert np.isnan(stability(Granger(min_spikes=50).fit(twice), twice).split_half)


def test_another_seed_is_compared_where_chance_enters():
    counts = recording(driven(6000, 4, weight=0.6))
    fitted = registry.make("forecast-gat", max_epochs=1, min_spikes=20).fit(counts)

    assert -1 <= stability(fitted, counts).seed_to_seed < 1


def test_a_half_that_is_too_short_gives_nan():
    counts = recording(independent(4000, 3, 0.1))

    assert np.isnan(stability(Granger(min_spikes=300).fit(counts), counts).split_half)


def test_only_units_that_both_have_are_compared():
    counts = independent(6000, 5, 0.2)
    few = counts.copy()
    few[:, 4] = 0

    found = weight_correlation(Granger(min_spikes=1).fit(recording(counts)), Granger(min_spikes=1).fit(recording(few)))

    assert found > 0.8

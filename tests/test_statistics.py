"""Intervals and tests, against simulated truth and scipy."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from guessing import chance_interval
from spikesight.errors import ConfigError, DataError
from spikesight.statistics import (
    EXACT_FLIPS,
    MINIMUM_RUNS,
    RUN_LENGTH,
    WHAT_INTERVALS_COVER,
    block_bootstrap,
    paired_difference,
)


@pytest.mark.parametrize(("n_trials", "n_runs"), [(1, 1), (3, 3), (100, 4), (500, 10), (5950, 119)])
def test_block_bootstrap_of_trials_that_all_agree_is_clopper_and_pearsons_interval_of_runs(n_trials, n_runs):
    for right, value in ((n_runs, np.ones(n_trials)), (0, np.zeros(n_trials))):
        exact = stats.binomtest(right, n_runs).proportion_ci(0.95, method="exact")
        assert block_bootstrap(value) == pytest.approx((exact.low, exact.high))


def test_block_bootstrap_of_decoders_that_always_agree_reaches_to_both_sides():
    low, high = block_bootstrap(np.zeros(500), extremes=(-1, 1))
    assert (low, high) == pytest.approx((-(1 - 0.025**0.1), 1 - 0.025**0.1))
    assert block_bootstrap(np.ones(500), extremes=(-1, 1)) == pytest.approx((1 - 2 * high, 1))


def test_block_bootstrap_of_sessions_that_all_agree_counts_the_runs_of_the_shortest_in_each():
    sessions = np.repeat(["a", "b", "c"], [500, 1000, 500])
    exact = stats.binomtest(30, 30).proportion_ci(0.95, method="exact")
    assert block_bootstrap(np.ones(2000), sessions=sessions) == pytest.approx((exact.low, 1))


def test_block_bootstrap_brackets_the_mean_and_repeats_with_its_seed():
    correct = np.random.default_rng(0).random(500) < 0.4
    low, high = block_bootstrap(correct, seed=3)
    assert 0 < low < correct.mean() < high < 1
    assert block_bootstrap(correct, seed=3) == (low, high)
    assert block_bootstrap(correct, seed=4) != (low, high)


def test_block_bootstrap_draws_runs_that_may_start_anywhere():
    # Runs of 2 in 8 alternating trials always hold one right answer: resampled means cannot vary.
    assert block_bootstrap([0, 1] * 4, run_length=2) == (0.5, 0.5)
    low, high = block_bootstrap([0, 1] * 4, run_length=1)
    assert low < 0.5 < high


def test_block_bootstrap_is_wider_than_one_of_single_trials_when_success_comes_in_streaks():
    correct = np.repeat(np.random.default_rng(0).random(40) < 0.5, 50)
    runs = np.diff(block_bootstrap(correct, run_length=50))[0]
    singles = np.diff(block_bootstrap(correct, run_length=1))[0]
    assert runs > 4 * singles


def test_block_bootstrap_of_single_trials_is_scipys_percentile_bootstrap():
    correct = np.random.default_rng(1).random(2000) < 0.3
    ours = block_bootstrap(correct, run_length=1, n_resamples=9999)
    name = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"  # before scipy 1.15
    seeded = {name: np.random.default_rng(2)}
    theirs = stats.bootstrap((correct,), np.mean, method="percentile", n_resamples=9999, vectorized=True, **seeded)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.002)


def _answers(rng, n_trials, memory):
    """Right and wrong answers whose chance of being right drifts, with a memory of some trials."""
    keep = np.exp(-1 / memory)
    drift = lfilter([1], [1, -keep], rng.normal(size=n_trials + 500))[500:] * np.sqrt(1 - keep**2)
    return rng.random(n_trials) < 1 / (1 + np.exp(0.4 - 0.7 * drift))


@pytest.mark.parametrize("n_trials", [120, 300, 2000])
@pytest.mark.parametrize("memory", [0.01, 10])
def test_block_bootstrap_holds_the_true_accuracy_as_often_as_it_says(n_trials, memory):
    rng = np.random.default_rng(5)
    truth = _answers(rng, 1_000_000, memory).mean()
    held = [
        low <= truth <= high
        for low, high in (block_bootstrap(_answers(rng, n_trials, memory), n_resamples=500) for _ in range(300))
    ]
    # 300 repetitions: a standard error of 1.3 % at 95 %. 120 trials are cut into only four runs.
    assert (0.88 if n_trials == 120 else 0.91) <= np.mean(held) <= 0.985


def test_block_bootstrap_over_sessions_averages_sessions_not_trials():
    correct = np.array([1] * 900 + [0] * 100)
    sessions = np.array(["a"] * 900 + ["b"] * 100)
    assert block_bootstrap(correct, sessions=sessions) == (0.5, 0.5)


def test_block_bootstrap_over_sessions_narrows_with_their_number():
    rng = np.random.default_rng(0)
    correct = rng.random(6000) < 0.5
    one = np.diff(block_bootstrap(correct[:500]))[0]
    twelve = np.diff(block_bootstrap(correct, sessions=np.repeat(np.arange(12), 500)))[0]
    assert 0.2 * one < twelve < 0.4 * one  # 1 / sqrt(12) = 0.29


@pytest.mark.parametrize("n_trials", [1, 2, 3, 7, 49, 51])
def test_block_bootstrap_of_few_trials_still_gives_bounds_in_order(n_trials):
    correct = np.arange(n_trials) % 2
    low, high = block_bootstrap(correct)
    assert 0 <= low <= correct.mean() <= high <= 1


def test_the_caveat_names_the_runs_and_what_is_not_covered():
    assert "runs of 50" in WHAT_INTERVALS_COVER
    assert "fewer than 200 test trials use shorter runs" in WHAT_INTERVALS_COVER
    assert "test trials only" in WHAT_INTERVALS_COVER
    assert "too narrow where accuracy drifts over tens of trials" in WHAT_INTERVALS_COVER


def test_the_caveat_names_the_size_from_which_runs_are_whole():
    assert RUN_LENGTH == 50
    assert MINIMUM_RUNS * RUN_LENGTH == 200


@pytest.mark.parametrize("values", [[], [0.5, np.nan], [[1, 0]]])
def test_block_bootstrap_needs_one_finite_value_per_trial(values):
    with pytest.raises(DataError, match="one finite value per test trial"):
        block_bootstrap(values)


@pytest.mark.parametrize("option", [{"run_length": 0}, {"n_resamples": 0}, {"level": 1.0}])
def test_block_bootstrap_refuses_impossible_options(option):
    with pytest.raises(ConfigError, match="cannot draw"):
        block_bootstrap([0, 1], **option)


def test_chance_interval_is_the_spread_of_guesses():
    low, high = chance_interval(400, 0.25)
    guesses = np.random.default_rng(0).binomial(400, 0.25, 20_000) / 400
    assert np.mean((guesses >= low) & (guesses <= high)) == pytest.approx(0.955, abs=0.01)
    assert chance_interval(400, 0.25, 0.999).high > high


def test_paired_difference_of_a_literal_case():
    result = paired_difference([0.5, 0.6, 0.7], [0.4, 0.4, 0.6])
    assert result.mean == pytest.approx(0.4 / 3)
    assert result.n == 3
    assert result.p_value == 2 / 8  # all three differences have one sign: 2 of 8 flips reach it


@given(st.lists(st.floats(-1, 1, width=16), min_size=2, max_size=9))
def test_paired_difference_has_scipys_interval_and_exact_p_value(differences):
    zeros = np.zeros(len(differences))
    result = paired_difference(differences, zeros)
    theirs = stats.permutation_test(
        (np.array(differences),), np.mean, permutation_type="samples", alternative="two-sided", n_resamples=np.inf
    )
    assert result.p_value == pytest.approx(theirs.pvalue)
    if np.ptp(differences) > 0:
        interval = stats.ttest_rel(differences, zeros).confidence_interval(0.95)
        assert (result.low, result.high) == pytest.approx((interval.low, interval.high))


def test_paired_difference_interval_holds_the_true_difference():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        session = rng.normal(0.5, 0.2, 10)
        a, b = session + 0.03 + rng.normal(0, 0.02, 10), session + rng.normal(0, 0.02, 10)
        result = paired_difference(a, b)
        held.append(result.low <= 0.03 <= result.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_paired_difference_of_many_sessions_draws_flips_with_its_seed():
    rng = np.random.default_rng(0)
    a = rng.normal(0.2, 1, EXACT_FLIPS + 4)
    result = paired_difference(a, np.zeros_like(a), seed=1)
    assert result == paired_difference(a, np.zeros_like(a), seed=1)
    assert result.p_value == pytest.approx(stats.ttest_1samp(a, 0).pvalue, abs=0.05)


def test_paired_difference_of_one_session_has_no_interval():
    result = paired_difference([0.5], [0.4])
    assert result.mean == pytest.approx(0.1)
    assert np.isnan([result.low, result.high, result.p_value]).all()


@pytest.mark.parametrize(
    ("a", "b", "message"), [([0.5], [0.4, 0.3], "one value per session"), ([0.5, np.nan], [0.4, 0.3], "failed")]
)
def test_paired_difference_needs_the_same_sessions(a, b, message):
    with pytest.raises(DataError, match=message):
        paired_difference(a, b)

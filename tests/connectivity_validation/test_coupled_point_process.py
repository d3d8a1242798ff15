"""Coupled point processes: couplings do what their weights say, and the reference network stays as it is."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spikesight.connectivity_validation.coupled_point_process import (
    PointProcess,
    coupled_point_process,
    reference_digest,
    reference_network,
    slow_factors,
)
from spikesight.connectivity_validation.point_process_kernel import run
from spikesight.connectivity_validation.simulated_network import split_spikes
from spikesight.data.simulation.coupling import TIME_COURSE
from spikesight.errors import ConfigError

STEP = 0.001


def pair(weight, delay, rates=(12.0, 12.0), seconds=2000, seed=0):
    """Spike times of a unit and of one that it drives."""
    shown, gain = np.ones((1, 1, 2), np.float32), np.ones((seconds * 20, 2), np.float32)
    unit, time = run(
        *(np.array(rates), shown, np.zeros(0, np.int64), 250, gain, seconds * 1000, 0.002),
        *(np.array([0, 1, 1]), np.array([1]), np.array([weight]), np.array([delay]), np.array(TIME_COURSE)),
        np.random.default_rng(seed),
    )
    return split_spikes(unit, time, 2)


def auroc_of_correlation(network):
    """AUROC of the absolute correlation of counts in 25 ms."""
    correlation = np.abs(np.corrcoef(network.counts(0.025).values.T.astype(float)))
    off = ~np.eye(network.n_units, dtype=bool)
    return roc_auc_score(network.edges[off], correlation[off])


@pytest.mark.parametrize("weight", [4.0, -0.8])
def test_a_spike_multiplies_the_rate_of_its_target_after_the_delay(weight):
    source, target = pair(weight, 0.003)

    arrival = np.floor((source + 0.003) / STEP + 0.5).astype(int)
    in_step = np.bincount(np.floor(target / STEP).astype(int), minlength=arrival.max() + 10)
    alone = 12.0 * STEP
    for after, share in enumerate((0.0, 1.0, 0.6, 0.3, 0.0), start=-1):
        measured = in_step[arrival + after].sum()
        # Other spikes of the source add to the push; refractoriness takes away what the target just fired.
        expected = len(source) * alone * (1 + weight * share) * (1 - 0.002 * len(target) / 2000)
        assert abs(measured - expected) < 4 * np.sqrt(expected) + 0.03 * expected


def test_nothing_goes_back_from_the_target_to_the_source():
    source, target = pair(4.0, 0.003)
    after = np.searchsorted(source, target + 0.006) - np.searchsorted(source, target)
    expected = len(target) * 0.006 * len(source) / 2000
    assert abs(after.sum() - expected) < 4 * np.sqrt(expected)


def test_no_unit_fires_in_its_refractory_period():
    network = coupled_point_process(n_units=8, duration=60.0, rate_median=60.0, edge_probability=0.5, refractory=0.004)
    assert min(np.diff(times).min() for times in network.spike_times) >= 0.004 - 1e-12
    assert max(times[-1] for times in network.spike_times) < 60.0


def test_rates_without_couplings_are_the_base_rates():
    network = coupled_point_process(n_units=30, duration=200.0, couplings=False, stimulus=False, gain=False)
    assert network.rates.min() > 2.0 * 0.8
    assert network.rates.max() < 20.0 * 1.1
    assert 4.0 < np.median(network.rates) < 9.0


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    first, again, other = (coupled_point_process(seed=seed, n_units=5, duration=10.0) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first.spike_times, again.spike_times, strict=True))
    assert np.array_equal(first.weight, again.weight)
    assert first.presentations.equals(again.presentations)
    assert not np.array_equal(first.spike_times[0], other.spike_times[0])


def test_weights_obey_dale_and_delays_lie_where_edges_are():
    network = coupled_point_process(duration=1.0)
    weight, delay = network.weight, network.delay
    signs = [set(np.sign(row[row != 0])) for row in weight]
    assert all(len(found) <= 1 for found in signs)
    assert 8 <= sum(found == {-1.0} for found in signs) <= 12
    assert weight.min() > -1
    assert np.array_equal(np.isfinite(delay), weight != 0)
    assert 0.001 <= np.nanmin(delay) <= np.nanmax(delay) <= 0.005
    assert not network.common_input.any()


def test_what_is_switched_off_is_not_there():
    network = coupled_point_process(n_units=4, duration=10.0, couplings=False, stimulus=False, gain=False)
    assert not network.edges.any()
    assert network.presentations.empty


def test_the_response_repeats_from_trial_to_trial_of_a_condition():
    network = coupled_point_process(
        n_units=4, duration=300.0, n_conditions=4, response_depth=1.0, rate_median=20.0, gain=False
    )
    trials = network.counts(0.05, by_trial=True)
    assert trials.groupby("target").count().sizes["target"] == 4
    means = [trials.isel(trial=slice(at, None, 2)).groupby("target").mean("trial").values.ravel() for at in (0, 1)]
    assert np.corrcoef(means)[0, 1] > 0.9


def test_shared_gain_makes_counts_vary_slowly_together():
    def variance_over_mean(gain):
        network = coupled_point_process(
            n_units=10, duration=200.0, gain=gain, gain_loading=0.5, couplings=False, stimulus=False
        )
        counts = network.counts(1.0).values
        return (counts.var(0) / counts.mean(0)).mean()

    assert variance_over_mean(gain=True) > 1.5
    assert 0.85 < variance_over_mean(gain=False) < 1.15


def test_slow_factors_have_variance_one_and_their_time_constants():
    factors = slow_factors((1.0, 4.0), 200_000, 0.05, np.random.default_rng(0))
    assert factors.var(0) == pytest.approx([1.0, 1.0], abs=0.1)
    for factor, seconds in zip(factors.T, (1.0, 4.0), strict=True):
        assert np.corrcoef(factor[:-20], factor[20:])[0, 1] == pytest.approx(np.exp(-1.0 / seconds), abs=0.05)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"n_units": 1}, "at least 2 units"),
        ({"duration": 0.1}, "at least one trial"),
        ({"longest_delay": 0.1}, "expected delays"),
        ({"refractory": 0.0}, "refractory period"),
        ({"weights": 1}, "no constant weights"),
    ],
)
def test_impossible_constants_are_refused(constants, message):
    with pytest.raises(ConfigError, match=message):
        coupled_point_process(**constants)


def test_the_reference_network_is_frozen():
    # Set once with the correlation as the only yardstick. Never to be changed for the sake of an estimator.
    assert reference_digest() == "84829673b5deb56cf183cb572962beed26b153fe3e65c797efdcf27946e01cda"
    assert PointProcess().strength_median == 2.7


def test_correlation_finds_edges_of_the_reference_network_as_well_as_it_should():
    network = reference_network(0)
    assert (network.n_units, network.duration) == (60, 1500.0)
    assert 0.05 < network.edges.sum() / (60 * 59) < 0.07
    assert auroc_of_correlation(network) == pytest.approx(0.737, abs=0.01)


@pytest.mark.slow
def test_correlation_scores_between_70_and_76_on_reference_networks():
    scores = [auroc_of_correlation(reference_network(seed)) for seed in range(5)]
    assert 0.70 <= np.mean(scores[:3]) <= 0.76
    assert 0.70 <= np.mean(scores) <= 0.76
    assert all(0.68 <= score <= 0.78 for score in scores)

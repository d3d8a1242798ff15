"""Integrate-and-fire networks: synapses act after their delay, groups share noise, half of the units are hidden."""

import numpy as np
import pytest

from spikesight.connectivity_validation.integrate_and_fire import (
    IntegrateAndFire,
    current_per_peak,
    integrate_and_fire,
    integrate_and_fire_digest,
)
from spikesight.connectivity_validation.integrate_and_fire_kernel import run
from spikesight.errors import ConfigError

PAIR = {
    **{"n_units": 2, "n_observed": 2, "n_groups": 2, "edge_probability": 1.0, "duration": 400.0},
    **{"common": 0.0, "rate_median": 15.0, "rate_spread": 0.0, "shortest_delay": 0.004, "longest_delay": 0.004},
}


def lagged_pairs(network, lags):
    """Pairs of a spike of unit 0 and one of unit 1, by lag in bins of 1 ms, over what the rates give."""
    counts = network.counts(0.001).values.astype(float)
    length = len(counts) - max(lags)
    pairs = [counts[:length, 0] @ counts[lag : lag + length, 1] for lag in lags]
    return np.array(pairs) / (length * counts[:, 0].mean() * counts[:, 1].mean())


def drive_by(peak, drive=0.7, delay_steps=30):
    """Spike times of a unit that is near the threshold by ``1 - drive``, driven by one that fires every 0.1 s or so."""
    constants = IntegrateAndFire()
    keep = np.exp(-0.0001 / np.array([constants.membrane, constants.excitatory_decay, constants.inhibitory_decay]))
    jump = peak * current_per_peak(constants, np.array([False]))
    unit, time = run(
        *(np.array([1.001, drive]), np.zeros(2), np.array([0, 0]), np.zeros(1), np.zeros(1), 30_000, keep, 20),
        *(np.array([0, 1, 1]), np.array([1]), jump, np.array([delay_steps]), np.zeros(2, bool)),
        np.random.default_rng(0),
    )
    return time[unit == 0], time[unit == 1]


def test_a_weight_is_the_peak_of_the_postsynaptic_potential():
    source, missed = drive_by(0.295)
    assert len(source) > 10
    assert len(missed) == 0

    source, hit = drive_by(0.305)
    n_arrived = (source < 3.0 - 0.003 - 0.005).sum()
    assert n_arrived <= len(hit) <= len(source)
    # The potential peaks about 4 ms after it begins.
    after = hit[:n_arrived] - source[:n_arrived]
    assert np.all((after > 0.003) & (after < 0.003 + 0.005))


def test_a_strong_synapse_gives_a_peak_at_its_delay():
    ratio = lagged_pairs(integrate_and_fire(psp_median=0.25, psp_spread=0.0, inhibitory=0.0, **PAIR), range(20))
    assert np.all(ratio[[1, 2, 3]] < 1.3)
    assert 4 <= ratio.argmax() <= 6
    assert ratio.max() > 3


def test_an_inhibitory_synapse_gives_a_trough_after_its_delay():
    ratio = lagged_pairs(integrate_and_fire(psp_median=0.25, psp_spread=0.0, inhibitory=1.0, **PAIR), range(20))
    assert np.all(ratio[[1, 2, 3]] > 0.7)
    assert 4 <= ratio.argmin() <= 9
    assert ratio.min() < 0.5


def test_units_of_a_group_share_noise():
    network = integrate_and_fire(
        n_units=12, n_observed=12, n_groups=3, duration=200.0, common=0.4, couplings=False, rate_median=15.0
    )
    correlation = np.corrcoef(network.counts(0.025).values.T)
    off = ~np.eye(12, dtype=bool)
    assert network.common_input.sum() == 12 * 3
    assert correlation[network.common_input].min() > 0.05
    assert np.abs(correlation[off & ~network.common_input]).mean() < 0.03


def test_half_of_the_units_are_hidden_and_fire_at_their_rates():
    network = integrate_and_fire(n_units=40, n_observed=20, n_groups=4, duration=60.0, edge_probability=0.15)
    assert (network.n_units, network.n_simulated) == (20, 40)
    assert network.weight.shape == (20, 20)
    assert network.common_input.any()
    assert network.rates.min() > 1.0
    assert network.rates.max() < 40.0
    assert 4.0 < np.median(network.rates) < 12.0
    assert network.presentations.empty
    assert min(np.diff(times).min() for times in network.spike_times) > 0.002


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    small = {"n_units": 6, "n_observed": 4, "n_groups": 2, "duration": 5.0}
    first, again, other = (integrate_and_fire(seed=seed, **small) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first.spike_times, again.spike_times, strict=True))
    assert np.array_equal(first.weight, again.weight)
    assert not np.array_equal(first.spike_times[0], other.spike_times[0])


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"n_observed": 121}, "2 to 120 units in sight"),
        ({"longest_delay": 0.05}, "expected delays"),
        ({"weights": 1}, "no constant weights"),
    ],
)
def test_impossible_constants_are_refused(constants, message):
    with pytest.raises(ConfigError, match=message):
        integrate_and_fire(**constants)


def test_the_network_is_frozen():
    # Set by the firing alone. Never to be changed for the sake of an estimator.
    assert integrate_and_fire_digest() == "62d712600c803f9bafc725c437f6d6b5b3462df010f38e59cb918d3dd21f7d76"


@pytest.mark.slow
def test_the_whole_network_fires_at_2_to_20_without_synchrony():
    network = integrate_and_fire()
    assert network.rates.min() > 2.0
    assert network.rates.max() < 22.0
    together = network.counts(0.01).values.sum(axis=1)
    assert together.var() / together.mean() < 1.5
    assert together.max() < 30  # of 60 units in 10 ms

"""The spiking kernel alone: rates, refractoriness, couplings, and independence of what must not matter."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from spikesight.data.simulation.coupling import Couplings
from spikesight.data.simulation.spiking import SAMPLING_RATE, _KernelState


def no_couplings():
    empty = np.empty(0)
    return Couplings(empty.astype(np.int64), empty.astype(np.int64), empty, empty)


def one_coupling(weight, delay):
    return Couplings(np.array([0]), np.array([1]), np.array([weight]), np.array([delay]))


def run(rates, seconds, *, refractory=0.0015, couplings=None, seed=0):
    """Spike times per unit of units that fire at constant rates (Hz)."""
    n_units = len(rates)
    population = SimpleNamespace(ids=np.arange(n_units), refractory=np.full(n_units, refractory))
    state = _KernelState(population, couplings or no_couplings(), seed)
    drive = np.tile(np.asarray(rates, np.float32) * 0.001, (2000, 1)).astype(np.float32)
    found = [state.run(number, drive) for number in range(round(seconds / 10))]
    unit, sample = (np.concatenate(part) for part in zip(*found, strict=True))
    return [sample[unit == number] / SAMPLING_RATE for number in range(n_units)]


def test_units_fire_at_their_rate_less_the_refractory_time():
    times = run([2.0, 20.0], 500)
    for rate, spikes in zip([2.0, 20.0], times, strict=True):
        expected = 500 * rate / (1 + rate * 0.0015)
        assert len(spikes) == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_a_unit_of_rate_zero_is_silent():
    assert len(run([0.0], 50)[0]) == 0


def test_no_interval_is_shorter_than_the_refractory_period():
    (times,) = run([150.0], 100, refractory=0.002)
    assert np.diff(times).min() >= 0.002 - 1e-12


def test_intervals_beyond_the_refractory_period_are_exponential():
    (times,) = run([30.0], 300)
    assert stats.kstest(np.diff(times) - 0.0015, "expon", args=(0, 1 / 30)).pvalue > 0.01


def test_spikes_spread_over_the_step_and_lie_on_samples():
    (times,) = run([50.0], 200)
    assert stats.kstest(times * 1000 % 1, "uniform").pvalue > 0.01
    np.testing.assert_allclose(times * SAMPLING_RATE, np.rint(times * SAMPLING_RATE), atol=1e-6)


def test_a_unit_fires_the_same_whatever_else_is_recorded():
    (alone,) = run([10.0], 100)
    beside = run([10.0, 5.0], 100)[0]
    assert np.array_equal(alone, beside)


def correlogram(source, target, edges):
    lags = [target[(target > time) & (target < time + edges[-1])] - time for time in source]
    return np.histogram(np.concatenate(lags), edges)[0]


@pytest.mark.parametrize("delay", [0.001, 0.0035, 0.0095])
def test_an_excitatory_coupling_raises_the_targets_rate_after_its_delay(delay):
    source, target = run([10.0, 10.0], 1000, couplings=one_coupling(6.0, delay))
    counts = correlogram(source, target, np.arange(0, 0.0205, 0.001))
    base = len(source) * len(target) / 1000 * 0.001
    at = int(delay / 0.001)
    assert counts[at : at + 3].sum() > 3 * base + 8 * np.sqrt(3 * base)
    others = np.delete(counts, np.arange(at - 1 if at else 0, at + 4))
    assert np.abs(others - base).max() < 5 * np.sqrt(base)


def test_an_inhibitory_coupling_lowers_it():
    source, target = run([40.0, 40.0], 1000, couplings=one_coupling(-0.9, 0.002))
    counts = correlogram(source, target, np.arange(0, 0.0205, 0.001))
    assert counts[2] < 0.4 * counts[10:].mean()


def test_a_coupling_does_not_act_backwards():
    source, target = run([10.0, 10.0], 500, couplings=one_coupling(6.0, 0.002))
    counts = correlogram(target, source, np.arange(0, 0.0205, 0.001))
    base = len(source) * len(target) / 500 * 0.001
    assert np.abs(counts - base).max() < 5 * np.sqrt(base)

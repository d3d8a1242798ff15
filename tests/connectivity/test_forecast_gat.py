"""The forecasting network as an estimator of connectivity."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from coupled_units import driven, independent, presentations, recording
from spikesight.connectivity.finished import Finished
from spikesight.connectivity.forecast_gat import ForecastGAT
from spikesight.errors import ConfigError


class Told:
    """Remembers how far a fit said it was, and stops it after some epoch."""

    def __init__(self, stop_after=None):
        self.done, self.stop_after = [], stop_after

    def advance(self, task, done, total):
        self.done.append((task, done, total))
        if done == self.stop_after:
            raise KeyboardInterrupt


def coupled(n_units=20, minutes=5.0, density=0.08, seed=0):
    """Poisson units at 1 ms whose spikes multiply the rates of their targets.

    An edge of weight w adds w, 0.6 w and 0.3 w to the factor of the target's rate (not below 0) from its delay of 1 to
    5 ms on. Returns counts (n_bins, n_units) at 2 ms, and weights [source, target].
    """
    rng = np.random.default_rng(seed)
    rates = 0.001 * np.exp(rng.uniform(np.log(5), np.log(15), n_units))
    edges = (rng.random((n_units, n_units)) < density) & ~np.eye(n_units, dtype=bool)
    sizes = np.where(
        rng.random(edges.shape) < 0.75, rng.uniform(1, 4, edges.shape), -rng.uniform(0.5, 0.8, edges.shape)
    )
    weight, delay = np.where(edges, sizes, 0.0), rng.integers(1, 6, edges.shape)
    n_steps = int(minutes * 60_000)
    draws = rng.random((n_steps, n_units))
    factor = np.ones((n_steps + 8, n_units))
    counts = np.zeros((n_steps, n_units), np.uint8)
    targets = [np.flatnonzero(row) for row in edges]
    for step in range(n_steps):
        fired = np.flatnonzero(draws[step] < rates * factor[step])
        counts[step, fired] = 1
        for unit in fired:
            for after, share in enumerate((1.0, 0.6, 0.3)):
                factor[step + delay[unit, targets[unit]] + after, targets[unit]] += share * weight[unit, targets[unit]]
    return counts.reshape(-1, 2, n_units).sum(axis=1).astype(np.uint8), weight


def off_diagonal(matrix):
    return np.asarray(matrix)[~np.eye(len(matrix), dtype=bool)]


@pytest.mark.parametrize(("weight", "sign"), [(0.4, 1), (-0.9, -1)])
def test_a_planted_edge_is_found_with_direction_sign_and_lag(weight, sign):
    fitted = ForecastGAT(max_epochs=3).fit(recording(driven(40_000, 4, weight=weight, lag=2)))
    found = fitted.connectivity_

    assert np.abs(off_diagonal(found)).max() == abs(found.sel(source_unit=100, target_unit=101))
    assert abs(found.sel(source_unit=101, target_unit=100)) < 0.3 * abs(found.sel(source_unit=100, target_unit=101))
    assert fitted.sign_.sel(source_unit=100, target_unit=101) == sign
    assert fitted.lag_.sel(source_unit=100, target_unit=101) == pytest.approx(0.004)
    if sign > 0:  # the few spikes that inhibition takes away are hardly missed by the likelihood
        assert fitted.forecast_gain_ > 0.01


def test_the_effect_is_the_change_of_the_log_rate():
    fitted = ForecastGAT(sparsity=0.0).fit(recording(driven(40_000, 2, weight=0.15, mean=0.05)))

    # The mean goes from 0.05 to 0.2 after a spike.
    assert fitted.connectivity_.sel(source_unit=100, target_unit=101) == pytest.approx(np.log(4), rel=0.2)


def test_matrices_are_labelled_and_there_is_no_test_behind_an_edge():
    fitted = ForecastGAT(max_epochs=1).fit(recording(driven(6_500, 4)))

    assert fitted.connectivity_.dims == ("source_unit", "target_unit")
    assert fitted.connectivity_.source_unit.to_numpy().tolist() == [100, 101, 102, 103]
    assert fitted.connectivity_.attrs["measure"] == "change of log rate per spike"
    assert np.isnan(fitted.p_values_).all()
    assert np.isnan(fitted.z_).all()
    assert set(np.unique(off_diagonal(fitted.lag_)).round(6)) <= {0.002, 0.004, 0.006}
    assert fitted.adjacency_.dims == ("lag", "source_unit", "target_unit")
    assert fitted.adjacency_.lag.to_numpy().round(6).tolist() == [0.002, 0.004, 0.006]
    assert np.abs(np.diagonal(fitted.adjacency_, axis1=1, axis2=2)).max() == 0
    assert fitted.edges().q_value.isna().all()


@pytest.mark.parametrize("seed", [0, 1])
def test_without_couplings_nothing_is_gained(seed):
    fitted = ForecastGAT(max_epochs=3, random_state=seed).fit(recording(independent(40_000, 6, seed=seed)))

    assert -0.01 < fitted.forecast_gain_ < 0.002


def test_the_gain_is_that_of_the_best_epoch_in_bits_per_spike():
    counts = independent(10_000, 4)
    fitted = ForecastGAT(max_epochs=2).fit(recording(counts))

    usable = counts[3:].astype(float)
    training, validation = usable[:8747], usable[8747:]
    rates = training.mean(axis=0) + 0.5 / len(training)
    constant = (rates - validation * np.log(rates)).sum()
    best = min(record["valid_loss"] for record in fitted.history_) * counts.sum() / 10_000 * len(validation)
    assert fitted.forecast_gain_ == pytest.approx((constant - best) / validation.sum() / np.log(2), abs=1e-5)


def test_no_window_crosses_a_border():
    """Unit 1 fires first thing in each period, just after unit 0 fired last thing in the one before."""
    length, n_periods = 25, 400
    counts = independent(length * n_periods, 3, 0.01, seed=4)
    counts[length - 1 :: length, 0] = 1
    counts[::length, 1] = 1
    whole = ForecastGAT(max_epochs=3, min_spikes=50).fit(recording(counts))
    parted = ForecastGAT(max_epochs=3, min_spikes=50).fit(recording(counts, periods=[length] * n_periods))

    assert whole.connectivity_[0, 1] > 1.0
    assert abs(parted.connectivity_[0, 1]) < 0.2


def test_the_same_seed_gives_the_same_bits_and_the_caller_keeps_its_random_numbers():
    counts = recording(driven(6_500, 4))
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first, again, other = (ForecastGAT(max_epochs=2, random_state=seed).fit(counts) for seed in (0, 0, 1))

    assert first.connectivity_.identical(again.connectivity_)
    assert first.adjacency_.identical(again.adjacency_)
    assert not first.connectivity_.equals(other.connectivity_)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_fit_that_was_killed_goes_on_and_ends_with_the_same_numbers(tmp_path):
    counts = recording(driven(6_500, 4))
    whole = ForecastGAT(max_epochs=4).fit(counts)
    with pytest.raises(KeyboardInterrupt):
        ForecastGAT(max_epochs=4).fit(counts, progress=Told(stop_after=2), keep=Finished(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1

    told = Told()
    resumed = ForecastGAT(max_epochs=4).fit(counts, progress=told, keep=Finished(tmp_path))

    assert told.done[0][1] > 1
    assert told.done[-1] == ("forecast-gat", 4, 4)
    assert resumed.connectivity_.identical(whole.connectivity_)
    assert resumed.forecast_gain_ == whole.forecast_gain_
    assert not list(tmp_path.iterdir())


def test_what_is_kept_belongs_to_its_counts(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        ForecastGAT(max_epochs=3).fit(recording(driven(6_500, 4)), progress=Told(stop_after=2), keep=Finished(tmp_path))
    swapped = recording(driven(6_500, 4)[::-1])
    told = Told()
    ForecastGAT(max_epochs=3).fit(swapped, progress=told, keep=Finished(tmp_path))

    assert told.done[0][1] == 1


def stimulus_locked(n_trials=300, n_bins=100, seed=0):
    """Three independent units in trials of two conditions; unit 1 follows unit 0 in both, by one bin on average."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n_trials) % 2
    rates = np.full((n_trials, n_bins, 3), 0.03)
    for at in (20, 30, 60, 70):
        rates[:, at : at + 6, 0] = 0.5
        rates[:, at + 1 : at + 7, 1] = 0.5
    return presentations(rng.poisson(rates).astype(np.uint8), targets)


def test_what_the_stimulus_explains_is_no_edge_once_the_mean_response_is_known():
    counts = stimulus_locked()
    raw = ForecastGAT(max_epochs=4, stimulus="none").fit(counts)
    removed = ForecastGAT(max_epochs=4).fit(counts)

    assert removed.stimulus_ == "psth"
    assert raw.connectivity_[0, 1] > 0.3
    assert abs(removed.connectivity_[0, 1]) < 0.35 * raw.connectivity_[0, 1]
    assert removed.forecast_gain_ < 0.1 * raw.forecast_gain_


def test_shuffles_bring_p_values_and_leave_the_network_of_the_data():
    counts = stimulus_locked(60)
    options = {"max_epochs": 1, "min_spikes": 50}
    shuffled = ForecastGAT(stimulus="shuffle", n_shuffles=2, **options).fit(counts)
    plain = ForecastGAT(stimulus="none", **options).fit(counts)

    assert np.isfinite(off_diagonal(shuffled.p_values_)).all()
    assert shuffled.adjacency_.identical(plain.adjacency_)
    assert shuffled.forecast_gain_ == plain.forecast_gain_


def test_wide_bins_with_many_spikes_are_fine():
    counts = driven(10_000, 4, lag=1, weight=0.5, mean=0.6).astype(np.uint16)
    counts[5, 2] = 300
    fitted = ForecastGAT(max_lag=0.03, max_epochs=4).fit(recording(counts, bin_size=0.01))

    assert fitted.connectivity_.argmax(...)["source_unit"] == 0
    assert fitted.connectivity_.argmax(...)["target_unit"] == 1
    assert fitted.lag_[0, 1] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_lag": 0.001}, "bins no wider than the lags"),
        ({"n_channels": 0}, "n_channels of at least 1"),
        ({"sparsity": -1.0}, "sparsity of 0 or more"),
        ({"max_epochs": 0}, "max_epochs of at least 1"),
        ({"learning_rate": 0.0}, "learning_rate above 0"),
        ({"device": "abacus"}, "device among auto, cpu, cuda, mps"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        ForecastGAT(**options).fit(recording(independent()))


def test_cost_grows_with_epochs_and_units():
    counts = recording(independent(20_000, 8))
    few, many = ForecastGAT(max_epochs=1).cost(counts), ForecastGAT(max_epochs=9).cost(counts)

    assert many.seconds == pytest.approx(5 * few.seconds)
    assert ForecastGAT(max_epochs=1).cost(counts[:, :4]).seconds < few.seconds
    assert few.n_bytes > 0


@pytest.mark.slow
def test_edges_of_a_coupled_network_are_found_with_their_signs():
    counts, weight = coupled()
    fitted = ForecastGAT().fit(recording(counts))
    found, edges = fitted.connectivity_.to_numpy(), weight != 0

    assert roc_auc_score(off_diagonal(edges), np.abs(off_diagonal(found))) > 0.93
    one_way = edges & ~edges.T
    assert (np.abs(found) > np.abs(found.T))[one_way].mean() > 0.9
    assert (np.sign(found) == np.sign(weight))[edges].mean() > 0.9

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from coupled_units import driven, independent, presentations, recording
from spikesight.connectivity.ccg_jitter import CCGJitter
from spikesight.connectivity.ccg_kernels import count_as_strong, jitter_moments, near_spikes, place_spikes
from spikesight.connectivity.ccg_p_values import at_least, p_of_peak
from spikesight.connectivity.finished import Finished
from spikesight.connectivity.spike_trains import read_trains
from spikesight.errors import ConfigError, PresentationsError

FAST = settings(max_examples=25, deadline=None)


def moments(counts, width, low, high, periods=None, source=0, factors=None):
    """CCG, mean and variance under jitter, and the excess of one source, (n_units, n_lags)."""
    trains = read_trains(recording(counts, 0.001, periods))
    places = place_spikes(trains.counts[source], trains.offsets, width)
    factors = np.ones(len(trains.lengths)) if factors is None else factors
    return jitter_moments(places, trains.offsets, *trains.spikes, trains.n_units, low, high, factors)


def plain_ccg(source, target, lag, lengths):
    """Coincidences at one lag, segment by segment."""
    total, begin = 0, 0
    for length in lengths:
        x, y = source[begin : begin + length].astype(int), target[begin : begin + length].astype(int)
        total += sum(x[t] * y[t + lag] for t in range(length) if 0 <= t + lag < length)
        begin += length
    return total


def small_train(n_bins, seed, mean=0.3):
    return np.random.default_rng(seed).poisson(mean, (n_bins, 2)).astype(np.uint8)


def off_diagonal(matrix):
    values = np.asarray(matrix)
    return values[~np.eye(len(values), dtype=bool)]


def stimulated(n_units=40, n_conditions=10, n_repeats=20, n_bins=400, seed=0):
    """Independent Poisson units whose rates jump by up to 150 spikes/s for some 10 ms after each stimulus."""
    rng = np.random.default_rng(seed)
    at, height = rng.uniform(40, 60, (n_conditions, 1, n_units)), rng.uniform(0, 150, (n_conditions, 1, n_units))
    rates = 5 + height * np.exp(-0.5 * ((np.arange(n_bins)[None, :, None] - at) / 4) ** 2)
    targets = np.repeat(np.arange(n_conditions), n_repeats)
    return rng.poisson(rates[targets] / 1000).astype(np.uint8), targets


def test_moments_of_one_source_spike_written_out():
    counts = np.zeros((8, 2), np.uint8)
    counts[1, 0] = 1  # one source spike, in the window of bins 0 to 3
    counts[[2, 4, 5], 1] = 1

    ccg, mean, variance, excess = moments(counts, width=4, low=1, high=2)

    # from bins 0 to 3, the target spikes 1 later after bins 1 and 3, and 2 later after bins 0, 2 and 3
    assert ccg[1].tolist() == [1, 0]
    assert mean[1].tolist() == [0.5, 0.75]
    assert variance[1].tolist() == [0.25, 0.1875]
    assert excess[1].tolist() == [0.5, -0.75]


@pytest.mark.parametrize(("lengths", "width", "lags"), [([9], 3, (1, 3)), ([4, 1, 7], 3, (1, 2)), ([5, 6], 4, (-3, 2))])
def test_moments_are_those_of_all_placements_of_the_source_spikes(lengths, width, lags):
    counts = small_train(sum(lengths), 3, 0.5)
    segment = np.repeat(np.arange(len(lengths)), lengths)
    within = np.concatenate([np.arange(length) // width for length in lengths])
    windows = [np.flatnonzero((segment == segment[t]) & (within == within[t])) for t in range(len(counts))]
    spikes = np.repeat(np.arange(len(counts)), counts[:, 0])
    values = []
    for placement in itertools.product(*[windows[t] for t in spikes]):
        source = np.bincount(placement, minlength=len(counts))
        values.append([plain_ccg(source, counts[:, 1], lag, lengths) for lag in range(lags[0], lags[1] + 1)])
    assert len(values) > 50

    ccg, mean, variance, _ = moments(counts, width, *lags, periods=lengths)

    observed = [plain_ccg(counts[:, 0], counts[:, 1], lag, lengths) for lag in range(lags[0], lags[1] + 1)]
    np.testing.assert_array_equal(ccg[1], observed)
    np.testing.assert_allclose(mean[1], np.mean(values, axis=0), atol=1e-12)
    np.testing.assert_allclose(variance[1], np.var(values, axis=0), atol=1e-12)


@FAST
@given(st.integers(0, 2**31), st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_the_ccg_is_that_of_a_loop_over_bins(seed, lengths):
    counts = small_train(sum(lengths), seed, 0.5)

    ccg = moments(counts, 5, -4, 6, periods=lengths)[0]

    expected = [plain_ccg(counts[:, 0], counts[:, 1], lag, lengths) for lag in range(-4, 7)]
    np.testing.assert_array_equal(ccg[1], expected)


@FAST
@given(st.integers(0, 2**31), st.integers(0, 40))
def test_moving_all_spikes_within_the_segment_leaves_the_ccg(seed, by):
    counts = np.zeros((120, 2), np.uint8)
    counts[:60] = small_train(60, seed)

    moved = moments(np.roll(counts, by, axis=0), 10, 1, 6)[0]

    np.testing.assert_array_equal(moved, moments(counts, 10, 1, 6)[0])


def test_excess_counts_each_segment_with_its_factor():
    counts = small_train(40, 1)
    once = moments(counts[:20], 5, 1, 3)[3]
    again = moments(counts[20:], 5, 1, 3)[3]

    both = moments(counts, 5, 1, 3, periods=[20, 20], factors=np.array([2.0, 1.5]))[3]

    np.testing.assert_allclose(both, 2 * once + 1.5 * again, atol=1e-12)


def test_surrogates_have_the_moments_in_closed_form():
    counts = independent(4000, 3, 0.1, seed=2)
    trains = read_trains(recording(counts, 0.001, [2003, 1997]))
    places = place_spikes(trains.counts[0], trains.offsets, 25)
    _, mean, variance, _ = jitter_moments(places, trains.offsets, *trains.spikes, 3, 2, 2, np.ones(2))
    near = near_spikes(places, trains.offsets, *trains.spikes, 2, 2)
    scale = 1 / np.sqrt(variance)

    # |z| beyond these limits as often as a normal deviate is
    for limit in (0.5, 1.0, 2.0):
        reached = count_as_strong(places, near, mean, scale, np.full(3, limit), 4000, 7)
        np.testing.assert_allclose(reached[1:] / 4000, 2 * stats.norm.sf(limit), atol=0.05)


def test_a_tail_is_that_of_the_poisson_binomial_distribution():
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 8, 300)
    mean, variance = np.full(1, chance.sum()), np.full(1, (chance * (1 - chance)).sum())
    pmf = np.ones(1)
    for p in chance:
        pmf = np.convolve(pmf, [1 - p, p])

    for count, factor in ((5, 1.3), (18, 1.05), (30, 1.2), (40, 1.6), (50, 4)):
        ratios = [
            at_least(np.full(1, count), mean, variance)[0] / pmf[count:].sum(),
            at_least(np.full(1, count), mean, variance, other=True)[0] / pmf[:count].sum(),
        ]
        assert max(ratios) < factor
        assert min(ratios) > 1 / factor


@pytest.mark.parametrize(
    ("variance", "exact"),
    [(3.0, stats.poisson(3)), (2.25, stats.binom(12, 0.25)), (6.0, stats.nbinom(3, 0.5))],
)
def test_a_tail_is_exact_for_poisson_binomial_and_negative_binomial_sums(variance, exact):
    counts = np.arange(0, 12.0)

    found = at_least(counts, np.full(12, 3.0), np.full(12, variance))

    np.testing.assert_allclose(found, exact.sf(counts - 1), rtol=1e-9)


def test_p_is_counted_where_many_surrogates_reach_and_closed_but_not_contradicting_where_few_do():
    mean = variance = np.full((4, 1), 400.0)
    peak = np.array([1.0, 3.0, 6.0, 6.0])

    p = p_of_peak(peak, mean, variance, np.array([70.0, 1.0, 0.0, 15.0]), 200)

    assert p[0] == pytest.approx(71 / 201)
    assert p[1] == pytest.approx(stats.poisson.sf(460 - 0.5, 400) + stats.poisson.cdf(340, 400), rel=0.1)
    assert 1e-10 < p[2] < 1e-6  # far below one over the number of surrogates
    assert p[3] == pytest.approx(stats.beta.ppf(0.005, 15, 186))  # 15 of 200 reach it: it cannot be that rare


@pytest.mark.parametrize(("weight", "sign"), [(0.2, 1), (-0.9, -1)])
def test_a_planted_edge_is_found_with_direction_lag_and_sign(weight, sign):
    counts = driven(60_000, 5, lag=3, weight=weight, mean=0.05, seed=1)

    fitted = CCGJitter().fit(recording(counts, 0.001))

    edges = fitted.edges()
    assert edges.source_unit[0], edges.target_unit[0] == (100, 101)
    assert edges.lag[0] == pytest.approx(0.003)
    assert edges.sign[0] == sign
    assert edges.q_value[0] < 1e-6
    assert edges.q_value[1] > 0.05
    extra = weight if weight > 0 else weight * 0.05
    assert edges.weight[0] == pytest.approx(extra, rel=0.15)


@pytest.mark.parametrize("rate", [1, 5])
def test_p_values_are_uniform_for_independent_units(rate):
    counts = independent(300_000, 45, rate / 1000, seed=rate)

    p = off_diagonal(CCGJitter(n_surrogates=50).fit(recording(counts, 0.001)).p_values_)

    assert 0.035 < (p <= 0.05).mean() < 0.06
    assert 0.003 < (p <= 0.01).mean() < 0.018
    assert (p <= 0.001).mean() < 0.0035
    assert 0.45 < p.mean() < 0.55


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "modulation"), [(0.5, 0), (2, 0), (5, 0), (2, 0.5), (5, 0.5)])
def test_p_values_are_uniform_over_thousands_of_pairs_with_slowly_shared_rates(rate, modulation):
    rng = np.random.default_rng(5)
    n_bins = 600_000
    knots = rng.normal(size=n_bins // 100 + 1)  # rates of all units wander together within 100 ms
    gain = np.exp(modulation * np.interp(np.arange(n_bins) / 100, np.arange(knots.size), knots))
    counts = rng.poisson((rate / 1000 * gain / gain.mean())[:, None], (n_bins, 70)).astype(np.uint8)

    p = off_diagonal(CCGJitter().fit(recording(counts, 0.001)).p_values_)

    assert p.size == 4830
    assert 0.035 < (p <= 0.05).mean() < 0.06
    assert 0.004 < (p <= 0.01).mean() < 0.014
    assert (p <= 0.001).mean() < 0.0025


def test_the_psth_explains_coincidences_locked_to_the_stimulus():
    counts, targets = stimulated()
    shown = presentations(counts, targets, 0.001)

    beyond = CCGJitter(n_surrogates=50, min_spikes=20).fit(shown)
    ignored = CCGJitter(n_surrogates=50, min_spikes=20, stimulus="none").fit(shown)

    assert beyond.stimulus_ == "psth"
    assert (off_diagonal(ignored.p_values_) <= 0.05).mean() > 0.2
    assert 0.03 < (off_diagonal(beyond.p_values_) <= 0.05).mean() < 0.065


def test_what_the_psth_explains_is_the_mean_over_pairs_of_different_trials():
    counts, targets = stimulated(2, 2, 3, 100)
    targets = np.array([0, 1, 1, 0, 1, 1])  # two trials of one condition, four of the other
    fitted = CCGJitter(n_surrogates=0, min_spikes=1, min_lag=0.002, max_lag=0.002).fit(
        presentations(counts, targets, 0.001)
    )

    def corrected(source, target):
        x = source.astype(float)
        expected = np.repeat(x.reshape(4, 25).mean(axis=1), 25)
        return ((x - expected)[:-2] * target[2:]).sum()

    total = 0.0
    for trial in range(6):
        others = [other for other in range(6) if targets[other] == targets[trial] and other != trial]
        explained = np.mean([corrected(counts[trial, :, 0], counts[other, :, 1]) for other in others])
        total += corrected(counts[trial, :, 0], counts[trial, :, 1]) - explained
    np.testing.assert_allclose(fitted.connectivity_[0, 1], total / counts[:, :, 0].sum(), rtol=1e-4, atol=1e-6)


def test_a_coupling_shows_beyond_the_stimulus():
    counts, targets = stimulated(6)
    flat = counts.reshape(-1, 6)
    rng = np.random.default_rng(1)
    counts[:, 2:, 1] += rng.binomial(counts[:, :-2, 0], 0.3).astype(np.uint8)
    assert flat.shape[0] == 80_000

    edges = CCGJitter(min_spikes=20).fit(presentations(counts, targets, 0.001)).edges()

    assert (edges.source_unit[0], edges.target_unit[0]) == (100, 101)
    assert edges.lag[0] == pytest.approx(0.002)
    assert edges.weight[0] == pytest.approx(0.3, abs=0.06)
    assert edges.q_value[1] > 0.01


def test_the_seven_deviation_rule_marks_a_planted_edge_only():
    counts = driven(60_000, 5, lag=3, weight=0.3, mean=0.05, seed=1)

    fitted = CCGJitter(rule="7sd").fit(recording(counts, 0.001))

    assert np.argwhere(fitted.significant_.to_numpy()).tolist() == [[0, 1]]
    assert fitted.significant_.dims == ("source_unit", "target_unit")
    assert fitted.z_[0, 1] > 7
    assert fitted.lag_[0, 1] == pytest.approx(0.003)
    assert np.isnan(fitted.p_values_).all()
    table = fitted.edges()
    assert table[table.z > 7][["source_unit", "target_unit"]].to_numpy().tolist() == [[100, 101]]


def test_the_seven_deviation_rule_measures_the_flanks():
    counts = independent(30_000, 2, 0.05, seed=4)
    fitted = CCGJitter(rule="7sd", window=0.02).fit(recording(counts, 0.001))
    x = counts[:, 0].astype(float)
    beyond = x - np.repeat(x.reshape(-1, 20).mean(axis=1), 20)
    y = counts[:, 1].astype(float)

    def corrected(lag):
        product = beyond[: len(y) - lag] @ y[lag:] if lag >= 0 else beyond[-lag:] @ y[:lag]
        return product * len(y) / (len(y) - abs(lag))

    flanks = [corrected(lag) for lag in (*range(-100, -49), *range(50, 101))]
    peak = max(corrected(lag) for lag in range(1, 7))
    assert fitted.z_[0, 1].item() == pytest.approx(peak / np.std(flanks))


def test_relabelling_units_permutes_the_result():
    counts = recording(driven(6000, 5, mean=0.05), 0.001)
    order = [3, 1, 4, 0, 2]

    fitted = CCGJitter(n_surrogates=30).fit(counts)
    again = CCGJitter(n_surrogates=30).fit(counts.isel(unit=order))

    for name in ("connectivity_", "z_", "p_values_", "lag_"):
        expected = getattr(fitted, name).to_numpy()[np.ix_(order, order)]
        np.testing.assert_array_equal(getattr(again, name).to_numpy(), expected)


def test_a_pair_does_not_depend_on_threads_or_on_what_was_kept(tmp_path, monkeypatch):
    counts = recording(independent(3000, 20, 0.08), 0.001)
    steps = []

    class Told:
        def advance(self, task, done, total):
            steps.append((task, done, total))

    monkeypatch.setattr("spikesight.data.count_kernels.n_threads", lambda: 1)
    alone = CCGJitter(n_surrogates=20).fit(counts, keep=Finished(tmp_path))
    monkeypatch.setattr("spikesight.data.count_kernels.n_threads", lambda: 3)
    threads = CCGJitter(n_surrogates=20).fit(counts, progress=Told())
    kept = CCGJitter(n_surrogates=20).fit(counts, keep=Finished(tmp_path))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["ccg-jitter-0-16.npz", "ccg-jitter-16-20.npz"]
    np.testing.assert_array_equal(alone.p_values_, threads.p_values_)
    np.testing.assert_array_equal(alone.p_values_, kept.p_values_)
    assert len(steps) == 2
    assert steps[-1] == ("ccg-jitter", 20, 20)


def test_shuffles_replace_surrogates():
    counts, targets = stimulated(4, 3, 10)
    counts[:, 2:, 1] += counts[:, :-2, 0]

    fitted = CCGJitter(stimulus="shuffle", n_shuffles=20, min_spikes=20).fit(presentations(counts, targets, 0.001))

    assert fitted.p_values_[0, 1] < 1e-6
    assert fitted.z_[0, 1] > 5


def test_a_unit_that_never_meets_another_has_no_evidence():
    counts = np.zeros((4000, 3), np.uint8)
    counts[:1000:10, 0] = 1
    counts[3000::10, 1] = 1
    counts[::7, 2] = 1

    fitted = CCGJitter(n_surrogates=10, min_spikes=50).fit(recording(counts, 0.001))

    assert fitted.z_[0, 1] == 0
    assert fitted.p_values_[0, 1] == 1
    assert fitted.connectivity_[0, 1] == 0


@pytest.mark.parametrize(
    ("options", "bin_size", "message"),
    [
        ({}, 0.01, "bins no wider than the lags"),
        ({}, 0.006, "at least 5 bins"),
        ({"window": 0.004}, 0.001, "at least 5 bins"),
        ({"window": np.nan}, 0.001, "jitter window"),
        ({"rule": "8sd"}, 0.001, "monte-carlo, 7sd"),
        ({"rule": "7sd", "stimulus": "shuffle"}, 0.001, "flanks"),
        ({"n_surrogates": -1}, 0.001, "n_surrogates"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, bin_size, message):
    with pytest.raises(ConfigError, match=message):
        CCGJitter(**options).fit(recording(independent(), bin_size))


def test_stretches_shorter_than_the_flanks_are_refused():
    counts, targets = stimulated(3, 2, 4, 100)

    with pytest.raises(PresentationsError, match="at least 125 bins"):
        CCGJitter(rule="7sd").fit(presentations(counts, targets, 0.001))


def test_cost_grows_with_what_is_computed():
    few, many = independent(20_000, 4), independent(20_000, 16)

    small = CCGJitter().cost(recording(few, 0.001))
    large = CCGJitter(n_surrogates=1000).cost(recording(many, 0.001))

    assert 0 < small.seconds < large.seconds
    assert 0 < small.n_bytes < large.n_bytes

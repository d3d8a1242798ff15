import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from coupled_units import driven, independent, presentations, recording
from spikesight.connectivity.entropy_kernels import against_permutations, source_words, target_strata
from spikesight.connectivity.entropy_null import against_all_permutations, sum_chances
from spikesight.connectivity.finished import Finished
from spikesight.connectivity.spike_trains import read_trains
from spikesight.connectivity.transfer_entropy import TransferEntropy
from spikesight.errors import ConfigError, PresentationsError

FAST = settings(max_examples=25, deadline=None)


def off_diagonal(matrix):
    values = np.asarray(matrix)
    return values[~np.eye(len(values), dtype=bool)]


def patterns(x, y, lengths, skip, delay, source_order, target_order):
    """Word, past and spike of every usable bin, and the bin."""
    x, y = x > 0, y > 0
    rows, begin = [], 0
    for length in lengths:
        for t in range(begin + skip, begin + length):
            word = sum(int(x[t - delay - k]) << k for k in range(source_order))
            past = sum(int(y[t - 1 - k]) << k for k in range(target_order))
            rows.append((word, past, int(y[t]), t))
        begin += length
    return np.array(rows)


def information_of(word, past, spike):
    """Bins times I(spike ; word | past) from the joint histogram, nats."""
    joint = np.zeros((word.max() + 1, past.max() + 1, 2))
    np.add.at(joint, (word, past, spike), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        given_both = joint / joint.sum(axis=2, keepdims=True)
        given_past = joint.sum(axis=0) / joint.sum(axis=(0, 2))[:, None]
        terms = joint * np.log(given_both / given_past)
    return np.nansum(terms)


def pair(counts, lengths, width, order, target_order, high):
    """Source and target of units 0 and 1 as the kernels want them."""
    trains = read_trains(recording(counts, 0.001, lengths))
    skip = max(high + order - 1, target_order)
    within = np.arange(len(counts)) - trains.offsets[trains.segment_of_bin]
    block = np.unique(trains.segment_of_bin * 1000 + within // width, return_inverse=True)[1].astype(np.int32)
    target = target_strata(trains.counts[1], trains.offsets, block, block.max() + 1, skip, target_order, high)
    return source_words(trains.counts[0], order), target, skip, block


def test_words_of_two_bins_written_out():
    bins, words = source_words(np.array([0, 1, 0, 0, 2, 1], np.uint8), 2)

    assert bins.tolist() == [1, 2, 4, 5]
    assert words.tolist() == [1, 2, 1, 3]  # bit 0: this bin, bit 1: the bin before


def test_strata_of_a_target_written_out():
    row = np.array([1, 0, 0, 1, 1, 0, 0, 0], np.uint8)
    block = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32)

    code, sizes, spikes, past_bins, past_spikes = target_strata(row, np.array([0, 8]), block, 2, 1, 1, 2)

    # block 0, past 0: bins 2 and 3, of which 3 spikes; block 1, past 1: bins 4 and 5, of which 4 spikes
    assert sizes.tolist() == [0, 2, 2]
    assert spikes.tolist() == [0, 1, 1]
    assert code.tolist() == [-1, 0b0_1_0, 0b1_0_0, 0b1_0_1, 0b10_1_1, 0b10_1_0, 0, 0, -1, -1]
    assert (past_bins.tolist(), past_spikes.tolist()) == ([4, 3], [1, 1])


@FAST
@given(
    st.integers(0, 2**31),
    st.lists(st.integers(8, 60), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_information_is_that_of_the_joint_histogram(seed, lengths, source_order, target_order):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.5, (sum(lengths), 2)).astype(np.uint8)
    counts[0, 1] = 1
    source, target, skip, _ = pair(counts, lengths, 7, source_order, target_order, 3)

    found = against_permutations(source, target, target_order, 1 << source_order, 1, 3, 10, 0)

    for delay in (1, 2, 3):
        word, past, spike, _ = patterns(*counts.T, lengths, skip, delay, source_order, target_order).T
        assert found[0, delay - 1] == pytest.approx(information_of(word, past, spike), abs=1e-9)


@pytest.mark.parametrize("source_order", [1, 2])
def test_drawn_tables_are_distributed_as_those_of_permuted_words(source_order):
    counts = np.random.default_rng(3).poisson(0.25, (400, 2)).astype(np.uint8)
    lengths = [250, 150]
    source, target, skip, block = pair(counts, lengths, 20, source_order, 2, 2)
    word, past, spike, at = patterns(*counts.T, lengths, skip, 2, source_order, 2).T
    strata = block[at] * 4 + past
    rng = np.random.default_rng(0)
    values, extra = [], []
    for _ in range(1500):
        permuted = word.copy()
        for stratum in np.unique(strata):
            rows = np.flatnonzero(strata == stratum)
            permuted[rows] = word[rng.permutation(rows)]
        values.append(information_of(permuted, past, spike))
        extra.append((spike * (permuted > 0)).sum())

    found = against_permutations(source, target, 2, 1 << source_order, 2, 2, 4000, 1)

    assert found[1, 0] == pytest.approx(np.mean(values), rel=0.04)
    assert found[2, 0] == pytest.approx(np.var(values), rel=0.15)
    assert found[3, 0] == pytest.approx((spike * (word > 0)).sum() - np.mean(extra), abs=0.2)
    if source_order == 1:
        whole = against_all_permutations(source, target, 2, 2, 2)
        observed = information_of(word, past, spike)
        as_much = np.mean(np.isclose(values, observed, atol=1e-6))
        more = np.mean(np.array(values) > observed + 1e-6)
        assert whole[0, 0] == pytest.approx(found[0, 0])
        assert whole[1, 0] == pytest.approx(np.mean(values), rel=0.04)
        assert whole[2, 0] == pytest.approx(more + as_much / 2, abs=0.04)
        assert whole[3, 0] == pytest.approx(found[3, 0])


def test_sums_of_hypergeometric_numbers_are_binomial_to_good_approximation():
    rng = np.random.default_rng(1)
    exact, mean, variance = np.ones(1), 0.0, 0.0
    for _ in range(60):
        stratum = stats.hypergeom(50, rng.integers(1, 6), rng.integers(1, 6))
        exact = np.convolve(exact, stratum.pmf(np.arange(6)))
        mean, variance = mean + stratum.mean(), variance + stratum.var()

    chances = sum_chances(mean, variance, 0, 40, 0)

    assert 8 < mean < 14
    np.testing.assert_allclose(chances, exact[:41], atol=0.002)
    np.testing.assert_allclose(chances[30:].sum(), exact[30:].sum(), rtol=0.3)


@pytest.mark.parametrize(("mean", "variance", "expected"), [(2.0, 1.0, stats.binom(4, 0.5)), (3.0, 0.0, None)])
def test_sums_that_are_binomial_or_certain(mean, variance, expected):
    chances = sum_chances(mean, variance, 0, 4, 0)

    np.testing.assert_allclose(chances, [0, 0, 0, 1, 0] if expected is None else expected.pmf(range(5)))


@pytest.mark.parametrize(("weight", "sign"), [(0.2, 1), (-0.9, -1)])
@pytest.mark.parametrize("source_order", [1, 2])
def test_a_planted_edge_is_found_with_direction_delay_and_sign(weight, sign, source_order):
    counts = driven(60_000, 5, lag=3, weight=weight, mean=0.05, seed=1)

    edges = TransferEntropy(source_order=source_order).fit(recording(counts, 0.001)).edges()

    assert (edges.source_unit[0], edges.target_unit[0]) == (100, 101)
    assert edges.lag[0] == pytest.approx(0.003, abs=0.0011 if source_order == 2 else 1e-9)
    assert edges.sign[0] == sign
    assert np.sign(edges.z[0]) == sign
    assert edges.q_value[0] < 1e-6
    assert abs(edges.weight[0]) > 10 * abs(edges.weight[1])
    if source_order == 1:
        assert edges.q_value[1] > 0.05


def test_the_weight_is_in_bits_per_second():
    counts = driven(60_000, 2, lag=2, weight=0.3, mean=0.05, seed=1)
    word, past, spike, _ = patterns(*counts.T, [60_000], 6, 2, 1, 2).T

    weight = TransferEntropy().fit(recording(counts, 0.001)).connectivity_[0, 1]

    bits_per_bin = information_of(word, past, spike) / len(spike) / np.log(2)
    assert weight == pytest.approx(bits_per_bin * 1000, rel=0.05)


@pytest.mark.parametrize("rate", [1, 5])
def test_p_values_are_uniform_for_independent_units(rate):
    counts = independent(300_000, 45, rate / 1000, seed=rate)

    p = off_diagonal(TransferEntropy().fit(recording(counts, 0.001)).p_values_)

    assert 0.03 < (p <= 0.05).mean() < 0.065
    assert 0.003 < (p <= 0.01).mean() < 0.018
    assert (p <= 0.001).mean() < 0.0035
    assert 0.45 < p.mean() < 0.6  # few different values at 1 spike/s: some p-values are larger than need be


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "modulation"), [(0.5, 0), (2, 0), (5, 0), (2, 0.5), (5, 0.5)])
def test_p_values_are_uniform_over_thousands_of_pairs_with_slowly_shared_rates(rate, modulation):
    rng = np.random.default_rng(5)
    n_bins = 600_000
    knots = rng.normal(size=n_bins // 200 + 1)  # rates of all units wander together within 200 ms
    gain = np.exp(modulation * np.interp(np.arange(n_bins) / 200, np.arange(knots.size), knots))
    counts = rng.poisson((rate / 1000 * gain / gain.mean())[:, None], (n_bins, 70)).astype(np.uint8)

    p = off_diagonal(TransferEntropy().fit(recording(counts, 0.001)).p_values_)

    assert p.size == 4830
    assert 0.03 < (p <= 0.05).mean() < 0.06
    assert 0.004 < (p <= 0.01).mean() < 0.014
    assert (p <= 0.001).mean() < 0.0025


def test_permuting_within_conditions_absorbs_the_stimulus():
    rng = np.random.default_rng(0)
    at, height = rng.uniform(40, 60, (10, 1, 40)), rng.uniform(0, 150, (10, 1, 40))
    rates = 5 + height * np.exp(-0.5 * ((np.arange(200)[None, :, None] - at) / 4) ** 2)
    targets = np.repeat(np.arange(10), 30)
    counts = rng.poisson(rates[targets] / 1000).astype(np.uint8)
    counts[:, 2:, 1] += rng.binomial(counts[:, :-2, 0], 0.4).astype(np.uint8)
    shown = presentations(counts, targets, 0.001)

    beyond = TransferEntropy(min_spikes=20).fit(shown)
    ignored = TransferEntropy(min_spikes=20, stimulus="none").fit(shown)

    assert beyond.stimulus_ == "psth"
    assert (off_diagonal(ignored.p_values_) <= 0.05).mean() > 0.15
    assert 0.02 < (off_diagonal(beyond.p_values_) <= 0.05).mean() < 0.065
    first = beyond.edges().iloc[0]
    assert (first.source_unit, first.target_unit) == (100, 101)
    assert first.lag == pytest.approx(0.002)


@pytest.mark.parametrize("source_order", [1, 2])
def test_relabelling_units_permutes_the_result(source_order):
    counts = recording(driven(6000, 5, mean=0.05), 0.001)
    order = [3, 1, 4, 0, 2]
    estimator = TransferEntropy(source_order=source_order, n_permutations=20)

    fitted = estimator.fit(counts)
    matrices = {name: getattr(fitted, name).to_numpy() for name in ("connectivity_", "z_", "p_values_", "lag_")}
    again = estimator.fit(counts.isel(unit=order))

    for name, values in matrices.items():
        np.testing.assert_array_equal(getattr(again, name).to_numpy(), values[np.ix_(order, order)])


def test_finished_targets_are_kept_and_progress_is_told(tmp_path):
    counts = recording(independent(3000, 10, 0.08), 0.001)
    steps = []

    class Told:
        def advance(self, task, done, total):
            steps.append((task, done, total))

    fitted = TransferEntropy().fit(counts, keep=Finished(tmp_path), progress=Told())
    kept = TransferEntropy().fit(counts, keep=Finished(tmp_path))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["transfer-entropy-0-8.npz", "transfer-entropy-8-10.npz"]
    np.testing.assert_array_equal(fitted.p_values_, kept.p_values_)
    assert steps[-1] == ("transfer-entropy", 10, 10)


def test_units_that_never_meet_have_no_evidence():
    counts = np.zeros((4000, 2), np.uint8)
    counts[:1000:10, 0] = 1
    counts[3000::10, 1] = 1

    fitted = TransferEntropy(min_spikes=50).fit(recording(counts, 0.001))

    assert fitted.connectivity_[0, 1] == 0
    assert fitted.p_values_[0, 1] == 1
    assert fitted.z_[0, 1] == 0


@pytest.mark.parametrize(
    ("options", "bin_size", "message"),
    [
        ({}, 0.01, "bins no wider than the lags"),
        ({"max_lag": 0.05, "block": 0.5}, 0.01, "at most 0.005 s"),
        ({"block": 0.004}, 0.001, "at least 5 bins"),
        ({"source_order": 6}, 0.001, "source_order of 1 to 5"),
        ({"target_order": 0}, 0.001, "target_order of 1 to 5"),
        ({"n_permutations": 5}, 0.001, "n_permutations"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, bin_size, message):
    with pytest.raises(ConfigError, match=message):
        TransferEntropy(**options).fit(recording(independent(), bin_size))


def test_stretches_without_a_complete_past_are_refused():
    with pytest.raises(PresentationsError, match="at least 11 bins"):
        TransferEntropy().fit(recording(independent(50), 0.001, [10] * 5))


def test_cost_grows_with_what_is_computed():
    few, many = independent(20_000, 4), independent(20_000, 16)

    small = TransferEntropy().cost(recording(few, 0.001))
    large = TransferEntropy(source_order=3).cost(recording(many, 0.001))

    assert 0 < small.seconds < large.seconds
    assert 0 < small.n_bytes < large.n_bytes

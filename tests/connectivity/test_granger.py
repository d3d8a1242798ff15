import numpy as np
import pytest

from coupled_units import driven, independent, presentations, recording
from spikesight.connectivity.granger import Granger
from spikesight.connectivity.lagged_products import lagged_products
from spikesight.connectivity.regression_rows import Rows
from spikesight.connectivity.spike_trains import read_trains
from spikesight.connectivity.stimulus import mean_responses
from spikesight.errors import ConfigError, DataError


def stacked(trains, n_lags, centre=None):
    """The past of every usable bin, one after the other, and which bins those are."""
    x = trains.counts.T.astype(float) if centre is None else centre
    bins = [t for a, b in zip(trains.offsets[:-1], trains.offsets[1:], strict=True) for t in range(a + n_lags, b)]
    return np.stack([x[np.array(bins) - lag] for lag in range(n_lags + 1)]), np.array(bins)


def test_lagged_products_of_two_units_written_out():
    counts = np.array([[1, 0], [0, 1], [2, 0], [0, 1]], np.uint8)

    products = lagged_products(read_trains(recording(counts)), 1)

    # t runs over bins 1 to 3: x(t) = (0, 1), (2, 0), (0, 1) and x(t - 1) = (1, 0), (0, 1), (2, 0)
    assert products[0, 0].tolist() == [[4, 0], [0, 2]]
    assert products[0, 1].tolist() == [[0, 2], [3, 0]]
    assert products[1, 0].tolist() == [[0, 3], [2, 0]]
    assert products[1, 1].tolist() == [[5, 0], [0, 1]]


@pytest.mark.parametrize("periods", [None, [5, 40, 3, 12], [1, 2, 57]])
def test_lagged_products_are_those_of_a_loop_over_bins(periods):
    trains = read_trains(recording(independent(60, 4, 0.6), periods=periods))
    x, _ = stacked(trains, 3)

    np.testing.assert_array_equal(lagged_products(trains, 3), np.einsum("ati,btj->abij", x, x))


def residuals(trains, n_lags, drift_bins, psth):
    """Counts less mean responses, then less the mean of each block, lag by lag: (n_lags + 1, n_rows, n_units)."""
    x, bins = stacked(trains, n_lags, trains.counts.T - psth)
    for block in np.unique(bins // drift_bins):
        own = bins // drift_bins == block
        x[:, own] -= x[:, own].mean(axis=1, keepdims=True)
    return x


@pytest.mark.parametrize("drift", [None, 0.04])
def test_rows_are_counts_less_the_mean_of_their_block(drift):
    trains = read_trains(recording(independent(90, 3, 0.6), periods=[50, 7, 33]))
    x = residuals(trains, 2, 90 if drift is None else 20, 0.0)
    rows = Rows.of(trains, 2, drift, None)

    np.testing.assert_allclose(rows.products(), np.einsum("ati,btj->abij", x, x), atol=1e-4)
    np.testing.assert_allclose(rows.values(rows.bins), x, atol=1e-6)


def test_rows_beyond_the_stimulus_are_what_single_presentations_add():
    rng = np.random.default_rng(1)
    trains = read_trains(presentations(rng.poisson(0.5, (12, 9, 3)), np.arange(12) % 3))
    psth = np.stack([trains.counts.T.reshape(12, 9, 3)[np.arange(12) % 3 == c].mean(0) for c in range(3)])
    x = residuals(trains, 2, 36, psth[np.arange(12) % 3].reshape(-1, 3))
    rows = Rows.of(trains, 2, 0.072, psth.astype(np.float32))

    np.testing.assert_allclose(rows.products(), np.einsum("ati,btj->abij", x, x), atol=1e-4)
    np.testing.assert_allclose(rows.values(rows.bins), x, atol=1e-6)
    assert rows.n_free == 12 * 7 - 3 - 3 * 7


@pytest.fixture(scope="module")
def regression():
    """A fit, and the same regression row by row."""
    counts = recording(driven(3000, 4, lag=2, weight=0.4, seed=3, mean=0.2), periods=[1000, 1500, 500])
    fitted = Granger(max_lag=0.004, drift=None, min_spikes=1).fit(counts)
    x, _ = stacked(read_trains(counts), 2)
    past = np.concatenate([np.ones((x.shape[1], 1)), *x[1:]], axis=1)
    return fitted, x[0], past


def test_coefficients_are_those_of_least_squares_with_an_intercept(regression):
    fitted, y, past = regression

    slopes = np.linalg.lstsq(past, y, rcond=None)[0][1:]

    np.testing.assert_allclose(fitted.coefficients_.reshape(8, 4), slopes, atol=1e-9)


def test_z_is_the_coefficient_over_its_standard_error_without_skewness(regression):
    fitted, y, past = regression
    bread = np.linalg.inv(past.T @ past)
    slopes = bread @ past.T @ y
    left = y - past @ slopes
    variance = np.diag(bread)[1:, None] * (left**2).sum(axis=0) / (len(y) - 9)  # the expected rate never changes
    skewness = np.diag(bread)[1:, None] / np.sqrt(variance)
    z = 6 / skewness * (np.cbrt(1 + skewness * slopes[1:] / np.sqrt(variance) / 2) - 1) + skewness / 6
    z = z.reshape(2, 4, 4)
    expected = np.take_along_axis(z, np.abs(z).argmax(0)[None], 0)[0]
    off = ~np.eye(4, dtype=bool)

    np.testing.assert_allclose(fitted.z_.to_numpy()[off], expected[off], rtol=2e-3)


def test_the_variance_of_a_count_follows_its_expected_rate():
    rng = np.random.default_rng(13)
    course = np.where(np.arange(40) < 8, 0.5, 0.02)[:, None] * np.ones((1, 5))
    trials = presentations(rng.poisson(np.tile(course, (400, 1, 1))).astype(np.uint8), np.zeros(400, int))
    trains = read_trains(trials)
    rows = Rows.of(trains, 2, None, mean_responses(trains))

    expected = rows.expected(rows.bins)

    within = rows.bins % 40
    assert expected[within < 6].mean() == pytest.approx(0.5, rel=0.05)
    assert expected[within > 14].mean() == pytest.approx(0.02, rel=0.2)


def test_a_sharp_stimulus_that_units_share_makes_no_edges():
    rng = np.random.default_rng(14)
    time = np.arange(125)[:, None]
    onset = rng.uniform(20, 30, 20)
    gain = rng.gamma(2.0, 8.0, (20, 1, 20))
    rates = 0.016 * (1 + gain * np.exp(-0.5 * ((time - onset) / 0.75) ** 2))
    targets = np.tile(np.arange(20), 50)
    p = Granger().fit(presentations(rng.poisson(rates[targets]).astype(np.uint8), targets)).p_values_.to_numpy()
    off = ~np.eye(20, dtype=bool)

    assert (p[off] < 0.05).mean() < 0.09
    assert (p[off] < 0.001).mean() < 0.01


def test_weight_is_the_log_ratio_of_residual_variances_with_and_without_the_source(regression):
    fitted, y, past = regression

    def residual(columns):
        return ((y[:, 1] - past[:, columns] @ np.linalg.lstsq(past[:, columns], y[:, 1], rcond=None)[0]) ** 2).sum()

    without_source_0 = [0, 2, 3, 4, 6, 7, 8]
    expected = np.log(residual(without_source_0) / residual(list(range(9))))

    assert fitted.connectivity_.sel(source_unit=100, target_unit=101).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("weight", "sign"), [(0.4, 1), (-0.9, -1)])
def test_a_planted_edge_is_found_with_its_direction_lag_and_sign(weight, sign):
    fitted = Granger().fit(recording(driven(60_000, 6, lag=2, weight=weight, seed=2)))
    first = fitted.edges().iloc[0]

    assert (first.source_unit, first.target_unit, first["sign"]) == (100, 101, sign)
    assert first.lag == pytest.approx(0.004)
    assert first.q_value < 0.001
    assert fitted.p_values_.sel(source_unit=101, target_unit=100).item() > 0.001


def test_common_input_from_a_recorded_unit_is_no_edge():
    rng = np.random.default_rng(5)
    counts = rng.poisson(0.05, (100_000, 3))
    past = np.r_[0, counts[:-1, 0]]
    counts[:, 1] += rng.poisson(0.5 * past)
    counts[:, 2] += rng.poisson(0.5 * np.r_[0, past[:-1]])
    fitted = Granger().fit(recording(counts.astype(np.uint8)))

    assert fitted.p_values_.sel(source_unit=100, target_unit=[101, 102]).max() < 1e-6
    assert fitted.p_values_.sel(source_unit=101, target_unit=102).item() > 0.001


def test_p_values_of_units_that_share_a_stimulus_are_uniform_once_it_is_removed():
    rng = np.random.default_rng(7)
    course = rng.gamma(0.5, 0.08, (20, 12, 1)).repeat(5, axis=1) * rng.uniform(0.3, 1.7, (20, 1, 24))
    targets = np.tile(np.arange(20), 60)
    counts = presentations(rng.poisson(course[targets]).astype(np.uint8), targets)

    removed = Granger().fit(counts).p_values_.to_numpy()
    kept = Granger(stimulus="none").fit(counts).p_values_.to_numpy()
    off = ~np.eye(24, dtype=bool)

    assert 0.03 < (removed[off] < 0.05).mean() < 0.075
    assert (kept[off] < 0.05).mean() > 0.3


def test_a_slow_gain_that_units_share_makes_no_edges_once_its_drift_is_removed():
    rng = np.random.default_rng(12)
    gain = np.exp(0.5 * np.repeat(rng.standard_normal(60), 1000))[:, None]
    counts = recording(rng.poisson(0.03 * gain * np.ones((1, 24))).astype(np.uint8))
    off = ~np.eye(24, dtype=bool)

    assert (Granger().fit(counts).p_values_.to_numpy()[off] < 0.05).mean() < 0.075
    assert (Granger(drift=None).fit(counts).p_values_.to_numpy()[off] < 0.05).mean() > 0.2


def test_shuffled_trials_leave_only_what_is_in_single_presentations():
    targets = np.zeros(40, int)
    counts = driven(40 * 200, 4, lag=2, weight=0.6, seed=8, mean=0.1).reshape(40, 200, 4)
    fitted = Granger(stimulus="shuffle", n_shuffles=30).fit(presentations(counts, targets))

    assert fitted.stimulus_ == "shuffle"
    assert fitted.edges().iloc[0][["source_unit", "target_unit"]].tolist() == [100, 101]
    assert fitted.p_values_.sel(source_unit=100, target_unit=101).item() < 1e-6
    assert fitted.z_.sel(source_unit=100, target_unit=101).item() > 5
    others = fitted.edges().iloc[1:]
    assert others.p_value.min() > 0.001
    assert others.p_value.median() > 0.2


def test_order_of_units_does_not_matter():
    counts = recording(driven(20_000, 5, seed=9))
    turned = counts.isel(unit=[3, 1, 4, 0, 2])

    first, second = Granger().fit(counts), Granger().fit(turned)

    ids = counts.unit.to_numpy()
    expected = first.z_.sel(source_unit=ids, target_unit=ids).to_numpy()
    np.testing.assert_allclose(second.z_.sel(source_unit=ids, target_unit=ids).to_numpy(), expected, rtol=1e-4)


def test_a_drift_that_is_no_time_is_refused():
    for drift in (0, np.inf):
        with pytest.raises(ConfigError, match=f"drift in seconds, above 0, or None, got {drift}"):
            Granger(drift=drift).fit(recording(independent()))


def test_bins_wider_than_the_lags_are_refused():
    with pytest.raises(ConfigError, match=r"no wider than the lags asked .* got bins of 0\.01 s"):
        Granger(max_lag=0.006).fit(recording(independent(), bin_size=0.01))


def test_the_same_unit_twice_is_refused():
    counts = independent(5000, 3, 0.2)
    with pytest.raises(DataError, match=r"units 100 and 103 \(correlation 1\.000\): one unit sorted twice"):
        Granger().fit(recording(np.column_stack([counts, counts[:, 0]])))


def test_a_unit_that_does_not_vary_is_named():
    counts = independent(5000, 3, 0.2)
    counts[:, 1] = 1
    with pytest.raises(DataError, match=r"those of units \[101\] do not"):
        Granger().fit(recording(counts))


def test_p_values_are_not_too_small_where_hardly_any_spikes_coincide():
    rng = np.random.default_rng(11)
    p = [
        Granger(min_spikes=1).fit(recording(rng.poisson(0.002, (40_000, 25)).astype(np.uint8))).p_values_.to_numpy()
        for _ in range(4)
    ]
    off = np.tile(~np.eye(25, dtype=bool), (4, 1, 1))

    assert (np.array(p)[off] < 0.05).mean() < 0.07
    assert (np.array(p)[off] < 0.001).mean() < 0.005

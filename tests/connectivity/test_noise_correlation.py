import numpy as np
import pytest

from coupled_units import independent, presentations, recording
from spikesight.connectivity.noise_correlation import NoiseCorrelation
from spikesight.errors import ConfigError


def test_correlation_of_windows_written_out():
    counts = np.array([[1, 0], [1, 2], [0, 0], [0, 0], [1, 1], [0, 0], [2, 1], [1, 3], [0, 1], [0, 0]], np.uint8)

    fitted = NoiseCorrelation(window=0.004, min_spikes=1).fit(recording(counts))

    expected = np.corrcoef([2, 0, 1, 3, 0], [2, 0, 1, 4, 1])[0, 1]
    assert fitted.connectivity_.to_numpy() == pytest.approx(np.array([[0, expected], [expected, 0]]))


def test_windows_do_not_reach_from_one_period_into_the_next():
    counts = independent(100, 3, 1.0)
    fitted = NoiseCorrelation(window=0.006, min_spikes=1).fit(recording(counts, periods=[10, 7, 83]))
    sums = np.concatenate(
        [
            part[: len(part) // 3 * 3].reshape(-1, 3, 3).sum(axis=1)
            for part in np.split(counts.astype(int), np.cumsum([10, 7]))
        ]
    )

    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(fitted.connectivity_.to_numpy()[off], np.corrcoef(sums.T)[off])


def test_the_mean_response_of_each_condition_is_removed():
    rng = np.random.default_rng(0)
    targets = np.arange(300) % 10
    rates = rng.gamma(1.0, 0.5, (10, 1, 1)) * np.ones((10, 20, 4))
    counts = presentations(rng.poisson(rates[targets]).astype(np.uint8), targets)

    removed = NoiseCorrelation(window=None).fit(counts)
    kept = NoiseCorrelation(window=None, stimulus="none").fit(counts)
    off = ~np.eye(4, dtype=bool)

    assert np.abs(removed.connectivity_.to_numpy()[off]).max() < 0.2
    assert kept.connectivity_.to_numpy()[off].min() > 0.5


def test_p_values_of_independent_units_are_uniform():
    p = NoiseCorrelation().fit(recording(independent(50_000, 40, 0.05))).p_values_.to_numpy()
    off = ~np.eye(40, dtype=bool)

    assert 0.03 < (p[off] < 0.05).mean() < 0.075


def test_the_edge_table_has_every_pair_once():
    fitted = NoiseCorrelation().fit(recording(independent(5000, 5)))

    assert len(fitted.edges()) == 10
    assert (fitted.edges().source_unit < fitted.edges().target_unit).all()


def test_a_window_shorter_than_a_bin_is_refused():
    with pytest.raises(ConfigError, match="window of at least one bin"):
        NoiseCorrelation(window=0.001).fit(recording(independent()))


def test_p_values_allow_for_the_means_that_were_removed():
    rng = np.random.default_rng(6)
    targets = np.arange(40) % 20
    counts = presentations(rng.poisson(0.5, (40, 100, 60)).astype(np.uint8), targets)
    p = NoiseCorrelation(window=0.02).fit(counts).p_values_.to_numpy()[np.triu_indices(60, 1)]

    assert 0.03 < (p < 0.05).mean() < 0.07

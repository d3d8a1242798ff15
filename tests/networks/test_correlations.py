import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from spikesight.networks.correlations import (
    absolute_correlations,
    absolute_partial_correlations,
    ledoit_wolf_shrinkage,
    mean_in_strength,
    non_negative_factors,
    strongest_share,
)


def chain(n_trials=4000, seed=0):
    """Three units: 0 drives 1, 1 drives 2; 0 and 2 are related through 1 only."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n_trials)
    second = first + rng.normal(size=n_trials)
    third = second + rng.normal(size=n_trials)
    return np.stack([first, second, third], axis=-1)[:, None].astype(np.float32)


def test_correlations_are_absolute_and_have_no_diagonal():
    rows = np.array([[[1.0, -2.0, 1.0]], [[2.0, -4.0, 1.0]], [[3.0, -6.0, 2.0]]])
    expected = [[0, 1, 0.866], [1, 0, 0.866], [0.866, 0.866, 0]]
    np.testing.assert_allclose(absolute_correlations(rows), expected, atol=1e-3)


def test_every_bin_of_every_trial_is_an_observation():
    rows = np.random.default_rng(0).normal(size=(20, 3, 4)).astype(np.float32)
    expected = np.abs(np.corrcoef(rows.reshape(60, 4), rowvar=False)) - np.eye(4)
    np.testing.assert_allclose(absolute_correlations(rows), expected, atol=1e-6)


@pytest.mark.parametrize("correlate", [absolute_correlations, absolute_partial_correlations])
def test_a_unit_that_does_not_vary_correlates_with_nothing(correlate):
    rows = chain()
    rows[:, :, 1] = 0.1  # not a binary fraction, so its mean is off by rounding
    found = correlate(rows)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1], 0, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-6)


def test_partial_correlations_leave_out_what_runs_through_another_unit():
    assert absolute_correlations(chain())[0, 2] > 0.5
    partial = absolute_partial_correlations(chain())
    assert partial[0, 2] < 0.03
    np.testing.assert_allclose(partial[0, 1], 0.5, atol=0.03)


@pytest.mark.parametrize("n_trials", [1, 2, 3])
def test_partial_correlations_of_fewer_trials_than_units_are_finite(n_trials):
    rows = np.random.default_rng(0).normal(size=(n_trials, 1, 6))
    found = absolute_partial_correlations(rows)
    assert np.isfinite(found).all()
    assert found.max() <= 1


def test_the_shrinkage_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, 12)) @ rng.normal(size=(12, 12))
    z -= z.mean(axis=0)
    _, expected = ledoit_wolf(z, assume_centered=True)
    np.testing.assert_allclose(ledoit_wolf_shrinkage(z, z.T @ z / 50), expected)


def test_the_quantile_leaves_the_strongest_pairs():
    matrix = np.array([[0, 0.1, 0.2], [0.1, 0, 0.9], [0.2, 0.9, 0]])
    np.testing.assert_array_equal(strongest_share(matrix, 0.5), [[0, 0, 0.2], [0, 0, 0.9], [0.2, 0.9, 0]])
    np.testing.assert_array_equal(strongest_share(matrix, 0.9), [[0, 0, 0], [0, 0, 0.9], [0, 0.9, 0]])
    np.testing.assert_array_equal(strongest_share(matrix, 0.0), matrix)


def test_the_mean_strength_is_over_units_with_edges():
    matrix = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 1.0, 0.0]])
    assert mean_in_strength(matrix) == 3
    assert mean_in_strength(np.zeros((2, 2))) == 0


def test_factors_find_groups_whatever_the_diagonal_says():
    groups = np.kron(np.eye(2), np.ones((4, 4)))
    factors = non_negative_factors(groups - np.eye(8), 2, np.random.default_rng(0))
    assert factors.min() >= 0
    np.testing.assert_allclose(factors @ factors.T, groups, atol=0.02)


def test_factors_of_nothing_are_nothing():
    factors = non_negative_factors(np.zeros((3, 3)), 2, np.random.default_rng(0))
    np.testing.assert_array_equal(factors, np.zeros((3, 2)))

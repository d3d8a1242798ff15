import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.decoders.calibration import HeldOut, choose_weights, inner_folds


def held_out(n_trials=4000, n_classes=5, seed=0):
    """Log-likelihoods that are right, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    right = rng.normal(0, 2, (n_trials, n_classes))
    codes = (right + rng.gumbel(size=right.shape)).argmax(axis=1)
    return right, codes


def test_overconfident_log_likelihoods_are_scaled_back():
    right, codes = held_out()
    weights = choose_weights([HeldOut(3 * right[None], np.zeros(5), codes)], 1)
    np.testing.assert_allclose(weights, 1 / 3, rtol=0.05)


def test_a_model_that_knows_nothing_gets_no_weight():
    right, codes = held_out()
    useless = np.random.default_rng(1).normal(0, 2, right.shape)
    weights = choose_weights([HeldOut(np.stack([useless, right]), np.zeros(5), codes)], 2)
    np.testing.assert_allclose(weights, [0, 1], atol=0.05)


def test_a_model_that_is_wrong_on_purpose_is_not_turned_round():
    right, codes = held_out()
    weights = choose_weights([HeldOut(-right[None], np.zeros(5), codes)], 1)
    np.testing.assert_allclose(weights, 0.001)


def test_the_prior_keeps_its_weight():
    rng = np.random.default_rng(0)
    log_prior = np.log([0.7, 0.2, 0.1])
    right = rng.normal(size=(5000, 3))
    codes = (right + log_prior + rng.gumbel(size=right.shape)).argmax(axis=1)
    np.testing.assert_allclose(choose_weights([HeldOut(4 * right[None], log_prior, codes)], 1), 0.25, rtol=0.07)


def test_folds_may_know_different_classes():
    right, codes = held_out(n_classes=5)
    fewer, some = held_out(n_classes=3, seed=1)
    parts = [HeldOut(2 * right[None], np.zeros(5), codes), HeldOut(2 * fewer[None], np.zeros(3), some)]
    np.testing.assert_allclose(choose_weights(parts, 1), 0.5, rtol=0.05)


@pytest.mark.parametrize("n_models", [1, 2])
def test_without_held_out_trials_weights_are_equal(n_models):
    np.testing.assert_array_equal(choose_weights([], n_models), np.full(n_models, 1 / n_models))


def test_inner_folds_are_contiguous_runs_with_a_gap():
    codes = np.arange(600) % 4
    folds = list(inner_folds(codes))
    assert [(held_out[0], held_out[-1]) for _, held_out in folds] == [
        (0, 119),
        (120, 239),
        (240, 359),
        (360, 479),
        (480, 599),
    ]
    for train, test in folds:
        assert np.abs(train[:, None] - test).min() == 11


def test_trials_sorted_by_class_are_parted_within_each_class():
    codes = np.repeat(np.arange(10), 10)
    folds = list(inner_folds(codes))
    assert len(folds) == 5
    for train, test in folds:
        np.testing.assert_array_equal(np.bincount(codes[test]), np.full(10, 2))
        np.testing.assert_array_equal(np.bincount(codes[train]), np.full(10, 8))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80))
def test_held_out_trials_are_of_classes_that_were_trained_on_and_never_trained_on_themselves(labels):
    _, codes = np.unique(labels, return_inverse=True)
    for train, test in inner_folds(codes):
        assert not set(train) & set(test)
        assert set(codes[test]) <= set(codes[train])
        assert len(set(codes[train])) > 1

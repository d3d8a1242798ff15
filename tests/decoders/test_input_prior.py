import numpy as np
import pytest

from spikesight.decoders.class_means import learn_signal, shrink_by_unit_and_class
from spikesight.decoders.input_prior import InputPrior


def noisy_trials(n_trials=3000, n_classes=6, n_units=12, seed=0):
    """Trials with a noise that all units share; the first half of the units is driven, classes 0 and 1 alike."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_trials) % n_classes
    means = rng.normal(size=(n_classes, n_units))
    means[1] = means[0]
    means[:, n_units // 2 :] = 0
    shared = rng.normal(size=(n_trials, 1)) * np.linspace(1, 2, n_units)
    rows = means[codes] + shared + rng.normal(size=(n_trials, n_units))
    return (rows - rows.mean(axis=0)).astype(np.float32), codes


def test_no_prior_leaves_rows_and_scores_as_they_are():
    prior = InputPrior.none(3, 2)
    rows = np.array([[1.0, -2.0, 3.0]])
    np.testing.assert_array_equal(prior.apply(rows), rows)
    np.testing.assert_array_equal(prior.patterns, np.eye(2))


def test_whitened_residuals_are_white():
    rows, codes = noisy_trials(n_units=100)
    prior = InputPrior.fit(rows, codes, 6, 1, 0)

    def residuals(values):
        return values - np.stack([values[codes == code].mean(axis=0) for code in range(6)])[codes]

    assert np.corrcoef(residuals(rows).T).mean() > 0.5
    np.testing.assert_allclose(
        np.cov(residuals(prior.apply(rows.astype(float)) / prior.gain).T), np.eye(100), atol=0.15
    )


def test_units_that_are_driven_weigh_more_than_others():
    rows, codes = noisy_trials()
    prior = InputPrior.fit(rows, codes, 6, 1, 0)
    assert (prior.gain**2).mean() == pytest.approx(1.0)
    assert prior.gain[:6].min() > 2 * prior.gain[6:].max()


def test_classes_that_drive_units_alike_share_their_patterns():
    rows, codes = noisy_trials(n_units=200)
    covariance = InputPrior.fit(rows, codes, 6, 1, 0).patterns
    covariance = covariance @ covariance.T
    alike = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    others = alike[np.triu_indices(6, 1)]
    assert alike[0, 1] == others.max() > 0.8
    assert np.sort(others)[-2] < 0.5


def test_rows_keep_their_precision_and_are_not_changed():
    rows, codes = noisy_trials(n_trials=60)
    before = rows.copy()
    prior = InputPrior.fit(rows, codes, 6, 2, 0)
    single, double = prior.apply(rows), prior.apply(rows.astype(float))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, atol=1e-5)
    np.testing.assert_array_equal(rows, before)


def test_a_class_without_a_trial_drives_no_unit():
    rows, codes = noisy_trials(n_trials=60)
    prior = InputPrior.fit(rows, codes, 7, 2, 0)
    assert prior.patterns.shape == (7, 7)
    assert all(np.isfinite(part).all() for part in (prior.gain, prior.patterns, prior.apply(rows)))


def test_the_signal_that_a_prior_learns_is_that_of_fa_lda():
    rng = np.random.default_rng(0)
    means, n_trials = rng.normal(size=(5, 30)), np.array([20.0, 30.0, 25.0, 25.0, 10.0])
    signal = learn_signal(means, n_trials)
    np.testing.assert_array_equal(signal.means, shrink_by_unit_and_class(means, n_trials))
    assert np.trace(signal.covariance) == pytest.approx(5)
    np.testing.assert_allclose(signal.covariance, signal.covariance.T)
    assert (signal.strength > 0).all()

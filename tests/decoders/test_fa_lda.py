"""The default decoder against slow and plain second implementations of its formulas."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from spikesight.decoders.class_means import shrink_by_unit, shrink_by_unit_and_class
from spikesight.decoders.fa_lda import FactorLDA
from spikesight.decoders.factor_noise import FactorNoise


def trials(n_classes=4, n_units=8, n_bins=1, n_trials=80, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_trials) % n_classes)
    gain = rng.gamma(10, 0.1, (n_trials, 1, 1))
    return rng.poisson(gain * rng.gamma(2, 2, (n_classes, n_bins, n_units))[y]), y


def posterior_means(observed, n_trials, steps):
    """Expectation-maximisation of the class means' prior, one unit at a time with explicit inverses."""
    k, d = observed.shape
    root = np.sqrt(n_trials)
    x = observed * root[:, None]
    strength = np.maximum((x**2).mean(axis=0) - 1, 0.01)
    K = np.diag(n_trials / n_trials.mean())
    for _ in range(steps):
        K_inverse = np.linalg.inv(K)
        mean, new_K, new_strength = np.empty((k, d)), np.zeros((k, k)), np.empty(d)
        for i in range(d):
            covariance = np.linalg.inv(K_inverse / strength[i] + np.eye(k))
            mean[:, i] = covariance @ x[:, i]
            second = np.outer(mean[:, i], mean[:, i]) + covariance
            new_K += second / strength[i] / d
            new_strength[i] = np.trace(K_inverse @ second) / k
        scale = np.trace(new_K) / k
        K, strength = new_K / scale, new_strength * scale
    return mean / root[:, None]


def log_posterior(Z, y, new, q, shrink):
    """Class log-probabilities of ``new`` by the formulas, with an explicit inverse covariance and an exact SVD."""
    n = len(Z)
    classes, sizes = np.unique(y, return_counts=True)
    means = np.array([Z[y == c].mean(axis=0) for c in classes])
    residuals = np.array([z - means[list(classes).index(c)] for z, c in zip(Z, y, strict=True)])
    freedom = n - len(classes)
    variance = (residuals**2).sum(axis=0) / freedom
    deviation = np.sqrt(np.maximum(variance, 0.2 * np.median(variance)))
    centre = Z.mean(axis=0)
    correlation = (residuals / deviation).T @ (residuals / deviation) / freedom
    values, axes = np.linalg.eigh(correlation)
    loadings = axes[:, -q:] * np.sqrt(np.maximum(values[-q:] - 1, 0))
    private = deviation * np.sqrt(np.maximum(1 - (loadings**2).sum(axis=1), 0.1))
    noise = deviation[:, None] * loadings @ loadings.T * deviation + np.diag(private**2)
    white = np.linalg.inv(np.real(sqrtm(noise / np.outer(private, private)))) / private
    means = centre + np.linalg.solve(white, shrink((means - centre) @ white.T, sizes.astype(float)).T).T
    precision = np.linalg.inv(noise)
    equal = 1 / len(classes)
    observed = ((sizes / n - equal) ** 2).mean()
    fraction = 0 if observed == 0 else max(0, 1 - equal * (1 - equal) / n / observed)
    prior = equal + fraction * (sizes / n - equal)
    scores = np.empty((len(new), len(classes)))
    for t, z in enumerate(new):
        for c in range(len(classes)):
            scores[t, c] = np.log(prior[c]) - 0.5 * (z - means[c]) @ precision @ (z - means[c])
    scores -= scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("class_covariance", [False, True])
@pytest.mark.parametrize("q", [1, 3])
@pytest.mark.parametrize("balanced", [True, False])
def test_probabilities_are_those_of_the_formulas_with_explicit_inverses(class_covariance, q, balanced):
    X, y = trials()
    if not balanced:
        keep = np.flatnonzero((y != 0) | (np.arange(len(y)) < 30))
        X, y = X[keep], y[keep]
    new, _ = trials(seed=1)
    root = np.sqrt(X[:, 0] + 0.375)
    centre, scale = root.mean(axis=0), np.maximum(root.std(axis=0), 0.3)
    Z, new_Z = (root - centre) / scale, (np.sqrt(new[:, 0] + 0.375) - centre) / scale

    def shrink(means, sizes):
        return posterior_means(means, sizes, 10) if class_covariance else shrink_by_unit(means, sizes)

    decoder = FactorLDA(q=q, class_covariance=class_covariance, calibrate=False).fit(X, y)
    np.testing.assert_allclose(np.log(decoder.predict_proba(new)), log_posterior(Z, y, new_Z, q, shrink), atol=1e-4)


def test_whitening_is_a_root_of_the_inverse_covariance():
    rng = np.random.default_rng(0)
    private, shared = rng.uniform(0.1, 1, 7), np.array([0.5, 3.0])
    axes, _ = np.linalg.qr(rng.normal(size=(7, 2)))
    noise = FactorNoise(private, axes, shared)
    covariance = private[:, None] * (np.eye(7) + axes * shared @ axes.T) * private
    white = noise.whiten(np.eye(7))
    np.testing.assert_allclose(white.T @ covariance @ white, np.eye(7), atol=1e-12)
    np.testing.assert_allclose(noise.carry_back(white), np.linalg.inv(covariance))


def test_a_planted_factor_is_found_and_none_in_private_noise():
    rng = np.random.default_rng(0)
    planted = np.r_[np.full(10, 0.8), np.zeros(10)]
    residuals = rng.normal(size=(20_000, 1)) * planted + rng.normal(size=(20_000, 20)) * np.sqrt(1 - planted**2)
    noise = FactorNoise.fit(residuals.copy(), 20_000, 1, 0)
    # the largest eigenvalue of the correlations is 1 + 9 * .64, along the planted units
    np.testing.assert_allclose(noise.private**2, 1 - np.r_[np.full(10, 0.576), np.zeros(10)], atol=0.03)
    np.testing.assert_allclose(noise.shared, 5.76 / (1 - 0.576), rtol=0.05)
    assert FactorNoise.fit(rng.normal(size=(20_000, 20)), 20_000, 1, 0).shared < 0.1


def test_no_noise_factor_is_a_private_variance_per_unit():
    X, y = trials()
    noise = FactorNoise.fit(np.array([[1.0, 2.0], [-1.0, -2.0], [1.0, -2.0]]), 3, 0, 0)
    np.testing.assert_array_equal(noise.private, [1.0, 2.0])
    np.testing.assert_array_equal(noise.whiten(np.array([[3.0, 4.0]])), [[3.0, 2.0]])
    assert FactorLDA(q=0).fit(X, y).score(X, y) > 0.7
    with pytest.raises(ValueError, match="q=-1"):
        FactorLDA(q=-1).fit(X, y)


def test_the_signal_fraction_of_a_unit_is_what_exceeds_averaging_noise():
    means = np.array([[2.0, 0.1], [-2.0, -0.1]])
    # two classes of four trials: averaging noise 1/4; variances between classes 4 and .01
    np.testing.assert_allclose(shrink_by_unit(means, np.array([4.0, 4.0])), [[2 * 15 / 16, 0], [-2 * 15 / 16, 0]])


def test_class_means_shrink_as_in_the_plain_implementation():
    rng = np.random.default_rng(0)
    n_trials = np.array([3.0, 10.0, 10.0, 30.0])
    means = rng.normal(size=(4, 12))
    np.testing.assert_allclose(
        shrink_by_unit_and_class(means, n_trials), posterior_means(means, n_trials, 10), atol=1e-9
    )


def test_the_covariance_of_classes_brings_means_closer_to_the_truth_where_classes_are_alike():
    """Forty classes on a line, each unit with a broad bump: neighbours are alike, and nobody says so."""
    rng = np.random.default_rng(0)
    position, centre = np.arange(40)[:, None], rng.uniform(0, 40, 300)
    truth = 0.5 * np.exp(-0.5 * ((position - centre) / 4) ** 2)
    truth -= truth.mean(axis=0)
    n_trials = np.full(40, 10.0)
    means = truth + rng.normal(size=truth.shape) / np.sqrt(10)
    error = {
        shrink.__name__: ((shrink(means, n_trials) - truth) ** 2).mean()
        for shrink in (lambda m, n: m, shrink_by_unit, shrink_by_unit_and_class)
    }
    assert error["shrink_by_unit"] < 0.3 * error["<lambda>"]
    assert error["shrink_by_unit_and_class"] < 0.75 * error["shrink_by_unit"]


def test_the_covariance_of_classes_costs_little_where_classes_have_nothing_in_common():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 300)) * rng.gamma(1, 0.3, 300)
    n_trials = np.full(40, 10.0)
    means = truth + rng.normal(size=truth.shape) / np.sqrt(10)
    by_unit, by_both = (((f(means, n_trials) - truth) ** 2).mean() for f in (shrink_by_unit, shrink_by_unit_and_class))
    assert by_both < 1.2 * by_unit


def test_a_covariance_of_noise_shared_by_all_units_is_taken_out():
    """A gain common to all units swamps the signal unless the decoder models it."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(400) % 8)
    signal = rng.normal(0, 0.15, (8, 100))
    gain = rng.normal(0, 1.0, (400, 1)) * rng.uniform(0.5, 1, 100)
    X = rng.poisson(np.exp(1 + signal[y] + gain))
    with_factors, without = (FactorLDA(q=q).fit(X[:300], y[:300]).score(X[300:], y[300:]) for q in (10, 0))
    assert with_factors > without + 0.15


def test_several_bins_are_weighted_by_what_held_out_trials_say():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(300) % 4)
    late = rng.gamma(40, 0.05, (4, 1, 30))
    X = rng.poisson(np.concatenate([np.full((4, 3, 30), 2.0), late], axis=1)[y])
    decoder = FactorLDA().fit(X, y)
    assert decoder.weights_[0] > 5 * decoder.weights_[1]  # the sum only adds the noise of the empty bins
    steady = rng.poisson(np.repeat(rng.gamma(40, 0.01, (4, 1, 30)), 4, axis=1)[y])
    both = FactorLDA().fit(steady, y)
    assert both.weights_[1] > both.weights_[0]
    assert both.coef_.shape == (4, 4 * 30 + 30)


def test_without_calibration_the_weights_are_equal_and_one_in_sum():
    X, y = trials(n_bins=2)
    np.testing.assert_array_equal(FactorLDA(calibrate=False).fit(X, y).weights_, [0.5, 0.5])
    np.testing.assert_array_equal(FactorLDA(calibrate=False).fit(X[:, 0], y).weights_, [1.0])


def test_frequencies_that_differ_by_no_more_than_chance_are_no_knowledge():
    X, y = np.ones((100, 3)), np.repeat([0, 1], [48, 52])
    np.testing.assert_allclose(FactorLDA().fit(X, y).predict_proba(X[:1]), [[0.5, 0.5]])
    rare = np.repeat([0, 1], [10, 90])
    np.testing.assert_allclose(FactorLDA().fit(X, rare).predict_proba(X[:1]), [[0.1, 0.9]], atol=0.01)


def test_calibration_changes_no_prediction_of_balanced_classes_with_one_bin():
    X, y = trials(n_trials=80)
    plain, calibrated = (FactorLDA(calibrate=choice).fit(X, y) for choice in (False, True))
    np.testing.assert_array_equal(plain.predict(X), calibrated.predict(X))

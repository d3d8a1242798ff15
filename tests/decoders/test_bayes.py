import numpy as np
import pytest
from scipy.stats import poisson

from spikesight.decoders.bayes import PoissonBayes
from spikesight.decoders.chance import Chance


def test_the_posterior_is_that_of_independent_poisson_counts():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [10, 20, 5])
    X = rng.poisson(rng.gamma(1, 3, (3, 2, 4))[y])
    decoder = PoissonBayes(alpha=2.5).fit(X, y)
    expected = np.empty((len(X), 3))
    for k in range(3):
        members = X[y == k]
        grand = (X.sum(axis=0) + 0.5) / (len(X) + 1)
        rate = (members.sum(axis=0) + 2.5 * grand) / (len(members) + 2.5)
        for trial, counts in enumerate(X):
            expected[trial, k] = len(members) / len(X) * poisson.pmf(counts, rate).prod()
    np.testing.assert_allclose(decoder.predict_proba(X), expected / expected.sum(axis=1, keepdims=True), rtol=1e-9)


def test_a_unit_silent_in_training_keeps_every_class_possible():
    decoder = PoissonBayes(alpha=1e-6).fit([[0, 5], [0, 1]], [0, 1])
    assert np.isfinite(decoder.predict_proba([[9, 3]])).all()


@pytest.mark.parametrize("alpha", [0, -1.0, np.nan])
def test_a_prior_without_weight_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        PoissonBayes(alpha=alpha).fit([[1], [2]], [0, 1])


def test_chance_answers_with_the_most_frequent_class_and_the_frequencies():
    decoder = Chance().fit(np.ones((4, 1)), ["b", "a", "b", "c"])
    assert decoder.predict([[100]]) == ["b"]
    np.testing.assert_allclose(decoder.predict_proba([[0]]), [[0.25, 0.5, 0.25]])

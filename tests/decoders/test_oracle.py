"""The oracle: hand-made likelihoods, a grid as reference for its gain, and its place above fitted decoders."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import clone

from spikesight.data.arrays import to_arrays
from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import select_trials
from spikesight.data.simulation import simulate_session
from spikesight.decoders.fa_lda import FactorLDA
from spikesight.decoders.oracle import Oracle
from spikesight.errors import UnitIdsError
from spikesight.splits import BlockKFold

CLASSES = np.array([0, 1])


def test_the_class_whose_expected_counts_fit_wins():
    oracle = Oracle(np.array([[[5.0, 1.0]], [[1.0, 5.0]]]), CLASSES).fit([[4, 1], [0, 6]], [0, 1])
    assert oracle.predict([[6, 0], [1, 4]]).tolist() == [0, 1]


def test_probabilities_are_poisson_when_there_is_no_gain():
    expected = np.array([[[5.0, 1.0]], [[2.0, 3.0]]])
    oracle = Oracle(expected, CLASSES).fit([[4, 1], [0, 6]], [0, 1])
    counts = np.array([[3, 2], [7, 0]])
    likelihood = np.stack([stats.poisson.pmf(counts, row).prod(1) for row in expected[:, 0]], axis=1)
    np.testing.assert_allclose(oracle.predict_proba(counts), likelihood / likelihood.sum(1, keepdims=True), rtol=1e-3)


def test_dispersion_makes_counts_negative_binomial():
    expected, dispersion = np.array([[[5.0, 1.0]], [[2.0, 3.0]]]), np.array([0.5, 0.2])
    oracle = Oracle(expected, CLASSES, dispersion=dispersion).fit([[4, 1], [0, 6]], [0, 1])
    counts = np.array([[3, 2], [7, 0]])
    size = 1 / dispersion
    likelihood = np.stack(
        [stats.nbinom.pmf(counts, size, size / (size + row)).prod(1) for row in expected[:, 0]], axis=1
    )
    np.testing.assert_allclose(oracle.predict_proba(counts), likelihood / likelihood.sum(1, keepdims=True), rtol=1e-6)


def test_the_gain_is_integrated_as_a_fine_grid_does():
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.5, 6.0, (3, 1, 20))
    loadings, mean = rng.normal(0, 0.4, (20, 1)), rng.normal(0, 0.1, 20)
    counts = rng.poisson(expected[rng.integers(0, 3, 40), 0] * np.exp(mean + 0.8 * loadings[:, 0]))
    oracle = Oracle(expected, np.arange(3), loadings, mean).fit(counts[:3], [0, 1, 2])
    grid = np.linspace(-6, 6, 2001)
    rates = expected[:, 0, None, :] * np.exp(mean + grid[:, None] * loadings[:, 0])
    likelihood = (counts @ np.log(rates).transpose(0, 2, 1)).transpose(1, 0, 2) - rates.sum(2)
    reference = logsumexp(likelihood - grid**2 / 2, axis=2)
    reference = np.exp(reference - logsumexp(reference, axis=1, keepdims=True))
    np.testing.assert_allclose(oracle.predict_proba(counts), reference, atol=0.01)


def test_a_shared_gain_does_not_change_the_answer():
    expected = np.array([[[8.0, 2.0, 2.0]], [[8.0, 4.0, 4.0]]])
    trained = ([[4, 1, 1], [0, 6, 5]], [0, 1])
    doubled = [[16, 4, 4]]
    assert Oracle(expected, CLASSES).fit(*trained).predict(doubled).tolist() == [1]
    assert Oracle(expected, CLASSES, np.ones((3, 1))).fit(*trained).predict(doubled).tolist() == [0]


def test_bins_count_when_totals_are_alike():
    expected = np.array([[[5.0], [1.0]], [[1.0], [5.0]]])
    oracle = Oracle(expected, CLASSES).fit([[[4], [1]], [[0], [6]]], [0, 1])
    assert oracle.predict([[[5], [2]], [[2], [5]]]).tolist() == [0, 1]


def test_only_the_classes_of_the_training_labels_are_answered():
    expected = np.array([[[5.0, 1.0]], [[1.0, 5.0]], [[9.0, 9.0]]])
    oracle = Oracle(expected, np.arange(3)).fit([[9, 8], [0, 6]], [2, 1])
    assert oracle.predict([[8, 7], [1, 4], [5, 1]]).tolist() == [2, 1, 1]


def test_an_oracle_can_be_cloned():
    oracle = Oracle(np.ones((2, 1, 3)), CLASSES, np.ones((3, 1)))
    np.testing.assert_array_equal(clone(oracle).expected_counts, oracle.expected_counts)


@pytest.mark.parametrize(
    ("counts", "labels", "message"),
    [
        ([[1, 2, 3], [3, 2, 1]], [0, 1], "1 bins x 2 units"),
        ([[1, 2], [3, 2]], [0, 7], r"does not know \[7\]"),
    ],
)
def test_what_the_truth_does_not_cover_is_refused(counts, labels, message):
    with pytest.raises(ValueError, match=message):
        Oracle(np.ones((2, 1, 2)), CLASSES).fit(counts, labels)


def test_units_that_were_not_simulated_are_refused():
    with pytest.raises(UnitIdsError):
        Oracle.from_truth(simulate_session("tiny", 0).truth, np.array([3]))


def test_units_are_taken_in_the_order_asked_for():
    truth = simulate_session("tiny", 0).truth
    whole, some = Oracle.from_truth(truth), Oracle.from_truth(truth, truth.unit_ids[[4, 1]])
    np.testing.assert_allclose(some.expected_counts, whole.expected_counts[:, :, [4, 1]])
    np.testing.assert_allclose(some.gain_loadings, whole.gain_loadings[[4, 1]])


def test_the_oracle_beats_a_decoder_that_has_to_learn():
    simulation = simulate_session("scenes", 0, n_units=120)
    X, y, groups = to_arrays(bin_spikes(select_trials(simulation.session, "natural_scenes"), n_bins=1))
    train, test = list(BlockKFold(5, gap=10).split(X, y, groups))[2]
    oracle = Oracle.from_truth(simulation.truth).fit(X[train], y[train])
    learned = FactorLDA().fit(X[train], y[train]).score(X[test], y[test])
    assert oracle.score(X[test], y[test]) > learned + 0.02

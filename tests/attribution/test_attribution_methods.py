"""Permutation importance, Shapley values and integrated gradients against what they must be."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from jump_network import JumpDecoder
from quick_decoders import quick
from spikesight.attribution.fold_rows import unit_rows
from spikesight.attribution.integrated_gradients import integrated_gradients
from spikesight.attribution.permutation import permutation_importance, within_blocks
from spikesight.attribution.shapley import _of_random_orders, shap_importance, shap_values
from spikesight.attribution.true_class import LOG_LIKELIHOOD, MARGIN, known_trials, log_scores, of_true_class
from spikesight.decoders import registry
from spikesight.decoders.encoded import EncodedDecoder
from spikesight.encoders import registry as encoders
from spikesight.errors import ConfigError, DataError, DecoderError

LINEAR = ["logistic", "pca-logistic", "ridge", "lda", "fa-lda"]
NETWORKS = ["mlp", "lstm", "transformer", "cnn", "gcn", "st-gat"]


def trials(n_trials=160, n_bins=2, n_units=5, n_classes=3, n_tuned=2, seed=0):
    """Trials of which the first ``n_tuned`` units know the label and the others do not."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_trials) % n_classes)
    rates = np.full((n_classes, n_bins, n_units), 5.0)
    rates[:, :, :n_tuned] = rng.gamma(2.0, 3.0, (n_classes, n_bins, n_tuned))
    return rng.poisson(rates[y]).astype(np.uint16), y


X, Y = trials()
BLOCKS = np.repeat([0, 1], [80, 80])


# ---------------------------------------------------------------- permutation


def test_the_units_that_know_the_label_are_important_and_the_others_are_not():
    for name in ("fa-lda", "ridge", "mlp"):
        decoder = registry.make(name).fit(X[:110], Y[:110])
        found = permutation_importance(decoder, X[110:], Y[110:], BLOCKS[110:], n_permutations=10)
        assert found.lost.mean(axis=0)[:2].min() > 5 * np.abs(found.lost.mean(axis=0)[2:]).max()
        assert found.lost_accuracy.mean(axis=0)[:2].min() > 0.1


@pytest.mark.parametrize("name", [*LINEAR, "svc-rbf"])
def test_permuting_a_units_summand_of_the_scores_is_permuting_the_unit(name):
    decoder = registry.make(name).fit(X[:110], Y[:110])
    held, shown, blocks = X[110:], Y[110:], BLOCKS[110:]
    found = permutation_importance(decoder, held, shown, blocks, n_permutations=2, seed=5)
    rng = np.random.default_rng(5)
    codes, measure = np.searchsorted(decoder.classes_, shown), found.measure
    whole = of_true_class(log_scores(decoder, held), codes, measure).mean()
    for unit in range(5):
        for turn in range(2):
            moved = held.copy()
            moved[:, :, unit] = held[within_blocks(blocks, rng)][:, :, unit]
            expected = whole - of_true_class(log_scores(decoder, moved), codes, measure).mean()
            assert found.lost[turn, unit] == pytest.approx(expected, abs=1e-9)
            right = (decoder.predict(held) == shown).mean() - (decoder.predict(moved) == shown).mean()
            assert found.lost_accuracy[turn, unit] == pytest.approx(right)


def test_a_silent_unit_loses_nothing_and_values_stay_in_their_block():
    silent = X.copy()
    silent[:, :, 4] = 0
    decoder = registry.make("lda").fit(silent, Y)
    assert (permutation_importance(decoder, silent, Y, BLOCKS).lost[:, 4] == 0).all()
    order = within_blocks(BLOCKS, np.random.default_rng(0))
    assert sorted(order) == list(range(160))
    assert (BLOCKS[order] == BLOCKS).all()
    assert (order != np.arange(160)).mean() > 0.9


def test_the_measure_is_a_log_probability_or_a_margin():
    scores = np.array([[1.0, 3.0, 2.0], [5.0, 0.0, 1.0]])
    codes = np.array([1, 2])
    np.testing.assert_allclose(of_true_class(scores, codes, MARGIN), [1.0, -4.0])
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(of_true_class(scores, codes, LOG_LIKELIHOOD), np.log(shares[[0, 1], codes]))


def test_trials_of_classes_that_were_not_learned_are_left_out():
    decoder = registry.make("lda").fit(X[Y < 2], Y[Y < 2])
    rows, codes = known_trials(decoder, Y)
    assert (Y[rows] == codes).all()
    assert permutation_importance(decoder, X, Y, BLOCKS).n_trials == (Y < 2).sum()
    with pytest.raises(DataError, match="classes that the decoder learned"):
        known_trials(decoder, np.full(4, 9))


def test_no_permutation_is_refused():
    with pytest.raises(ConfigError, match="one permutation or more"):
        permutation_importance(registry.make("lda").fit(X, Y), X, Y, BLOCKS, n_permutations=0)


# ---------------------------------------------------------------- Shapley values


def brute_force(value, n_units):
    """Shapley values by their definition, over all coalitions of units."""
    found = np.zeros((n_units, *value(()).shape))
    for unit in range(n_units):
        others = [other for other in range(n_units) if other != unit]
        for size in range(n_units):
            weight = math.factorial(size) * math.factorial(n_units - size - 1) / math.factorial(n_units)
            for coalition in itertools.combinations(others, size):
                found[unit] += weight * (value((*coalition, unit)) - value(coalition))
    return found


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("n_bins", [1, 2])
def test_closed_form_shapley_values_are_those_of_all_coalitions(name, n_bins):
    """A unit that is absent is averaged over the training trials, independently of the others."""
    decoder = registry.make(name).fit(X[:110, :n_bins], Y[:110])
    background, asked = decoder.standardised(X[:110, :n_bins]), decoder.standardised(X[110:113, :n_bins])

    def value(coalition):
        expected = np.zeros((3, 3))
        for column in range(asked.shape[1]):
            present = column % 5 in coalition
            own = asked[:, column] if present else np.full(3, background[:, column].mean())
            expected += np.outer(own, decoder.coef_[:, column])
        scores = expected + decoder.intercept_
        return scores - scores.mean(axis=1, keepdims=True)

    values, base = shap_values(decoder, X[110:113, :n_bins])
    np.testing.assert_allclose(values.transpose(1, 0, 2), brute_force(value, 5), atol=1e-5)
    np.testing.assert_allclose(np.broadcast_to(base, (3, 3)), value(()), atol=1e-5)


@pytest.mark.parametrize("name", LINEAR)
def test_values_of_all_units_and_the_base_make_the_score(name):
    decoder = registry.make(name).fit(X[:110], Y[:110])
    values, base = shap_values(decoder, X[110:])
    scores = log_scores(decoder, X[110:])
    np.testing.assert_allclose(values.sum(axis=1) + base, scores - scores.mean(axis=1, keepdims=True), atol=1e-8)


def test_mean_and_deviation_of_random_orders_are_those_of_all_orders():
    rng = np.random.default_rng(0)
    values, codes, blocks = rng.normal(size=(8, 3)), rng.integers(0, 3, 8), np.repeat([0, 1], [5, 3])
    first = [[*order] for order in itertools.permutations(range(5))]
    second = [[*order] for order in itertools.permutations(range(5, 8))]
    means = [values[[*a, *b], codes].mean() for a in first for b in second]
    np.testing.assert_allclose(_of_random_orders(values, codes, blocks), [np.mean(means), np.var(means)], atol=1e-12)


def test_units_that_know_the_label_speak_for_it_and_the_others_do_not():
    decoder = registry.make("fa-lda").fit(X[:110], Y[:110])
    found = shap_importance(decoder, X[110:], Y[110:], BLOCKS[110:])
    z = (found.toward_true - found.expected) / found.deviation
    assert z[:2].min() > 4
    assert np.abs(z[2:]).max() < 3
    values, _ = shap_values(decoder, X[110:])
    np.testing.assert_allclose(found.toward_true, values[np.arange(50), :, Y[110:]].mean(axis=0))
    np.testing.assert_allclose(found.magnitude, np.abs(values).mean(axis=(0, 2)))


def test_p_values_of_units_that_know_nothing_are_uniform():
    p_values = []
    for seed in range(20):
        counts, labels = trials(n_trials=120, n_bins=1, n_units=12, n_tuned=2, seed=seed)
        found = shap_importance(
            registry.make("lda").fit(counts[:60], labels[:60]), counts[60:], labels[60:], np.zeros(60)
        )
        p_values.append(stats.norm.sf((found.toward_true - found.expected) / found.deviation)[2:])
    assert stats.kstest(np.concatenate(p_values), "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", ["mlp", "svc-rbf", "poisson-bayes"])
def test_what_is_not_linear_has_no_closed_form_and_is_told_what_has(name):
    with pytest.raises(DecoderError, match=r"fa-lda, lda, logistic.*permutation for any decoder"):
        shap_values(quick(name).fit(X, Y), X)
    with pytest.raises(DecoderError, match="EncodedDecoder"):
        shap_values(EncodedDecoder(encoders.make("pca"), registry.make("lda")).fit(X, Y), X)


# ---------------------------------------------------------------- integrated gradients


@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients_add_up_to_the_difference_in_scores(name):
    decoder = quick(name).fit(X[:110], Y[:110])
    found = integrated_gradients(decoder, X[110:], Y[110:])
    assert found.error <= 0.01
    assert found.values.shape == (50, 2, 5)
    scores = decoder._scores(X[110:])
    scores -= scores.mean(axis=1, keepdims=True)
    reached = found.difference - scores[np.arange(50), Y[110:]]
    for code in range(3):  # the score of the mean training trial is one number a class
        np.testing.assert_allclose(np.ptp(reached[Y[110:] == code]), 0, atol=1e-9)


def test_integrated_gradients_are_those_of_a_fine_quadrature():
    decoder = registry.make("mlp", max_epochs=5).fit(X[:110], Y[:110])
    found = integrated_gradients(decoder, X[110:114], Y[110:114], tolerance=1e-6)
    codes, asked = Y[110:114], decoder.standardised(X[110:114])

    def score(rows):
        import copy

        import torch

        network = copy.deepcopy(decoder.network_).double()
        with torch.no_grad():
            scores = network(torch.from_numpy(decoder.white(rows))).numpy() @ decoder.class_patterns_
        return (scores - scores.mean(axis=1, keepdims=True))[np.arange(4), codes]

    nodes, step, expected = (np.arange(2000) + 0.5) / 2000, 1e-5, np.zeros(asked.shape)
    for at in np.ndindex(2, 5):
        nudge = np.zeros((2, 5))
        nudge[at] = step
        slopes = [(score(node * asked + nudge) - score(node * asked - nudge)) / (2 * step) for node in nodes[::10]]
        expected[:, at[0], at[1]] = asked[:, at[0], at[1]] * np.mean(slopes, axis=0)
    np.testing.assert_allclose(found.values, expected, atol=2e-3 * np.abs(expected).max())


def test_few_points_leave_an_error_that_is_told():
    decoder = registry.make("mlp", max_epochs=5).fit(X[:110], Y[:110])
    found = integrated_gradients(decoder, X[110:], Y[110:], tolerance=1e-12, most_steps=2)
    assert found.n_steps == 2
    assert found.error > 1e-12


@pytest.mark.parametrize(("jump", "n_steps"), [(0.0, 16), (0.004, 16), (0.05, 256), (0.4, 256)])
def test_the_error_that_is_told_is_the_share_of_the_score_that_no_gradient_sees(jump, n_steps):
    counts, labels = trials(n_classes=4)
    decoder = JumpDecoder(labels, jump)
    rows = unit_rows("integrated-gradients", decoder, counts, labels, BLOCKS, n_permutations=2, seed=0)
    np.testing.assert_allclose(rows["completeness_error"], jump, atol=1e-9)
    assert set(rows["n_steps"]) == {n_steps}
    up = integrated_gradients(decoder, counts, labels).values[labels % 2 == 0]
    np.testing.assert_allclose(up.sum(axis=(1, 2)), 1 - jump, atol=1e-9)


@pytest.mark.parametrize("name", ["lda", "svc-rbf", "ensemble"])
def test_what_has_no_gradient_is_told_what_to_use(name):
    decoder = quick(name, **({"members": ("lda",)} if name == "ensemble" else {})).fit(X, Y)
    with pytest.raises(DecoderError, match=r"has no gradient. Use shap .* permutation for any"):
        integrated_gradients(decoder, X, Y)


def test_a_network_that_is_not_fitted_is_told():
    with pytest.raises(DecoderError, match=r"expected a fitted decoder, this MLP is not. Call fit first"):
        integrated_gradients(registry.make("mlp"), X, Y)

"""What every registered decoder promises beyond scikit-learn's contract: three dimensions, seeds, odd trials."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from fitted_state import state
from quick_decoders import is_network, quick
from spikesight.decoders import registry

NAMES = registry.names()
NETWORKS = [name for name in NAMES if is_network(name)]
PROBABILISTIC = ["chance", "logistic", "pca-logistic", "poisson-bayes", "lda", "fa-lda", "ensemble", *NETWORKS]
RANDOM = ["pca-logistic", "fa-lda", "ensemble", *NETWORKS]
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "decoders.md"


def trials(n_trials=90, n_bins=3, n_units=6, n_classes=3, seed=0):
    """Trials whose class sets which units fire, and when."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_trials) % n_classes)
    rates = rng.gamma(1.0, 3.0, size=(n_classes, n_bins, n_units))
    return rng.poisson(rates[y]).astype(np.uint8), y


def outputs(decoder, X):
    methods = ("predict", "predict_proba", "decision_function")
    return {method: getattr(decoder, method)(X) for method in methods if hasattr(decoder, method)}


def fitted_state(decoder):
    return {name: state(value) for name, value in vars(decoder).items() if name.endswith("_")}


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    assert [name for name, value in first.items() if value != second[name]] == []


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_every_decoder_that_is_registered_is_documented_and_no_other():
    rows = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENTATION.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_two_dimensions_mean_one_bin(name):
    X, y = trials(n_bins=1)
    flat = quick(name).fit(X[:, 0], y)
    stacked = quick(name).fit(X, y)
    assert_same(outputs(flat, X[:, 0]), outputs(stacked, X))
    assert_same(outputs(flat, X), outputs(stacked, X[:, 0]))
    assert (stacked.n_bins_, stacked.n_units_, stacked.n_features_in_) == (1, 6, 6)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "chance"])
def test_several_bins_are_decoded_and_the_order_in_time_is_used(name):
    """Two classes fire equally much, one early and one late: only their timing tells them apart."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    rates = np.array([[[8.0], [1.0]], [[1.0], [8.0]]]) * np.ones(4)
    X = rng.poisson(rates[y])
    decoder = registry.make(name).fit(X[:60], y[:60])
    assert decoder.score(X[60:], y[60:]) == 1.0
    assert decoder.score(X[60:, ::-1], y[60:]) == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_trials_of_another_shape_are_refused_with_both_shapes(name):
    X, y = trials(n_bins=3, n_units=6)
    decoder = quick(name).fit(X, y)
    with pytest.raises(ValueError, match=r"\(3, 6\).*\(6, 3\)"):
        decoder.predict(X.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"\(3, 6\).*\(3, 5\)"):
        decoder.predict(X[:, :, :5])


@pytest.mark.parametrize("name", NAMES)
def test_small_integers_do_not_wrap(name):
    X, y = trials()
    X = X + np.uint8(100)  # sums over bins, and squares, do not fit into uint8
    assert_same(outputs(quick(name).fit(X, y), X), outputs(quick(name).fit(X.astype(float), y), X))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_counts_that_no_neuron_makes_are_refused(name, bad):
    X, y = trials()
    X = X.astype(float)
    decoder = quick(name).fit(X, y)
    X[0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"Negative|NaN|infinity"):
        quick(name).fit(X, y)
    with pytest.raises(ValueError, match=r"Negative|NaN|infinity"):
        decoder.predict(X)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(10, 0, 5), (10, 2, 0), (0, 2, 5), (10, 2, 5, 1), (10,)])
def test_empty_and_misshapen_trials_are_refused(name, shape):
    with pytest.raises(ValueError, match=r"[Ee]xpected|0 sample|minimum|dim 4"):
        quick(name).fit(np.ones(shape), np.arange(shape[0]) % 2)


@pytest.mark.parametrize("name", NAMES)
def test_one_class_is_refused(name):
    X, _ = trials()
    with pytest.raises(ValueError, match="one class: 7"):
        quick(name).fit(X, np.full(len(X), 7))


@pytest.mark.parametrize("name", NAMES)
def test_labels_may_be_text_and_come_back_as_they_were(name):
    X, y = trials()
    labels = np.array(["x=10, y=-20", "x=0, y=0", "blank"])[y]
    decoder = quick(name).fit(X, labels)
    assert decoder.classes_.tolist() == ["blank", "x=0, y=0", "x=10, y=-20"]
    assert set(decoder.predict(X)) <= set(labels)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_that_fires_only_in_test_trials_does_not_outvote_the_others(name):
    X, y = trials(n_trials=120, n_units=20)
    X[:, :, 0] = 0
    decoder = registry.make(name).fit(X[:100], y[:100])
    before = decoder.score(X[100:], y[100:])
    X[100:, :, 0] = 1
    assert decoder.score(X[100:], y[100:]) >= before - 0.05
    assert all(np.isfinite(values).all() for key, values in outputs(decoder, X).items() if key != "predict")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_bins", [1, 2])
def test_odd_trials_are_decoded_without_a_warning(name, n_bins):
    """A class with one trial, silent units, more units than trials, hardly a spike at all."""
    X, y = trials(n_trials=30, n_units=50, n_bins=n_bins)
    y[0] = 99
    X[:, :, 10:20] = 0
    silent = np.zeros_like(X)
    silent[0, 0, 0] = 1
    for counts in (X, silent):
        decoder = quick(name).fit(counts, y)
        assert all(np.isfinite(values).all() for values in outputs(decoder, counts).values())


@pytest.mark.parametrize("name", NAMES)
def test_one_trial_per_class_and_a_single_unit_are_enough(name):
    X = np.array([[0], [10], [60]])
    decoder = quick(name).fit(X, [0, 1, 2])
    assert set(decoder.predict(X)) <= {0, 1, 2}
    assert all(np.isfinite(values).all() for values in outputs(decoder, X).values())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights_and_the_global_generator_is_left_alone(name):
    X, y = trials()
    generator = np.random.mtrand._rand
    generator.seed(3)
    expected = generator.random()
    generator.seed(3)
    of_torch = torch.get_rng_state()
    first = quick(name).fit(X, y)
    assert generator.random() == expected
    assert torch.equal(torch.get_rng_state(), of_torch)
    generator.seed(4)
    assert_same_state(fitted_state(clone(first).fit(X, y)), fitted_state(first))


@pytest.mark.parametrize("name", NAMES)
def test_decoders_that_use_chance_take_a_seed_and_no_others_do(name):
    assert ("random_state" in registry.make(name).get_params()) == (name in RANDOM)


@pytest.mark.parametrize("name", NAMES)
def test_a_decoder_gives_probabilities_or_scores(name):
    X, y = trials()
    decoder = quick(name).fit(X, y)
    assert hasattr(decoder, "predict_proba") == (name in PROBABILISTIC)
    assert hasattr(decoder, "decision_function") != hasattr(decoder, "predict_proba")
    found = outputs(decoder, X)
    scores = found.get("predict_proba", found.get("decision_function"))
    assert scores.shape == (len(X), 3)
    np.testing.assert_array_equal(decoder.classes_[scores.argmax(axis=1)], found["predict"])
    if "predict_proba" in found:
        np.testing.assert_allclose(scores.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_refitting_forgets_the_first_fit(name):
    X, y = trials(n_bins=3)
    other, labels = trials(n_bins=1, n_units=4, n_classes=2, seed=1)
    decoder = quick(name).fit(X, y).fit(other, labels)
    assert_same_state(fitted_state(decoder), fitted_state(quick(name).fit(other, labels)))


@pytest.mark.parametrize("name", NAMES)
def test_every_candidate_fits_and_no_two_are_equal(name):
    X, y = trials(n_bins=1, n_trials=30)
    spec = registry.spec(name)
    assert len(spec.candidates) == (1 if name == "chance" else registry.N_CANDIDATES)
    assert len({str(sorted(candidate.items())) for candidate in spec.candidates}) == len(spec.candidates)
    for candidate in spec.candidates:
        quick(name, **candidate).fit(X, y)


@pytest.mark.parametrize("name", NAMES)
def test_every_decoder_says_what_it_is_and_what_it_does_with_several_bins(name):
    spec = registry.spec(name)
    assert len(spec.summary) > 10
    assert spec.several_bins != "not stated"
    assert "\n" not in spec.summary + spec.several_bins


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_tells_its_size_and_its_history(name):
    X, y = trials()
    decoder = quick(name).fit(X, y)
    trained = [weights for weights in decoder.network_.parameters() if weights.requires_grad]
    assert decoder.n_parameters_ == sum(weights.numel() for weights in trained) > 0
    assert [record["epoch"] for record in decoder.history_] == [0, 1]
    assert all(weights.dtype == torch.float32 and weights.device.type == "cpu" for weights in trained)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_trials_probabilities_do_not_hang_on_its_batch_mates(name):
    X, y = trials(n_trials=150)
    decoder = quick(name).fit(X, y)
    together = decoder.predict_proba(X)
    np.testing.assert_allclose(decoder.predict_proba(X[:1]), together[:1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(decoder.predict_proba(X[::-1])[::-1], together, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_uses_one_thread_and_puts_the_callers_number_back(name):
    X, y = trials()
    seen = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        quick(name, on_epoch=lambda record: seen.append(torch.get_num_threads())).fit(X, y).predict(X)
        assert (seen, torch.get_num_threads()) == ([1, 1], 2)
    finally:
        torch.set_num_threads(before)

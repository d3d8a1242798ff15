"""What every encoder promises: three dimensions, seeds, training trials only; and what each of them finds."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import FactorAnalysis
from sklearn.utils.estimator_checks import parametrize_with_checks

from fitted_state import state
from spikesight.encoders import registry
from spikesight.encoders.autoencoder import AutoencoderEncoder
from spikesight.encoders.factor_analysis import FactorAnalysisEncoder
from spikesight.encoders.transformer import TransformerEncoder
from spikesight.encoders.vae import VAEEncoder
from spikesight.errors import ConfigError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of FastICA

FAST_ICA = "sklearn.decomposition:FastICA"
LDA = "sklearn.discriminant_analysis:LinearDiscriminantAnalysis"
BUILT_IN = registry.names()
NETWORKS = ["autoencoder", "vae"]
ALL = [*BUILT_IN, FAST_ICA, "sklearn.decomposition:NMF", LDA]


def quick(name, **params):
    """An encoder of few components; a network is trained briefly."""
    made = registry.make(name, {"max_epochs": 2, "hidden_size": 8, **params} if name in NETWORKS else params)
    return made.set_params(n_components=3)


def driven_trials(n_trials=120, n_bins=2, n_units=20, n_factors=2, seed=0):
    """Trials in which a few factors drive all units; returns counts, factors (n_trials, n_bins, n_factors), labels."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_trials, n_bins, n_factors))
    weights = rng.normal(size=(n_factors, n_units)) * 0.6
    counts = rng.poisson(np.exp(1.5 + factors @ weights))
    return counts.astype(np.uint16), factors, (factors[:, 0, 0] > 0).astype(int)


X, FACTORS, Y = driven_trials()


@pytest.mark.parametrize("name", ALL)
def test_trials_become_trials_of_as_many_bins_and_few_components(name):
    encoder = quick(name).fit(X, Y)
    made = encoder.transform(X[:7])
    expected = 1 if name == LDA else 3  # as many as classes, less one
    assert made.shape == (7, 2, expected)
    assert made.dtype == np.float64
    assert encoder.n_components_ == expected


@pytest.mark.parametrize("name", ALL)
def test_two_dimensions_mean_one_bin(name):
    flat = quick(name).fit(X[:, 0], Y)
    assert flat.transform(X[:5, 0]).shape == (5, flat.n_components_)
    np.testing.assert_array_equal(flat.transform(X[:5, :1])[:, 0], flat.transform(X[:5, 0]))


@pytest.mark.parametrize("name", ALL)
def test_every_bin_is_encoded_alike_and_a_trial_does_not_hang_on_the_others(name):
    encoder = quick(name).fit(X, Y)
    made = encoder.transform(X)
    np.testing.assert_allclose(encoder.transform(X[:, ::-1]), made[:, ::-1], rtol=0, atol=1e-7)
    np.testing.assert_allclose(encoder.transform(X[3:4]), made[3:4], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_same_seed_gives_the_same_state_and_the_global_generators_are_left_alone(name):
    generator = np.random.mtrand._rand
    generator.seed(3)
    expected, of_torch = generator.random(), torch.get_rng_state()
    generator.seed(3)
    first = quick(name).fit(X, Y)
    assert generator.random() == expected
    assert torch.equal(torch.get_rng_state(), of_torch)
    generator.seed(4)
    assert state(clone(first).fit(X, Y)) == state(first)


@pytest.mark.parametrize("name", NETWORKS)
def test_another_seed_gives_other_weights(name):
    first, second = (quick(name, random_state=seed).fit(X).transform(X) for seed in (0, 1))
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_label_is_looked_at(name):
    assert state(quick(name).fit(X)) == state(quick(name).fit(X, 1 - Y))


@pytest.mark.parametrize("name", ALL)
def test_trials_of_another_shape_and_impossible_counts_are_refused(name):
    encoder = quick(name).fit(X, Y)
    with pytest.raises(ValueError, match=r"\(2, 20\).*\(2, 5\)"):
        encoder.transform(X[:, :, :5])
    bad = X.astype(float)
    bad[0, 0, 0] = -1
    with pytest.raises(ValueError, match="Negative"):
        encoder.transform(bad)
    bad[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        quick(name).fit(bad, Y)


@pytest.mark.parametrize("name", BUILT_IN)
def test_silent_units_few_trials_and_more_components_than_units_are_no_trouble(name):
    few = np.zeros((6, 1, 4), np.uint8)
    few[::2, 0, 1] = 3
    encoder = quick(name).set_params(n_components=50).fit(few)
    assert np.isfinite(encoder.transform(few)).all()
    assert encoder.n_components_ <= 4


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("bad", [0, -2, 1.5, True])
def test_a_number_of_components_that_makes_no_sense_is_refused(name, bad):
    with pytest.raises(ConfigError, match="n_components of at least 1"):
        quick(name).set_params(n_components=bad).fit(X)


@parametrize_with_checks([quick(name) for name in BUILT_IN])
def test_encoder_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def explained(encoder, learn, ask):
    """Share of the variance of the true factors in unseen trials that is linear in the components."""
    encoder.fit(X[learn])
    made = [encoder.transform(X[rows]).reshape(-1, encoder.n_components_) for rows in (learn, ask)]
    true = [FACTORS[rows].reshape(-1, FACTORS.shape[2]) for rows in (learn, ask)]
    ones = [np.column_stack([one, np.ones(len(one))]) for one in made]
    weights = np.linalg.lstsq(ones[0], true[0], rcond=None)[0]
    return 1 - ((true[1] - ones[1] @ weights) ** 2).sum() / ((true[1] - true[1].mean(axis=0)) ** 2).sum()


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_factors_that_drive_the_units_are_found_in_unseen_trials(name):
    encoder = registry.make(name, {"hidden_size": 32, "batch_size": 16} if name in NETWORKS else {})
    assert explained(encoder.set_params(n_components=2), np.arange(90), np.arange(90, 120)) > 0.85


def test_factor_analysis_is_as_likely_as_that_of_scikit_learn():
    ours = FactorAnalysisEncoder(2, tol=1e-9, max_iter=2000).fit(X)
    rows = (np.sqrt(X + 0.375).reshape(-1, 20) - ours.mean_) / ours.scale_
    theirs = FactorAnalysis(2, tol=1e-9, max_iter=2000).fit(rows)
    made = ours.loadings_ @ ours.loadings_.T + np.diag(ours.private_)
    np.testing.assert_allclose(made, theirs.get_covariance(), atol=2e-3)
    np.testing.assert_allclose(np.abs(ours.transform(X).reshape(-1, 2)), np.abs(theirs.transform(rows)), atol=1e-2)
    assert ours.converged_


def test_factor_analysis_says_that_its_turns_ran_out():
    assert not FactorAnalysisEncoder(2, max_iter=1).fit(X).converged_


@pytest.mark.parametrize("kind", [AutoencoderEncoder, VAEEncoder])
@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_networks_make_held_out_trials_better_with_every_likelihood_and_stop_by_them(kind, likelihood):
    encoder = kind(2, hidden_size=16, likelihood=likelihood, max_epochs=30, batch_size=16, patience=2).fit(X)
    losses = [record["valid_loss"] for record in encoder.history_]
    assert min(losses) < losses[0]
    assert len(losses) == 30 or len(losses) - 1 - int(np.argmin(losses)) == 2


@pytest.mark.parametrize("kind", [AutoencoderEncoder, VAEEncoder])
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"likelihood": "student"}, "likelihood='gaussian' or 'poisson'"),
        ({"valid_fraction": 1.0}, "valid_fraction from 0 to below 1"),
        ({"hidden_size": 0}, "hidden_size of at least 1"),
        ({"max_epochs": 0}, "max_epochs of at least 1"),
    ],
)
def test_parameters_of_networks_that_make_no_sense_are_refused(kind, params, said):
    with pytest.raises(ConfigError, match=said):
        kind(**params).fit(X)


def test_a_supervised_transformer_gets_the_labels_of_the_training_trials_and_no_other_does():
    assert TransformerEncoder(LDA).needs_labels
    assert not TransformerEncoder(FAST_ICA).needs_labels
    with pytest.raises(ConfigError, match="is supervised: expected the labels"):
        TransformerEncoder(LDA).fit(X)
    assert state(quick(FAST_ICA).fit(X)) == state(quick(FAST_ICA).fit(X, 1 - Y))


def test_a_transformer_of_what_cannot_be_negative_is_given_counts():
    encoder = quick("sklearn.decomposition:NMF").fit(X)
    assert encoder.of_counts_
    direct = encoder.transformer_.transform(X.reshape(-1, 20).astype(float))
    np.testing.assert_allclose(encoder.transform(X).reshape(-1, 3), direct, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sklearn.manifold:TSNE", "has no transform"),
        ("sklearn.decomposition:Nothing", "cannot import the encoder"),
        ("nowhere:Class", "cannot import the encoder"),
        ("sklearn.base:clone", "expected 'sklearn.base:clone' to be the class"),
    ],
)
def test_what_encodes_no_new_trials_or_is_not_there_is_refused(path, said):
    with pytest.raises(ConfigError, match=said):
        registry.make(path)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'autoencoder'"):
        registry.make("autoencodr")


def test_constants_that_a_transformer_does_not_have_are_refused():
    with pytest.raises(ConfigError, match="no parameter 'colour'"):
        registry.make(FAST_ICA, {"colour": 1})
    with pytest.raises(ConfigError, match="cannot be made"):
        registry.make("pca", {"colour": 1})


def test_a_plug_in_is_found_by_its_name_and_cannot_take_a_built_in_one(monkeypatch):
    class Entry:
        name, value = "ica", FAST_ICA

    class Thief(Entry):
        name = "pca"

    monkeypatch.setattr(
        registry, "entry_points", lambda group: [Entry, Thief] if group == "spikesight.encoders" else []
    )
    assert registry.names()[-1] == "ica"
    assert registry.make("ica").path == FAST_ICA
    assert type(registry.make("pca")).__name__ == "PCAEncoder"

"""A decoder behind an encoder: what it sees, what never reaches it, and how it is stored."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from fitted_state import state
from guessing import chance_interval
from quick_decoders import quick as quick_decoder
from spikesight.decoders import registry
from spikesight.decoders.encoded import EncodedDecoder
from spikesight.decoders.storage import load_decoder, save_decoder
from spikesight.encoders import registry as encoders
from spikesight.errors import ConfigError, DecoderError, FileFormatError
from spikesight.evaluation.contenders import encoded_contender
from spikesight.evaluation.folds import run_fold
from test_leakage import (
    LEVEL,
    N_CLASSES,
    SMALL,
    SPLITTER,
    dataset_of,
    states_with_and_without_change,
    through_run_fold,
    tuned_trials,
)

from spikesight.evaluation.folds import as_problem  # isort: skip

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of FastICA

FAST_ICA = "sklearn.decomposition:FastICA"
LDA = "sklearn.discriminant_analysis:LinearDiscriminantAnalysis"
NAMES = encoders.names()
ALL = [*NAMES, FAST_ICA, LDA]
BRIEF = {"max_epochs": 3, "hidden_size": 16}


def brief(encoder):
    return BRIEF if encoder in ("autoencoder", "vae") else {}


def encoded(encoder, decoder="lda", **params):
    return EncodedDecoder(encoders.make(encoder, brief(encoder)), quick_decoder(decoder, **params))


X, Y = SMALL.X, SMALL.y


@pytest.mark.parametrize("encoder", ALL)
@pytest.mark.parametrize(("decoder", "selection"), [("lda", "default"), ("lda", "tuned"), ("mlp", "default")])
def test_other_values_in_the_test_rows_leave_encoder_decoder_and_choice_bit_identical(encoder, decoder, selection):
    entrant = encoded_contender(encoder, decoder, selection, encoder_params=brief(encoder))
    if decoder == "mlp":
        entrant = replace(entrant, estimator=entrant.estimator.set_params(decoder__max_epochs=2))
    for before, after in states_with_and_without_change(entrant, through_run_fold):
        assert before == after


def test_the_proof_sees_an_encoder_that_was_fitted_to_all_trials():
    def fit_everything(entrant, problem, fold, train, test):
        return state(clone(entrant.estimator.encoder).fit(problem.X))

    entrant = encoded_contender("pca", "lda", "default")
    assert any(before != after for before, after in states_with_and_without_change(entrant, fit_everything))


def accuracy(encoder, labels, decoder="lda"):
    counts, _, blocks = tuned_trials(3, n_bins=1)
    problem = as_problem(dataset_of(counts, labels, blocks))
    entrant = encoded_contender(
        encoder, decoder, "default", encoder_params={"max_epochs": 15} if brief(encoder) else {}
    )
    parts = [
        run_fold(entrant, problem, SPLITTER, fold, rows, 0)[2] for fold, rows in enumerate(problem.folds(SPLITTER))
    ]
    right = np.concatenate([part["correct"].to_numpy() for part in parts])
    return right.mean(), chance_interval(len(right), 1 / N_CLASSES, LEVEL)


@pytest.mark.parametrize("encoder", ALL)
def test_shuffled_labels_decode_at_chance_and_true_ones_far_above(encoder):
    labels = tuned_trials(3, n_bins=1)[1]
    reached, (low, high) = accuracy(encoder, np.random.default_rng(4).permutation(labels))
    assert low <= reached <= high
    assert accuracy(encoder, labels)[0] > 0.6


def test_the_decoder_sees_the_z_scored_components():
    decoder = encoded("pca", "logistic").fit(X, Y)
    components = decoder.encoder_.transform(X)
    expected = ((components - components.mean(axis=0)) / components.std(axis=0)).reshape(len(X), -1)
    rows = decoder.decoder_._columns(decoder._encoded(X), float)
    seen = (rows - decoder.decoder_.mean_) / decoder.decoder_.scale_
    np.testing.assert_allclose(seen, expected, atol=1e-9)


def test_all_components_of_a_rotation_decode_as_all_units_do():
    """A linear decoder with a penalty that knows no axes is blind to a rotation; whitening is what is left of PCA."""
    counts, labels, _ = tuned_trials(1, n_bins=1)
    bare = registry.make("lda", shrinkage=0.0).fit(counts[:160], labels[:160])
    behind = EncodedDecoder(encoders.make("pca"), registry.make("lda", shrinkage=0.0)).fit(counts[:160], labels[:160])
    np.testing.assert_array_equal(behind.predict(counts[160:]), bare.predict(counts[160:]))


def test_every_trial_beyond_the_training_trials_is_still_a_count():
    decoder = encoded("pca").fit(X, Y)
    for odd in (np.zeros_like(X), np.full_like(X, 60000)):
        assert (decoder._encoded(odd) >= 0).all()
        assert np.isfinite(decoder.predict_proba(odd)).all()


@pytest.mark.parametrize("decoder", ["gcn", "st-gat", "poisson-bayes", "chance"])
def test_decoders_that_make_no_sense_behind_an_encoder_are_refused(decoder):
    with pytest.raises(ConfigError, match="cannot stand behind an encoder"):
        encoded("pca", decoder).fit(X, Y)


def test_an_ensemble_is_taken_unless_a_member_makes_no_sense():
    encoded("pca", "ensemble", members=("lda", "ridge")).fit(X, Y)
    with pytest.raises(ConfigError, match="of its members, gcn cannot"):
        encoded("pca", "ensemble", members=("lda", "gcn")).fit(X, Y)


def test_a_decoder_behind_an_encoder_has_probabilities_where_it_has_them_alone():
    assert hasattr(encoded("pca", "lda").fit(X, Y), "predict_proba")
    ridge = encoded("pca", "ridge").fit(X, Y)
    assert not hasattr(ridge, "predict_proba")
    assert ridge.decision_function(X).shape == (len(X), N_CLASSES)


@parametrize_with_checks([encoded("pca", "lda"), encoded("pca", "ridge")])
def test_an_encoded_decoder_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("encoder", NAMES)
@pytest.mark.parametrize("decoder", ["fa-lda", "mlp", "ensemble"])
def test_a_stored_encoded_decoder_predicts_bit_for_bit_what_it_predicted(encoder, decoder, tmp_path):
    members = {"members": ("lda", ("mlp", {"max_epochs": 2}))} if decoder == "ensemble" else {}
    fitted = encoded(encoder, decoder, **members).fit(X, Y)
    save_decoder(fitted, tmp_path / "stored", unit_ids=np.arange(X.shape[2]), meta={"session": "a"})
    loaded, meta = load_decoder(tmp_path / "stored")
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert (meta["session"], meta["unit_ids"]) == ("a", list(range(X.shape[2])))
    assert state(loaded.encoder_) == state(fitted.encoder_)
    assert clone(loaded).fit(X, Y).predict(X).tolist() == fitted.predict(X).tolist()


def test_an_encoder_that_is_named_by_its_path_is_not_stored(tmp_path):
    with pytest.raises(DecoderError, match="only encoders that spikesight has by name"):
        save_decoder(encoded(FAST_ICA).fit(X, Y), tmp_path / "stored", unit_ids=np.arange(X.shape[2]), meta={})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def stored(tmp_path):
    save_decoder(encoded("vae").fit(X, Y), tmp_path / "stored", unit_ids=np.arange(X.shape[2]), meta={})
    return tmp_path / "stored"


def test_a_stored_encoder_that_is_damaged_is_refused(stored):
    for name in ("encoder.json", "arrays.npz", "network.safetensors"):
        file = stored / "encoder_" / name
        kept = file.read_bytes()
        file.write_bytes(kept[: len(kept) // 2])
        with pytest.raises(FileFormatError):
            load_decoder(stored)
        file.unlink()
        with pytest.raises(FileFormatError):
            load_decoder(stored)
        file.write_bytes(kept)
    load_decoder(stored)


def test_a_file_cannot_name_a_class_to_be_imported_as_an_encoder(stored):
    file = stored / "decoder.json"
    file.write_text(file.read_text().replace('"encoder": "vae"', '"encoder": "os:system"'))
    with pytest.raises(FileFormatError, match="describes no parameter"):
        load_decoder(stored)

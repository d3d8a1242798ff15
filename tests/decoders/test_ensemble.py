import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from spikesight.decoders import registry
from spikesight.decoders.ensemble import Ensemble
from spikesight.decoders.registry import DecoderSpec
from spikesight.decoders.storage import DESCRIPTION, load_decoder, save_decoder
from spikesight.errors import ConfigError, DecoderError, FileFormatError, UnknownNameError


def trials(n_trials=240, n_units=10, n_classes=4, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([rng.permutation(n_classes) for _ in range(n_trials // n_classes)])
    rates = 2 * np.exp(strength * np.random.default_rng(99).normal(size=(n_classes, n_units)))
    return rng.poisson(rates[y]).astype(np.uint8), y


def log_loss(decoder, X, y):
    return -np.log(decoder.predict_proba(X)[np.arange(len(y)), y]).mean()


class Known(ClassifierMixin, BaseEstimator):
    """Gives every trial the same probabilities, and says that they are calibrated."""

    calibrate = True

    def __init__(self, first=0.5):
        self.first = first

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.tile([self.first, 1 - self.first], (len(X), 1))


class Guess(Known):
    """The same, and says nothing of calibration."""

    calibrate = False


class Scores(ClassifierMixin, BaseEstimator):
    """Scores of two classes in scikit-learn's form, one number a trial."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return np.asarray(X, float)[:, 0, 0] - 5


@pytest.fixture(autouse=True)
def known_decoders():
    for name, cls in (("known", Known), ("guess", Guess), ("scores", Scores)):
        registry.register(name, DecoderSpec(f"{__name__}:{cls.__name__}", "for tests"))
    yield
    for name in ("known", "guess", "scores"):
        registry.unregister(name)


# ---------------------------------------------------------------- average


def test_two_known_probabilities_are_averaged():
    decoder = Ensemble((("known", {"first": 0.9}), ("known", {"first": 0.2}))).fit([[1], [2]], ["a", "b"])
    np.testing.assert_allclose(decoder.predict_proba([[7], [8]]), [[0.55, 0.45], [0.55, 0.45]])
    assert decoder.predict([[7]]).tolist() == ["a"]
    assert decoder.weights_.tolist() == [1, 1]


def test_an_ensemble_of_one_calibrated_decoder_is_that_decoder():
    X, y = trials()
    alone = registry.make("fa-lda").fit(X, y)
    decoder = Ensemble(("fa-lda",)).fit(X, y)
    np.testing.assert_allclose(decoder.predict_proba(X), alone.predict_proba(X), rtol=1e-9)
    np.testing.assert_array_equal(decoder.predict(X), alone.predict(X))


def test_a_constant_guess_is_calibrated_to_what_held_out_trials_show():
    """Two classes, three trials of the first to one of the second, a member that says 9:1: log-odds shrink to 3:1."""
    y = np.tile([0, 0, 1, 0], 100)
    decoder = Ensemble((("guess", {"first": 0.9}),)).fit(np.ones((400, 1)), y)
    np.testing.assert_allclose(decoder.weights_, np.log(3) / np.log(9), rtol=1e-3)
    np.testing.assert_allclose(decoder.predict_proba([[1]]), [[0.75, 0.25]], rtol=1e-3)


@pytest.mark.parametrize("name", ["svc-linear", "ridge", "lda", "poisson-bayes"])
def test_calibration_lowers_the_log_loss_of_scores_and_of_probabilities_that_are_too_certain(name):
    X, y = trials(n_units=60, strength=0.1)
    new, truth = trials(n_units=60, strength=0.1, seed=1)
    decoder = Ensemble((name,)).fit(X, y)
    calibrated = log_loss(decoder, new, truth)
    decoder.weights_ = np.ones(1)
    assert calibrated < log_loss(decoder, new, truth)
    np.testing.assert_array_equal(decoder.predict(new), decoder.members_[0].predict(new))


def test_scores_of_two_classes_are_those_of_the_second():
    decoder = Ensemble(("scores",)).fit([[1], [9]] * 10, [0, 1] * 10)
    assert decoder.predict([[0], [20]]).tolist() == [0, 1]


# ---------------------------------------------------------------- product


def test_a_product_is_not_moved_by_a_decoder_that_knows_nothing():
    X, y = trials()
    X, y = X[y < 2], y[y < 2]
    decoder = Ensemble(("poisson-bayes", "known"), combine="product").fit(X, y)
    assert decoder.weights_[0] > 0.1
    np.testing.assert_array_equal(decoder.predict(X), registry.make("poisson-bayes").fit(X, y).predict(X))


def test_a_product_multiplies_powers_of_probabilities():
    members = (("known", {"first": 0.9}), ("known", {"first": 0.2}))
    decoder = Ensemble(members, combine="product").fit([[1], [2]], [0, 1])
    decoder.weights_ = np.array([1.0, 0.5])
    odds = 9 * np.sqrt(0.25)
    np.testing.assert_allclose(decoder.predict_proba([[7]]), [[odds / (1 + odds), 1 / (1 + odds)]])


# ---------------------------------------------------------------- members


def test_members_take_the_seed_of_the_ensemble_unless_they_have_their_own():
    X, y = trials()
    members = ("lda", "fa-lda", ("fa-lda", {"random_state": 3, "q": 2}))
    decoder = Ensemble(members, random_state=7).fit(X, y)
    assert [getattr(member, "random_state", None) for member in decoder.members_] == [None, 7, 3]
    assert decoder.members_[2].q == 2


@pytest.mark.parametrize("combine", ["average", "product"])
def test_two_fits_agree_to_the_last_bit_and_members_stay_as_they_were(combine):
    X, y = trials()
    decoder = Ensemble(("lda", ("fa-lda", {"q": 2})), combine=combine)
    first = decoder.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clone(decoder).fit(X, y).predict_proba(X), first)
    assert decoder.members == ("lda", ("fa-lda", {"q": 2}))


def test_other_trials_do_not_change_the_answer_to_a_trial():
    X, y = trials()
    decoder = Ensemble(("lda", "svc-linear")).fit(X, y)
    np.testing.assert_allclose(decoder.predict_proba(X[:7]), decoder.predict_proba(X)[:7], rtol=1e-12)


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        (("fa-ldda",), UnknownNameError, "Did you mean 'fa-lda'"),
        (("ensemble",), ConfigError, "an ensemble is no member of an ensemble"),
        ((("fa-lda", {"Q": 3}),), ConfigError, "'fa-lda' has no parameter 'Q'. It has: q, "),
        ((), ConfigError, "names of one or more decoders"),
        ("fa-lda", ConfigError, "names of one or more decoders.*'fa-lda'"),
        ((3,), ConfigError, "pair of name and parameters.*3"),
        ((("fa-lda", 3),), ConfigError, "pair of name and parameters"),
    ],
)
def test_members_that_are_none_are_refused_when_fitting(members, error, message):
    X, y = trials()
    decoder = Ensemble(members)
    with pytest.raises(error, match=message):
        decoder.fit(X, y)


def test_an_unknown_way_to_combine_is_refused():
    X, y = trials()
    with pytest.raises(ConfigError, match="'average' or 'product', got 'vote'"):
        Ensemble(combine="vote").fit(X, y)


# ---------------------------------------------------------------- storage

MEMBERS = ("svc-linear", ("fa-lda", {"q": 3}), ("mlp", {"max_epochs": 1, "hidden_size": 4}))


@pytest.fixture
def stored(tmp_path):
    X, y = trials()
    save_decoder(Ensemble(MEMBERS).fit(X, y), tmp_path / "d", unit_ids=np.arange(10), meta={"session": 3})
    return tmp_path / "d"


def test_a_stored_ensemble_answers_bit_for_bit_as_before(stored):
    X, y = trials()
    loaded, meta = load_decoder(stored)
    assert loaded.get_params() == Ensemble(MEMBERS).get_params()
    assert meta == {"session": 3, "unit_ids": list(range(10))}
    np.testing.assert_array_equal(loaded.predict_proba(X), Ensemble(MEMBERS).fit(X, y).predict_proba(X))


def test_a_stored_ensemble_without_a_member_is_refused(stored):
    (stored / "members_1" / DESCRIPTION).unlink()
    with pytest.raises(FileFormatError, match="members_1"):
        load_decoder(stored)


def test_a_stored_ensemble_within_itself_is_refused(stored):
    (stored / "members_1").rename(stored.parent / "elsewhere")
    (stored / "members_1").symlink_to(stored)
    with pytest.raises(FileFormatError, match="no members of a stored ensemble"):
        load_decoder(stored)


def test_a_stored_ensemble_whose_members_are_no_list_is_refused(stored):
    described = json.loads((stored / DESCRIPTION).read_text())
    described["params"]["members"] = 5
    (stored / DESCRIPTION).write_text(json.dumps(described))
    with pytest.raises(FileFormatError, match="no members of a stored ensemble"):
        load_decoder(stored)


def test_a_member_that_cannot_be_stored_leaves_nothing_behind(tmp_path):
    X, y = trials()
    decoder = Ensemble(("lda",)).fit(X, y)
    decoder.members_[0].odd_ = object()
    with pytest.raises(DecoderError, match="odd_"):
        save_decoder(decoder, tmp_path / "d", unit_ids=np.arange(10), meta={})
    assert list(tmp_path.iterdir()) == []

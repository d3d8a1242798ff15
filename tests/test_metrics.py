"""Metrics: small literal cases, scikit-learn as the oracle, and what has no answer."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score
from sklearn.svm import SVC, LinearSVC

from spikesight.errors import DataError, DecoderError, UnknownNameError
from spikesight.metrics import (
    METRICS,
    accuracy,
    balanced_accuracy,
    chance_level,
    class_scores,
    in_top,
    score,
    scorer,
    top5_accuracy,
)


def test_accuracy_counts_decoded_trials():
    assert accuracy(["a", "b", "b", "a"], ["a", "b", "a", "b"]) == 0.5


def test_balanced_accuracy_weighs_classes_alike_however_rare():
    assert balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0]) == 0.5


def test_balanced_accuracy_ignores_predicted_classes_that_were_not_shown():
    assert balanced_accuracy([0, 0, 1, 1], [0, 7, 1, 7]) == 0.5


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=50))
def test_balanced_accuracy_is_scikit_learns(pairs):
    true, predicted = map(list, zip(*pairs, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert balanced_accuracy(true, predicted) == pytest.approx(balanced_accuracy_score(true, predicted))


def test_in_top_finds_the_label_among_the_best_scores():
    scores = [[0.1, 0.5, 0.3, 0.1], [0.4, 0.3, 0.2, 0.1]]
    assert in_top(["c", "c"], scores, ["a", "b", "c", "d"], k=2).tolist() == [True, False]


def test_in_top_takes_the_earlier_column_of_equal_scores():
    assert in_top([0, 1, 2], np.zeros((3, 3)), [0, 1, 2], k=2).tolist() == [True, True, False]


def test_in_top_never_holds_a_class_that_was_not_trained_on():
    scores = np.tile([0.9, 0.1], (3, 1))
    assert in_top([0, 5, 9], scores, [0, 9], k=2).tolist() == [True, False, True]


@given(st.integers(0, 10_000))
def test_top5_accuracy_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    y, scores = rng.integers(0, 9, 40), rng.normal(size=(40, 9))
    ours = top5_accuracy(y, scores, np.arange(9))
    assert ours == pytest.approx(top_k_accuracy_score(y, scores, k=5, labels=np.arange(9)))


def test_top5_accuracy_is_nan_without_scores_or_where_it_says_nothing():
    assert np.isnan(top5_accuracy([0, 1], None, np.arange(9)))
    assert np.isnan(top5_accuracy([0, 1], np.eye(2, 5), np.arange(5)))
    assert top5_accuracy([0, 1], np.eye(2, 6), np.arange(6)) == 1.0


def test_score_gives_every_metric_by_name():
    result = score([0, 1], [0, 0], None, [0, 1])
    assert set(result) == set(METRICS) == {"accuracy", "balanced_accuracy", "top5_accuracy"}
    assert (result["accuracy"], result["balanced_accuracy"]) == (0.5, 0.5)


def test_chance_level_is_the_share_of_the_most_frequent_label():
    assert chance_level([3, 1, 3, 2]) == 0.5
    assert chance_level(np.repeat(np.arange(119), 50)) == pytest.approx(1 / 119)


@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=1000), LinearSVC(), SVC()])
def test_class_scores_have_a_column_per_class_and_agree_with_the_prediction(estimator, n_classes):
    rng = np.random.default_rng(0)
    y = np.arange(70) % n_classes
    X = rng.normal(size=(70, 3)) + y[:, None]
    estimator.fit(X, y)
    scores = class_scores(estimator, X)
    assert scores.shape == (70, n_classes)
    assert (estimator.classes_[scores.argmax(axis=1)] == estimator.predict(X)).mean() > 0.95


def test_class_scores_are_none_for_a_decoder_without_any():
    class Silent:
        classes_ = np.array([0, 1])

    assert class_scores(Silent(), np.zeros((3, 1))) is None


@pytest.mark.parametrize("name", list(METRICS))
def test_scorers_score_a_fitted_estimator(name):
    y = np.arange(28) % 7
    X = np.eye(7)[y]
    fitted = LogisticRegression(C=100).fit(X, y)
    assert scorer(name)(fitted, X, y) == 1.0
    assert scorer(name)(DummyClassifier().fit(X, y), X, y) < 1


def test_scorer_offers_the_nearest_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'accuracy'"):
        scorer("acuracy")


def test_scores_of_the_wrong_shape_or_nan_are_refused():
    with pytest.raises(DecoderError, match=r"expected scores of shape \(2, 3\)"):
        in_top([0, 1], np.zeros((2, 4)), [0, 1, 2])
    with pytest.raises(DecoderError, match="without NaN; 1 of 2 rows"):
        in_top([0, 1], [[0, np.nan], [0, 1]], [0, 1])


@pytest.mark.parametrize(("true", "predicted"), [([0, 1], [0]), ([], []), ([[0]], [[0]])])
def test_labels_and_predictions_must_pair(true, predicted):
    with pytest.raises(DataError, match="one prediction per label"):
        accuracy(true, predicted)


def test_chance_level_needs_a_trial():
    with pytest.raises(DataError, match="at least one trial"):
        chance_level([])

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline

from spikesight.decoders.lda import ShrinkageLDA
from spikesight.decoders.linear import Logistic, PCALogistic, Ridge
from spikesight.preprocessing import FlattenTrials, SqrtCounts, ZScoreUnits


@pytest.fixture(params=[2, 5], ids=["two classes", "five classes"])
def trials(request):
    rng = np.random.default_rng(0)
    y = np.arange(100) % request.param
    X = rng.poisson(rng.gamma(1, 3, (request.param, 2, 8))[y])
    return X[:80], y[:80], X[80:], y[80:]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Logistic(C=0.1), LogisticRegression(C=0.1, max_iter=500)),
        (Ridge(alpha=30), RidgeClassifier(alpha=30)),
        (ShrinkageLDA(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
        (ShrinkageLDA(shrinkage=0.3), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)),
        (
            PCALogistic(n_components=4, C=0.1),
            make_pipeline(PCA(4, svd_solver="full"), LogisticRegression(C=0.1, max_iter=500)),
        ),
    ],
    ids=["logistic", "ridge", "lda auto", "lda", "pca-logistic"],
)
def test_a_linear_decoder_is_scikit_learns_behind_our_scaling(ours, theirs, trials):
    X, y, new, _ = trials
    pipeline = make_pipeline(SqrtCounts(), ZScoreUnits(), FlattenTrials(), theirs).fit(X, y)
    ours.fit(X, y)
    np.testing.assert_array_equal(ours.predict(new), pipeline.predict(new))
    if hasattr(ours, "predict_proba"):
        np.testing.assert_allclose(ours.predict_proba(new), pipeline.predict_proba(new), atol=1e-5)
    else:
        np.testing.assert_allclose(ours.decision_function(new), pipeline.decision_function(new))


def test_components_are_at_most_those_that_the_trials_have(trials):
    X, y, _, _ = trials
    assert PCALogistic(n_components=1000).fit(X, y).components_.shape == (16, 16)
    assert PCALogistic(n_components=1000).fit(X[:10], y[:10]).components_.shape == (9, 16)
    with pytest.raises(ValueError, match="n_components=0"):
        PCALogistic(n_components=0).fit(X, y)


def test_many_features_go_through_a_seeded_randomised_svd():
    rng = np.random.default_rng(0)
    X, y = rng.poisson(2, (30, 3100)), np.arange(30) % 2
    first, second = (PCALogistic(n_components=5, random_state=seed).fit(X, y) for seed in (0, 0))
    np.testing.assert_array_equal(first.coef_, second.coef_)
    assert not np.array_equal(PCALogistic(n_components=5, random_state=1).fit(X, y).coef_, first.coef_)


def test_a_fit_that_was_given_up_says_so(trials):
    X, y, _, _ = trials
    assert Logistic().fit(X, y).converged_
    given_up = Logistic(C=1e6, max_iter=1).fit(X, y)
    assert not given_up.converged_
    assert given_up.n_iter_ == 1

import numpy as np
import pytest
from sklearn.svm import SVC

from spikesight.decoders.svc import LinearSVC, PolynomialSVC, RadialSVC
from spikesight.preprocessing import ZScoreUnits, anscombe

N_FEATURES = 16


@pytest.mark.parametrize("n_classes", [2, 3, 12])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LinearSVC(C=0.02), {"kernel": "linear", "C": 0.02}),
        (
            PolynomialSVC(C=0.5, degree=3, gamma=2.0),
            {"kernel": "poly", "C": 0.5, "degree": 3, "gamma": 2.0 / N_FEATURES, "coef0": 1.0},
        ),
        (RadialSVC(C=3.0, gamma=0.5), {"kernel": "rbf", "C": 3.0, "gamma": 0.5 / N_FEATURES}),
    ],
    ids=["linear", "poly", "rbf"],
)
def test_decisions_are_those_of_libsvm(ours, theirs, n_classes):
    rng = np.random.default_rng(n_classes)
    y = rng.permutation(np.arange(180) % n_classes)
    X = rng.poisson(rng.gamma(1, 1, (n_classes, 2, 8))[y])
    train, test = np.arange(120), np.arange(120, 180)
    z = ZScoreUnits().fit(anscombe(X[train]))
    Z = z.transform(anscombe(X)).reshape(len(X), -1)
    reference = SVC(**theirs, break_ties=n_classes > 2).fit(Z[train], y[train])
    ours.fit(X[train], y[train])
    np.testing.assert_array_equal(ours.predict(X[test]), reference.predict(Z[test]))
    np.testing.assert_allclose(ours.decision_function(X[test]), reference.decision_function(Z[test]), atol=1e-9)

"""Real sessions: 81 positions of a gabor, five contiguous folds with a gap of ten trials."""

import numpy as np
import pytest

from spikesight.data.arrays import to_arrays
from spikesight.data.counts import read_counts
from spikesight.decoders import registry
from spikesight.splits import BlockKFold

FIRST_MEASUREMENTS = {
    754829445: {
        "logistic C=1": 27.6,
        "logistic C=0.003": 29.3,
        "pca-logistic": 26.0,
        "svc-linear": 31.7,
        "lda": 36.1,
        "fa-lda": 40.5,
    },
    786091066: {
        "logistic C=1": 43.3,
        "logistic C=0.003": 46.3,
        "pca-logistic": 41.8,
        "svc-linear": 51.9,
        "lda": 55.6,
        "fa-lda": 58.6,
    },
    762602078: {"logistic C=1": 28.5, "pca-logistic": 27.3, "svc-linear": 33.4, "lda": 36.7, "fa-lda": 37.6},
    754312389: {"logistic C=1": 36.6, "pca-logistic": 34.3, "svc-linear": 40.3, "lda": 44.8, "fa-lda": 47.5},
}
"""Percent correct of a first form, floors for every later one."""
TOLERANCE = 0.5


def decode(recordings, session, make):
    """Return whether each trial was decoded, the probabilities of all classes (if any) and that of the true one."""
    X, y, groups = to_arrays(read_counts(recordings / "allen-npx-gabors" / f"session_{session}.npz", target="position"))
    correct, proba = np.zeros(len(y), bool), np.full((len(y), len(np.unique(y))), np.nan)
    for train, test in BlockKFold(n_splits=5, gap=10).split(X, y, groups):
        decoder = make().fit(X[train], y[train])
        correct[test] = decoder.predict(X[test]) == y[test]
        if hasattr(decoder, "predict_proba"):
            proba[test] = decoder.predict_proba(X[test])
    _, codes = np.unique(y, return_inverse=True)
    return correct, proba.max(axis=1), proba[np.arange(len(y)), codes]


def make_named(text):
    name, _, option = text.partition(" ")
    key, _, value = option.partition("=")
    return registry.make(name, **({key: float(value)} if key else {}))


def test_the_default_decoder_keeps_its_accuracy_and_means_its_probabilities(recordings):
    correct, confidence, _ = decode(recordings, 754829445, lambda: registry.make("fa-lda"))
    assert 100 * correct.mean() > 45.0
    assert abs(confidence.mean() - correct.mean()) < 0.05
    for low, high in ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)):
        inside = (confidence >= low) & (confidence < high)
        assert abs(confidence[inside].mean() - correct[inside].mean()) < 0.13


@pytest.mark.slow
@pytest.mark.parametrize(
    ("session", "name", "floor"),
    [(session, name, floor) for session, floors in FIRST_MEASUREMENTS.items() for name, floor in floors.items()],
)
def test_accuracy_on_a_real_session_is_not_below_the_first_measurement(recordings, session, name, floor):
    correct, _, _ = decode(recordings, session, lambda: make_named(name))
    assert 100 * correct.mean() >= floor - TOLERANCE


@pytest.mark.slow
def test_calibration_lowers_the_log_loss_of_real_trials(recordings):
    loss = {}
    for calibrate in (True, False):
        _, _, of_truth = decode(recordings, 786091066, lambda c=calibrate: registry.make("fa-lda", calibrate=c))
        loss[calibrate] = -np.log(of_truth).mean()
    assert loss[True] < 0.6 * loss[False]
    assert loss[True] < 1.25

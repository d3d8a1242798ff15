import numpy as np
import pytest
from dense_glm import BIN, dense_design, regression
from hypothesis import given, settings
from hypothesis import strategies as st

from coupled_units import independent, recording
from spikesight.connectivity.glm_design import history_terms, make_design, make_regression, smooth_response
from spikesight.connectivity.spike_trains import read_trains


def test_history_terms_are_steps_over_doubling_lags():
    terms = history_terms(0.010, BIN)

    assert terms.tolist() == [0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4]
    assert history_terms(0.0, BIN).tolist() == [0]
    assert history_terms(0.025, 0.010).tolist() == [0, 0, 1]


def test_rows_of_two_segments_written_out():
    counts = np.array([[1, 0], [0, 2], [1, 0], [0, 1], [1, 0], [0, 1]], np.uint8)  # source, target
    problem, _ = regression(recording(counts, BIN, [3, 3]), 1, 1.0, lags=np.arange(1, 2), history=0.002)

    # Rows are bins 1, 2 and, in the second segment, 4, 5; columns: source one bin ago, own one bin, own two bins ago
    listed = [sorted(problem.column[a:b]) for a, b in zip(problem.first[:-1], problem.first[1:], strict=True)]
    assert listed == [[0], [1, 1], [1], [0, 2]]
    assert problem.observed.tolist() == [2 + 1, 0, 1, 3]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    mean=st.sampled_from([0.05, 0.4, 2.0]),
    lags=st.sampled_from([(1, 1), (1, 3), (2, 4)]),
    history=st.integers(0, 9),
    periods=st.lists(st.integers(1, 30), min_size=1, max_size=4),
)
def test_sparse_rows_are_those_of_a_dense_design(seed, mean, lags, history, periods):
    counts = independent(sum(periods) + 12, 3, mean, seed)
    counts[10] = 1
    trains = read_trains(recording(counts, BIN, [*periods, 12]))
    lags = np.arange(lags[0], lags[1] + 1)
    X, bins = dense_design(trains, 1, lags, history)
    if trains.counts[1, bins].sum() == 0:
        return

    problem = make_regression(make_design(trains, lags, history * BIN, None, False), 1, 1.0)

    dense = np.zeros_like(X)
    np.add.at(dense, (np.repeat(np.arange(len(X)), np.diff(problem.first)), problem.column), 1.0)
    dense[:, -1] = 1
    np.testing.assert_array_equal(dense, X)
    np.testing.assert_array_equal(problem.observed, X.T @ trains.counts[1, bins])


def test_response_of_noise_alone_is_flat_and_a_strong_one_is_kept():
    rng = np.random.default_rng(12)
    repeats = np.full(5, 50)
    rate = np.where(np.arange(300) < 150, 0.05, 0.005)

    seen = rng.poisson(rate * 50, (5, 300)) / 50

    seen = rng.poisson(rate * 50, (5, 300)) / 50

    noise = smooth_response(rng.poisson(0.02 * 50, (5, 300)) / 50, repeats, BIN)
    strong = smooth_response(seen, repeats, BIN)
    silent = smooth_response(100.0 * np.eye(5, 300), repeats, BIN)

    assert np.abs(noise - 1).max() < 0.4
    assert strong[:, 20:130].mean() == pytest.approx(seen[:, 20:130].mean() / seen.mean(), rel=0.05)
    assert strong[:, 170:].mean() == pytest.approx(seen[:, 170:].mean() / seen.mean(), rel=0.05)
    assert silent.min() > 0


def test_sharp_response_stays_sharp():
    rate = np.full((5, 300), 0.01)
    rate[:, 100:108] = 0.2

    response = smooth_response(np.random.default_rng(16).poisson(rate * 200) / 200, np.full(5, 200), BIN)

    assert response[:, 102:106].mean() > 0.9 * 0.2 / rate.mean()
    assert response[:, 118:].mean() == pytest.approx(0.01 / rate.mean(), rel=0.1)

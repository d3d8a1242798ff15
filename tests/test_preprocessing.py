import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.pipeline import make_pipeline

from spikesight.preprocessing import FlattenTrials, SqrtCounts, ZScoreUnits

COUNTS = arrays(np.uint8, st.tuples(st.integers(2, 6), st.integers(1, 3), st.integers(1, 4)))


def test_square_root_counts_are_anscombes():
    np.testing.assert_allclose(SqrtCounts().fit_transform([[0], [1], [3]]), np.sqrt([[0.375], [1.375], [3.375]]))


def test_square_root_counts_of_poisson_counts_have_a_variance_of_a_quarter_at_any_rate():
    rates = np.array([4, 20, 200])
    counts = np.random.default_rng(0).poisson(rates, size=(20_000, 3))
    np.testing.assert_allclose(SqrtCounts().fit_transform(counts).var(axis=0), 0.25, rtol=0.05)


def test_z_scores_are_of_the_training_trials():
    z = ZScoreUnits().fit([[1.0], [3.0]])
    np.testing.assert_allclose(z.transform([[1.0], [3.0], [7.0]]), [[-1.0], [1.0], [5.0]])


def test_a_unit_silent_in_training_is_divided_by_the_floor():
    z = ZScoreUnits(floor=0.5).fit(np.zeros((4, 1)))
    np.testing.assert_allclose(z.transform([[1.0]]), [[2.0]])


@pytest.mark.parametrize("floor", [0.0, -1.0, np.nan])
def test_a_floor_that_is_none_is_refused(floor):
    with pytest.raises(ValueError, match="floor of a standard deviation must be positive"):
        ZScoreUnits(floor=floor).fit(np.ones((3, 2)))


def test_flat_trials_begin_with_the_first_bin_of_all_units():
    X = np.arange(12).reshape(2, 2, 3)
    np.testing.assert_array_equal(FlattenTrials().fit_transform(X), [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])


@given(COUNTS)
def test_three_dimensions_go_in_and_come_out(X):
    pipeline = make_pipeline(SqrtCounts(), ZScoreUnits())
    Z = pipeline.fit_transform(X)
    assert Z.shape == X.shape
    flat = make_pipeline(SqrtCounts(), ZScoreUnits()).fit_transform(X.reshape(len(X), -1))
    np.testing.assert_array_equal(Z.reshape(len(X), -1), flat)


@given(COUNTS)
def test_z_scores_are_centred_and_at_most_of_variance_one(X):
    Z = ZScoreUnits().fit_transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0.0, atol=1e-9)
    assert (Z.std(axis=0) < 1 + 1e-9).all()


@pytest.mark.parametrize("transformer", [SqrtCounts(), ZScoreUnits(), FlattenTrials()])
def test_trials_of_another_shape_are_refused(transformer):
    transformer.fit(np.ones((4, 2, 3)))
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        transformer.transform(np.ones((4, 3, 2)))


def test_negative_counts_have_no_square_root():
    with pytest.raises(ValueError, match="Negative values"):
        SqrtCounts().fit([[-1.0]])

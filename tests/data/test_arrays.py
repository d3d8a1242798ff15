from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from spikesight.data.arrays import to_arrays
from spikesight.data.dataset import make_dataset
from spikesight.errors import DataError
from spikesight.schema import DIMS


def make(counts, target=None):
    n = len(counts)
    trials = pd.DataFrame(
        {
            "start_time": np.arange(n) * 1.0,
            "stop_time": np.arange(n) + 1.0,
            "stimulus_block": np.arange(n) // 2,
            "repeat": 0,
            "target": np.arange(n) % 3 if target is None else target,
        },
        index=pd.Index(np.arange(n) + 100),
    )
    units = pd.DataFrame({"area": "VISp"}, index=pd.Index(np.arange(counts.shape[2]) + 7))
    return make_dataset(counts, np.arange(counts.shape[1]) / 10, trials, units, {})


def test_to_arrays_gives_counts_labels_and_blocks():
    counts = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)

    X, y, groups = to_arrays(make(counts, target=["a", "b", "a"]))

    assert X.tolist() == counts.tolist()
    assert y.tolist() == ["a", "b", "a"]
    assert groups.tolist() == [0, 0, 1]


@pytest.mark.parametrize("dims", list(permutations(DIMS)))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_to_arrays_goes_by_the_names_of_dimensions_not_their_order(dims, dtype):
    counts = np.random.default_rng(0).integers(0, 200, (70, 3, 130)).astype(dtype)

    X = to_arrays(make(counts).transpose(*dims)).X

    np.testing.assert_array_equal(X, counts)
    assert X.dtype == dtype
    assert X.flags.c_contiguous


@pytest.mark.parametrize("shape", [(1, 1, 1), (64, 1, 64), (65, 1, 63), (5000, 2, 3), (3, 2, 300)])
def test_to_arrays_lays_out_by_trial_what_is_stored_by_unit(shape):
    n_trials, n_bins, n_units = shape
    stored = np.random.default_rng(0).integers(0, 256, (n_units, n_trials, n_bins), np.uint8)

    X = to_arrays(make(stored.transpose(1, 2, 0))).X

    np.testing.assert_array_equal(X, stored.transpose(1, 2, 0))
    assert X.flags.c_contiguous


def test_to_arrays_follows_a_selection_of_trials_and_units():
    counts = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)

    arrays = to_arrays(make(counts).isel(trial=[4, 1], unit=[False, True, True, False]))

    assert arrays.X.tolist() == counts[[4, 1]][:, :, 1:3].tolist()
    assert arrays.y.tolist() == [1, 1]
    assert arrays.groups.tolist() == [2, 0]


def test_to_arrays_refuses_a_dataset_without_labels():
    with pytest.raises(DataError, match="target"):
        to_arrays(make(np.ones((2, 1, 1), np.uint8)).drop_vars("target"))

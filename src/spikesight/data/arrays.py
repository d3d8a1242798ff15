"""From a dataset with names to plain arrays: the only place where dimension names are left behind."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.count_kernels import in_threads, transpose_rows
from spikesight.schema import BLOCK, DIMS, SPIKE_COUNTS, TARGET, validate_dataset

_ROWS_PER_SHARE = 4096


class Arrays(NamedTuple):
    """What an estimator takes.

    Attributes
    ----------
    X
        Spike counts, shape (n_trials, n_bins, n_units), C-contiguous, in the dtype in which they are stored.
    y
        Labels, shape (n_trials,).
    groups
        Stimulus block of each trial, shape (n_trials,).
    """

    X: NDArray[np.integer]
    y: NDArray[Any]
    groups: NDArray[np.integer]


def to_arrays(dataset: xr.Dataset) -> Arrays:
    """Give the spike counts, labels and blocks of a dataset, whatever the order of its dimensions.

    ``X`` shares memory with the dataset where that is in order already.

    Raises
    ------
    DataError
        If it is not a dataset of binned trials.
    """
    validate_dataset(dataset)
    counts = dataset[SPIKE_COUNTS].transpose(*DIMS).to_numpy()
    return Arrays(_c_order(counts), dataset[TARGET].to_numpy(), dataset[BLOCK].to_numpy())


def _c_order(counts: NDArray[np.integer]) -> NDArray[np.integer]:
    """Lay counts out trial by trial; binning leaves them unit by unit, which numpy alone turns round slowly."""
    by_unit = counts.transpose(2, 0, 1)
    if counts.flags.c_contiguous or not by_unit.flags.c_contiguous:
        return np.ascontiguousarray(counts)
    n_trials, n_bins, n_units = counts.shape
    turned = np.empty_like(counts, order="C")
    source, target = by_unit.reshape(n_units, -1), turned.reshape(-1, n_units)
    n_rows = n_trials * n_bins
    shares = [(first, min(first + _ROWS_PER_SHARE, n_rows)) for first in range(0, n_rows, _ROWS_PER_SHARE)]
    in_threads(lambda first, stop: transpose_rows(source, target, first, stop), shares)
    return turned

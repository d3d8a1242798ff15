"""The mean response to each condition (PSTH), and what single presentations add to it."""

import numpy as np
from numpy.typing import NDArray

from spikesight.connectivity.spike_trains import SpikeTrains


def mean_responses(trains: SpikeTrains) -> NDArray[np.float32]:
    """Return the mean count in each bin of each condition, (n_conditions, n_bins_per_trial, n_units).

    Parameters
    ----------
    trains
        Segments of one length with known conditions.
    """
    if trains.conditions is None:
        raise ValueError("the conditions of these segments are not known")
    length = int(trains.lengths[0])
    order = np.argsort(trains.conditions, kind="stable")
    sizes = np.bincount(trains.conditions)
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    means = np.empty((len(sizes), length, trains.n_units), np.float32)
    for unit, row in enumerate(trains.counts):
        sums = np.add.reduceat(row.reshape(-1, length)[order], begins, axis=0, dtype=np.float64)
        means[:, :, unit] = sums / sizes[:, None]
    return means


def mean_of_conditions(
    values: NDArray[np.float64], conditions: NDArray[np.int64], segments: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return, for every column, the mean over the columns of the same condition and the same place in their trial.

    Parameters
    ----------
    values
        Shape (n_units, n_columns), columns in order of time, as many in every trial.
    conditions, segments
        Condition and trial of each column.
    """
    place = np.arange(values.shape[1]) - np.searchsorted(segments, segments)
    cell = conditions * (place.max() + 1) + place
    n_cells = int(cell.max()) + 1
    sizes = np.maximum(np.bincount(cell, minlength=n_cells), 1)
    return np.stack([(np.bincount(cell, row, minlength=n_cells) / sizes)[cell] for row in values])

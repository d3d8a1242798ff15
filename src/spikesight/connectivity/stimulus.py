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

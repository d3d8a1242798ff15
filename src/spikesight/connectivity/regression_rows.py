"""The rows of a linear regression on the past: counts less what the stimulus and slow drifts explain."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikesight.connectivity.lagged_products import lagged_products
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.connectivity.stimulus import LOWEST_RESPONSE, smooth_response

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Counts in all bins whose past lies in their segment, centred.

    Attributes
    ----------
    trains
        Spike counts.
    n_lags
        Largest lag, bins.
    psth
        Mean response to each condition, (n_conditions, n_bins_per_trial, n_units), or None.
    bins
        The bins that have a whole past, shape (n_rows,).
    block
        Block of each of them, whose mean is removed at each lag, shape (n_rows,), rising.
    means
        Mean of each block beyond the mean response, (n_blocks, n_lags + 1, n_units).
    """

    trains: SpikeTrains
    n_lags: int
    psth: NDArray[np.float32] | None
    bins: NDArray[np.int64]
    block: NDArray[np.int64]
    means: Floats

    @classmethod
    def of(cls, trains: SpikeTrains, n_lags: int, drift: float | None, psth: NDArray[np.float32] | None) -> "Rows":
        """Return the rows of a regression.

        Parameters
        ----------
        trains, n_lags, psth
            As the attributes.
        drift
            Length of the blocks, s, over which rates may drift; None: one block.
        """
        within = np.arange(trains.n_bins) - trains.offsets[trains.segment_of_bin]
        bins = np.flatnonzero(within >= n_lags)
        width = trains.n_bins if drift is None else max(1, round(drift / trains.bin_size))
        block = np.unique(bins // width, return_inverse=True)[1].astype(np.int64)
        begins = np.searchsorted(block, np.arange(block[-1] + 1))
        sizes = np.diff(np.append(begins, len(block)))
        means = np.empty((len(begins), n_lags + 1, trains.n_units))
        for lag in range(n_lags + 1):
            for unit, row in enumerate(trains.counts):
                sums = np.add.reduceat(row[bins - lag], begins, dtype=np.float64)
                if psth is not None:
                    sums -= np.add.reduceat(_response(trains, psth[:, :, unit], bins - lag), begins, dtype=np.float64)
                means[:, lag, unit] = sums / sizes
        return cls(trains, n_lags, psth, bins, block, means)

    def expected(self, bins: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the expected counts in some rows, (len(bins), n_units): mean response, smoothed, and drift.

        Parameters
        ----------
        bins
            Of ``self.bins``, in order.
        """
        overall = (self.trains.n_spikes / self.trains.n_bins).astype(np.float32)
        block = self.block[np.searchsorted(self.bins, bins)]
        found = self.means[block, 0].astype(np.float32)
        if self.psth is not None:
            found += _response(self.trains, self._smoothed, bins)
        return np.asarray(np.maximum(found, LOWEST_RESPONSE * overall), np.float32)

    @cached_property
    def _smoothed(self) -> NDArray[np.float32]:
        """Mean responses, smoothed: few trials make a poor mean of each bin."""
        psth = np.asarray(self.psth, np.float64)
        n_repeats = np.bincount(np.asarray(self.trains.conditions))
        smoothed = np.empty(psth.shape, np.float32)
        for unit in range(psth.shape[2]):
            mean = np.average(psth[:, :, unit].mean(axis=1), weights=n_repeats)
            smoothed[:, :, unit] = mean * smooth_response(psth[:, :, unit], n_repeats, self.trains.bin_size)
        return smoothed

    @property
    def n_free(self) -> int:
        """Rows less the means that were removed from every unit."""
        n_means = len(self.means)
        if self.psth is not None:
            n_means += len(self.psth) * (self.psth.shape[1] - self.n_lags)
        return len(self.bins) - n_means

    def products(self) -> Floats:
        """Sum products at all pairs of lags, (n_lags + 1, n_lags + 1, n_units, n_units).

        ``[a, b, i, j]`` is the sum over rows of what is left of ``x_i(t - a)`` times that of ``x_j(t - b)``.
        """
        products = lagged_products(self.trains, self.n_lags)
        if self.psth is not None:
            sizes = np.bincount(np.asarray(self.trains.conditions))
            length = self.psth.shape[1]
            for a in range(self.n_lags + 1):
                for b in range(self.n_lags + 1):
                    left = self.psth[:, self.n_lags - a : length - a].astype(np.float64) * sizes[:, None, None]
                    right = self.psth[:, self.n_lags - b : length - b].astype(np.float64)
                    products[a, b] -= np.tensordot(left, right, axes=([0, 1], [0, 1]))
        sizes = np.bincount(self.block)
        products -= np.einsum("kai,kbj->abij", self.means * sizes[:, None, None], self.means, optimize=True)
        return products

    def values(self, bins: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """Return what is left of the counts of some rows at each lag, each (len(bins), n_units).

        Parameters
        ----------
        bins
            Of ``self.bins``, in order.
        """
        block = self.block[np.searchsorted(self.bins, bins)]
        found = []
        for lag in range(self.n_lags + 1):
            at = bins - lag
            left = self.trains.counts[:, at].T.astype(np.float32) - self.means[block, lag].astype(np.float32)
            if self.psth is not None:
                left -= _response(self.trains, self.psth, at)
            found.append(left)
        return found


def _response(trains: SpikeTrains, psth: NDArray[np.float32], bins: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean response in these bins."""
    segment = trains.segment_of_bin[bins]
    return np.asarray(psth[np.asarray(trains.conditions)[segment], bins - trains.offsets[segment]], np.float32)

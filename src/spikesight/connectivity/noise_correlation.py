"""Correlation of spike counts beyond the stimulus: the baseline, without a direction."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from spikesight.connectivity.base import ConnectivityEstimator, Cost, Estimate, Running
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.connectivity.stimulus import mean_of_conditions
from spikesight.errors import ConfigError


class NoiseCorrelation(ConnectivityEstimator):
    """Pearson correlation of spike counts, with the mean response to each condition removed.

    ``connectivity_`` is the correlation: symmetric, it says nothing of who drives whom, and common input and shared
    gain raise it as couplings do. ``z_`` is Fisher's ``atanh(r) sqrt(n - 3)`` for ``n`` independent windows; windows
    of counts that wander slowly together are not independent, and its p-values are then too small; so are they where
    responses differ much between conditions, whose loud ones count more. ``lag_`` is NaN.

    Parameters
    ----------
    window
        Counts are summed in windows of this length, s, end to end within each segment; None: over whole segments,
        which gives the correlation of responses to presentations.
    stimulus, min_spikes, n_shuffles, random_state
        As in `ConnectivityEstimator`.

    References
    ----------
    Cohen and Kohn (2011), "Measuring and interpreting neuronal correlations", Nat. Neurosci. 14:811.
    """

    directed = False
    measure = "correlation of counts"

    def __init__(
        self,
        window: float | None = 0.025,
        stimulus: str = "auto",
        min_spikes: int = 100,
        n_shuffles: int = 100,
        random_state: int = 0,
    ) -> None:
        self.window = window
        self.stimulus = stimulus
        self.min_spikes = min_spikes
        self.n_shuffles = n_shuffles
        self.random_state = random_state

    def _check(self, trains: SpikeTrains) -> None:
        if self.window is not None and not self.window >= trains.bin_size * (1 - 1e-9):
            raise ConfigError(
                f"expected a window of at least one bin ({trains.bin_size:g} s), got {self.window} s. Bin the spikes "
                "finer, or choose a longer window."
            )

    def _shortest(self, trains: SpikeTrains) -> int:
        return 1 if self.window is None else self._width(trains)

    def _cost(self, trains: SpikeTrains) -> Cost:
        n_windows = trains.n_bins / max(1, self._shortest(trains))
        return Cost(1e-9 * (trains.counts.size + trains.n_units**2 * n_windows), 8.0 * trains.n_units * n_windows)

    def _width(self, trains: SpikeTrains) -> int:
        return max(1, round((self.window or 0) / trains.bin_size))

    def _estimate(self, trains: SpikeTrains, running: Running) -> Estimate:
        sums, segments = self._windows(trains)
        n_free = sums.shape[1] - 1
        if running.remove_psth and trains.conditions is not None:
            sums -= mean_of_conditions(sums, trains.conditions[segments], segments)
            n_free = sums.shape[1] - sums.shape[1] // len(trains.lengths) * int(trains.conditions.max() + 1)
        if n_free < 4:
            raise ConfigError(
                f"expected more windows than means to remove, got {sums.shape[1]} windows. Choose shorter windows."
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.nan_to_num(np.asarray(np.corrcoef(sums), np.float64))
        z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)) * np.sqrt(n_free - 2)
        running.progress.advance("noise-correlation", 1, 1)
        return Estimate(r, z, 2 * norm.sf(np.abs(z)), np.full_like(r, np.nan))

    def _windows(self, trains: SpikeTrains) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return counts in windows, (n_units, n_windows), and the segment of each."""
        if self.window is None:
            return _sums(trains.counts, trains.offsets), np.arange(len(trains.lengths))
        width = self._width(trains)
        n_windows = trains.lengths // width
        segments = np.repeat(np.arange(len(n_windows)), n_windows)
        first = np.concatenate([[0], np.cumsum(n_windows)])
        begins = trains.offsets[segments] + width * (np.arange(first[-1]) - first[segments])
        sums = np.empty((trains.n_units, len(begins)))
        running = np.zeros(trains.n_bins + 1, np.int64)
        for unit, row in enumerate(trains.counts):  # one at a time: the running sums are large
            np.cumsum(row, out=running[1:])
            sums[unit] = running[begins + width] - running[begins]
        return sums, segments


def _sums(counts: NDArray[np.unsignedinteger], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.add.reduceat(counts, offsets[:-1], axis=1, dtype=np.int64).astype(np.float64)

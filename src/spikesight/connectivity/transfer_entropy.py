"""Transfer entropy between pairs of units: what a source's spikes say of a target's beyond the target's own past."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma, norm

from spikesight.connectivity.base import ConnectivityEstimator, Cost, Estimate, Floats, Running, lag_bins
from spikesight.connectivity.entropy_kernels import against_permutations, source_words, target_strata
from spikesight.connectivity.entropy_null import against_all_permutations
from spikesight.connectivity.finished import Arrays
from spikesight.connectivity.seeds import seed_of
from spikesight.connectivity.shares import in_shares
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.errors import ConfigError

WIDEST_BIN: Final = 0.005
"""Seconds."""
_HIGHEST_ORDER: Final = 5
_FEWEST_BINS: Final = 5
"""Of a block."""
_FEWEST_PERMUTATIONS: Final = 10
_SHARE: Final = 8
"""Targets that are estimated, and kept, together."""
_SMALLEST_P: Final = 1e-300


class _Work(NamedTuple):
    """What all targets of one fit share.

    Attributes
    ----------
    trains, delays
        Spikes; delays, bins.
    words
        Bins and words of each source.
    block, n_blocks
        Block of each bin, (n_bins,), and how many there are.
    skip
        Bins at the begin of a segment that have no complete past.
    seed
        Of everything random.
    """

    trains: SpikeTrains
    delays: NDArray[np.int64]
    words: list[tuple[NDArray[np.int32], NDArray[np.uint8]]]
    block: NDArray[np.int32]
    n_blocks: int
    skip: int
    seed: int


class TransferEntropy(ConnectivityEstimator):
    """Delayed transfer entropy of order k between pairs of units, against local permutations.

    At delay ``d`` it is the information that the source's word of bins ``t - d`` to ``t - d - source_order + 1`` has
    about whether the target spikes in bin ``t``, given the target's bins ``t - 1`` to ``t - target_order``. A bin
    counts as spike or no spike: two spikes count as one. That loses what matters where bins are wide, so bins of more
    than 5 ms are refused.

    The null permutes the source's words among bins of the same ``block`` of time in which the target has the same past:
    the target's own past and rates that change slowly, in common or not, stay as they are. ``connectivity_`` is the
    transfer entropy less its mean under permutation, in bits per second, at the delay with the smallest p-value; 0
    where that is less than the mean. It is positive if the target spikes more often than expected after words that hold
    a spike. ``z_`` is the two-sided normal deviate of the p-value with that sign. ``lag_`` is the delay; longer words
    hold the same spike at several delays, and blur it.

    ``p_values_`` are corrected for the number of delays (Sidak). At each delay:

    - With ``source_order=1`` the distribution over all permutations is computed, not sampled: target spikes after a
      source spike are hypergeometric within a stratum, their sums binomial to good approximation, and the information
      follows from the sums. What equals the observed value counts half (mid-p).
    - With longer words, tables are drawn ``n_permutations`` times (multivariate hypergeometric, exact), and p is the
      upper tail of the gamma distribution with their mean and variance, since the null of an information is about that
      of a scaled chi-square (Goebel et al. 2005). That is rough: words that the recording has a few times only make the
      tail heavier than gamma's, and p-values below about 0.05 come out too small, the more so the fewer the spikes.

    Where rates go up and down together, a decrease may be hidden: it brings a pair closer to no information before it
    takes it beyond.

    It is pairwise: common input from other units, faster than a block, looks like a connection.

    With ``stimulus="psth"``, words are permuted among trials of the same condition at the same time in the trial (and
    with the same past of the target) instead of within blocks of time: there are no residual counts that could be
    words. Whatever the stimulus does on average, however fast, stays in the null; slow common changes from trial to
    trial do not.

    A pair's numbers depend on its two trains (and with longer words on the seed and the two unit ids), not on the other
    units.

    Parameters
    ----------
    min_lag, max_lag
        Delays, s.
    source_order, target_order
        Bins of the source's word and of the target's past, 1 to 5.
    block
        Length of the blocks within which words are permuted, s; at least 5 bins. Blocks begin with each segment.
    n_permutations
        Number of permutations for each pair and delay, at least 10. Not used with ``source_order=1``.
    stimulus, min_spikes, n_shuffles, random_state
        As in `ConnectivityEstimator`.

    References
    ----------
    Ito, Hansen, Heiland, Lumsdaine, Litke and Beggs (2011), "Extending transfer entropy improves identification of
    effective connectivity in a spiking cortical network model", PLoS ONE 6:e27431.
    Runge (2018), "Conditional independence testing based on a nearest-neighbor estimator of conditional mutual
    information", AISTATS, PMLR 84:938 (local permutation).
    Vatutin and Mikhailov (1982), "Limit theorems for the number of empty cells in an equiprobable scheme for group
    allocation of particles", Theory Probab. Appl. 27:734 (hypergeometric as a sum of Bernoulli numbers).
    Goebel, Dawy, Hagenauer and Mueller (2005), "An approximation to the distribution of finite sample size mutual
    information estimates", IEEE ICC, 1102 (gamma distribution).
    """

    measure = "transfer entropy beyond chance, bit/s, signed"

    def __init__(
        self,
        min_lag: float = 0.001,
        max_lag: float = 0.006,
        source_order: int = 1,
        target_order: int = 2,
        block: float = 0.05,
        n_permutations: int = 50,
        stimulus: str = "auto",
        min_spikes: int = 100,
        n_shuffles: int = 100,
        random_state: int = 0,
    ) -> None:
        self.min_lag = min_lag
        self.max_lag = max_lag
        self.source_order = source_order
        self.target_order = target_order
        self.block = block
        self.n_permutations = n_permutations
        self.stimulus = stimulus
        self.min_spikes = min_spikes
        self.n_shuffles = n_shuffles
        self.random_state = random_state

    def _check(self, trains: SpikeTrains) -> None:
        lag_bins(self.max_lag, trains.bin_size, self.min_lag)
        if trains.bin_size > WIDEST_BIN * (1 + 1e-9):
            raise ConfigError(
                f"expected bins of at most {WIDEST_BIN:g} s, got {trains.bin_size:g} s: words of spike or no spike "
                "lose the counts of wider bins. Bin the spikes finer, or use 'granger'."
            )
        for name in ("source_order", "target_order"):
            order = getattr(self, name)
            if order not in range(1, _HIGHEST_ORDER + 1):
                raise ConfigError(f"expected {name} of 1 to {_HIGHEST_ORDER} bins, got {order}.")
        if not (np.isfinite(self.block) and self._block_bins(trains) >= _FEWEST_BINS):
            raise ConfigError(
                f"expected a block of at least {_FEWEST_BINS} bins, got {self.block} s with bins of "
                f"{trains.bin_size:g} s: there would be next to nothing to permute. Choose a longer block."
            )
        if not self.n_permutations >= _FEWEST_PERMUTATIONS:
            raise ConfigError(
                f"expected n_permutations of at least {_FEWEST_PERMUTATIONS} for a mean and a variance, got "
                f"{self.n_permutations}."
            )

    def _block_bins(self, trains: SpikeTrains) -> int:
        return round(self.block / trains.bin_size)

    def _skip(self, trains: SpikeTrains) -> int:
        """Return the number of bins without a complete past at the begin of a segment."""
        longest = int(lag_bins(self.max_lag, trains.bin_size, self.min_lag)[-1])
        return max(longest + self.source_order - 1, self.target_order)

    def _shortest(self, trains: SpikeTrains) -> int:
        return self._skip(trains) + _FEWEST_BINS

    def _cost(self, trains: SpikeTrains) -> Cost:
        n_spikes = trains.n_spikes.astype(np.float64)
        n_words = n_spikes * self.source_order
        alike = self._block_bins(trains) / trains.n_bins
        if self._how(trains) == "psth":
            alike = float(np.bincount(np.asarray(trains.conditions)).mean()) / trains.n_bins
        n_delays = len(lag_bins(self.max_lag, trains.bin_size, self.min_lag))
        walk = n_words.sum() * trains.n_units * 1e-8
        if self.source_order == 1:
            expected = np.outer(n_spikes, n_spikes) / trains.n_bins
            null = (4e-5 + 1e-6 * np.sqrt(expected)).sum() * 2**self.target_order / 4
        else:
            met = n_spikes[:, None] * np.minimum(1, n_words * alike)
            null = self.n_permutations * (met.sum() * 1e-8 + 2e-7 * trains.n_units**2 * 2**self.source_order)
        seconds = n_delays * (walk + null)
        strata = 8 * 2**self.target_order / alike
        one_target = 4 * trains.n_bins + strata + 4 * float(n_spikes.max()) * 2**self.source_order
        arrays = 2 * one_target + 5 * float(n_words.sum()) + 40 * trains.n_units**2
        return Cost(0.5 + float(seconds) / 2, trains.counts.nbytes + 4 * trains.n_bins + arrays)

    def _estimate(self, trains: SpikeTrains, running: Running) -> Estimate:
        work = self._work(trains, running)
        parts = in_shares(
            lambda first, stop: self._targets(work, first, stop),
            trains.n_units,
            running,
            "transfer-entropy",
            size=_SHARE,
        )
        columns = {name: np.concatenate([part[name] for part in parts], axis=1) for name in Estimate._fields}
        return Estimate(**{name: values.astype(np.float64) for name, values in columns.items()})

    def _work(self, trains: SpikeTrains, running: Running) -> _Work:
        """Collect what all targets need."""
        delays = lag_bins(self.max_lag, trains.bin_size, self.min_lag)
        words = [source_words(row, self.source_order) for row in trains.counts]
        in_segment = np.arange(trains.n_bins) - trains.offsets[trains.segment_of_bin]
        if running.remove_psth:
            block = np.asarray(trains.conditions)[trains.segment_of_bin] * trains.lengths[0] + in_segment
        else:
            width = self._block_bins(trains)
            begins = np.concatenate([[0], np.cumsum(-(-trains.lengths // width))])
            block = begins[trains.segment_of_bin] + in_segment // width
        n_blocks = int(block.max()) + 1
        return _Work(trains, delays, words, block.astype(np.int32), n_blocks, self._skip(trains), running.seed)

    def _targets(self, work: _Work, first: int, stop: int) -> Arrays:
        """Estimate what all units do to the targets ``first`` to ``stop``; arrays (n_units, stop - first)."""
        trains, ids = work.trains, work.trains.units.index
        low, high = int(work.delays[0]), int(work.delays[-1])
        found = np.empty((4, len(work.delays), trains.n_units, stop - first))
        n_bins = np.empty(stop - first)
        for unit in range(first, stop):
            row = trains.counts[unit]
            target = target_strata(row, trains.offsets, work.block, work.n_blocks, work.skip, self.target_order, high)
            n_bins[unit - first] = target[3].sum()
            for source, words in enumerate(work.words):
                if self.source_order == 1:
                    pair = against_all_permutations(words, target, self.target_order, low, high)
                else:
                    seed = seed_of(work.seed, ids[source], ids[unit])
                    n_words, repeats = 1 << self.source_order, self.n_permutations
                    pair = against_permutations(words, target, self.target_order, n_words, low, high, repeats, seed)
                    pair[2] = gamma_tail(*pair[:3])
                found[:, :, source, unit - first] = pair
        best = _best_delay(found)
        weight = best.weight / (np.log(2) * n_bins * trains.bin_size)
        lag = (low + best.lag) * trains.bin_size
        return best._replace(weight=weight, lag=lag)._asdict()


def gamma_tail(information: Floats, mean: Floats, variance: Floats) -> Floats:
    """Return the upper tail of the gamma distribution with this mean and variance; 1 where there is no variance."""
    varies = (variance > 0) & (mean > 0)
    known, spread = np.where(varies, mean, 1), np.where(varies, variance, 1)
    found = gamma.sf(information, known**2 / spread, scale=spread / known)
    return np.asarray(np.where(varies, found, 1), np.float64)


def _best_delay(found: Floats) -> Estimate:
    """Choose the delay with the smallest p-value, and pay for the choice; delays are numbered from 0.

    Parameters
    ----------
    found
        Information, its mean, p-value and extra spikes, (4, n_delays, n_sources, n_targets): see
        `spikesight.connectivity.entropy_null.against_all_permutations`.
    """
    information, mean, p_value, extra = found
    single = np.clip(p_value, _SMALLEST_P, 1)
    beyond = information - mean  # decides where several are too small for a number
    at = np.where(single == single.min(axis=0), beyond, -np.inf).argmax(axis=0)

    def chosen(values: Floats) -> Floats:
        return np.asarray(np.take_along_axis(values, at[None], axis=0)[0], np.float64)

    corrected = -np.expm1(len(single) * np.log1p(-np.minimum(chosen(single), 1 - 1e-16)))
    sign = np.sign(chosen(extra))
    weight = sign * np.maximum(chosen(beyond), 0)
    return Estimate(weight, sign * norm.isf(corrected / 2), corrected, at.astype(np.float64))

"""Cross-correlograms less what jittered spikes give: fast effects of one unit on another, slow rates set aside."""

from typing import Final, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.connectivity.base import SINK, SOURCE, ConnectivityEstimator, Cost, Estimate, Floats, Running, lag_bins
from spikesight.connectivity.ccg_kernels import count_as_strong, jitter_moments, near_spikes, place_spikes
from spikesight.connectivity.ccg_p_values import p_of_peak
from spikesight.connectivity.finished import Arrays
from spikesight.connectivity.seeds import seed_of
from spikesight.connectivity.shares import in_shares
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.connectivity.stimulus import mean_responses
from spikesight.errors import ConfigError

RULES: Final = ("monte-carlo", "7sd")
FLANKS: Final = (0.05, 0.1)
"""Lags, to both sides, of the flanks of the 7-SD rule, s."""
N_DEVIATIONS: Final = 7.0
_FEWEST_BINS: Final = 5
"""Of a jitter window: with fewer, a window is hardly longer than the effect, and jitter would remove it."""
_SHARE: Final = 16
"""Sources that are estimated, and kept, together."""


class _Work(NamedTuple):
    """What all sources of one fit share.

    Attributes
    ----------
    trains, lags, width
        Spikes; lags and length of a jitter window, bins.
    psth
        Mean responses (n_conditions, n_bins_per_trial, n_units), or None if they stay.
    sizes
        Number of trials of each condition.
    factors
        ``n / (n - 1)`` of each segment's condition; 1 if mean responses stay.
    inflation
        Their mean.
    n_surrogates, seed
        Number of surrogates; seed of everything random.
    """

    trains: SpikeTrains
    lags: NDArray[np.int64]
    width: int
    psth: NDArray[np.float32] | None
    sizes: Floats
    factors: Floats
    inflation: float
    n_surrogates: int
    seed: int


class CCGJitter(ConnectivityEstimator):
    """Jitter-corrected cross-correlograms (CCG).

    Every spike of the source is moved on its own, uniformly within its window of ``window`` seconds; windows begin with
    each segment. The CCG that is expected then, and its variance, are known in closed form. What is beyond them is
    faster than the window. ``connectivity_`` is ``(ccg - expected) / spikes of the source`` at the lag of the largest
    ``|z|``: extra spikes of the target per spike of the source. ``z_`` is ``(ccg - expected) / standard deviation``
    there, positive for excitation.

    ``p_values_``, under the null that spikes of the source may as well lie anywhere in their windows:

    1. The statistic is the largest ``|z|`` over lags. All spikes of the source are jittered ``n_surrogates`` times, and
       the surrogates that exceed the observed value are counted, those that equal it half (mid-p; counts are whole
       numbers, and small ones would make p too large): ``p = (1 + reached) / (1 + n_surrogates)``.
    2. Where fewer than a tenth of them reach it, p is taken from the closed form instead, so that it can be as small
       as FDR over many pairs needs. A CCG under jitter is a sum of independent terms, nearly all of them 0 or 1: its
       tails are those of the binomial distribution of the same mean and variance (rounded up to a whole number of
       draws; Poisson beyond its range; negative binomial where bins with several spikes make the variance larger than
       the mean). At every lag, both tails beyond the observed largest ``|z|`` are added, again with half of what
       equals it; lags are combined as if independent (Sidak).
    3. This p is held within the 99 % interval (Clopper and Pearson) of the share of surrogates, so it never contradicts
       them. With ``n_surrogates=0`` it stands alone.

    A pair's numbers depend on its two trains, on the seed and on the source's unit id, not on the other units.

    With ``stimulus="psth"``, the jitter-corrected CCG of the mean responses is subtracted, as different trials of the
    same condition give it (the trials' own product is left out: factor ``n / (n - 1)``). The variance is then that of
    jitter, plus the coincidences that the stimulus is held responsible for (if positive: counts vary as much as they
    are), times ``n / (n - 1)`` for the mean response itself being estimated from ``n`` trials. The p-value refers to
    jittered spikes as before.

    Parameters
    ----------
    window
        Of the jitter, s; at least 5 bins.
    min_lag, max_lag
        Lags from the source's spike to the target's, s.
    n_surrogates
        Number of surrogates.
    rule
        ``"monte-carlo"``: as above. ``"7sd"``: as Siegle et al. 2021. ``z_`` is then the highest peak of the corrected
        CCG over the lags, in standard deviations of its flanks (50 to 100 ms to both sides; lags that fewer bins of
        a trial have are scaled up); a connection is significant if that exceeds 7. The rule has no p-values (NaN) and
        finds no inhibition. The edges are ``table[table.z > 7]`` of ``table = edges()``, the same as ``significant_``.
    stimulus, min_spikes, n_shuffles, random_state
        As in `ConnectivityEstimator`. ``"shuffle"`` brings its own test, and needs no surrogates.

    Attributes
    ----------
    significant_
        With ``rule="7sd"`` only: whether each pair passes it, bool, dims (``source_unit``, ``target_unit``).

    References
    ----------
    Amarasingham, Harrison, Hatsopoulos and Geman (2012), "Conditional modeling and the jitter method of spike
    resampling", J. Neurophysiol. 107:517.
    Siegle, Jia et al. (2021), "Survey of spiking in the mouse visual system reveals functional hierarchy", Nature
    592:86.
    """

    measure = "extra spikes of the target per spike of the source"

    def __init__(
        self,
        window: float = 0.025,
        min_lag: float = 0.001,
        max_lag: float = 0.006,
        n_surrogates: int = 200,
        rule: str = "monte-carlo",
        stimulus: str = "auto",
        min_spikes: int = 100,
        n_shuffles: int = 100,
        random_state: int = 0,
    ) -> None:
        self.window = window
        self.min_lag = min_lag
        self.max_lag = max_lag
        self.n_surrogates = n_surrogates
        self.rule = rule
        self.stimulus = stimulus
        self.min_spikes = min_spikes
        self.n_shuffles = n_shuffles
        self.random_state = random_state

    def _check(self, trains: SpikeTrains) -> None:
        lag_bins(self.max_lag, trains.bin_size, self.min_lag)
        if self.rule not in RULES:
            raise ConfigError(f"expected rule to be one of {', '.join(RULES)}, got {self.rule!r}.")
        if self.rule == "7sd" and self.stimulus == "shuffle":
            raise ConfigError(
                "expected stimulus='psth' or 'none' with rule='7sd', got 'shuffle': the rule compares with flanks, not "
                "with shuffles. Use rule='monte-carlo'."
            )
        if not self.n_surrogates >= 0:
            raise ConfigError(f"expected n_surrogates of 0 or more, got {self.n_surrogates}.")
        if not (np.isfinite(self.window) and self._width(trains) >= _FEWEST_BINS):
            raise ConfigError(
                f"expected a jitter window of at least {_FEWEST_BINS} bins, got {self.window} s with bins of "
                f"{trains.bin_size:g} s: jitter within so few bins says little. Bin the spikes finer, or choose a "
                "longer window."
            )

    def _width(self, trains: SpikeTrains) -> int:
        """Return the length of the jitter window, bins."""
        return round(self.window / trains.bin_size)

    def _shortest(self, trains: SpikeTrains) -> int:
        longest = FLANKS[1] if self.rule == "7sd" else self.max_lag
        return self._width(trains) + int(lag_bins(longest, trains.bin_size)[-1])

    def _surrogates(self, how: str) -> int:
        """Return how many surrogates are needed: none where there is another test."""
        return 0 if self.rule == "7sd" or how == "shuffle" else int(self.n_surrogates)

    def _cost(self, trains: SpikeTrains) -> Cost:
        n_lags = len(lag_bins(self.max_lag, trains.bin_size, self.min_lag))
        flanks = 2 * len(lag_bins(FLANKS[1], trains.bin_size, FLANKS[0])) if self.rule == "7sd" else 0
        n_spikes = float(trains.n_spikes.sum())
        per_bin = n_spikes / trains.n_bins
        walk = n_spikes * (n_lags + flanks) * (self._width(trains) * per_bin * 3e-9 + 2e-9)
        jitter = self._surrogates(self._how(trains)) * n_spikes * (3e-8 + n_lags * per_bin * 3e-9)
        arrays = 8 * trains.n_units * (6 * trains.n_units + _SHARE * (n_lags + flanks))
        return Cost(0.5 + (walk + jitter) / 2, trains.counts.nbytes + 8 * trains.n_bins + 4 * n_spikes + arrays)

    def _estimate(self, trains: SpikeTrains, running: Running) -> Estimate:
        work = self._work(trains, running)
        parts = in_shares(
            lambda first, stop: self._sources(work, first, stop), trains.n_units, running, "ccg-jitter", size=_SHARE
        )
        rows = {name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in Estimate._fields}
        return Estimate(**rows)

    def _work(self, trains: SpikeTrains, running: Running) -> _Work:
        """Collect what all sources need."""
        lags = lag_bins(self.max_lag, trains.bin_size, self.min_lag)
        psth = mean_responses(trains) if running.remove_psth else None
        sizes, factors = np.ones(1), np.ones(len(trains.lengths))
        if psth is not None:
            sizes = np.bincount(np.asarray(trains.conditions)).astype(np.float64)
            factors = (sizes / (sizes - 1))[np.asarray(trains.conditions)]
        n_surrogates = self._surrogates(self.stimulus_)
        inflation = float(factors.mean())
        return _Work(trains, lags, self._width(trains), psth, sizes, factors, inflation, n_surrogates, running.seed)

    def _sources(self, work: _Work, first: int, stop: int) -> Arrays:
        """Estimate what the sources ``first`` to ``stop`` do to all units; arrays (stop - first, n_units)."""
        by_flanks = self.rule == "7sd"
        explained = _explained(work, work.lags, first, stop)
        beside = [_explained(work, lags, first, stop) for lags in _flanks(work)] if by_flanks else []
        rows = []
        for unit in range(first, stop):
            places = place_spikes(work.trains.counts[unit], work.trains.offsets, work.width)
            if by_flanks:
                row = _peak_over_flanks(work, places, explained[:, unit - first], [q[:, unit - first] for q in beside])
            else:
                row = _against_jitter(work, places, explained[:, unit - first], unit)
            rows.append(row)
        return {name: np.stack([getattr(row, name) for row in rows]) for name in Estimate._fields}

    def _label(self, found: Estimate, trains: SpikeTrains) -> None:
        super()._label(found, trains)
        if self.rule == "7sd":
            passed = self.z_.to_numpy() > N_DEVIATIONS  # NaN, on the diagonal, does not pass
            ids = trains.units.index.to_numpy()
            self.significant_ = xr.DataArray(passed, {SOURCE: ids, SINK: ids}, (SOURCE, SINK), name="significant")


def _flanks(work: _Work) -> list[NDArray[np.int64]]:
    """Return the lags of the flanks, before and after."""
    after = lag_bins(FLANKS[1], work.trains.bin_size, FLANKS[0])
    return [-after[::-1], after]


def _moments(work: _Work, places: NDArray[np.int64], lags: NDArray[np.int64]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return CCG, its mean and variance under jitter, and the excess, each (n_units, n_lags): see `jitter_moments`."""
    trains = work.trains
    found: tuple[Floats, Floats, Floats, Floats] = jitter_moments(
        places, trains.offsets, *trains.spikes, trains.n_units, int(lags[0]), int(lags[-1]), work.factors
    )
    return found


def _explained(work: _Work, lags: NDArray[np.int64], first: int, stop: int) -> Floats:
    """Return the corrected CCGs that mean responses alone give, (n_lags, n_sources, n_units).

    With ``n`` trials of a condition, the product of different trials is ``n / (n - 1)`` times (that of all trials less
    that of each trial with itself). The second part is already in the ``factors`` of the excess.
    """
    n_units = work.trains.n_units
    if work.psth is None:
        return np.zeros((len(lags), stop - first, n_units))
    sources = work.psth[:, :, first:stop].astype(np.float64)
    n_bins = sources.shape[1]
    begins = np.arange(0, n_bins, work.width)
    sums = np.add.reduceat(sources, begins, axis=1)
    lengths = np.diff(np.append(begins, n_bins))
    centred = sources - np.repeat(sums / lengths[:, None], lengths, axis=1)
    centred = (centred * (work.sizes**2 / (work.sizes - 1))[:, None, None]).astype(np.float32)
    targets = work.psth.reshape(-1, n_units)
    products = np.empty((len(lags), stop - first, n_units))
    for row, lag in enumerate(lags):
        late = np.zeros_like(centred)  # the source, later by the lag: what leaves the trial is lost
        late[:, max(lag, 0) : n_bins + min(lag, 0)] = centred[:, max(-lag, 0) : n_bins - max(lag, 0)]
        products[row] = late.reshape(-1, stop - first).T @ targets
    return products


def _against_jitter(work: _Work, places: NDArray[np.int64], explained: Floats, unit: int) -> Estimate:
    """Compare one source's CCGs with jittered spikes; arrays (n_units,)."""
    ccg, mean, variance, excess = _moments(work, places, work.lags)
    excess -= explained.T
    scale = np.divide(1, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
    deviation = np.sqrt(variance)
    if work.psth is not None:
        by_stimulus = np.maximum(ccg - mean - excess, 0)
        deviation = np.sqrt((variance + by_stimulus) * work.inflation)
    z = np.divide(excess, deviation, out=np.zeros_like(excess), where=variance > 0)
    at = np.abs(z).argmax(axis=1)
    peak = z[np.arange(len(z)), at]
    seed = seed_of(work.seed, work.trains.units.index[unit])
    spikes = work.trains.spikes
    near = near_spikes(places, work.trains.offsets, *spikes, int(work.lags[0]), int(work.lags[-1]))
    reached = count_as_strong(places, near, mean, scale, np.abs(peak), work.n_surrogates, seed)
    p_value = p_of_peak(np.abs(peak), mean, variance, reached, work.n_surrogates)
    weight = excess[np.arange(len(z)), at] / max(len(places), 1)
    return Estimate(weight, peak, p_value, work.lags[at] * work.trains.bin_size)


def _peak_over_flanks(work: _Work, places: NDArray[np.int64], explained: Floats, beside: list[Floats]) -> Estimate:
    """Compare one source's CCGs with their flanks; arrays (n_units,)."""

    def corrected(lags: NDArray[np.int64], by_stimulus: Floats) -> Floats:
        overlap = np.maximum(work.trains.lengths[:, None] - np.abs(lags), 0).sum(axis=0)
        scaled = (_moments(work, places, lags)[3] - by_stimulus.T) * (work.trains.n_bins / np.maximum(overlap, 1))
        return np.asarray(scaled, np.float64)

    middle = corrected(work.lags, explained)
    flanks = np.hstack([corrected(lags, known) for lags, known in zip(_flanks(work), beside, strict=True)])
    at = middle.argmax(axis=1)
    peak = middle[np.arange(len(middle)), at]
    deviation = flanks.std(axis=1)
    z = np.divide(peak, deviation, out=np.zeros_like(peak), where=deviation > 0)
    return Estimate(peak / max(len(places), 1), z, np.full(len(z), np.nan), work.lags[at] * work.trains.bin_size)

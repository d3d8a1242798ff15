"""What all connectivity estimators share: checks, what the stimulus explains, labelled results."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spikesight.connectivity.edges import edge_table
from spikesight.connectivity.finished import Finished
from spikesight.connectivity.spike_trains import SpikeTrains, read_trains, repeated_segments
from spikesight.errors import ConfigError, NoUnitsError, PresentationsError
from spikesight.tracking.progress import Progress, Silent

STIMULUS: Final = ("auto", "none", "psth", "shuffle")
SOURCE: Final = "source_unit"
SINK: Final = "target_unit"
_FEW_SHUFFLES: Final = 10
"""Below so many as far as the estimate, the share of shuffles says little, and their spread says more."""
Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """What an estimator finds, each (n_units, n_units) as ``[source, target]``; diagonals do not matter.

    Attributes
    ----------
    weight
        Strength with its sign, in the estimator's own measure.
    z
        Evidence with the sign of the weight, in standard deviations under the null; NaN without a test. Of the lag that
        was chosen: unlike the p-value, it is not corrected for the choice, unless the estimator says so.
    p_value
        Two-sided, corrected for the choice among lags; NaN without a test.
    lag
        Seconds from the source's spike to the effect; NaN where there is none.
    """

    weight: Floats
    z: Floats
    p_value: Floats
    lag: Floats


class Cost(NamedTuple):
    """What an estimate will take, about."""

    seconds: float
    n_bytes: float


class Running(NamedTuple):
    """What an estimate needs while it runs.

    Attributes
    ----------
    progress
        Who is told.
    finished
        Where finished parts are kept; `Finished.nowhere` keeps none.
    remove_psth
        Whether to remove what the stimulus explains on average.
    seed
        Of everything random.
    """

    progress: Progress
    finished: Finished
    remove_psth: bool
    seed: int


class ConnectivityEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """An estimator of who drives whom: ``fit(counts)``, then labelled matrices.

    A subclass has at least these constructor parameters:

    stimulus
        What to do about what the stimulus explains. ``"psth"``: remove the mean response to each condition, bin by bin.
        ``"shuffle"``: compare with counts whose trials are permuted within conditions, unit by unit. ``"none"``:
        nothing. ``"auto"``: ``"psth"`` where the counts say what was shown and at least half of the trials are of
        conditions that were shown at least twice, else ``"none"``. With ``"psth"`` and ``"shuffle"``, trials of
        conditions that were shown once are left out: they have no mean response to compare with.
    min_spikes
        Units with fewer spikes are left out, and listed in ``left_out_``.
    n_shuffles
        Number of shuffles for ``stimulus="shuffle"``.
    random_state
        Seed.

    Attributes
    ----------
    connectivity_, p_values_, z_, lag_, sign_
        `xarray.DataArray` with dims (``source_unit``, ``target_unit``): row drives column. What ``connectivity_``
        measures is said by each estimator. ``p_values_`` are two-sided and corrected for the choice among lags, not for
        the number of pairs. NaN on the diagonal (``connectivity_``: 0), and wherever an estimator has none.
    left_out_
        Units left out: ``unit``, ``n_spikes``, ``reason``.
    stimulus_
        What was done about the stimulus: ``"none"``, ``"psth"`` or ``"shuffle"``.
    n_dropped_segments_
        Trials left out because nothing like them was shown again.
    units_
        Table of the units, index ``unit_id``.
    """

    directed: ClassVar[bool] = True
    """Whether ``[i, j]`` and ``[j, i]`` may differ."""
    random: ClassVar[bool] = False
    """Whether the weights depend on ``random_state``."""
    measure: ClassVar[str]
    """What ``connectivity_`` holds, for the axis of a figure."""

    stimulus: str
    min_spikes: int
    n_shuffles: int
    random_state: int

    def fit(
        self, counts: xr.DataArray, y: None = None, *, progress: Progress | None = None, keep: Finished | None = None
    ) -> Self:
        """Estimate the connectivity of all pairs of units.

        Parameters
        ----------
        counts
            Spike counts, see `spikesight.connectivity.spike_trains.read_trains`.
        y
            Not used.
        progress
            Who is told how far it is.
        keep
            Where finished parts are kept, so that a fit that was killed goes on where it was.

        Raises
        ------
        DataError, NoUnitsError, UnitIdsError, PresentationsError
            If the counts are no counts, or too few.
        ConfigError
            If an option cannot be honoured with these counts, such as lags shorter than a bin.
        """
        trains, self.stimulus_ = self._prepared(counts)
        finished = keep or Finished.nowhere()
        running = Running(progress or Silent(), finished, self.stimulus_ == "psth", int(self.random_state))
        found = self._estimate(trains, running)
        if self.stimulus_ == "shuffle":
            found = self._less_shuffled(found, trains, running)
        self._label(found, trains)
        return self

    def cost(self, counts: xr.DataArray) -> Cost:
        """Say about what a fit will take, on two cores of 2024.

        Raises as ``fit`` does.
        """
        trains, how = self._prepared(counts)
        one = self._cost(trains)
        repeats = 1 + (self.n_shuffles if how == "shuffle" else 0)
        return Cost(one.seconds * repeats, one.n_bytes)

    def edges(self) -> pd.DataFrame:
        """Return one row per pair of units, strongest evidence first: see `edge_table`."""
        return edge_table(self)

    @abstractmethod
    def _check(self, trains: SpikeTrains) -> None:
        """Raise ConfigError if a parameter makes no sense, or none with bins of this length."""

    @abstractmethod
    def _estimate(self, trains: SpikeTrains, running: Running) -> Estimate:
        """Estimate all pairs."""

    @abstractmethod
    def _cost(self, trains: SpikeTrains) -> Cost:
        """Say about what `_estimate` takes."""

    @abstractmethod
    def _shortest(self, trains: SpikeTrains) -> int:
        """Return the number of bins that a segment needs to be of use."""

    def _prepared(self, counts: xr.DataArray) -> tuple[SpikeTrains, str]:
        """Check counts and options; return what is estimated from, and what is done about the stimulus."""
        if self.min_spikes < 1:
            raise ConfigError(f"expected min_spikes of at least 1, got {self.min_spikes}.")
        if self.stimulus not in STIMULUS:
            raise ConfigError(f"expected stimulus to be one of {', '.join(STIMULUS)}, got {self.stimulus!r}.")
        if self.random_state < 0:
            raise ConfigError(f"expected a random_state of 0 or more, got {self.random_state}.")
        trains = read_trains(counts)
        self._check(trains)
        how = self._how(trains)
        repeated = repeated_segments(trains)
        self.n_dropped_segments_ = int((~repeated).sum()) if how in ("psth", "shuffle") else 0
        if self.n_dropped_segments_:
            trains = trains.select_segments(repeated)
        return self._enough(trains), how

    def _enough(self, trains: SpikeTrains) -> SpikeTrains:
        """Leave out units with too few spikes."""
        need = self._shortest(trains)
        if trains.lengths.max() < need:
            raise PresentationsError(
                f"expected periods of at least {need} bins ({need * trains.bin_size:g} s); the longest has "
                f"{trains.lengths.max()}. Choose longer periods, shorter lags, or finer bins."
            )
        few = trains.n_spikes < self.min_spikes
        self.left_out_ = pd.DataFrame(
            {
                "unit": trains.units.index[few],
                "n_spikes": trains.n_spikes[few],
                "reason": f"fewer than {self.min_spikes} spikes",
            }
        )
        if (~few).sum() < 2:
            raise NoUnitsError(
                f"expected at least two units of {self.min_spikes} spikes or more in {trains.duration:.1f} s; "
                f"{int((~few).sum())} of {few.size} have as many (the busiest has {trains.n_spikes.max()}). Choose "
                "longer periods, other units, or a lower min_spikes."
            )
        return trains.select(~few) if few.any() else trains

    def _how(self, trains: SpikeTrains) -> str:
        """Decide what is done about the stimulus."""
        equal = np.unique(trains.lengths).size == 1
        mostly_repeated = trains.conditions is not None and repeated_segments(trains).mean() >= 0.5
        if self.stimulus == "auto":
            return "psth" if mostly_repeated and equal else "none"
        if self.stimulus == "psth" and not (mostly_repeated and equal):
            raise ConfigError(
                "expected trials of one length with a coordinate 'target', most of them of conditions that were shown "
                f"at least twice, for stimulus='psth'; got {len(trains.lengths)} stretches"
                f"{'' if mostly_repeated else ', conditions unknown or shown once'}. Use stimulus='none'."
            )
        if self.stimulus == "shuffle":
            if self.n_shuffles < 2:
                raise ConfigError(f"expected n_shuffles of at least 2, got {self.n_shuffles}.")
            if not repeated_segments(trains).mean() >= 0.5:
                raise ConfigError(
                    "expected several trials of one condition and length to exchange for stimulus='shuffle', got "
                    f"{len(trains.lengths)} stretches that differ. Use stimulus='none'."
                )
        return self.stimulus

    def _less_shuffled(self, found: Estimate, trains: SpikeTrains, running: Running) -> Estimate:
        """Compare with the same estimate on shuffled trials: what is left is in single presentations.

        ``p`` counts the shuffles that are as far from their mean as the estimate is; where they are fewer than ten, it
        is that of Student's t with the shuffles' mean and standard deviation, where that is less.
        """
        from scipy.stats import t as student

        rng = np.random.default_rng(running.seed)
        quiet = running._replace(progress=Silent(), finished=Finished.nowhere())
        weights = np.empty((self.n_shuffles, *found.weight.shape), np.float32)
        for done in range(self.n_shuffles):
            weights[done] = self._estimate(trains.shuffled(rng), quiet).weight
            running.progress.advance("shuffles", done + 1, self.n_shuffles)
        mean = weights.mean(axis=0, dtype=np.float64)
        deviation = weights.std(axis=0, ddof=1, dtype=np.float64)
        distance = np.abs(found.weight - mean)
        n_as_far = (np.abs(weights - mean) >= distance).sum(axis=0)
        z = np.divide(found.weight - mean, deviation, out=np.full_like(mean, np.nan), where=deviation > 0)
        ranked = (1 + n_as_far) / (self.n_shuffles + 1)
        scale = np.sqrt(1 + 1 / self.n_shuffles)
        tail = 2 * student.sf(np.nan_to_num(np.abs(z)) / scale, self.n_shuffles - 1)
        p_value = np.where(n_as_far < _FEW_SHUFFLES, np.minimum(ranked, tail), ranked)
        return Estimate(found.weight - mean, z, p_value, found.lag)

    def _label(self, found: Estimate, trains: SpikeTrains) -> None:
        """Give matrices the names of the units."""
        self.units_ = trains.units
        ids = trains.units.index.to_numpy()
        self.bin_size_, self.duration_ = trains.bin_size, trains.duration

        def labelled(values: Floats, name: str, diagonal: float, **attrs: Any) -> xr.DataArray:
            own = np.array(values, np.float64)
            np.fill_diagonal(own, diagonal)
            return xr.DataArray(own, {SOURCE: ids, SINK: ids}, (SOURCE, SINK), name=name, attrs=attrs)

        self.connectivity_ = labelled(found.weight, "connectivity", 0.0, measure=self.measure)
        self.p_values_ = labelled(found.p_value, "p_value", np.nan)
        self.z_ = labelled(found.z, "z", np.nan)
        self.lag_ = labelled(found.lag, "lag", np.nan, units="s")
        self.sign_ = labelled(np.sign(found.weight), "sign", 0.0)


def peak_over_lags(z: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Choose the lag of the strongest evidence, and pay for the choice.

    Parameters
    ----------
    z
        Standard normal deviates under the null, (n_lags, n_units, n_units), nearly independent between lags.

    Returns
    -------
    at
        Number of the lag, (n_units, n_units).
    peak
        ``z`` there.
    p_value
        Two-sided, corrected for the number of lags by Sidak's formula: ``1 - (1 - p)^n_lags``.
    """
    from scipy.stats import norm

    at = np.abs(z).argmax(axis=0)
    peak = np.take_along_axis(z, at[None], axis=0)[0]
    single = 2 * norm.sf(np.abs(peak))
    return at, peak, -np.expm1(len(z) * np.log1p(-np.minimum(single, 1 - 1e-16)))


def lag_bins(max_lag: float, bin_size: float, min_lag: float = 0.0) -> NDArray[np.int64]:
    """Return the lags from above 0 (and from ``min_lag``) to ``max_lag`` (s) in whole bins.

    Raises
    ------
    ConfigError
        If no whole bin fits.
    """
    if not (np.isfinite(max_lag) and max_lag > 0 and 0 <= min_lag <= max_lag):
        raise ConfigError(f"expected 0 <= min_lag <= max_lag and max_lag above 0, got {min_lag} and {max_lag} s.")
    last = int(np.floor(max_lag / bin_size * (1 + 1e-9)))
    first = max(1, int(np.ceil(min_lag / bin_size * (1 - 1e-9))))
    if last < first:
        raise ConfigError(
            f"expected bins no wider than the lags asked ({min_lag:g} to {max_lag:g} s), got bins of {bin_size:g} s. "
            "Bin the spikes finer, or ask for longer lags."
        )
    return np.arange(first, last + 1, dtype=np.int64)

"""What all connectivity estimators share: checks, what the stimulus explains, labelled results."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from spikesight.connectivity.edges import edge_table
from spikesight.connectivity.finished import Finished
from spikesight.connectivity.spike_trains import SpikeTrains, read_trains
from spikesight.errors import ConfigError, NoUnitsError, PresentationsError

STIMULUS: Final = ("auto", "none", "psth", "shuffle")
SOURCE: Final = "source_unit"
SINK: Final = "target_unit"
Floats = NDArray[np.float64]


class Progress(Protocol):
    """Whoever shows how far an estimate is."""

    def advance(self, task: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` steps of ``task`` are finished."""


class _Silent:
    def advance(self, task: str, done: int, total: int) -> None:
        """Say nothing."""


class Estimate(NamedTuple):
    """What an estimator finds, each (n_units, n_units) as ``[source, target]``; diagonals do not matter.

    Attributes
    ----------
    weight
        Strength with its sign, in the estimator's own measure.
    z
        Evidence with the sign of the weight, as a standard normal deviate; NaN without a test.
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
        nothing. ``"auto"``: ``"psth"`` where the counts say what was shown and every condition was shown at least
        twice, else ``"none"``.
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
        trains = self._enough(read_trains(counts))
        self.stimulus_ = self._how(trains)
        finished = keep or Finished.nowhere()
        running = Running(progress or _Silent(), finished, self.stimulus_ == "psth", int(self.random_state))
        found = self._estimate(trains, running)
        if self.stimulus_ == "shuffle":
            found = self._less_shuffled(found, trains, running)
        self._label(found, trains)
        return self

    def cost(self, counts: xr.DataArray) -> Cost:
        """Say about what a fit will take, on two cores of 2024.

        Raises as ``fit`` does.
        """
        trains = self._enough(read_trains(counts))
        one = self._cost(trains)
        repeats = 1 + (self.n_shuffles if self._how(trains) == "shuffle" else 0)
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

    def _enough(self, trains: SpikeTrains) -> SpikeTrains:
        """Check options and leave out units with too few spikes."""
        if self.min_spikes < 1:
            raise ConfigError(f"expected min_spikes of at least 1, got {self.min_spikes}.")
        if self.stimulus not in STIMULUS:
            raise ConfigError(f"expected stimulus to be one of {', '.join(STIMULUS)}, got {self.stimulus!r}.")
        if self.random_state < 0:
            raise ConfigError(f"expected a random_state of 0 or more, got {self.random_state}.")
        self._check(trains)
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
        repeated = trains.conditions is not None and np.bincount(trains.conditions).min() >= 2
        equal = np.unique(trains.lengths).size == 1
        if self.stimulus == "auto":
            return "psth" if repeated and equal else "none"
        if self.stimulus == "psth" and not (repeated and equal):
            raise ConfigError(
                "expected trials of one length with a coordinate 'target' and at least two trials of each condition "
                f"for stimulus='psth'; got {len(trains.lengths)} stretches"
                f"{'' if repeated else ', conditions unknown or shown once'}. Use stimulus='none'."
            )
        if self.stimulus == "shuffle" and len(trains.lengths) < 2:
            raise ConfigError("expected several trials for stimulus='shuffle', got one stretch. Use stimulus='none'.")
        return self.stimulus

    def _less_shuffled(self, found: Estimate, trains: SpikeTrains, running: Running) -> Estimate:
        """Compare with the same estimate on shuffled trials: what is left is in single presentations."""
        rng = np.random.default_rng(running.seed)
        quiet = running._replace(progress=_Silent(), finished=Finished.nowhere())
        total, squares = np.zeros_like(found.weight), np.zeros_like(found.weight)
        as_strong = np.ones_like(found.weight)
        for done in range(self.n_shuffles):
            weight = self._estimate(trains.shuffled(rng), quiet).weight
            total += weight
            squares += weight**2
            as_strong += np.abs(weight) >= np.abs(found.weight)
            running.progress.advance("shuffles", done + 1, self.n_shuffles)
        mean = total / self.n_shuffles
        deviation = np.sqrt(np.maximum(squares / self.n_shuffles - mean**2, 0))
        z = np.divide(found.weight - mean, deviation, out=np.full_like(mean, np.nan), where=deviation > 0)
        return Estimate(found.weight - mean, z, as_strong / (self.n_shuffles + 1), found.lag)

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

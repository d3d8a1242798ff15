"""A simulated network: its spikes, and who drives whom."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.binning import bin_periods, bin_spikes
from spikesight.data.presentations import Trials
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.data.simulation.streams import stream
from spikesight.errors import ConfigError, NoTrialsError
from spikesight.schema import BLOCK, REPEAT, SPIKE_COUNTS, START, STOP, TARGET

STIMULUS: Final = "simulated"
"""Name of the stimulus whose presentations a network has."""


@dataclass(frozen=True, eq=False)
class SimulatedNetwork:
    """Spikes of the units that are seen, and what truly connects them.

    Attributes
    ----------
    spike_times
        Spike times of each unit, s, ascending; n_units arrays.
    duration
        Length of the recording, s; it begins at 0.
    presentations
        ``start_time``, ``stop_time`` (s) and ``target`` (condition, from 0); all of one length. Empty without a
        stimulus.
    weight
        Strength of each edge with its sign, 0 where there is none, (n_units, n_units) as ``[source, target]``. Its
        measure is said by the generator.
    delay
        From the source's spike to the beginning of its effect, s, (n_units, n_units); NaN where there is no edge.
    observed
        Number of each unit in the network that was simulated, (n_units,). The units' ids.
    n_simulated
        Number of units that were simulated.
    common_input
        Whether two units share an input that is not seen: a hidden unit that drives both, or common noise,
        (n_units, n_units).
    """

    spike_times: tuple[NDArray[np.float64], ...]
    duration: float
    presentations: pd.DataFrame
    weight: NDArray[np.float64]
    delay: NDArray[np.float64]
    observed: NDArray[np.int64]
    n_simulated: int
    common_input: NDArray[np.bool_]

    @property
    def n_units(self) -> int:
        """Number of units that are seen."""
        return len(self.spike_times)

    @property
    def rates(self) -> NDArray[np.float64]:
        """Mean rate of each unit, spikes/s, (n_units,)."""
        return np.array([len(times) for times in self.spike_times]) / self.duration

    @property
    def edges(self) -> NDArray[np.bool_]:
        """Whether the row drives the column, (n_units, n_units)."""
        return np.asarray(self.weight != 0, bool)

    def counts(self, bin_size: float, *, by_trial: bool = False) -> xr.DataArray:
        """Count spikes, as every connectivity estimator takes them.

        Parameters
        ----------
        bin_size
            Seconds.
        by_trial
            Count within each presentation, for estimators to remove the mean response to each condition; else in the
            whole recording without a break.

        Returns
        -------
        xarray.DataArray
            Dims (time, unit), or (trial, time, unit) with the coordinates ``target``, ``start_time``, ``stop_time``.

        Raises
        ------
        NoTrialsError
            If there are no presentations.
        ConfigError
            If a presentation is no whole number of bins.
        """
        if not by_trial:
            return bin_periods(self._session(), pd.DataFrame({START: [0.0], STOP: [self.duration]}), bin_size)
        if self.presentations.empty:
            raise NoTrialsError(
                "expected a network with a stimulus to count by trial; it has none. Use by_trial=False."
            )
        table = self.presentations.copy()
        table[BLOCK], table[REPEAT] = 0, table.groupby(TARGET).cumcount()
        length = float((table[STOP] - table[START]).median())
        trials = Trials(table, self._session(), STIMULUS, TARGET, "none")
        # Rounded to 1 ns: the difference of two large times is not the length that was meant to the last digit.
        return bin_spikes(trials, bin_size=bin_size, window=(0.0, round(length, 9)))[SPIKE_COUNTS]

    def observe(self, n: float, seed: int = 0) -> "SimulatedNetwork":
        """Hide all but some units, drawn at random.

        Parameters
        ----------
        n
            Number of units that stay in sight (an int), or their fraction (a float up to 1).
        seed
            Of the draw. With the same seed a smaller number is a subset of a larger one.

        Raises
        ------
        ConfigError
            If fewer than two units, or more than there are, would stay.
        """
        kept = n if isinstance(n, (int, np.integer)) else round(float(n) * self.n_units)
        if not 2 <= kept <= self.n_units:
            raise ConfigError(f"expected 2 to {self.n_units} units, or a fraction of them, to stay in sight, got {n}.")
        return self._select(np.sort(stream(seed, "observed units").permutation(self.n_units)[: int(kept)]))

    def cut(self, start: float, stop: float) -> "SimulatedNetwork":
        """Return the stretch from ``start`` to ``stop`` (s), with times from its beginning; only whole presentations.

        Raises
        ------
        ConfigError
            If it is no stretch of the recording.
        """
        if not 0 <= start < stop <= self.duration + 1e-9:
            raise ConfigError(f"expected a stretch within 0 to {self.duration:g} s, got {start:g} to {stop:g} s.")
        times = tuple(t[np.searchsorted(t, start) : np.searchsorted(t, stop)] - start for t in self.spike_times)
        table = self.presentations
        inside = (table[START] >= start - 1e-9) & (table[STOP] <= stop + 1e-9)
        table = table[inside].assign(**{START: table[START] - start, STOP: table[STOP] - start}).reset_index(drop=True)
        return replace(self, spike_times=times, duration=stop - start, presentations=table)

    def _select(self, kept: NDArray[np.int64]) -> "SimulatedNetwork":
        hidden = np.setdiff1d(np.arange(self.n_units), kept)
        pairs = np.ix_(kept, kept)
        from_hidden = self.edges[np.ix_(hidden, kept)].astype(np.int64)
        common = self.common_input[pairs] | (from_hidden.T @ from_hidden > 0)
        np.fill_diagonal(common, False)
        return replace(
            self,
            spike_times=tuple(self.spike_times[unit] for unit in kept),
            weight=self.weight[pairs],
            delay=self.delay[pairs],
            observed=self.observed[kept],
            common_input=common,
        )

    def _session(self) -> Session:
        units = pd.DataFrame({"area": "", "probe": ""}, index=pd.Index(self.observed, name="unit_id"))
        times = RaggedArray.from_arrays({int(unit): t for unit, t in zip(self.observed, self.spike_times, strict=True)})
        return Session(
            session_id=STIMULUS,
            units=units,
            spike_times=times,
            stimulus_presentations={STIMULUS: self.presentations},
            invalid_times=pd.DataFrame({START: [], STOP: [], "tags": []}),
            source="simulated network",
        )


def draw_edges(
    n_units: int, probability: float, inhibitory: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw a random graph without loops, and which units inhibit (Dale's law: with all their edges).

    Returns
    -------
    edges
        (n_units, n_units) as ``[source, target]``, each present with ``probability``.
    inhibits
        (n_units,); ``round(inhibitory * n_units)`` of them do.
    """
    edges = rng.random((n_units, n_units)) < probability
    np.fill_diagonal(edges, False)
    inhibits = np.zeros(n_units, bool)
    inhibits[rng.permutation(n_units)[: round(inhibitory * n_units)]] = True
    return edges, inhibits


def split_spikes(unit: NDArray[np.integer], time: NDArray[np.float64], n_units: int) -> tuple[NDArray[np.float64], ...]:
    """Sort spikes by unit: the times of each, ascending, from the unit and time (s) of every spike, (n_spikes,)."""
    order = np.lexsort((time, unit))
    return tuple(np.split(time[order], np.cumsum(np.bincount(unit, minlength=n_units))[:-1]))

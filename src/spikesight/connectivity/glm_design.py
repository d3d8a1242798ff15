"""What goes into the coupled Poisson regression of each target: rows, history terms, baseline, mean responses."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesight.connectivity.glm_kernels import target_rows
from spikesight.connectivity.glm_solvers import Regression
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.connectivity.stimulus import mean_responses, smooth_response
from spikesight.errors import PresentationsError

HISTORY_PRECISION: Final = 1.0
"""Of the prior of a history term: keeps finite the weight of a lag at which no spike ever follows."""
DRIFT_PRECISION: Final = 1.0
"""Of the prior of a block's baseline around the overall rate: a block without spikes stays finite."""
Floats = NDArray[np.float64]


class Design(NamedTuple):
    """What the regressions of all targets share.

    Attributes
    ----------
    trains
        The counts.
    spike_bins
        Bin of each of ``trains.spikes``, shape (n_spikes,).
    lags
        Of the couplings, bins.
    term_of_lag
        Number of the history term of each lag, shape (n_history + 1,); entry 0 is not used.
    bins, starts
        Bin of each row, and the first bin of its segment, shape (n_rows,).
    block_bounds
        First bin of each block of the baseline and the end of the last, shape (n_blocks + 1,).
    psth
        Mean responses (n_conditions, n_bins_per_trial, n_units), or None.
    """

    trains: SpikeTrains
    spike_bins: NDArray[np.int64]
    lags: NDArray[np.int64]
    term_of_lag: NDArray[np.int64]
    bins: NDArray[np.int64]
    starts: NDArray[np.int64]
    block_bounds: NDArray[np.int64]
    psth: NDArray[np.float32] | None

    @property
    def n_coupled(self) -> int:
        """Number of couplings into a target."""
        return (self.trains.n_units - 1) * self.lags.size

    @property
    def n_terms(self) -> int:
        """Number of history terms."""
        return int(self.term_of_lag[-1]) + 1 if self.term_of_lag.size > 1 else 0

    @property
    def term_starts(self) -> NDArray[np.int64]:
        """Shortest lag of each history term, bins."""
        return np.searchsorted(self.term_of_lag[1:], np.arange(self.n_terms)) + 1


def make_design(
    trains: SpikeTrains, lags: NDArray[np.int64], history: float, drift: float | None, remove_psth: bool
) -> Design:
    """Lay out rows, history terms and blocks.

    Parameters
    ----------
    trains
        The counts.
    lags
        Of the couplings, bins, ascending and without gaps.
    history
        Longest lag of the target's own spikes, s.
    drift
        Length of a block of the baseline, s, or None for one block.
    remove_psth
        Whether mean responses enter.
    """
    starts = trains.offsets[trains.segment_of_bin]
    bins = np.flatnonzero(np.arange(trains.n_bins) - starts >= lags[-1])
    n_blocks = 1 if drift is None else max(1, round(trains.duration / drift))
    bounds = np.linspace(0, trains.n_bins, n_blocks + 1).astype(np.int64)
    psth = mean_responses(trains) if remove_psth else None
    spike_bins = np.repeat(np.arange(trains.n_bins), np.diff(trains.spikes.first))
    terms = history_terms(history, trains.bin_size)
    return Design(trains, spike_bins, lags, terms, bins, starts[bins], bounds, psth)


def history_terms(history: float, bin_size: float) -> NDArray[np.int64]:
    """Return the term of each lag of 0 (not used) to ``history`` s: steps over the bins 1, 2, 3-4, 5-8 and so on."""
    longest = int(np.floor(history / bin_size * (1 + 1e-9)))
    return np.ceil(np.log2(np.maximum(np.arange(longest + 1), 1))).astype(np.int64)


def make_regression(design: Design, target: int, coupling_precision: float) -> Regression:
    """Gather the regression of one target.

    Parameters
    ----------
    design
        What all share.
    target
        Row of the target's unit.
    coupling_precision
        Of the prior of a coupling.

    Raises
    ------
    PresentationsError
        If the target has no spike in any row.
    """
    trains, lags = design.trains, design.lags
    counts = trains.counts[target]
    own = np.repeat(np.arange(trains.n_bins), counts)
    n_columns = design.n_coupled + design.n_terms
    first, column, observed = target_rows(
        trains.spikes.first,
        trains.spikes.unit,
        design.spike_bins,
        design.bins,
        design.starts,
        counts,
        own,
        target,
        int(lags[0]),
        int(lags[-1]),
        design.n_coupled + design.term_of_lag,
        n_columns,
    )
    block_first = np.searchsorted(design.bins, design.block_bounds)
    in_blocks = np.diff(np.concatenate([[0], np.cumsum(counts[design.bins], dtype=np.int64)])[block_first])
    if in_blocks.sum() == 0:
        raise PresentationsError(
            f"expected every unit to have spikes in the bins of which the past {lags[-1]} are known; unit "
            f"{trains.units.index[target]} has none. Choose longer periods, or a higher min_spikes."
        )
    exposure = np.ones(design.bins.size) if design.psth is None else _exposure(design, design.psth[:, :, target])
    n_blocks = in_blocks.size
    overall = np.log(in_blocks.sum() / exposure.sum())
    precision = np.concatenate(
        [
            np.full(design.n_coupled, coupling_precision),
            np.full(design.n_terms, HISTORY_PRECISION),
            np.full(n_blocks, DRIFT_PRECISION if n_blocks > 1 else 0.0),
        ]
    )
    centre = np.concatenate([np.zeros(n_columns), np.full(n_blocks, overall)])
    observed = np.concatenate([observed, in_blocks])
    return Regression(first, column, exposure, block_first, observed, precision, centre, design.n_coupled)


def _exposure(design: Design, psth: NDArray[np.float32]) -> Floats:
    """Return the smoothed mean response in every row, relative to the mean of all."""
    conditions = design.trains.conditions
    if conditions is None:
        raise ValueError("the conditions of these segments are not known")
    response = smooth_response(psth.astype(np.float64), np.bincount(conditions), design.trains.bin_size)
    segment = design.trains.segment_of_bin[design.bins]
    return np.asarray(response[conditions[segment], design.bins - design.starts], np.float64)

"""What every estimator sees: checked spike counts of stretches of time, end to end, and the spikes in order."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.count_kernels import compiled
from spikesight.data.dataset import UNIT_METADATA
from spikesight.errors import DataError, NoUnitsError, PresentationsError, UnitIdsError
from spikesight.schema import AREA, START, STOP, TARGET, TIME, TRIAL, UNIT

PERIOD: Final = "period"
_TOLERANCE: Final = 1e-6
"""Of a bin: how far bins of one stretch may be from their places, and stretches may seem to overlap."""


class Spikes(NamedTuple):
    """All spikes in order of time; of one bin, in order of units; a bin with two spikes of a unit has it twice.

    Attributes
    ----------
    first
        Shape (n_bins + 1,): bin ``b`` holds the spikes ``first[b]`` to ``first[b + 1]``.
    unit
        Row of the unit of each spike, shape (n_spikes,).
    """

    first: NDArray[np.int64]
    unit: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """Spike counts of all units in one or more stretches ("segments": periods, or trials), end to end.

    Attributes
    ----------
    counts
        Shape (n_units, n_bins), an unsigned integer type, contiguous along bins.
    offsets
        Shape (n_segments + 1,): segment ``s`` is the bins ``offsets[s]`` to ``offsets[s + 1]``. Bins of different
        segments are not neighbours in time.
    bin_size
        Seconds.
    units
        One row per unit, index the unit ids; ``area`` and whatever else is known of ``UNIT_METADATA``.
    conditions
        Stimulus of each segment as a code from 0, shape (n_segments,), or None where there was none or it is unknown.
    """

    counts: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]
    bin_size: float
    units: pd.DataFrame
    conditions: NDArray[np.int64] | None = None

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.counts)

    @property
    def n_bins(self) -> int:
        """Number of bins of all segments."""
        return int(self.counts.shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of bins of each segment."""
        return np.diff(self.offsets)

    @property
    def duration(self) -> float:
        """Length of all segments, s."""
        return self.n_bins * self.bin_size

    @cached_property
    def n_spikes(self) -> NDArray[np.int64]:
        """Number of spikes of each unit."""
        return np.array([int(row.sum(dtype=np.int64)) for row in self.counts], np.int64)

    @cached_property
    def segment_of_bin(self) -> NDArray[np.int32]:
        """Segment of each bin."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)

    @cached_property
    def spikes(self) -> Spikes:
        """The spikes in order of time."""
        return Spikes(*_in_order_of_time(self.counts, int(self.n_spikes.sum())))

    def select(self, kept: NDArray[np.bool_]) -> "SpikeTrains":
        """Keep these units."""
        return replace(self, counts=self.counts[kept], units=self.units.loc[kept])

    def select_segments(self, kept: NDArray[np.bool_]) -> "SpikeTrains":
        """Keep these segments."""
        bins = np.repeat(kept, self.lengths)
        offsets = np.concatenate([[0], np.cumsum(self.lengths[kept])]).astype(np.int64)
        conditions = None
        if self.conditions is not None:
            conditions = np.unique(self.conditions[kept], return_inverse=True)[1].astype(np.int64)
        return replace(self, counts=np.ascontiguousarray(self.counts[:, bins]), offsets=offsets, conditions=conditions)

    def shuffled(self, rng: np.random.Generator) -> "SpikeTrains":
        """Return the trains with each unit's segments permuted among those of the same condition and length.

        What the stimulus does to every unit stays; what happens in one presentation to several units is broken up.
        """
        groups = _alike(self)
        alike = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
        counts = np.empty_like(self.counts)
        for unit in range(self.n_units):
            source = np.arange(len(self.lengths))
            for rows in alike:
                source[rows] = rng.permutation(rows)
            _permute_segments(self.counts[unit], self.offsets, source, counts[unit])
        return replace(self, counts=counts)


def repeated_segments(trains: SpikeTrains) -> NDArray[np.bool_]:
    """Say of each segment whether another one has its condition and length."""
    groups = _alike(trains)
    return np.asarray(np.bincount(groups)[groups] >= 2, bool)


def read_trains(counts: xr.DataArray) -> SpikeTrains:
    """Check spike counts and lay their stretches end to end.

    Parameters
    ----------
    counts
        Either dims (time, unit) with a coordinate ``period`` along time, as `spikesight.bin_periods` returns it, or
        (trial, time, unit) or (period, time, unit), as the ``spike_counts`` of `spikesight.bin_spikes`. The length of
        a bin is taken from the attribute ``bin_size`` (s), or from ``time``. A coordinate ``target`` along trials says
        what was shown.

    Raises
    ------
    DataError
        If dims or dtype are others, counts are negative, or bins are not equally long.
    NoUnitsError
        If there are fewer than two units.
    UnitIdsError
        If unit ids are not unique.
    PresentationsError
        If stretches overlap in time.
    """
    _check_array(counts)
    several = next((str(dim) for dim in counts.dims if dim in (TRIAL, PERIOD)), None)
    if several is None:
        rows = counts.transpose(UNIT, TIME)
        period = np.asarray(counts[PERIOD]) if PERIOD in counts.coords else np.zeros(rows.shape[1], np.int64)
        lengths = np.diff(np.flatnonzero(np.r_[True, period[1:] != period[:-1], True]))
        conditions = None
    else:
        rows = counts.transpose(UNIT, several, TIME)
        lengths = np.full(rows.shape[1], rows.shape[2], np.int64)
        conditions = _conditions(counts, several)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    bin_size = _bin_size(counts, offsets, several)
    _check_overlap(counts, offsets, bin_size, several)
    values = np.asarray(rows.to_numpy()).reshape(rows.shape[0], -1)
    small = np.issubdtype(values.dtype, np.unsignedinteger) and values.dtype.itemsize < 8
    unsigned = values.dtype if small else np.uint32
    flat = np.ascontiguousarray(values, unsigned)
    return SpikeTrains(flat, offsets, bin_size, _unit_table(counts), conditions)


def _alike(trains: SpikeTrains) -> NDArray[np.int64]:
    """Return the number of the group of segments of one condition and length that each belongs to."""
    conditions = np.zeros(len(trains.lengths), np.int64) if trains.conditions is None else trains.conditions
    table = pd.DataFrame({"condition": conditions, "length": trains.lengths})
    return np.asarray(table.groupby(["condition", "length"]).ngroup(), np.int64)


def _check_array(counts: xr.DataArray) -> None:
    if not isinstance(counts, xr.DataArray):
        raise DataError(
            f"expected spike counts as an xarray.DataArray, got {type(counts).__name__}. Make them with bin_periods, "
            "or take the 'spike_counts' of bin_spikes."
        )
    wanted = [{TIME, UNIT}, {TRIAL, TIME, UNIT}, {PERIOD, TIME, UNIT}]
    if set(counts.dims) not in wanted:
        raise DataError(f"expected dims (time, unit) or (trial or period, time, unit), got {counts.dims}.")
    if not np.issubdtype(counts.dtype, np.integer):
        raise DataError(f"expected spike counts, whole numbers, got {counts.dtype}. Do not average or scale them.")
    if np.issubdtype(counts.dtype, np.signedinteger) and counts.size and int(counts.min()) < 0:
        raise DataError(f"expected spike counts of 0 or more, got {int(counts.min())}.")
    ids = counts[UNIT].to_index()
    if ids.has_duplicates:
        raise UnitIdsError(f"unit ids must be unique; repeated: {ids[ids.duplicated()].unique().tolist()[:10]}.")
    if len(ids) < 2:
        raise NoUnitsError(f"expected at least two units to relate, got {len(ids)}.")
    if counts.sizes[TIME] == 0:
        raise DataError("expected at least one bin, got none.")


def _bin_size(counts: xr.DataArray, offsets: NDArray[np.int64], several: str | None) -> float:
    """Return the length of a bin, and refuse bins of different lengths."""
    given = float(counts.attrs.get("bin_size", np.nan))
    if TIME not in counts.coords:
        if not given > 0:
            raise DataError("expected a coordinate 'time', or an attribute 'bin_size' (s); the counts have neither.")
        return given
    time = np.asarray(counts[TIME], np.float64)
    steps = np.diff(time)
    if several is None:
        steps = np.delete(steps, offsets[1:-1] - 1)
    if not given > 0 and not steps.size:
        raise DataError("expected an attribute 'bin_size' (s) with stretches of one bin each.")
    size = given if given > 0 else float(np.median(steps))
    worst = float(np.abs(steps - size).max(initial=0.0))
    if not (size > 0 and worst <= 1e-3 * size):
        raise DataError(f"expected bins of one length; they differ by up to {worst:.3g} s from {size:.6g} s.")
    return size


def _check_overlap(counts: xr.DataArray, offsets: NDArray[np.int64], bin_size: float, several: str | None) -> None:
    """Refuse stretches that share a moment: its spikes would count twice."""
    lengths = np.diff(offsets) * bin_size
    if several is None:
        if TIME not in counts.coords:
            return
        starts = np.asarray(counts[TIME], np.float64)[offsets[:-1]]
    elif START in counts.coords:
        begin = float(counts[TIME][0]) if TIME in counts.coords else 0.0
        starts = np.asarray(counts[START], np.float64) + begin
        if STOP in counts.coords and begin == 0:
            lengths = np.minimum(lengths, np.asarray(counts[STOP], np.float64) - np.asarray(counts[START], np.float64))
    else:
        return
    order = np.argsort(starts, kind="stable")
    ends = starts[order] + lengths[order]
    over = ends[:-1] > starts[order][1:] + max(_TOLERANCE, 0.5) * bin_size
    if over.any():
        at = int(np.flatnonzero(over)[0])
        first, second = int(order[at]), int(order[at + 1])
        raise PresentationsError(
            f"expected stretches that do not overlap, or spikes would count twice; number {first} ends at "
            f"{ends[at]:.4f} s, after number {second} begins ({starts[second]:.4f} s); {int(over.sum())} overlap. "
            "Merge them, or shorten the window."
        )


def _conditions(counts: xr.DataArray, several: str) -> NDArray[np.int64] | None:
    if TARGET not in counts.coords or counts[TARGET].dims != (several,):
        return None
    return np.unique(np.asarray(counts[TARGET]), return_inverse=True)[1].astype(np.int64)


def _unit_table(counts: xr.DataArray) -> pd.DataFrame:
    known = [name for name in UNIT_METADATA if name in counts.coords and counts[name].dims == (UNIT,)]
    table = pd.DataFrame({name: np.asarray(counts[name]) for name in known}, index=counts[UNIT].to_index())
    if AREA not in table:
        table.insert(0, AREA, "")
    return table.assign(**{AREA: table[AREA].fillna("").astype(str)})


@compiled
def _in_order_of_time(counts: Any, n_spikes: int) -> Any:
    n_units, n_bins = counts.shape
    first = np.zeros(n_bins + 1, np.int64)
    for unit in range(n_units):
        for at in range(n_bins):
            first[at + 1] += counts[unit, at]
    for at in range(n_bins):
        first[at + 1] += first[at]
    place = first[:-1].copy()
    units = np.empty(n_spikes, np.int32)
    for unit in range(n_units):
        for at in range(n_bins):
            for _ in range(counts[unit, at]):
                units[place[at]] = unit
                place[at] += 1
    return first, units


@compiled
def _permute_segments(row: Any, offsets: Any, source: Any, out: Any) -> None:
    for segment in range(source.size):
        begin, origin = offsets[segment], offsets[source[segment]]
        for at in range(offsets[segment + 1] - begin):
            out[begin + at] = row[origin + at]

"""Values of unequal length per unit, read only when asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spikesight.errors import UnitIdsError

READ_GAP = 131_072
"""Unwanted values (1 MiB of float64) that are read and thrown away rather than starting another read."""
READ_LIMIT = 16_777_216
"""Values (128 MiB of float64) of one read at most, unless a unit has more: bounds the memory taken on top."""


class Source(Protocol):
    """A contiguous store of values: a numpy array, or a dataset in a file."""

    def __getitem__(self, key: slice, /) -> NDArray[np.floating]: ...


@runtime_checkable
class DistantSource(Protocol):
    """A store that takes long to answer, so that it is asked for several stretches at a time.

    Attributes
    ----------
    read_gap
        Unwanted values that are read rather than starting another read, in place of ``READ_GAP``.
    """

    read_gap: int

    def __getitem__(self, key: slice, /) -> NDArray[np.floating]: ...

    def stretches(self, bounds: Sequence[tuple[int, int]]) -> Iterator[NDArray[np.floating]]:
        """Read stretches of values, in this order."""


class RaggedArray(Mapping[int, NDArray[np.floating]]):
    """Values per unit (spike times, amplitudes, waveforms), stored end to end and sliced on demand.

    Parameters
    ----------
    unit_ids
        Ids, shape (n_units,), unique.
    starts, stops
        Half-open bounds of each unit's values in ``source``, shape (n_units,).
    source
        Anything that answers ``source[start:stop]`` with an array.
    """

    def __init__(
        self,
        unit_ids: Sequence[int] | NDArray[np.integer],
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        source: Source,
    ) -> None:
        self._row = {int(unit_id): row for row, unit_id in enumerate(unit_ids)}
        if len(self._row) != len(unit_ids):
            raise UnitIdsError(f"unit ids must be unique; {len(unit_ids)} ids hold {len(self._row)} different ones.")
        self._starts = np.asarray(starts, np.int64)
        self._stops = np.asarray(stops, np.int64)
        self._source = source

    @classmethod
    def from_arrays(cls, arrays: Mapping[int, NDArray[np.floating]]) -> "RaggedArray":
        """Join in-memory arrays, one per unit."""
        sizes = np.array([len(values) for values in arrays.values()], np.int64)
        stops = np.cumsum(sizes)
        joined = np.concatenate(list(arrays.values())) if arrays else np.empty(0)
        return cls(list(arrays), stops - sizes, stops, joined)

    def __getitem__(self, unit_id: int) -> NDArray[np.floating]:
        row = self._row[unit_id]
        return np.asarray(self._source[slice(int(self._starts[row]), int(self._stops[row]))])

    def __iter__(self) -> Iterator[int]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def sizes(self) -> NDArray[np.int64]:
        """Count the values of each unit, shape (n_units,), without reading any."""
        return self._stops - self._starts

    def select(self, unit_ids: Sequence[int] | NDArray[np.integer]) -> "RaggedArray":
        """Keep these units, in this order, without reading.

        Raises
        ------
        UnitIdsError
            If an id is not present.
        """
        missing = [int(unit_id) for unit_id in unit_ids if int(unit_id) not in self._row]
        if missing:
            raise UnitIdsError(f"{len(missing)} of {len(unit_ids)} unit ids are not in the session: {missing[:10]}.")
        rows = np.array([self._row[int(unit_id)] for unit_id in unit_ids], np.int64)
        return RaggedArray(unit_ids, self._starts[rows], self._stops[rows], self._source)

    def flat(self) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        """Read all values end to end, and the offsets that part the units.

        Neighbouring units are read in one go of up to ``READ_LIMIT`` values, gaps of up to ``READ_GAP`` included. What
        stands end to end in memory already is not copied: do not write to it.

        Returns
        -------
        values
            Shape (n_values, ...).
        offsets
            Shape (n_units + 1,): unit ``i`` holds ``values[offsets[i]:offsets[i + 1]]``.
        """
        offsets = np.concatenate([[0], np.cumsum(self.sizes())]).astype(np.int64)
        if isinstance(self._source, np.ndarray) and (self._starts[1:] == self._stops[:-1]).all() and len(self):
            return self._source[self._starts[0] : self._stops[-1]], offsets
        head = np.asarray(self._source[0:0])
        values = np.empty((int(offsets[-1]), *head.shape[1:]), head.dtype)
        runs = self._runs()
        for rows, run in zip(runs, self._read(runs), strict=True):
            low = self._starts[rows[0]]
            for row in rows:
                values[offsets[row] : offsets[row + 1]] = run[self._starts[row] - low : self._stops[row] - low]
        return values, offsets

    def in_memory(self) -> "RaggedArray":
        """Read all values, so that nothing is read later."""
        values, offsets = self.flat()
        return RaggedArray(list(self), offsets[:-1], offsets[1:], values)

    def _read(self, runs: Sequence[NDArray[np.int64]]) -> Iterator[NDArray[np.floating]]:
        """Read the stretches that runs of rows cover."""
        bounds = [(int(self._starts[rows[0]]), int(self._stops[rows].max())) for rows in runs]
        if isinstance(self._source, DistantSource):
            return self._source.stretches(bounds)
        return (np.asarray(self._source[low:high]) for low, high in bounds)

    def _runs(self) -> list[NDArray[np.int64]]:
        """Group rows, in storage order, into stretches that one read should cover."""
        filled = np.flatnonzero(self.sizes() > 0)
        order = filled[np.argsort(self._starts[filled], kind="stable")]
        runs: list[list[int]] = []
        begin = end = 0
        gap = self._source.read_gap if isinstance(self._source, DistantSource) else READ_GAP
        for row in order:
            start, stop = int(self._starts[row]), int(self._stops[row])
            if runs and start - end <= gap and stop - begin <= READ_LIMIT:
                runs[-1].append(int(row))
                end = max(end, stop)
            else:
                runs.append([int(row)])
                begin, end = start, stop
        return [np.array(run, np.int64) for run in runs]

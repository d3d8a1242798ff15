"""The tables of an NWB file (``DynamicTable``): plain columns as frames, ragged columns as bounds."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.nwb_file import OpenableNwb, as_text, dataset, is_column, member, read_values
from spikesight.errors import FileFormatError


class RaggedColumn(NamedTuple):
    """A column with several values a row: row ``i`` holds ``data[starts[i]:stops[i]]``."""

    data: Any
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


def read_table(group: h5py.Group, index_name: str) -> pd.DataFrame:
    """Read the columns of a table that hold one number, truth value or text per row.

    Ragged columns (``tags``, ``timeseries``, ``spike_times`` ...), references and columns of several dimensions are
    skipped without being read.

    Parameters
    ----------
    group
        The table.
    index_name
        Name for the index, which is the table's ``id``, or 0, 1, ... where it has none.

    Raises
    ------
    FileFormatError
        If the columns are not of one length, or a column is not safe to read.
    """
    names = _column_names(group)
    columns = {name: found for name in names if is_column(found := dataset(group, name))}
    ids = columns.pop("id", None)
    sizes = {name: len(found) for name, found in columns.items()} | ({} if ids is None else {"id": len(ids)})
    if len(set(sizes.values())) > 1:
        raise FileFormatError(f"{group.file.filename}: the columns of {group.name} are of unequal length: {sizes}.")
    index = np.arange(max(sizes.values(), default=0)) if ids is None else read_values(ids)
    return pd.DataFrame(
        {name: read_values(found) for name, found in columns.items()}, index=pd.Index(index, name=index_name)
    )


def ragged_column(group: h5py.Group, name: str, n_rows: int) -> RaggedColumn | None:
    """Find a ragged column and check its bounds, without reading its values; None if the table has no such column.

    Raises
    ------
    FileFormatError
        If the bounds fall, lie outside the values, or are not one per row.
    """
    data, index = dataset(group, name), dataset(group, f"{name}_index")
    if data is None or index is None:
        return None
    bounds = read_values(index)
    problem = None
    if bounds.ndim != 1 or bounds.dtype.kind not in "iu" or data.ndim < 1:
        problem = f"bounds of shape {bounds.shape} and type {bounds.dtype} for values of shape {data.shape}"
    elif bounds.size != n_rows:
        problem = f"{bounds.size} bounds for {n_rows} rows"
    elif bounds.size and (int(bounds.min()) < 0 or int(bounds.max()) > len(data)):
        problem = f"bounds from {bounds.min()} to {bounds.max()} for {len(data)} values"
    elif (bounds[1:] < bounds[:-1]).any():
        problem = f"a bound that falls at row {int(np.flatnonzero(bounds[1:] < bounds[:-1])[0]) + 1}"
    if problem:
        raise FileFormatError(
            f"{group.file.filename}: expected {group.name}/{name}_index to rise from row to row within the length of "
            f"{name}, got {problem}. The file is damaged; fetch it again."
        )
    stops = bounds.astype(np.int64)
    return RaggedColumn(data, np.concatenate([[0], stops[:-1]])[: stops.size].astype(np.int64), stops)


class LazyTables(Mapping[str, pd.DataFrame]):
    """Interval tables of a file by name, each read when first asked for.

    Parameters
    ----------
    file
        The file.
    groups
        Name -> path of the table in the file.
    """

    def __init__(self, file: OpenableNwb, groups: Mapping[str, str]) -> None:
        self._file = file
        self._groups = dict(groups)
        self._tables: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            path = self._groups[name]
            with self._file.open() as root:
                self._tables[name] = read_intervals(root, path, "stimulus_presentation_id")
        return self._tables[name]

    def __contains__(self, name: object) -> bool:
        return name in self._groups

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __repr__(self) -> str:
        return f"LazyTables({', '.join(self._groups)})"


def read_intervals(root: h5py.File, path: str, index_name: str) -> pd.DataFrame:
    """Read a table of intervals.

    Raises
    ------
    FileFormatError
        If it has no ``start_time`` or ``stop_time``.
    """
    table = read_table(member(root, path), index_name)
    numbers = table.select_dtypes("number")
    missing = [name for name in ("start_time", "stop_time") if name not in numbers]
    if missing:
        raise FileFormatError(
            f"{root.filename}: expected the interval table {path} to have numbers in {' and '.join(missing)}, "
            f"it has the columns {list(table.columns)}."
        )
    return table


def _column_names(group: h5py.Group) -> list[str]:
    """Names of the columns that are not ragged, in the order that the table states."""
    stated = [as_text(name) for name in np.ravel(group.attrs.get("colnames", []))]
    present = set(group)
    order = [name for name in dict.fromkeys(stated) if name in present]
    order += sorted(present - set(order))
    ragged = {name for name in order if f"{name}_index" in present}
    return [name for name in order if name not in ragged and name.removesuffix("_index") not in ragged]

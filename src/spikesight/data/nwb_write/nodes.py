"""The few kinds of object that an NWB file is made of, written one at a time."""

import uuid
from collections.abc import Sequence
from typing import Final

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight.errors import DataError

TEXT: Final = h5py.string_dtype("utf-8")
ASCII: Final = h5py.string_dtype("ascii")
TABLES: Final = "hdmf-common"
"""The namespace of tables and their columns; everything else is ``core`` or the Allen extension."""


class NwbNodes:
    """Writes NWB objects into an open HDF5 file, contiguous and uncompressed as the Allen Institute's files are.

    Parameters
    ----------
    file
        The file, open for writing.
    identity
        Whatever tells this recording from any other. Object ids are derived from it and from the object's path, so
        that the same session always gives the same bytes.
    """

    def __init__(self, file: h5py.File, identity: str) -> None:
        self.file = file
        self._namespace = uuid.uuid5(uuid.NAMESPACE_OID, identity)

    def label(self, node: h5py.Group | h5py.Dataset, kind: str, namespace: str, **attributes: object) -> None:
        """Say of a group or dataset what it is: its type, the namespace of that type, its own id, and more."""
        for name, value in {**attributes, "namespace": namespace, "neurodata_type": kind}.items():
            node.attrs[name] = value
        node.attrs["object_id"] = str(uuid.uuid5(self._namespace, node.name))

    def group(self, path: str, kind: str, namespace: str = "core", **attributes: object) -> h5py.Group:
        """Create a typed group."""
        group = self.file.create_group(path)
        self.label(group, kind, namespace, **attributes)
        return group

    def text(self, path: str, value: str, dtype: np.dtype = TEXT) -> None:
        """Create a dataset that holds one string."""
        self.file.create_dataset(path, data=value, dtype=dtype)

    def table(
        self, path: str, columns: Sequence[str], ids: ArrayLike, description: str, kind: str, namespace: str = "core"
    ) -> h5py.Group:
        """Create a table with its row ids but without its columns, whose names are given in order."""
        names = np.array(list(columns), dtype=TEXT)
        table = self.group(path, kind, namespace, colnames=names, description=description)
        rows = table.create_dataset("id", data=np.asarray(ids, np.int64))
        self.label(rows, "ElementIdentifiers", TABLES)
        return table

    def column(
        self, table: h5py.Group, name: str, values: ArrayLike, description: str, dtype: np.dtype | None = None
    ) -> h5py.Dataset:
        """Add one column; ``dtype`` is needed for text and references only."""
        column = table.create_dataset(name, data=values, dtype=dtype)
        self.label(column, "VectorData", TABLES, description=description)
        return column

    def ragged_column(
        self,
        table: h5py.Group,
        name: str,
        shape: tuple[int, ...],
        ends: NDArray[np.int64],
        description: str,
        dtype: np.dtype | type = np.float64,
    ) -> h5py.Dataset:
        """Add a column of several values per row, still to be filled, and its index: the end of each row's values."""
        column = table.create_dataset(name, shape=shape, dtype=dtype)
        self.label(column, "VectorData", TABLES, description=description)
        index = table.create_dataset(f"{name}_index", data=ends)
        self.label(index, "VectorIndex", TABLES, target=column.ref)
        return column

    def module(self, name: str, description: str) -> None:
        """Create a processing module."""
        self.group(f"/processing/{name}", "ProcessingModule", description=description)

    def time_series(self, path: str, data: ArrayLike, timestamps: ArrayLike | str, unit: str) -> h5py.Group:
        """Create a time series; ``timestamps`` (s) may be the path of another series' timestamps, to be linked."""
        series = self.group(path, "TimeSeries", comments="no comments", description="no description")
        values = series.create_dataset("data", data=np.asarray(data, np.float64))
        for name, value in {"conversion": 1.0, "resolution": -1.0, "unit": unit}.items():
            values.attrs[name] = value
        if isinstance(timestamps, str):
            series["timestamps"] = h5py.SoftLink(timestamps)
        else:
            times = series.create_dataset("timestamps", data=np.asarray(timestamps, np.float64))
            times.attrs["interval"] = np.int64(1)
            times.attrs["unit"] = "seconds"
        return series


def checked_name(name: str, what: str) -> str:
    """Return ``name`` if it can name an object in an HDF5 file.

    Raises
    ------
    DataError
        If it is empty, "." or "..", or holds a "/" or a NUL, each of which HDF5 would take for something else.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise DataError(f"{what} {name!r} cannot name a group of an NWB file: no '/', NUL, '.' or '..'. Rename it.")
    return name

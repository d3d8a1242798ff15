"""An NWB file on a server: its structure through h5py, spikes and other values of units as exact byte ranges."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import h5py
import numpy as np
from numpy.typing import NDArray

from spikesight.data.fetch import cache_folder
from spikesight.data.nwb_file import DAMAGE, DatasetSource, check_version, describe_foreign
from spikesight.data.page_store import FOLDER, open_store
from spikesight.data.public_source import RemoteFile
from spikesight.data.ragged import Source
from spikesight.data.remote_reader import RemoteReader, RemoteStream
from spikesight.errors import FileFormatError, SpikesightError, brief
from spikesight.places import without_secrets
from spikesight.tracking.progress import Progress

GAP_BYTES: Final = 64 * 1024
"""Bytes between the values of two units that are read and thrown away rather than asking once more."""
HDF5_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
WORTH_TELLING: Final = 4_000_000
"""Bytes of a read below which nobody hears how far it is."""


@dataclass(frozen=True)
class RemoteNwbFile:
    """An NWB file on a server, opened anew for every read; what was read once is remembered on disk.

    Attributes
    ----------
    remote
        Address, size and ETag when it was first seen: a file that changes under a session is refused.
    progress
        Hears how far a long read is. It stays behind when the file is pickled.
    """

    remote: RemoteFile
    progress: Progress | None = field(default=None, compare=False, repr=False)

    @classmethod
    def at(cls, remote: RemoteFile, progress: Progress | None = None) -> "RemoteNwbFile":
        """Look at the file.

        Raises
        ------
        FileFormatError
            If it is not NWB 2.
        RemoteError
            If the server cannot be reached, refuses, or sends something else than it announced.
        """
        file = cls(remote, progress)
        with file.open() as root:
            check_version(root, file.name)
        return file

    @property
    def name(self) -> str:
        """What messages call it: its address, without a signature."""
        return without_secrets(self.remote.url)

    @property
    def stem(self) -> str:
        """The last part of its address, without ending."""
        return Path(urlsplit(self.remote.url).path).stem

    def values(self, name: str, found: Any) -> Source:
        """Return what reads slices of a dataset: as byte ranges if its values stand end to end in the file."""
        extent = _extent(found, self.remote.size)
        return DatasetSource(self, name) if extent is None else RemoteValues(self, extent)

    @contextmanager
    def reader(self) -> Iterator[RemoteReader]:
        """Open what reads bytes."""
        store = open_store(cache_folder() / FOLDER, self.remote)
        try:
            yield RemoteReader(self.remote, store)
        finally:
            store.close()

    @contextmanager
    def open(self) -> Iterator[h5py.File]:
        """Open the file.

        Raises
        ------
        RemoteError
            If a read failed, whatever HDF5 made of it.
        FileFormatError
            If it cannot be read as HDF5.
        """
        with self.reader() as reader:
            stream = RemoteStream(reader)
            try:
                head = reader.read(0, min(8, self.remote.size))
                if head != HDF5_SIGNATURE:
                    raise FileFormatError(describe_foreign(self.name, head))
                with h5py.File(stream, "r") as root:
                    yield root
            except Exception as error:
                if stream.error is not None:
                    raise stream.error from error
                if isinstance(error, SpikesightError) or not isinstance(error, DAMAGE):
                    raise
                raise FileFormatError(
                    f"expected a whole NWB file, {self.name} ({self.remote.size} bytes) could not be read: "
                    f"{brief(error)}. It may be damaged on the server."
                ) from error
            if stream.error is not None:  # HDF5 may take what cannot be read for what is not there
                raise stream.error

    def __getstate__(self) -> dict[str, Any]:
        return {"remote": self.remote, "progress": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@dataclass(frozen=True)
class Extent:
    """Where the values of a dataset stand: from ``offset`` on, rows of ``row_shape`` end to end."""

    offset: int
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    n_rows: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(self.dtype.itemsize) * prod(self.row_shape)

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first byte of a row and the first behind another."""
        return self.offset + start * self.row_bytes, self.offset + stop * self.row_bytes

    def rows(self, data: bytes) -> NDArray[Any]:
        """Make rows of bytes."""
        return np.frombuffer(data, self.dtype).reshape(-1, *self.row_shape)


@dataclass(frozen=True)
class RemoteValues:
    """Values of one dataset of a remote file, read as byte ranges, several at a time."""

    file: RemoteNwbFile
    extent: Extent

    @property
    def read_gap(self) -> int:
        """Unwanted values that are read rather than asking once more."""
        return GAP_BYTES // max(1, self.extent.row_bytes)

    def __getitem__(self, key: slice, /) -> NDArray[Any]:
        start, stop, step = key.indices(self.extent.n_rows)
        if step != 1:
            raise IndexError(f"expected a slice of neighbouring values, got {key}.")
        return next(self.stretches([(start, max(start, stop))])).copy()

    def stretches(self, bounds: Sequence[tuple[int, int]]) -> Iterator[NDArray[Any]]:
        """Read stretches of rows, in this order; they cannot be written to."""
        spans = [self.extent.span(start, stop) for start, stop in bounds]
        filled = [span for span in spans if span[0] < span[1]]
        total = sum(stop - start for start, stop in filled)
        done = 0
        with self.file.reader() as reader:
            data = reader.read_many(filled)
            for start, stop in spans:
                yield self.extent.rows(next(data) if start < stop else b"")
                done += stop - start
                if self.file.progress is not None and total >= WORTH_TELLING:
                    self.file.progress.transfer(f"streaming {self.file.stem}", done, total)


def _extent(found: Any, size: int) -> Extent | None:
    """Find where the values of a dataset stand end to end in a file of ``size`` bytes; None if they do not."""
    offset = None if found.ndim < 1 or found.dtype.kind not in "fiu" else found.id.get_offset()
    if offset is None or found.chunks is not None or found.file.userblock_size:
        return None
    extent = Extent(int(offset), found.dtype, tuple(found.shape[1:]), len(found))
    if extent.span(0, extent.n_rows)[1] > size:
        raise FileFormatError(
            f"{found.file.filename}: {found.name} ends behind the {size} bytes of the file. It is damaged there."
        )
    return extent

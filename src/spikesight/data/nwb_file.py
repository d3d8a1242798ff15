"""Safe reading of single datasets from an NWB file that may be damaged or made to harm.

Nothing outside the file is ever opened, and what a dataset claims to hold is checked against the file's size before
memory is taken for it.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from spikesight.data.memory import available_memory
from spikesight.data.ragged import Source
from spikesight.errors import FileFormatError, SpikesightError, brief

MAX_COMPRESSION: Final = 2000
"""A chunked dataset may claim this many times the bytes it stores (deflate reaches 1032 on constant data) ..."""
FREE_BYTES: Final = 16 * 2**20
"""... and anything up to this size, since chunks that hold fill values only are not stored."""
SUSPICIOUS_COMPRESSION: Final = 100
"""Recorded values are never compressed as well as this: then what is claimed must also fit into memory."""
_MAX_LINKS: Final = 16
_MAX_TEXTS: Final = 1000
DAMAGE: Final = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, MemoryError)
"""What h5py raises on damaged structures, and on values that take more memory than there is."""


class OpenableNwb(Protocol):
    """An NWB file wherever it is, opened anew for every read, so that no handle outlives it and it can be pickled."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def stem(self) -> str:
        """Its name without folders and ending."""

    def open(self) -> AbstractContextManager[h5py.File]:
        """Open the file read-only."""

    def values(self, name: str, found: Any) -> Source:
        """Return what reads slices of the dataset ``found``, called ``name``, when the file is closed again."""


@dataclass(frozen=True)
class NwbFile:
    """An NWB file on disk, opened anew for every read, so that no handle outlives it and it can be pickled.

    Attributes
    ----------
    path
        Absolute path.
    size, modified
        Bytes and modification time (ns) when it was first seen: a file that changes under a session is refused.
    """

    path: Path
    size: int
    modified: int

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> "NwbFile":
        """Find the NWB file at ``path``.

        Raises
        ------
        FileFormatError
            If there is no such file, or it is not NWB 2.
        """
        where = Path(path).expanduser().absolute()
        if not where.exists():
            raise FileFormatError(f"expected an NWB file, there is nothing at {where}. Check the path.")
        if not where.is_file():
            raise FileFormatError(
                f"expected an NWB (HDF5) file, {where} is not a file. Give the path of one .nwb file."
            )
        status = where.stat()
        file = cls(where, status.st_size, status.st_mtime_ns)
        with file.open() as root:
            check_version(root, str(where))
        return file

    @property
    def name(self) -> str:
        """What messages call it: its path."""
        return str(self.path)

    @property
    def stem(self) -> str:
        """Its name without folders and ending."""
        return self.path.stem

    def values(self, name: str, found: Any) -> Source:
        """Return what reads slices of the dataset ``name``."""
        return DatasetSource(self, name)

    @contextmanager
    def open(self) -> Iterator[h5py.File]:
        """Open the file read-only and without a lock.

        Raises
        ------
        FileFormatError
            If it cannot be read as HDF5, or has changed since it was first seen.
        """
        try:
            status = self.path.stat()
            if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
                raise FileFormatError(f"{self.path} has changed since it was opened. Read the session again.")
            if not h5py.is_hdf5(self.path):
                raise FileFormatError(_not_hdf5(self.path))
            with _open_unlocked(self.path) as root:
                yield root
        except SpikesightError:
            raise
        except DAMAGE as error:
            raise FileFormatError(
                f"expected a whole NWB file, {self.path} ({self.size} bytes) could not be read: {brief(error)}. "
                "If it is truncated or damaged, fetch it again."
            ) from error


@dataclass(frozen=True)
class DatasetSource:
    """Values of one dataset, read slice by slice; the file is open only during a read."""

    file: OpenableNwb
    name: str

    def __getitem__(self, key: slice, /) -> NDArray[np.floating]:
        with self.file.open() as root:
            found = dataset(root, self.name)
            if found is None:
                raise FileFormatError(f"expected a dataset {self.name} in {self.file.name}. Read the session again.")
            return np.asarray(found[key])


def member(group: h5py.Group, path: str, *, _links: int = 0) -> Any:
    """Find a group or dataset, or None, without ever leaving the file.

    ``h5py`` follows external links on access, so every link on the way is looked at before it is taken.

    Raises
    ------
    FileFormatError
        If the way leads through an external link or more than 16 soft links.
    """
    node: Any = group.file["/"] if path.startswith("/") else group
    for part in filter(lambda part: part not in {"", "."}, path.split("/")):
        if not isinstance(node, h5py.Group):
            return None
        link = node.get(part, getlink=True)
        if link is None:
            return None
        if isinstance(link, h5py.HardLink):
            node = node[part]
            continue
        if not isinstance(link, h5py.SoftLink):
            target = getattr(link, "filename", "elsewhere")
            raise FileFormatError(
                f"{group.file.filename} links {node.name}/{part} to another file ({target!r}), which is not followed "
                "for safety. Copy the data into one file."
            )
        if _links >= _MAX_LINKS:
            raise FileFormatError(f"{group.file.filename} has a circle of soft links at {node.name}/{part}.")
        node = member(node, link.path, _links=_links + 1)
    return node


def dataset(group: h5py.Group, path: str) -> Any:
    """Find a dataset that is safe to read, or None.

    Raises
    ------
    FileFormatError
        If it is a group, is stored in other files, or claims more values than the file can hold.
    """
    found = member(group, path)
    if found is None:
        return None
    name = f"{group.file.filename}: {group.name.rstrip('/')}/{path.lstrip('/')}"
    if not isinstance(found, h5py.Dataset):
        raise FileFormatError(f"{name}: expected a dataset, got a group.")
    if found.external:
        raise FileFormatError(f"{name} is stored in other files, which are not read for safety. Copy it into the file.")
    if found.is_virtual:  # one that shows itself would end the process: HDF5 follows it without end
        raise FileFormatError(
            f"{name} is a view of other files or datasets, which are not read for safety. Copy it into the file."
        )
    _check_size(found, name)
    return found


def is_column(found: Any) -> bool:
    """Say whether this is a dataset that holds one number, truth value or text per row."""
    if found is None:  # a soft link to nothing
        return False
    try:
        kind = found.dtype.kind
        return found.ndim == 1 and (kind in "biuf" or h5py.check_string_dtype(found.dtype) is not None)
    except DAMAGE:  # a datatype without an equivalent in numpy
        return False


def read_values(found: Any) -> NDArray[Any]:
    """Read a whole dataset; text as str."""
    if h5py.check_string_dtype(found.dtype) is not None:
        return np.asarray(found.asstr(errors="replace")[...])
    values = np.asarray(found[...])
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def read_text(group: h5py.Group, path: str) -> str | None:
    """Read a text of a single value, or None where there is none."""
    found = dataset(group, path)
    if found is None or found.shape is None:
        return None
    if found.size > _MAX_TEXTS:
        raise FileFormatError(f"{group.file.filename}: expected one text in {path}, it holds {found.size} values.")
    return as_text(found[()])


def as_text(value: Any) -> str:
    """Turn the value of an attribute or a scalar dataset into str."""
    if isinstance(value, np.ndarray):
        return ", ".join(as_text(item) for item in value.ravel())
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _open_unlocked(path: Path) -> h5py.File:
    """Open a file without locking it: locks fail on some network file systems, and would keep writers out."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        # This process has the file open already, with a lock (pynwb does that); HDF5 wants all to agree.
        return h5py.File(path, "r")


def _check_size(found: Any, name: str) -> None:
    """Compare what a dataset claims to hold with what the file can hold."""
    if found.shape is None:
        return
    item = int(found.id.get_type().get_size())
    claimed = prod(found.shape) * item
    room = int(found.file.id.get_filesize())
    if found.chunks is not None:
        stored = int(found.id.get_storage_size())
        room = max(FREE_BYTES, MAX_COMPRESSION * stored)
        claimed = max(claimed, prod(found.chunks) * item)
        if claimed > FREE_BYTES and claimed > SUSPICIOUS_COMPRESSION * stored:
            room = min(room, available_memory())
    if claimed > room:
        raise FileFormatError(
            f"{name} claims {claimed} bytes (shape {found.shape}), the file can hold at most {room}. "
            "The file is truncated or damaged; fetch it again."
        )


def check_version(root: h5py.File, path: str) -> None:
    """Raise FileFormatError if ``root`` is not of NWB 2; ``path`` is what the message calls it."""
    version = root.attrs.get("nwb_version")
    if version is None:
        old = " (an NWB 1 file)" if "nwb_version" in set(root) else ""
        raise FileFormatError(
            f"expected an NWB 2 file, {path} is HDF5 without the attribute nwb_version{old}; it holds "
            f"{brief(sorted(root)[:8])}. Convert it to NWB 2."
        )
    if not as_text(version).lstrip("vV").startswith("2"):
        raise FileFormatError(
            f"expected an NWB 2 file, {path} is of NWB version {brief(as_text(version), 40)!r}. Convert it."
        )


def _not_hdf5(path: Path) -> str:
    with path.open("rb") as stream:
        return describe_foreign(str(path), stream.read(8))


def describe_foreign(path: str, head: bytes) -> str:
    """Say what a file is that is not HDF5, after its first 8 bytes."""
    if head.startswith(b"PK"):
        return f"expected an NWB (HDF5) file, {path} is a zip or .npz file. Counts in .npz are read by read_counts."
    came = f"starts with {head!r}" if head else "is empty"
    return f"expected an NWB (HDF5) file, {path} {came}. Give the path of an .nwb file, or fetch it again."

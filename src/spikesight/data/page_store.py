"""Pages of remote files that were read before: on disk, bounded, shared by processes; in memory where that fails."""

import hashlib
import os
import threading
import zlib
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from spikesight.data.public_source import RemoteFile
from spikesight.places import without_secrets

PAGE: Final = 16 * 1024
"""Bytes of a page. A unit's spikes begin and end anywhere, so its reads are about one page longer than its spikes."""
MOST_BYTES: Final = 4 * 1024**3
"""Bytes on disk of all remote files together, unless ``SPIKESIGHT_STREAM_BYTES`` says otherwise."""
MOST_IN_MEMORY: Final = 2048
"""Pages of one file that are kept where no disk can be used (64 MiB)."""
LARGEST: Final = 1024**4
"""Bytes of a file above which nothing is remembered on disk: the sums of its pages alone would take 128 MiB."""
FOLDER: Final = "streamed"
ENDING: Final = ".pages"
_SUM: Final = 4
_LOOK_AFTER: Final = 64 * 1024**2
"""Bytes written between two looks at how much all files take."""


class PageStore(Protocol):
    """Remembers pages of one remote file."""

    def get(self, first: int, stop: int) -> list[bytes | None]:
        """Return the pages ``first`` to ``stop``, None for each that is not there."""

    def put(self, first: int, pages: list[bytes]) -> None:
        """Remember consecutive pages, or do not."""

    def close(self) -> None:
        """Leave it."""


class MemoryStore:
    """Pages in memory; the oldest go first."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, first: int, stop: int) -> list[bytes | None]:
        """Return the pages ``first`` to ``stop``, None for each that is not there."""
        with self._lock:
            return [self._pages.get(page) for page in range(first, stop)]

    def put(self, first: int, pages: list[bytes]) -> None:
        """Remember consecutive pages."""
        with self._lock:
            for page, data in enumerate(pages, first):
                self._pages[page] = data
            while len(self._pages) > MOST_IN_MEMORY:
                self._pages.popitem(last=False)

    def close(self) -> None:
        """Leave it as it is: this process may come back."""


class DiskStore:
    """Pages in a file with holes: the sums of all pages (CRC-32, 0: not there), then the pages at their places.

    A page is written before its sum, so that a process that dies leaves no page that looks whole. Processes may read
    and write the same file: they write the same bytes to the same places, and a page whose sum is wrong is not there.
    A disk that is full or fails ends the remembering, not the reading.

    Parameters
    ----------
    folder
        Where the files of all remote files are; it is made if need be.
    remote
        The file.
    most_bytes
        Bytes on disk of all files of the folder; those that were used longest ago are removed.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, remote: RemoteFile, most_bytes: int = MOST_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{_key(remote)}{ENDING}"
        self._most_bytes = most_bytes
        self._make_room()
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        os.utime(self.path)
        n_pages = -(-remote.size // PAGE)
        known = np.frombuffer(self._file.read(n_pages * _SUM) or b"", np.uint8)
        sums = np.zeros(n_pages * _SUM, np.uint8)
        sums[: known.size] = known  # a file that is new or was cut short has none behind its end
        self._sums = sums.view("<u4")
        self._begin = -(-n_pages * _SUM // PAGE) * PAGE
        self._lock = threading.Lock()
        self._since_look = 0
        self._is_writable = True

    def get(self, first: int, stop: int) -> list[bytes | None]:
        """Return the pages ``first`` to ``stop``, None for each that is not there."""
        if not self._sums[first:stop].any():
            return [None] * (stop - first)
        with self._lock:
            try:
                self._file.seek(self._begin + first * PAGE)
                data = self._file.read((stop - first) * PAGE) or b""
            except OSError:
                return [None] * (stop - first)
        pages = [data[place * PAGE : (place + 1) * PAGE] for place in range(stop - first)]
        there = zip(pages, self._sums[first:stop].tolist(), strict=True)
        return [page if known and self._sum_of(page) == known else None for page, known in there]

    def put(self, first: int, pages: list[bytes]) -> None:
        """Remember consecutive pages, unless the disk fails or the file alone takes more than all may take."""
        if not self._is_writable:
            return
        sums = np.array([self._sum_of(page) for page in pages], "<u4")
        with self._lock:
            try:
                self._write(self._begin + first * PAGE, b"".join(pages))
                self._write(first * _SUM, sums.tobytes())
            except OSError:
                self._is_writable = False
                return
            self._sums[first : first + len(pages)] = sums
            self._since_look += len(pages) * PAGE
            if self._since_look > _LOOK_AFTER:
                self._since_look = 0
                self._make_room()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, place: int, data: bytes) -> None:
        self._file.seek(place)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) or 0 :]

    def _make_room(self) -> None:
        """Remove the files that were used longest ago; stop remembering if this one alone is too large."""
        sizes = {}
        for file in self.path.parent.glob(f"*{ENDING}"):
            try:
                state = file.stat()
            except OSError:  # another process was quicker
                continue
            sizes[file] = (state.st_mtime, getattr(state, "st_blocks", state.st_size // 512) * 512)
        used = sum(size for _, size in sizes.values())
        for file, (_, size) in sorted(sizes.items(), key=lambda item: item[1]):
            if used <= self._most_bytes:
                return
            if file != self.path:
                file.unlink(missing_ok=True)
                used -= size
        self._is_writable = used <= self._most_bytes

    @staticmethod
    def _sum_of(page: bytes) -> int:
        return zlib.crc32(page) or 1


def most_bytes() -> int:
    """Return how many bytes may be kept on disk: ``SPIKESIGHT_STREAM_BYTES``, else ``MOST_BYTES``."""
    text = os.environ.get("SPIKESIGHT_STREAM_BYTES", "")
    return int(text) if text.isdigit() else MOST_BYTES


def open_store(folder: Path, remote: RemoteFile) -> PageStore:
    """Open what is remembered of a file: on disk if it can be told apart from later ones and the disk takes it.

    A file without an ETag may change without a sign, so its pages do not outlive this process.
    """
    if remote.etag is None or most_bytes() == 0 or remote.size > LARGEST:
        return _memory_store(remote)
    try:
        return DiskStore(folder, remote, most_bytes())
    except OSError:
        return _memory_store(remote)


@lru_cache(maxsize=4)
def _memory_store(remote: RemoteFile) -> MemoryStore:
    return MemoryStore()


def _key(remote: RemoteFile) -> str:
    """Name a file after its address, without a signature, and its content."""
    described = f"{without_secrets(remote.url)}\n{remote.size}\n{remote.etag}"
    return hashlib.sha256(described.encode()).hexdigest()[:32]

"""Bytes of a remote file: only those that are asked for, checked, in few requests that are tried again."""

import io
import itertools
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import requests
import urllib3.exceptions

from spikesight.data import http
from spikesight.data.page_store import PAGE, PageStore
from spikesight.data.public_source import RemoteFile, plain_etag
from spikesight.errors import RemoteError
from spikesight.places import without_secrets

BLOCK: Final = 256 * 1024
"""Bytes that are read at a place where the structure of a file is looked up: what follows is mostly wanted next."""
MOST_OF_A_REQUEST: Final = 2 * 1024**2
CONNECTIONS: Final = 8
"""Requests at a time."""
AHEAD: Final = 32
"""Requests that are under way, wait for a connection, or have come and wait to be taken."""
HOT_PAGES: Final = 2048
"""Pages (32 MiB) that an open file keeps in memory."""
SLOWEST: Final = 4096
"""Bytes a second below which a connection is given up after ``PATIENCE_SECONDS``: it would never end."""
PATIENCE_SECONDS: Final = 60.0
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

_TAKEN: Final[Future[bytes]] = Future()
"""In place of what was taken already, so that its bytes can go."""

Span = tuple[int, int]
"""Bytes from the first up to the second, which is not included."""


class RemoteReader:
    """Reads stretches of a remote file; pages that were read once are taken from the store.

    Parameters
    ----------
    remote
        The file as it was announced: an answer of another length or ETag is refused.
    store
        What is remembered.
    patience
        How long to wait for the server, and how often to try again.

    Attributes
    ----------
    n_bytes, n_requests
        Bytes that came, and answers they came in.
    """

    def __init__(self, remote: RemoteFile, store: PageStore, patience: http.Patience = http.PATIENT) -> None:
        self.remote = remote
        self.n_bytes = 0
        self.n_requests = 0
        self._counting = threading.Lock()
        self._store = store
        self._patience = patience

    def read(self, start: int, stop: int, *, ahead: int = PAGE, over: threading.Event | None = None) -> bytes:
        """Read the bytes from ``start`` up to ``stop``.

        What must be fetched is fetched in multiples of ``ahead``, as far as it is not there. ``over`` ends the trying.

        Raises
        ------
        RemoteError
            If the server refuses, cannot be reached, or the file is no longer the one that was announced.
        """
        if not 0 <= start <= stop <= self.remote.size:
            raise ValueError(f"expected bytes within the {self.remote.size} of the file, got {start} to {stop}.")
        if start == stop:
            return b""
        step = ahead // PAGE
        first, last = start // PAGE, -(-stop // PAGE)
        low, high = first // step * step, min(-(-last // step) * step, -(-self.remote.size // PAGE))
        pages = self._store.get(low, high)
        for begin, end in _holes(pages, low):
            if begin < last and first < end:
                pages[begin - low : end - low] = self._fetch_pages(begin, end, over or threading.Event())
        whole = b"".join(page for page in pages[first - low : last - low] if page is not None)
        return whole[start - first * PAGE : stop - first * PAGE]

    def read_many(self, spans: Sequence[Span]) -> Iterator[bytes]:
        """Read stretches, several at a time; they come in the order in which they were asked for.

        A few are under way or wait to be taken, so that memory is bounded.

        Raises
        ------
        RemoteError
            As ``read``.
        """
        parts = [part for span in spans for part in _cut(span)]
        over = threading.Event()
        pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="spikesight-stream")
        waiting: dict[int, Future[bytes]] = {}
        try:
            pieces: list[bytes] = []
            for place, (_, _, is_last) in enumerate(parts):
                for later in range(place, min(place + AHEAD, len(parts))):
                    if later not in waiting:
                        waiting[later] = pool.submit(self.read, *parts[later][:2], over=over)
                pieces.append(waiting[place].result())
                waiting[place] = _TAKEN
                if is_last:
                    yield b"".join(pieces)
                    pieces = []
        finally:
            over.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _fetch_pages(self, first: int, stop: int, over: threading.Event) -> list[bytes]:
        data = self._fetch(first * PAGE, min(stop * PAGE, self.remote.size), over)
        pages = [data[place : place + PAGE] for place in range(0, len(data), PAGE)]
        self._store.put(first, pages)
        return pages

    def _fetch(self, start: int, stop: int, over: threading.Event) -> bytes:
        """Ask for bytes until they are there; what came before a connection broke is kept."""
        got = bytearray()
        backoff = http.Backoff(self._patience)
        while len(got) < stop - start:
            before = len(got)
            if over.is_set():
                raise RemoteError("nobody waits for these bytes any more.")
            try:
                self._receive(start + before, stop, got)
            except http.PassingError as error:
                if len(got) - before >= PAGE:  # a trickle is no progress
                    backoff.progressed()
                backoff.wait(error)
        return bytes(got)

    def _receive(self, start: int, stop: int, got: bytearray) -> None:
        """Ask once, and append what comes."""
        url = self.remote.url
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self.remote.etag is not None:
            headers["If-Match"] = f'"{self.remote.etag}"'
        answer = http.attempt("GET", url, headers=headers, stream=True, patience=self._patience)
        with self._counting:
            self.n_requests += 1
        with answer:
            self._check(answer, start, stop)
            until = time.monotonic() + PATIENCE_SECONDS + (stop - start) / SLOWEST
            left = stop - start
            while left:
                try:
                    piece = answer.raw.read(min(left, 256 * 1024), decode_content=False)
                except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                    raise http.explained(error, url) from error
                if not piece:
                    raise http.PassingError(f"{without_secrets(url)} ended {left} bytes early.")
                got += piece
                with self._counting:
                    self.n_bytes += len(piece)
                left -= len(piece)
                if left and time.monotonic() > until:
                    raise http.PassingError(f"{without_secrets(url)} sends fewer than {SLOWEST} bytes a second.")
            answer.raw.release_conn()  # or it would be closed, and the next request make another

    def _check(self, answer: requests.Response, start: int, stop: int) -> None:
        """Refuse an answer that holds other bytes than those asked for, before any is read."""
        where, size = without_secrets(self.remote.url), self.remote.size
        changed = f"{where} has changed since it was opened. Read the session again."
        if answer.status_code in (412, 416):
            raise RemoteError(changed, answer.status_code)
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        etag = plain_etag(answer.headers.get("ETag"))
        if etag is not None and self.remote.etag is not None and etag != self.remote.etag:
            raise RemoteError(changed, answer.status_code)
        if found and int(found[3]) != size:
            raise RemoteError(f"{changed} It had {size} bytes and has {found[3]}.", answer.status_code)
        if answer.status_code != 206:
            whole = (start, stop) == (0, size) and answer.headers.get("Content-Length") == str(size)
            if answer.status_code == 200 and whole:
                return
            raise RemoteError(
                f"expected bytes {start} to {stop - 1} of {where}, the server sends no parts of files (it answers "
                f"{answer.status_code}). Fetch the whole file, and give its path.",
                answer.status_code,
            )
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise RemoteError(f"expected the bytes of {where} as they are, the server compresses them.")
        length = answer.headers.get("Content-Length", str(stop - start))
        if not found or (int(found[1]), int(found[2]) + 1) != (start, stop) or length != str(stop - start):
            came = f"{answer.headers.get('Content-Range', 'no range')!r} of {length} bytes"
            raise http.PassingError(f"expected bytes {start} to {stop - 1} of {where}, got {came}.")


class RemoteStream(io.RawIOBase):
    """What h5py reads a remote file through. The first error is kept: HDF5 may take it for something that is not there.

    Attributes
    ----------
    error
        The first error of a read, or None.
    """

    def __init__(self, reader: RemoteReader) -> None:
        super().__init__()
        self.error: RemoteError | None = None
        self._reader = reader
        self._position = 0
        self._hot: OrderedDict[int, bytes] = OrderedDict()

    def __repr__(self) -> str:
        return without_secrets(self._reader.remote.url)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._reader.remote.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer``, but for what lies behind the end of the file."""
        view = memoryview(buffer).cast("B")
        start = min(self._position, self._reader.remote.size)
        stop = min(start + len(view), self._reader.remote.size)
        if self.error is not None:
            raise self.error
        try:
            view[: stop - start] = self._read(start, stop)
        except RemoteError as error:
            self.error = error
            raise
        self._position += stop - start
        return stop - start

    def _read(self, start: int, stop: int) -> bytes:
        if start == stop:
            return b""
        if stop - start > BLOCK:  # values, which are read once
            # One after the other: h5py holds its lock here. A thread of ours that collects garbage with an object of
            # h5py in it would wait for that lock, and this one for that thread, for ever.
            return b"".join(self._reader.read(low, high) for low, high, _ in _cut((start, stop)))
        first, last = start // PAGE, -(-stop // PAGE)
        if any(page not in self._hot for page in range(first, last)):
            whole = self._reader.read(first * PAGE, min(last * PAGE, self._reader.remote.size), ahead=BLOCK)
            for place, page in enumerate(range(first, last)):
                self._hot[page] = whole[place * PAGE : (place + 1) * PAGE]
        data = b"".join(self._hot[page] for page in range(first, last))
        while len(self._hot) > HOT_PAGES:
            self._hot.popitem(last=False)
        return data[start - first * PAGE : stop - first * PAGE]


def _cut(span: Span) -> list[tuple[int, int, bool]]:
    """Cut a stretch into parts of one request each, at ends of pages, and mark the last."""
    start, stop = span
    first = (start // MOST_OF_A_REQUEST + 1) * MOST_OF_A_REQUEST
    edges = [start, *range(first, stop, MOST_OF_A_REQUEST), stop]
    return [(low, high, high == stop) for low, high in itertools.pairwise(edges)]


def _holes(pages: Sequence[bytes | None], first: int) -> list[Span]:
    """Find the stretches of pages that are not there."""
    holes: list[Span] = []
    for page, data in enumerate(pages, first):
        if data is not None:
            continue
        if holes and holes[-1][1] == page:
            holes[-1] = (holes[-1][0], page + 1)
        else:
            holes.append((page, page + 1))
    return holes

"""Bytes of a remote file, in pieces, from where an earlier attempt was stopped."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import requests
import urllib3.exceptions

from spikesight.data import http
from spikesight.data.public_source import RemoteFile, plain_etag
from spikesight.errors import OutputError, RemoteError
from spikesight.places import without_secrets

PIECE: Final = 32 << 20
"""Bytes that are asked for at once."""
_BLOCK: Final = 64 << 10
"""Bytes that are written at once: what is lost, at most, when the connection breaks."""
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ChangedError(RemoteError):
    """The file on the server is no longer the one of which the beginning is here."""


@dataclass
class Meter:
    """Counts the bytes of a file that came over the network, also those of attempts that ended with an error."""

    bytes: int = 0


def read_range(
    remote: RemoteFile, start: int, stop: int, meter: Meter, *, patience: http.Patience, piece_size: int = PIECE
) -> Iterator[bytes]:
    """Yield the bytes from ``start`` up to ``stop``, whatever the connection does meanwhile.

    Parameters
    ----------
    meter
        Counts what comes.
    patience
        How long to wait, and how often to try again without progress.
    piece_size
        Bytes that are asked for at once.

    Raises
    ------
    ChangedError
        If the file on the server has changed.
    RemoteError
        If the server refuses, or fails too often without any progress.
    """
    position, backoff = start, http.Backoff(patience)
    while position < stop:
        try:
            for block in _one_answer(remote, position, min(position + piece_size, stop), patience):
                position += len(block)
                meter.bytes += len(block)
                backoff.progressed()
                yield block
        except http.PassingError as error:
            backoff.wait(error)


def _one_answer(remote: RemoteFile, start: int, stop: int, patience: http.Patience) -> Iterator[bytes]:
    """Yield what one request for a range brings, at most up to ``stop``."""
    headers = {"Range": f"bytes={start}-{stop - 1}"}
    if remote.etag is not None:
        headers["If-Match"] = f'"{remote.etag}"'
    with http.attempt("GET", remote.url, headers=headers, stream=True, patience=patience) as answer:
        # A server without ranges sends all of it from the beginning.
        unwanted = _check(answer, remote, start)
        left = stop - start
        while left:
            size = min(_BLOCK, unwanted or left)
            try:
                block = answer.raw.read(size, decode_content=False)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise http.explained(error, remote.url) from error
            if not block:
                raise http.PassingError(f"{without_secrets(remote.url)} ended {left} bytes too early.")
            if unwanted:
                unwanted -= len(block)
                continue
            left -= len(block)
            yield block


def _check(answer: requests.Response, remote: RemoteFile, start: int) -> int:
    """Check that an answer is a part of the file; return how many of its bytes come before ``start``."""
    etag = plain_etag(answer.headers.get("ETag"))
    if answer.status_code in (412, 416) or (remote.etag and etag and etag != remote.etag):
        raise ChangedError(
            f"{without_secrets(remote.url)} was replaced on the server by another file.", answer.status_code
        )
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise RemoteError(
            f"{without_secrets(remote.url)} sends compressed bytes, which have other positions. Check the address."
        )
    if answer.status_code == 200:
        size, first = answer.headers.get("Content-Length", str(remote.size)), "0"
    elif answer.status_code == 206:
        said = answer.headers.get("Content-Range", "")
        first, _, rest = said.removeprefix("bytes ").partition("-")
        size = rest.partition("/")[2]
        if first != str(start):
            raise http.PassingError(f"expected bytes from {start} of {without_secrets(remote.url)}, got {said!r}.")
    else:
        raise RemoteError(f"{without_secrets(remote.url)} answers {answer.status_code} to a request for a part of it.")
    if size not in (str(remote.size), "*"):
        raise ChangedError(f"{without_secrets(remote.url)} announced {remote.size} bytes, now it says {size}.")
    return start - int(first)


class Partial:
    """The part of a file that is here, beside a note of which file it is part of.

    Attributes
    ----------
    file
        ``NAME.part``. As long as it is, so much is here: it is only ever written at its end.
    """

    def __init__(self, final: Path) -> None:
        self.file = final.with_name(f"{final.name}.part")
        self._note = final.with_name(f"{final.name}.part.json")

    def begin(self, remote: RemoteFile) -> int:
        """Keep what is here if it belongs to ``remote``, else throw it away; return the number of bytes kept."""
        told = {"url": without_secrets(remote.url), "size": remote.size, "etag": remote.etag}
        here = self.file.stat().st_size if self.file.exists() else 0
        if here and self._belongs(told) and here <= remote.size:
            return here
        # In this order: a note beside bytes of another file would vouch for them.
        self.discard()
        write_whole(self._note, json.dumps(told).encode())
        self.file.touch()
        return 0

    def _belongs(self, told: dict[str, object]) -> bool:
        try:
            noted = json.loads(self._note.read_bytes())
        except (OSError, ValueError):
            return False
        if told["etag"] is None:
            return bool(noted == told)
        # The same content may have got another address, from another mirror.
        return isinstance(noted, dict) and all(noted.get(name) == told[name] for name in ("size", "etag"))

    def discard(self) -> None:
        """Throw away what is here."""
        self.file.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, final: Path) -> None:
        """Give the file its final name, and have both on the disk before anybody is told."""
        with self.file.open("rb") as file:
            os.fsync(file.fileno())
        self.file.replace(final)
        if os.name == "posix":  # Windows opens no folders
            folder = os.open(final.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._note.unlink(missing_ok=True)


def download(
    remote: RemoteFile,
    partial: Partial,
    meter: Meter,
    *,
    patience: http.Patience,
    piece_size: int = PIECE,
    heard: Callable[[int], None] = lambda _: None,
) -> None:
    """Fetch what is missing of ``partial``.

    Parameters
    ----------
    heard
        Called with the number of bytes that are here.

    Raises
    ------
    ChangedError
        If the file on the server has changed.
    OutputError
        If the disk is full. What is here stays.
    RemoteError
        If the server refuses, or fails too often without any progress.
    """
    here = partial.begin(remote)
    heard(here)
    # Without a buffer: what was counted is out of this process, and survives its end.
    with partial.file.open("r+b", buffering=0) as file:
        file.seek(here)
        for block in read_range(remote, here, remote.size, meter, patience=patience, piece_size=piece_size):
            write_all(file, block, partial.file)
            here += len(block)
            heard(here)


def write_all(file: IO[bytes], block: bytes, path: Path) -> None:
    """Write a whole block to an unbuffered file: on a disk that is nearly full, only the beginning may get there.

    Raises
    ------
    OutputError
        If the disk is full.
    """
    view = memoryview(block)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise OutputError(f"{path} cannot be written: {error}. What was fetched is kept.") from error
        raise OutputError(
            f"no space left for {path} ({error.strerror}). What was fetched is kept: make room, and start the same "
            "command again to go on."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file that is there as a whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error}. Choose another folder, or make room.") from error

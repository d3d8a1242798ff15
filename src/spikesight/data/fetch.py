"""A public session becomes a file in the cache folder: whole, verified, fetched once."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from filelock import FileLock, Timeout

from spikesight import __version__
from spikesight.data import http
from spikesight.data.cache import cache_folder as cache_folder
from spikesight.data.checksums import SIZE_ONLY, Checksum, announced, told_part_size
from spikesight.data.download import PIECE, ChangedError, Meter, Partial, download, write_whole
from spikesight.data.public_source import RemoteFile, Source, locate
from spikesight.data.repair import DamagedError, repair
from spikesight.errors import OutputError, RemoteError
from spikesight.places import without_secrets
from spikesight.tracking.progress import Progress, Silent

PATIENT: Final = http.Patience(retries=10)
"""Longer than for a question: hours of work are at stake."""
RESTARTS: Final = 3
"""How often a file may change on the server while it is fetched."""
NOT_VERIFIED: Final = "not verified: it was here without a record"
HDF5_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
LONG_TO_READ: Final = 256 << 20
"""Bytes from which on it takes seconds to compute a checksum (some 200 MB/s)."""
_SPARE: Final = 1 << 20
"""Bytes of disk space for notes and records."""


@dataclass(frozen=True)
class FetchRecord:
    """A session's file, and what is known of it.

    Attributes
    ----------
    session_id, source, path
        Which session, whence, and where it is.
    bytes
        Size of the file.
    verified
        What was compared with what the server announced: ``"sha256"``, ``"md5"``, ``"multipart md5 (...)"`` or
        ``"size only"``.
    seconds
        What fetching took; 0 if the file was here.
    bytes_moved
        Bytes that came over the network, without what an earlier attempt had fetched.
    """

    session_id: int
    path: Path
    bytes: int
    verified: str
    source: str
    seconds: float
    bytes_moved: int


def fetched(session_id: int, source: Source | None = None, *, cache: Path | None = None) -> Path | None:
    """Return the file of a session if it is in the cache folder; of any source if none is given."""
    for one in (source,) if source else get_args(Source):
        path = _path(session_id, one, cache)
        if path.is_file():
            return path
    return None


def fetch_session(
    session_id: int,
    source: Source = "s3",
    *,
    base: str | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    patience: http.Patience = PATIENT,
    piece_size: int = PIECE,
) -> Path:
    """Return the file of a public session, fetched and verified if it is not here yet.

    Parameters
    ----------
    session_id
        For example 715093703.
    source
        ``"s3"``: the bucket of the Allen Institute. ``"dandi"``: dandisets 000021 and 000022.
    base
        Address of the source; see :func:`spikesight.data.public_source.base_url`.
    cache
        Folder instead of :func:`cache_folder`.
    progress
        Hears how far it is.
    patience
        How long to wait for the server, and how often to try again without any progress.
    piece_size
        Bytes that are asked for at once.

    Raises
    ------
    OutputError
        If the folder cannot be written or has no space; what was fetched stays, and is gone on from.
    RemoteError
        If the server has no such session, cannot be reached, or sends something else than it announced.
    """
    return fetch(
        session_id, source, base=base, cache=cache, progress=progress, patience=patience, piece_size=piece_size
    ).path


def fetch(
    session_id: int,
    source: Source = "s3",
    *,
    base: str | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    patience: http.Patience = PATIENT,
    piece_size: int = PIECE,
) -> FetchRecord:
    """Do what :func:`fetch_session` does, and tell more about it."""
    hears = progress or Silent()
    final = _path(session_id, source, cache)
    if final.is_file():
        return _kept(session_id, source, final)
    with _alone(final, hears):
        if final.is_file():
            return _kept(session_id, source, final)
        start = time.monotonic()
        patience = http.telling(hears, patience)
        # Nothing is at stake yet, and one who has no network should hear of it soon.
        asking = replace(patience, retries=min(patience.retries, http.PATIENT.retries))
        remote, verified, moved = _fetch_unchanged(
            lambda: locate(session_id, source, base=base, patience=asking), final, hears, patience, piece_size
        )
        seconds = round(time.monotonic() - start, 3)
        record = FetchRecord(session_id, final, remote.size, verified, source, seconds, moved)
        # First the record: a file under its final name always has one.
        _write_record(record, remote)
        Partial(final).finish(final)
    return record


def _path(session_id: int, source: str, cache: Path | None) -> Path:
    return (cache or cache_folder()) / source / f"session_{session_id}.nwb"


def _record_path(final: Path) -> Path:
    return final.with_name(f"{final.name}.json")


@contextmanager
def _alone(final: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a file. The system lets go of it however this process ends.

    Raises
    ------
    OutputError
        If the folder, or a file in it, cannot be written.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(final.with_name(f".{final.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.note(f"another process fetches {final.name}; waiting for it")
            lock.acquire(poll_interval=0.2)
        try:
            yield
        finally:
            lock.release()
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{final.parent} cannot be written: {error}. Choose another folder with --cache or SPIKESIGHT_CACHE."
        ) from error


def _fetch_unchanged(
    find: Callable[[], RemoteFile], final: Path, progress: Progress, patience: http.Patience, piece_size: int
) -> tuple[RemoteFile, str, int]:
    """Fetch the partial file whole and right; begin anew if the file changes on the server meanwhile.

    Returns
    -------
    RemoteFile
        What was fetched.
    str
        How it was verified.
    int
        Bytes moved.
    """
    partial, meter = Partial(final), Meter()
    for _ in range(RESTARTS):
        remote = find()
        _check_space(partial, remote, final)
        try:
            download(
                remote, partial, meter, patience=patience, piece_size=piece_size,
                heard=lambda here: progress.transfer(final.stem, here, remote.size),  # noqa: B023 - called in this turn
            )  # fmt: skip
            return remote, _verify(remote, partial, meter, progress, patience, piece_size), meter.bytes
        except ChangedError as error:
            last = error
            progress.note(f"{error} Beginning anew.")
            partial.discard()
    raise RemoteError(f"{last} It changed {RESTARTS} times while it was fetched. Try again later.") from last


def _check_space(partial: Partial, remote: RemoteFile, final: Path) -> None:
    """Refuse to begin what cannot be finished."""
    here = partial.file.stat().st_size if partial.file.exists() else 0
    needed = remote.size - min(here, remote.size) + _SPARE
    free = shutil.disk_usage(final.parent).free
    if free < needed:
        raise OutputError(
            f"expected {needed / 1e6:.0f} MB of free space in {final.parent} for {final.name}, there are "
            f"{free / 1e6:.0f}. Make room, or choose another folder with --cache or SPIKESIGHT_CACHE."
        )


def _verify(
    remote: RemoteFile, partial: Partial, meter: Meter, progress: Progress, patience: http.Patience, piece_size: int
) -> str:
    """Compare the bytes with what was announced, repair them if need be; tell what was compared."""
    if remote.size > LONG_TO_READ:
        progress.note(f"{partial.file.stem}: all is here; comparing it with what the server announces")
    expected = announced(remote, lambda n_parts: told_part_size(remote, n_parts, patience=patience))
    if not isinstance(expected, Checksum):
        # No guess that fails proves a fault: the parts may have had yet another size.
        found = next((str(guess) for guess in expected if guess.matches(partial.file)), SIZE_ONLY)
        if found == SIZE_ONLY:
            _check_signature(partial, remote)
        return found
    if expected.matches(partial.file):
        return str(expected)
    progress.note(f"{partial.file.name}: {expected} is wrong; looking for the piece that came damaged")
    try:
        repair(partial.file, remote, expected, meter, patience=patience, piece_size=piece_size)
    except DamagedError:
        partial.discard()
        raise
    return str(expected)


def _check_signature(partial: Partial, remote: RemoteFile) -> None:
    """Refuse what is no HDF5 file at all: the page of a hotel's network that asks to log in has a size as well."""
    with partial.file.open("rb") as file:
        begins = file.read(len(HDF5_SIGNATURE))
    if begins != HDF5_SIGNATURE:
        partial.discard()
        raise RemoteError(
            f"expected an NWB file at {without_secrets(remote.url)}, what it sends begins with {begins!r}. "
            "Check the address, and that no network in between asks to log in."
        )


def _write_record(record: FetchRecord, remote: RemoteFile) -> None:
    told = {
        **asdict(record), "path": record.path.name, "url": without_secrets(remote.url), "etag": remote.etag,
        "sha256": remote.sha256, "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "spikesight": __version__,
    }  # fmt: skip
    write_whole(_record_path(record.path), json.dumps(told, indent=2).encode())


def _kept(session_id: int, source: str, final: Path) -> FetchRecord:
    """Tell of a file that was here."""
    verified, size = NOT_VERIFIED, final.stat().st_size
    try:
        told: Any = json.loads(_record_path(final).read_bytes())
    except (OSError, ValueError):
        told = None
    if isinstance(told, dict) and told.get("bytes") == size:
        verified = str(told.get("verified"))
    return FetchRecord(session_id, final, size, verified, source, 0.0, 0)

"""A file whose checksum is wrong is made right by fetching as little of it again as possible."""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from spikesight.data import http
from spikesight.data.checksums import Checksum
from spikesight.data.download import PIECE, Meter, read_range, write_all
from spikesight.data.public_source import RemoteFile, plain_etag
from spikesight.errors import RemoteError
from spikesight.places import without_secrets

PASSES: Final = 2
"""How often the whole file is gone through."""
PART_CHECKSUMS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "x-amz-checksum-sha256": lambda part: hashlib.sha256(part).digest(),
    "x-amz-checksum-sha1": lambda part: hashlib.sha1(part).digest(),
    "x-amz-checksum-crc32": lambda part: zlib.crc32(part).to_bytes(4, "big"),
}
"""Headers with checksums of parts, and how they are computed."""


class DamagedError(RemoteError):
    """The server sends bytes that are not what it announces, however often it is asked."""


def repair(
    file: Path,
    remote: RemoteFile,
    checksum: Checksum,
    meter: Meter,
    *,
    patience: http.Patience,
    piece_size: int = PIECE,
) -> None:
    """Fetch pieces again until the checksum is right.

    Where the server has checksums of parts, the parts that are wrong are fetched again, and nothing else. Else the
    checksum of the whole says that something is wrong, not where: piece after piece is fetched again. One that comes
    out otherwise than before was wrong once, so it is replaced, and the whole is judged again. One bad block then costs
    half of the file on average.

    Raises
    ------
    DamagedError
        If the server sends the same bytes again although they are wrong, or others each time.
    RemoteError
        If the server fails meanwhile. What is there is kept.
    """
    with file.open("r+b", buffering=0) as opened:
        rounds = [_damaged_parts(opened, remote, checksum, patience)]
        rounds += [_pieces(remote.size, piece_size) for _ in range(PASSES)]
        for ranges in rounds:
            is_other = False
            for start, stop in ranges:
                before = _read(opened, start, stop)
                again = b"".join(read_range(remote, start, stop, meter, patience=patience, piece_size=piece_size))
                if again == before:
                    continue
                is_other = True
                opened.seek(start)
                write_all(opened, again, file)
                if checksum.matches(file):
                    return
            if not is_other and ranges is not rounds[0]:
                break
    raise DamagedError(
        f"expected {checksum} {checksum.value} of {without_secrets(remote.url)}, the bytes it sends come out otherwise"
        f"{', each time otherwise' if is_other else ', twice the same'}. They were thrown away. Try the other source "
        "(--source), or again later."
    )


def _pieces(size: int, piece_size: int) -> list[tuple[int, int]]:
    return [(start, min(start + piece_size, size)) for start in range(0, size, piece_size)]


def _damaged_parts(
    opened: IO[bytes], remote: RemoteFile, checksum: Checksum, patience: http.Patience
) -> list[tuple[int, int]]:
    """Return the parts of an upload that differ from the checksums the server has of them; none if it has none."""
    if checksum.part_size is None:
        return []
    parts = _pieces(remote.size, checksum.part_size)
    found: list[tuple[int, int]] = []
    for number, (start, stop) in enumerate(parts, 1):
        is_right = _checks_of_part(remote, number, patience)
        if is_right is None:
            return found
        if not is_right(_read(opened, start, stop)):
            found.append((start, stop))
    return found


def _checks_of_part(remote: RemoteFile, number: int, patience: http.Patience) -> Callable[[bytes], bool] | None:
    """Return what tells if a part is right; None if the server does not say."""
    asked = {"x-amz-checksum-mode": "ENABLED"}
    try:
        answer = http.ask("HEAD", remote.url, params={"partNumber": str(number)}, headers=asked, patience=patience)
    except RemoteError:
        return None
    is_of_whole = answer.headers.get("x-amz-checksum-type") == "FULL_OBJECT"
    for header, compute in PART_CHECKSUMS.items():
        told = "" if is_of_whole else answer.headers.get(header, "")
        # That of all parts together ends in their number.
        if re.fullmatch(r"[A-Za-z0-9+/]+=*", told):
            return lambda part, compute=compute, told=told: base64.b64encode(compute(part)).decode() == told  # type: ignore[misc]
    etag = plain_etag(answer.headers.get("ETag"))
    if etag != remote.etag and re.fullmatch(r"[0-9a-f]{32}", etag or ""):
        return lambda part: hashlib.md5(part).hexdigest() == etag
    return None


def _read(opened: IO[bytes], start: int, stop: int) -> bytes:
    """Read a range of an unbuffered file."""
    opened.seek(start)
    blocks: list[bytes] = []
    while start < stop and (block := opened.read(stop - start)):
        blocks.append(block)
        start += len(block)
    return b"".join(blocks)

"""Is a file what its server announced? SHA-256, MD5, and the ETag of an object that was uploaded in parts.

S3 names an object that was uploaded in one go after its MD5. One that was uploaded in parts gets ``md5-N``: the MD5 of
the MD5s of its N parts, from which the size of the parts cannot be seen. It is asked for, known from a rule of the
archive, or guessed: a guess that comes out right is proof, one that does not proves nothing.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from spikesight.data import http
from spikesight.data.public_source import RemoteFile
from spikesight.errors import RemoteError

MIB: Final = 1 << 20
USUAL_PARTS: Final = (8, 5, 16, 15, 10, 64, 32, 25, 20, 50, 100, 128, 250, 256, 500, 512, 1024)
"""Sizes of parts that programs for S3 use (MiB), the most usual ones first."""
MOST_GUESSES: Final = 12
"""Each reads the whole file."""
DANDI_PART: Final = 64 * MIB
DANDI_MOST_PARTS: Final = 10_000
SIZE_ONLY: Final = "size only"


@dataclass(frozen=True)
class Checksum:
    """What a file's bytes must come out as.

    Attributes
    ----------
    kind
        ``"multipart md5"`` is the ETag of an upload in parts.
    value
        In hexadecimal, and ``-N`` for N parts.
    part_size
        Bytes of a part, for ``"multipart md5"``.
    """

    kind: Literal["sha256", "md5", "multipart md5"]
    value: str
    part_size: int | None = None

    def matches(self, file: Path) -> bool:
        """Read a file and compare."""
        return checksum_of(file, self.kind, self.part_size) == self.value.lower()

    def __str__(self) -> str:
        return self.kind if self.part_size is None else f"{self.kind} (parts of {self.part_size} bytes)"


def checksum_of(file: Path, kind: str, part_size: int | None = None) -> str:
    """Compute a checksum of a file."""
    with file.open("rb") as opened:
        if part_size is None:
            return hashlib.file_digest(opened, kind).hexdigest()
        parts: list[bytes] = []
        while True:
            part, left = hashlib.md5(), part_size
            while left and (block := opened.read(min(left, MIB))):
                part.update(block)
                left -= len(block)
            if left == part_size:
                return f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"
            parts.append(part.digest())


def announced(remote: RemoteFile, told: Callable[[int], int | None]) -> Checksum | list[Checksum]:
    """Return what the bytes must come out as; or guesses, one of which may be it; none if nothing is announced.

    Parameters
    ----------
    remote
        The file, as the server announces it.
    told
        Asked, with the number of parts, for the size of the parts; returns None where the server does not say.
    """
    if remote.sha256:
        return Checksum("sha256", remote.sha256)
    for name in (remote.digest, remote.etag):
        form = re.fullmatch(r"([0-9a-fA-F]{32})(?:-(\d{1,5}))?", name or "")
        if form is None:
            continue
        if form[2] is None:
            return Checksum("md5", form[1])
        value, n_parts = form[0], int(form[2])
        sizes = part_sizes(remote.size, n_parts)
        known = _dandi_part(remote.size) if name == remote.digest else told(n_parts)
        if known is not None and _n_parts(remote.size, known) == n_parts:
            return Checksum("multipart md5", value, known)
        return [Checksum("multipart md5", value, size) for size in sizes]
    return []


def part_sizes(size: int, n_parts: int) -> list[int]:
    """Guess the size of the parts (bytes) of a file of ``size`` bytes that came in ``n_parts``, best guess first."""
    if n_parts < 1 or size < 1:
        return []
    if n_parts == 1:
        return [size]
    smallest = -(-size // n_parts)
    nearest = -(-smallest // MIB)
    guesses = [
        *(count * MIB for count in USUAL_PARTS),
        smallest,
        *((nearest + more) * MIB for more in range(4)),
        *(count * 1_000_000 for count in (*USUAL_PARTS, -(-smallest // 1_000_000))),
        *(count * MIB for count in range(nearest, nearest + MOST_GUESSES)),
    ]
    return [guess for guess in dict.fromkeys(guesses) if _n_parts(size, guess) == n_parts][:MOST_GUESSES]


def told_part_size(remote: RemoteFile, n_parts: int, *, patience: http.Patience = http.PATIENT) -> int | None:
    """Ask S3 for the size of the first part; None where the server does not say."""
    try:
        answer = http.ask("HEAD", remote.url, params={"partNumber": "1"}, patience=patience)
    except RemoteError:
        return None
    length = answer.headers.get("Content-Length", "")
    if answer.headers.get("x-amz-mp-parts-count") != str(n_parts) or not length.isdigit():
        return None
    return int(length)


def _n_parts(size: int, part_size: int) -> int:
    return -(-size // part_size) if part_size > 0 else 0


def _dandi_part(size: int) -> int:
    """Return the size of the parts that the DANDI archive cuts a file into."""
    if _n_parts(size, DANDI_PART) < DANDI_MOST_PARTS:
        return DANDI_PART
    return -(-size // DANDI_MOST_PARTS)

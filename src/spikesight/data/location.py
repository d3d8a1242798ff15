"""Where the file of a session is: on disk, in the cache of fetched files, or on a server."""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from spikesight.data import http
from spikesight.data.catalogue import sessions
from spikesight.data.fetch import fetched
from spikesight.data.public_source import DANDISETS, S3_URL, RemoteFile, Source, base_url, describe, locate
from spikesight.errors import FileFormatError
from spikesight.places import DANDI, Place, as_place, is_session_id, resolved, without_secrets

BUCKET: Final = urlsplit(S3_URL).netloc.partition(".")[0]
"""The bucket of the Allen Institute; ``SPIKESIGHT_S3_URL`` stands for it."""
_DANDI_PLACE: Final = re.compile(rf"dandi:(?://)?(?:{'|'.join(DANDISETS)})/(?:ses-)?(\d+)")

Located = Path | RemoteFile


def find(
    place: str | os.PathLike[str] | int, source: Source = "s3", *, patience: http.Patience = http.PATIENT
) -> Located:
    """Find the file that ``place`` names.

    Parameters
    ----------
    place
        A path; the id of a public session (a file of that name comes first, then one that was fetched); or an address:
        ``s3://bucket/key``, ``https://``, ``dandi:000021/<session>``.
    source
        Where a public session is read that is named by its id and was not fetched.
    patience
        How long to wait for the server, and who hears of pauses.

    Returns
    -------
    Path or RemoteFile
        The absolute path of a file that exists, or a file on a server with its size and ETag.

    Raises
    ------
    ConfigError
        If it is none of these.
    FileFormatError
        If there is no such file, or no public session of that id.
    RemoteError
        If a server cannot be reached, refuses, or has no such file.
    """
    there = resolved(as_place(place))
    if isinstance(there, Path):
        return _on_disk(there, place)
    if is_session_id(there):
        return _public_session(int(there), source, patience)
    if there.startswith(DANDI):
        found = _DANDI_PLACE.fullmatch(there)
        if found is None:
            raise FileFormatError(f"expected dandi:000021/<session>, such as dandi:000021/715093703, got {there!r}.")
        return locate(int(found[1]), "dandi", patience=patience)
    return describe(_web_address(there) if there.lower().startswith("s3:") else there, patience=patience)


def public_sessions(asked: str) -> tuple[list[Place], str | None]:
    """Name the public sessions that were asked for: by a stimulus they were shown, or by their ids.

    Parameters
    ----------
    asked
        ``"natural_scenes"`` or ``"715093703,719161530"``.

    Returns
    -------
    places
        Their ids.
    stimulus
        The stimulus they were asked for by; None if by ids.

    Raises
    ------
    UnknownNameError
        If no session was shown such a stimulus.
    """
    names = [name.strip() for name in asked.split(",") if name.strip()]
    if names and all(is_session_id(name) for name in names):
        return list(names), None
    return [str(session_id) for session_id in sessions(stimulus=asked.strip()).index], asked.strip()


def is_streamed(place: Place) -> bool:
    """Tell if a place is read from a server as it is, without looking at whether the server has it."""
    there = resolved(place)
    return isinstance(there, str) and not (is_session_id(there) and fetched(int(there)) is not None)


def identity(located: Located) -> Path | dict[str, str | int | None]:
    """Tell a file from others: the path of a local one, whose content can be hashed; address, size and ETag of another.

    The address is without passwords and signatures, which do not belong in records.
    """
    if isinstance(located, Path):
        return located
    return {"url": without_secrets(located.url), "size": located.size, "etag": located.etag, "sha256": located.sha256}


def _on_disk(path: Path, asked: object) -> Path:
    if path.is_file():
        return path
    came = f"{asked} is not a file" if path.exists() else f"there is none at {asked}"
    raise FileFormatError(
        f"expected a session file, {came}. Give a file, the id of a public session (`spikesight sessions` lists them), "
        "or an address: s3://, https:// or dandi:000021/<session>."
    )


def _public_session(session_id: int, source: Source, patience: http.Patience) -> Located:
    here = fetched(session_id)
    if here is not None:
        return here
    check_public(session_id)
    return locate(session_id, source, patience=patience)


def check_public(session_id: int) -> None:
    """Raise FileFormatError if there is no public session of that id; asks no network."""
    known = sessions()
    if session_id not in known.index:
        raise FileFormatError(
            f"{session_id} is neither a file here nor the id of one of the {len(known)} public sessions. "
            "`spikesight sessions` lists them."
        )


def _web_address(address: str) -> str:
    """Turn ``s3://bucket/key`` into the address of a public object.

    ``SPIKESIGHT_S3_URL`` stands for the Allen Institute's bucket, ``AWS_ENDPOINT_URL_S3`` for the server of others.
    """
    bucket, _, key = address.split("://", 1)[1].partition("/")
    if not bucket or not key:
        raise FileFormatError(f"expected s3://bucket/key, got {address!r}.")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if bucket == BUCKET:
        base = base_url("s3")
    elif endpoint:
        base = f"{endpoint.rstrip('/')}/{bucket}"
    elif re.fullmatch(r"[a-z0-9-]{3,63}", bucket):
        base = f"https://{bucket}.s3.amazonaws.com"
    elif re.fullmatch(r"[A-Za-z0-9._-]{3,255}", bucket):  # a dot is no part of the name that a certificate is for
        base = f"https://s3.amazonaws.com/{bucket}"
    else:
        raise FileFormatError(f"expected the name of a bucket after s3://, got {bucket!r}.")
    return f"{base}/{quote(key)}"

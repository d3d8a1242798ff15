"""Where a public session lies: the bucket of the Allen Institute, or two dandisets of the DANDI archive."""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

import requests

from spikesight.data import http
from spikesight.errors import RemoteError, UnknownNameError
from spikesight.places import without_secrets

Source = Literal["s3", "dandi"]

S3_URL: Final = "https://allen-brain-observatory.s3.amazonaws.com"
S3_PREFIX: Final = "visual-coding-neuropixels/ecephys-cache"
DANDI_URL: Final = "https://api.dandiarchive.org/api"
DANDISETS: Final = ("000021", "000022")
"""Sessions of type brain_observatory_1.1, and of type functional_connectivity."""
MOST_PAGES: Final = 200
"""Pages of a listing after which a server is thought to go in circles."""
_asked: Final = itertools.count(1)


@dataclass(frozen=True)
class RemoteFile:
    """One file on a server, as the server announces it.

    Attributes
    ----------
    url
        Where its bytes are.
    size
        Number of bytes.
    etag
        The server's name for this very content, without quotes; None if it gives none or a weak one.
    sha256
        SHA-256 of the content in hexadecimal; None if it is not told.
    digest
        What an archive says of the content in the form of an S3 ETag: ``md5-parts``. None if it says nothing.
    asked
        Tells apart files without an ETag, by when the server was asked: what was read of one may not be in another.
    """

    url: str
    size: int
    etag: str | None = None
    sha256: str | None = None
    digest: str | None = None
    asked: int = 0


def base_url(source: Source = "s3") -> str:
    """Return the address of a source: ``SPIKESIGHT_S3_URL`` or ``SPIKESIGHT_DANDI_URL``, else the public one.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    """
    if source not in get_args(Source):
        raise UnknownNameError("source", source, get_args(Source))
    variable, default = ("SPIKESIGHT_S3_URL", S3_URL) if source == "s3" else ("SPIKESIGHT_DANDI_URL", DANDI_URL)
    return (os.environ.get(variable) or default).rstrip("/")


def locate(
    session_id: int, source: Source = "s3", *, base: str | None = None, patience: http.Patience = http.PATIENT
) -> RemoteFile:
    """Find the file of a public session.

    Parameters
    ----------
    session_id
        For example 715093703.
    source
        ``"s3"``: the bucket of the Allen Institute. ``"dandi"``: dandisets 000021 and 000022.
    base
        Address of the source instead of :func:`base_url`.
    patience
        How long to wait for the server.

    Raises
    ------
    RemoteError
        If the server cannot be reached, refuses, or has no such session.
    UnknownNameError
        If there is no such source.
    """
    where = (base or base_url(source)).rstrip("/")
    return _in_bucket(session_id, where, patience) if source == "s3" else _in_dandisets(session_id, where, patience)


def s3_url(session_id: int, base: str | None = None) -> str:
    """Return the address of a session's file in the bucket."""
    return f"{(base or base_url('s3')).rstrip('/')}/{S3_PREFIX}/session_{session_id}/session_{session_id}.nwb"


def describe(url: str, *, patience: http.Patience = http.PATIENT) -> RemoteFile:
    """Ask a server for the size and ETag of the file at ``url``.

    Raises
    ------
    RemoteError
        If the server cannot be reached, refuses, or does not tell the size.
    """
    try:
        answer = http.ask("HEAD", url, patience=patience)
    except RemoteError as error:
        if error.status not in (403, 405, 501):
            raise
        # A signed address is good for GET alone, and some servers know no HEAD: the first byte tells as much.
        # A server without ranges would send everything: the body is not read.
        answer = http.ask("GET", url, headers={"Range": "bytes=0-0"}, stream=True, patience=patience)
        answer.close()
    etag = plain_etag(answer.headers.get("ETag"))
    return RemoteFile(url, _size(answer, url), etag, asked=0 if etag else next(_asked))


def plain_etag(etag: str | None) -> str | None:
    """Return an ETag without its quotes; None for a weak one, which does not stand for the very bytes."""
    return None if not etag or etag.startswith("W/") else etag.strip().strip('"') or None


def _size(answer: requests.Response, url: str) -> int:
    """Return the size of the whole file."""
    ranged = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    size = ranged.group(1) if ranged else answer.headers.get("Content-Length", "")
    if not size.isdigit() or answer.status_code not in (200, 206):
        raise RemoteError(
            f"expected the size of {without_secrets(url)}, the server does not tell it. Check the address."
        )
    return int(size)


def _in_bucket(session_id: int, base: str, patience: http.Patience) -> RemoteFile:
    url = s3_url(session_id, base)
    try:
        return describe(url, patience=patience)
    except RemoteError as error:
        if error.status not in (403, 404):
            raise
        raise _unknown(session_id, url, error.status) from error


def _unknown(session_id: int, where: str, status: int | None = None) -> RemoteError:
    answered = "" if status is None else f" (it answers {status})"
    return RemoteError(
        f"expected session {session_id} at {where}, there is none or it is not public{answered}. "
        "Check the id: `spikesight sessions` lists those that exist.",
        status,
    )


def _in_dandisets(session_id: int, base: str, patience: http.Patience) -> RemoteFile:
    for number in DANDISETS:
        found = _in_dandiset(session_id, f"{base}/dandisets/{number}", patience)
        if found is not None:
            return found
    raise _unknown(session_id, f"dandisets {' and '.join(DANDISETS)} of {base}")


def _in_dandiset(session_id: int, dandiset: str, patience: http.Patience) -> RemoteFile | None:
    """Find a session in one dandiset; None if it, or the dandiset, is not there."""
    try:
        about = http.ask_json(f"{dandiset}/", patience=patience)
    except RemoteError as error:
        if error.status != 404:
            raise
        return None
    # A published version stays what it is; the draft may change under a download.
    version = _field(
        _field(about, "most_recent_published_version", dandiset) or {"version": "draft"}, "version", dandiset
    )
    assets = f"{dandiset}/versions/{version}/assets/"
    found = [
        asset
        for asset in _listed(assets, {"glob": f"*ses-{session_id}*.nwb", "metadata": "false"}, patience)
        if _is_session_file(str(_field(asset, "path", assets)), session_id)
    ]
    if not found:
        return None
    # The plain name before one with a suffix, should there ever be both.
    chosen = min(found, key=lambda asset: len(asset["path"]))
    address = f"{assets}{_field(chosen, 'asset_id', assets)}/"
    return _from_metadata(http.ask_json(address, patience=patience), address, patience)


def _listed(url: str, params: dict[str, str], patience: http.Patience) -> Iterator[Any]:
    """Yield what a listing holds, page by page."""
    page = http.ask_json(url, params={**params, "page_size": "100"}, patience=patience)
    for _ in range(MOST_PAGES):
        yield from _field(page, "results", url)
        following = page.get("next")
        if not following:
            return
        page = http.ask_json(following, patience=patience)
    raise RemoteError(f"the listing at {url} does not end after {MOST_PAGES} pages. Check the address.")


def _is_session_file(path: str, session_id: int) -> bool:
    """Tell if a path is a session's own file: those of its probes hold the LFP alone."""
    return re.fullmatch(rf"sub-[^/]+/sub-[^/]+_ses-{session_id}(?:_(?!probe-)[^/]*)?\.nwb", path) is not None


def _from_metadata(asset: Any, address: str, patience: http.Patience) -> RemoteFile:
    """Read size, digests and address of the bytes from the metadata of an asset."""
    urls = _field(asset, "contentUrl", address)
    size, digests = _field(asset, "contentSize", address), _field(asset, "digest", address)
    if not isinstance(urls, list) or not urls or not isinstance(size, int) or not isinstance(digests, dict):
        raise RemoteError(f"expected address, size and digest of an asset at {address}, they are malformed.")
    # The archive names its redirecting address and the blob itself. The blob's stays valid for longer than an hour.
    blobs = [url for url in urls if not urlsplit(str(url)).path.rstrip("/").endswith("/download")]
    blob = describe(str((blobs or urls)[0]), patience=patience)
    if blob.size != size:
        raise RemoteError(
            f"expected {size} bytes as {address} announces, {without_secrets(blob.url)} holds {blob.size}. "
            "The archive contradicts itself: try again later, or use the other source."
        )
    return RemoteFile(
        blob.url, size, blob.etag, digests.get("dandi:sha2-256"), digests.get("dandi:dandi-etag"), blob.asked
    )


def _field(record: Any, name: str, where: str) -> Any:
    if not isinstance(record, dict) or name not in record:
        raise RemoteError(f"expected a record with {name!r} from {where}, got {str(record)[:60]!r}. Check the address.")
    return record[name]

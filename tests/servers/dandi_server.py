"""A stand-in for the DANDI archive: the same JSON as its REST API, and blobs that its download addresses lead to."""

import fnmatch
import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from servers.fault_server import FaultServer, Seen

PUBLISHED = "0.251116.2246"
PART = 64 << 20


@dataclass(frozen=True)
class Asset:
    """One file of the dandiset."""

    asset_id: str
    blob: str
    path: str
    size: int
    digest: dict[str, str]


class DandiServer(FaultServer):
    """Serves one dandiset at ``api``.

    Attributes
    ----------
    dandiset
        Its number.
    published
        Version that was published last; None: there is only a draft.
    page_size
        Assets on a page at most, however many are asked for.
    names_blobs
        Tell the blob's own address beside the one that redirects to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.api = f"{self.url}/api"
        self.dandiset = "000021"
        self.published: str | None = PUBLISHED
        self.page_size = 100
        self.names_blobs = True
        self.assets: dict[str, Asset] = {}

    def add(self, path: str, data: bytes, *, sha256: bool = True, part_size: int = PART) -> Asset:
        """Add a file to the dandiset."""
        blob = str(uuid.uuid5(uuid.NAMESPACE_URL, path))
        etag = multipart_etag(data, part_size)
        digest = {"dandi:dandi-etag": etag, **({"dandi:sha2-256": hashlib.sha256(data).hexdigest()} if sha256 else {})}
        asset = Asset(str(uuid.uuid5(uuid.NAMESPACE_OID, path)), blob, path, len(data), digest)
        self.assets[asset.asset_id] = asset
        self.serve(self.blob_path(asset), data, etag=etag)
        return asset

    def add_session(self, session_id: int, subject: int, data: bytes, **options: Any) -> Asset:
        """Add a session's file, and the LFP file of one of its probes, as the archive has them."""
        stem = f"sub-{subject}/sub-{subject}_ses-{session_id}"
        self.add(f"{stem}_probe-810755797_ecephys.nwb", b"LFP of one probe")
        return self.add(f"{stem}.nwb", data, **options)

    @staticmethod
    def blob_path(asset: Asset) -> str:
        """Return where the bytes of an asset are."""
        return f"/blobs/{asset.blob[:3]}/{asset.blob[3:6]}/{asset.blob}"

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes] | None:
        address = urlsplit(seen.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        if address.path.startswith("/blobs/"):
            return None
        if address.path == f"/api/dandisets/{self.dandiset}/":
            return _json(self._dandiset())
        version = re.fullmatch(rf"/api/dandisets/{self.dandiset}/versions/([^/]+)/assets/(.*)", address.path)
        if version and version[1] in ("draft", self.published):
            if not version[2]:
                return _json(self._page(address.path, query))
            asset = self.assets.get(version[2].strip("/"))
            return _json(self._metadata(asset)) if asset else _json({"detail": "Not found."}, 404)
        download = re.fullmatch(r"/api/assets/([^/]+)/download/", address.path)
        if download and download[1] in self.assets:
            signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-Signature=0"
            return 302, {"Location": f"{self.url}{self.blob_path(self.assets[download[1]])}?{signed}"}, b""
        return _json({"detail": "Not found."}, 404)

    def _dandiset(self) -> dict[str, Any]:
        def version(name: str) -> dict[str, Any]:
            return {
                **{"version": name, "name": "Allen Institute Openscope - Visual Coding - Neuropixels"},
                **{"asset_count": len(self.assets), "size": sum(asset.size for asset in self.assets.values())},
                **{"status": "Valid", "created": "2020-04-29T17:34:37.000000Z", "modified": "2025-11-16T22:46:00Z"},
            }

        return {
            **{"identifier": self.dandiset, "created": "2020-04-29T17:34:37Z", "modified": "2025-11-16T22:46:00Z"},
            **{"contact_person": "", "embargo_status": "OPEN", "draft_version": version("draft")},
            "most_recent_published_version": version(self.published) if self.published else None,
        }

    def _page(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        # The archive compares globs without regard to case, and knows no other wildcard than the star.
        pattern = query.get("glob", "*").lower().replace("[", "[[]").replace("?", "[?]")
        start = query.get("path", "").lower()
        found = [
            asset
            for asset in self.assets.values()
            if fnmatch.fnmatchcase(asset.path.lower(), pattern) and asset.path.lower().startswith(start)
        ]
        size, number = min(int(query.get("page_size", 100)), self.page_size), int(query.get("page", 1))
        shown = found[(number - 1) * size : number * size]
        more = urlencode({**query, "page": number + 1})
        return {
            "count": len(found),
            "next": f"{self.url}{path}?{more}" if number * size < len(found) else None,
            "previous": None if number == 1 else f"{self.url}{path}?{urlencode({**query, 'page': number - 1})}",
            "results": [
                {
                    **{"asset_id": asset.asset_id, "blob": asset.blob, "zarr": None, "path": asset.path},
                    **{"size": asset.size, "created": "2022-10-18T15:15:22Z", "modified": "2022-10-18T15:15:23Z"},
                }
                for asset in shown
            ],
        }

    def _metadata(self, asset: Asset) -> dict[str, Any]:
        blob = [f"{self.url}{self.blob_path(asset)}"] if self.names_blobs else []
        return {
            **{"id": f"dandiasset:{asset.asset_id}", "identifier": asset.asset_id, "schemaKey": "Asset"},
            **{"path": asset.path, "contentSize": asset.size, "encodingFormat": "application/x-nwb"},
            **{"contentUrl": [f"{self.api}/assets/{asset.asset_id}/download/", *blob], "digest": asset.digest},
        }


def multipart_etag(data: bytes, part_size: int) -> str:
    """Return the ETag that S3 gives to an object that was uploaded in parts, without quotes."""
    parts = [hashlib.md5(data[first : first + part_size]).digest() for first in range(0, len(data), part_size)]
    return f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"


def _json(value: Any, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()

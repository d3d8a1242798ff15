"""A web server on the loopback that knows ranges and ETags, counts what it sends, and fails as it is told to."""

import hashlib
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

BLOCK = 1 << 16


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with an answer.

    Attributes
    ----------
    status
        Answer this, without a file.
    headers
        Headers to send besides, or instead: ``{"Retry-After": "1"}``.
    drop_after
        Reset the connection after so many bytes of the body; -1: before the answer.
    stall_after
        Send nothing for ``stall_seconds`` after so many bytes of the body, then reset the connection.
    announce
        What Content-Length says instead of the truth. The body stays as it is, and the connection is closed after it.
    corrupt
        Flip the bits of these bytes, counted from the beginning of the file.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    stall_after: int | None = None
    stall_seconds: float = 30.0
    announce: int | None = None
    corrupt: tuple[int, ...] = ()


@dataclass
class Seen:
    """One request, and what was sent for it."""

    method: str
    path: str
    headers: dict[str, str]
    start: int = 0
    stop: int = 0
    status: int = 0
    sent: int = 0


@dataclass
class Served:
    """One file: its bytes, its ETag with quotes, headers to send besides."""

    data: bytes
    etag: str | None
    headers: dict[str, str] = field(default_factory=dict)


class FaultServer:
    """Serves files from memory at ``url``.

    Attributes
    ----------
    seen
        All requests in the order in which they came.
    fail_when
        Asked for a fault with each request that no fault of :meth:`fail_next` was used for.
    bytes_per_second
        Slow the body of each answer down to this; None: as fast as it goes.
    """

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.seen: list[Seen] = []
        self.fail_when: Callable[[Seen], Fault | None] = lambda _: None
        self.bytes_per_second: float | None = None
        self.over = threading.Event()
        self._faults: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, path: str, data: bytes, *, etag: str | None = "md5", headers: dict[str, str] | None = None) -> str:
        """Serve ``data`` at ``path``; return the address. The ETag is the MD5 if not given, without quotes."""
        name = hashlib.md5(data).hexdigest() if etag == "md5" else etag
        self.files[path] = Served(data, f'"{name}"' if name else None, headers or {})
        return self.url + path

    def fail_next(self, *faults: Fault) -> None:
        """Let the next requests fail, one fault each."""
        with self._lock:
            self._faults.extend(faults)

    @property
    def bytes_sent(self) -> int:
        """Bytes of bodies that were sent so far."""
        return sum(one.sent for one in self.seen)

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes] | None:
        """Return status, headers and body of what is no file. For servers that are built on this one."""
        return None

    def note(self, seen: Seen) -> Fault | None:
        """Keep account of a request; return what goes wrong with it."""
        with self._lock:
            self.seen.append(seen)
            return self._faults.popleft() if self._faults else self.fail_when(seen)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that broke off is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FaultServer

    def log_message(self, *_: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def _reply(self) -> None:
        seen = Seen(self.command, self.path, {name.lower(): text for name, text in self.headers.items()})
        fault = self.owner.note(seen) or Fault()
        if fault.drop_after == -1:
            self._reset()
            return
        if fault.status is not None:
            self._send(seen, fault, fault.status, {}, b"")
            return
        made = self.owner.answer(seen)
        if made is not None:
            self._send(seen, fault, *made)
            return
        served = self.owner.files.get(urlsplit(self.path).path)
        if served is None:
            self._send(seen, fault, 404, {}, b"no such file")
            return
        self._send_file(seen, fault, served)

    def _send_file(self, seen: Seen, fault: Fault, served: Served) -> None:
        headers = {"Accept-Ranges": "bytes", **({"ETag": served.etag} if served.etag else {}), **served.headers}
        wanted, size = _wanted(seen.headers, served)
        if seen.headers.get("if-match", served.etag) not in (served.etag, "*"):
            self._send(seen, fault, 412, headers, b"")
            return
        if wanted is None:
            self._send(seen, fault, 200, headers, served.data)
            return
        start, stop = wanted
        if start >= stop:
            self._send(seen, fault, 416, {**headers, "Content-Range": f"bytes */{size}"}, b"")
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        seen.start = start
        self._send(seen, fault, 206, headers, served.data[start:stop])

    def _send(self, seen: Seen, fault: Fault, status: int, headers: dict[str, str], body: bytes) -> None:
        seen.status, seen.stop = status, seen.start + len(body)
        self.send_response(status)
        announced = len(body) if fault.announce is None else fault.announce
        for name, text in {**headers, "Content-Length": str(announced), **fault.headers}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command == "HEAD":
            return
        for offset in fault.corrupt:
            if seen.start <= offset < seen.stop:
                changed = bytearray(body)
                changed[offset - seen.start] ^= 0xFF
                body = bytes(changed)
        ends = [one for one in (fault.drop_after, fault.stall_after) if one is not None]
        self._send_body(seen, body[: min(ends)] if ends else body)
        if fault.stall_after is not None:
            self.owner.over.wait(fault.stall_seconds)
        if ends:
            self._reset()
        elif fault.announce is not None:
            self.close_connection = True

    def _send_body(self, seen: Seen, body: bytes) -> None:
        for first in range(0, len(body), BLOCK):
            block = body[first : first + BLOCK]
            self.wfile.write(block)
            seen.sent += len(block)
            if self.owner.bytes_per_second:
                time.sleep(len(block) / self.owner.bytes_per_second)

    def _reset(self) -> None:
        """End the connection as a crash does: what was sent arrives, then a reset or an end without announcement."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _wanted(headers: dict[str, str], served: Served) -> tuple[tuple[int, int] | None, int]:
    """Return the range that is asked for, None for the whole file; and the size."""
    size = len(served.data)
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
    if asked is None or headers.get("if-range", served.etag) != served.etag:
        return None, size
    first, last = asked.groups()
    if not first:
        return (max(size - int(last), 0), size), size
    return (int(first), min(int(last) + 1, size) if last else size), size

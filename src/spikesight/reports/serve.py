"""The report of a run on a page that follows it: a small server for the reader's own machine, and for nobody else.

It listens on 127.0.0.1 alone and answers to no other name: a page of the web could otherwise have its own name resolved
to this machine, and read what is served here. It knows three addresses; what it sends is rendered in memory, never a
file of the disk that a request names, and it changes nothing.
"""

import hashlib
import json
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from spikesight.errors import ConfigError, SpikesightError
from spikesight.records.connectivity_record import read_connectivity
from spikesight.records.partial_record import read_partial
from spikesight.records.run_record import read_run
from spikesight.reports.connectivity_report import render as render_connectivity
from spikesight.reports.live_state import LiveRun, LiveState
from spikesight.reports.page import render_page
from spikesight.reports.report import render as render_report
from spikesight.tracking.run_directory import RESULTS

HOST: Final = "127.0.0.1"
PORT: Final = 8765
HIGHEST_PORT: Final = 65535
POLL_SECONDS: Final = 2.0
FRESH_SECONDS: Final = 0.5
"""For so long a look at the directory is good, however many pages ask."""
RENDER_SHARE: Final = 3.0
"""While a run is at work, rendering takes at most a third of a core from it."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'self'; base-uri 'none'; form-action 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
"""Sent with every answer; pages say themselves which scripts they run."""


class LiveReport:
    """The state of a run and its report, rendered when they are asked for and have changed.

    Parameters
    ----------
    path
        The run directory.

    Raises
    ------
    RunDirectoryError
        If it is none.
    """

    def __init__(self, path: Path) -> None:
        self._run = LiveRun(path)
        self._lock = threading.Lock()
        self._looked = -float("inf")
        self._state = LiveState()
        self._problem = ""
        self._rendered = ("", "")
        self._shown = ""
        self._free_at = -float("inf")

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._run.path

    def state(self) -> bytes:
        """Return the state as JSON; ``page`` names the report that `report` would give."""
        with self._lock:
            self._look()
            told = {**self._state.as_dict(), "page": self._shown, "problem": self._problem, "name": self.path.name}
        return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()

    def report(self) -> bytes | None:
        """Return the report of the results so far; None as long as there is nothing to report."""
        with self._lock:
            self._look()
            return self._rendered[1].encode() if self._rendered[1] else None

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < FRESH_SECONDS:
            return
        try:
            self._state = self._run.look()
            self._problem = ""
            if self._state.page not in ("", self._rendered[0]) and now >= self._free_at:
                self._render(self._state.page)
        except SpikesightError as error:
            self._problem = " ".join(str(error).split())
        except Exception as error:  # of a run that changes under our hands; what was shown stays, and it is said
            self._problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        self._looked = time.monotonic()

    def _render(self, version: str) -> None:
        began = time.monotonic()
        try:
            page = self._page()
        finally:
            ended = time.monotonic()
            self._free_at = ended + (RENDER_SHARE - 1) * (ended - began)
        self._rendered = (version, page or self._rendered[1])
        if page:
            self._shown = version

    def _page(self) -> str | None:
        if self._state.kind == "connectivity":
            return render_connectivity(read_connectivity(self.path))
        if (self.path / RESULTS).is_file():
            return render_report(read_run(self.path))
        record = read_partial(self.path, self._run.parts)
        if record is None:
            return None
        done = f"{self._state.finished:,}" + (f" of {self._state.total:,}" if self._state.total else "")
        return _marked(
            render_report(record),
            f"Not the end: {done} fits so far (a fit is one decoder on one fold of one session). Ranked are "
            "decoders that were tested on the same trials, in the sessions that have most of them; the others follow.",
        )


class LiveServer(ThreadingHTTPServer):
    """Serves one run on this machine.

    Parameters
    ----------
    path
        The run directory.
    port
        Where to listen; 0 for any that is free.

    Raises
    ------
    RunDirectoryError
        If it is no run directory.
    ConfigError
        If the port is in use, not allowed, or none.
    """

    daemon_threads = True

    def __init__(self, path: str | Path, port: int = PORT) -> None:
        if not 0 <= port <= HIGHEST_PORT:
            raise ConfigError(f"expected a port from 0 (any that is free) to {HIGHEST_PORT}, got {port}.")
        self.report = LiveReport(Path(path).expanduser().resolve())
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on port {port} of this machine: {error.strerror or error}. Choose another with --port, "
                "or any that is free with --port 0."
            ) from error
        self.names = frozenset(f"{name}:{self.server_port}" for name in (HOST, "localhost"))
        self.page = _live_page(self.report.path)

    @property
    def address(self) -> str:
        """What a browser on this machine opens."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a reader who went away in the middle of an answer; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    timeout = 20

    def version_string(self) -> str:
        """Say who answers, and not which version of what."""
        return "spikesight"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def __getattr__(self, name: str) -> Any:
        """Refuse every other method."""
        if name.startswith("do_"):
            return self._refuse_method
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""

    def _refuse_method(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", "text/plain", {"Allow": "GET, HEAD"})

    def _answer(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].strip().lower() not in self.server.names:
            self._send(HTTPStatus.FORBIDDEN, b"this server answers on this machine only\n", "text/plain")
            return
        match self.path.partition("?")[0]:
            case "/":
                self._send(HTTPStatus.OK, self.server.page, "text/html")
            case "/state":
                self._send_state(self.server.report.state())
            case "/report":
                page = self.server.report.report()
                if page is None:
                    self._send(HTTPStatus.NOT_FOUND, b"there is nothing to report yet\n", "text/plain")
                else:
                    self._send(HTTPStatus.OK, page, "text/html")
            case _:
                self._send(HTTPStatus.NOT_FOUND, b"there is no such page\n", "text/plain")

    def _send_state(self, state: bytes) -> None:
        tag = f'"{hashlib.sha256(state).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, b"", "application/json", {"ETag": tag})
        else:
            self._send(HTTPStatus.OK, state, "application/json", {"ETag": tag})

    def _send(self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _marked(page: str, text: str) -> str:
    """Put a notice at the top of a report, so that it is also there when the report is kept."""
    return page.replace("<body>", f'<body>\n<p class="notice" role="note">{text}</p>', 1)


def _live_page(run: Path) -> bytes:
    return render_page(
        "live.html",
        "live.js",
        {"seconds": POLL_SECONDS},
        {},
        plotly=False,
        also_allowed="connect-src 'self'; frame-src 'self'",
        title=f"{run.name}, live",
        name=run.name,
    ).encode()

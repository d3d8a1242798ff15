"""The server: who is answered, what is answered, and the command as a user types it."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from background import hear_signals
from example_connectivity import write_connectivity
from example_run import write_run
from page_reading import EVIL
from running_run import RunningRun
from spikesight.errors import ConfigError, RunDirectoryError
from spikesight.reports.serve import LiveServer


@contextmanager
def serving(path: Path) -> Iterator[LiveServer]:
    with LiveServer(path, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(
    server: LiveServer, path: str, method: str = "GET", headers: dict[str, str] | None = None, host: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(write_run(tmp_path_factory.mktemp("runs") / "run")) as server:
        yield server


def test_the_server_listens_on_this_machine_alone(finished: LiveServer) -> None:
    assert finished.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}"])
def test_the_names_of_this_machine_are_answered(finished: LiveServer, host: str) -> None:
    assert ask(finished, "/state", host=host.format(finished.server_port))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:{}", "evil.example", "127.0.0.1", "localhost", "127.0.0.1:1", "localhost.evil.example:{}", ""],
)
@pytest.mark.parametrize("path", ["/", "/state", "/report", "/nowhere"])
def test_any_other_name_is_refused_whatever_it_asks(finished: LiveServer, host: str, path: str) -> None:
    status, _, body = ask(finished, path, host=host.format(finished.server_port))
    assert (status, body) == (403, b"this server answers on this machine only\n")


def test_two_names_at_once_are_refused(finished: LiveServer) -> None:
    status, _, _ = ask(finished, "/state", headers={"Host": "evil.example"})
    assert status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_only_reading_is_allowed(finished: LiveServer, method: str) -> None:
    status, headers, _ = ask(finished, "/state", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        *("/config.yaml", "/results.parquet", "/../config.yaml", "/report/../config.yaml", "/%2e%2e/config.yaml"),
        *("//config.yaml", "/report/", "/./report", "/state/x", "/report.html", "/etc/passwd", "/.."),
    ],
)  # fmt: skip
def test_no_file_of_the_disk_is_served(finished: LiveServer, path: str) -> None:
    assert ask(finished, path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/state", "/report", "/nowhere"])
def test_every_answer_forbids_keeping_guessing_and_framing(finished: LiveServer, path: str) -> None:
    _, headers, _ = ask(finished, path)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert "Python" not in headers["Server"]
    assert "Access-Control-Allow-Origin" not in headers


def test_head_is_get_without_its_body(finished: LiveServer) -> None:
    _, told, body = ask(finished, "/report")
    status, headers, nothing = ask(finished, "/report", "HEAD")
    assert (status, headers["Content-Length"], nothing) == (200, told["Content-Length"], b"")
    assert len(body) == int(told["Content-Length"])


def test_a_state_that_has_not_changed_is_not_sent_again(finished: LiveServer) -> None:
    _, headers, _ = ask(finished, "/state")
    status, _, body = ask(finished, "/state", headers={"If-None-Match": headers["ETag"]})
    assert (status, body) == (304, b"")


def test_the_live_page_may_ask_this_server_and_nobody_else(finished: LiveServer) -> None:
    page = ask(finished, "/")[2].decode()
    assert "default-src &#39;none&#39;" in page
    assert "connect-src &#39;self&#39;; frame-src &#39;self&#39;" in page
    assert "unsafe-inline&#39;; script" not in page
    assert len(page) < 40_000  # no Plotly


def test_a_run_is_served_from_before_its_first_result_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikesight.reports.serve.FRESH_SECONDS", 0)
    monkeypatch.setattr("spikesight.reports.serve.RENDER_SHARE", 1)
    (tmp_path / "run").mkdir()
    with serving(tmp_path / "run") as server:
        state = json.loads(ask(server, "/state")[2])
        assert (state["phase"], state["page"], state["name"]) == ("waiting", "", "run")
        assert ask(server, "/report")[0] == 404
        with RunningRun(tmp_path / "run") as run:
            run.describe_sessions()
            run.finish_cell(run.cells[0])
            state = json.loads(ask(server, "/state")[2])
            assert (state["phase"], state["finished"], state["total"]) == ("running", 1, len(run.cells))
            first = ask(server, "/report")[2].decode()
            assert "fa-lda" in first
            assert "svc-linear" not in first
            assert "Not the end: 1 of 16 fits so far (a fit is one decoder on one fold of one session)." in first
            for cell in run.cells[1:]:
                run.finish_cell(cell)
            run.finish()
        after = json.loads(ask(server, "/state")[2])
        assert after["phase"] == "finished"
        assert after["page"] not in ("", state["page"])
        last = ask(server, "/report")[2].decode()
        assert "svc-linear" in last
        assert "Not the end" not in last


def test_a_run_that_cannot_be_read_keeps_what_was_shown_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikesight.reports.serve.FRESH_SECONDS", 0)
    path = write_run(tmp_path / "run")
    with serving(path) as server:
        shown = json.loads(ask(server, "/state")[2])["page"]
        (path / "config.yaml").write_text("{[")
        state = json.loads(ask(server, "/state")[2])
        assert state["page"] == shown
        assert "config.yaml" in state["problem"]
        assert ask(server, "/report")[0] == 200


def test_a_run_that_was_deleted_keeps_what_was_shown_and_is_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikesight.reports.serve.FRESH_SECONDS", 0)
    path = write_run(tmp_path / "run")
    with serving(path) as server:
        shown = json.loads(ask(server, "/state")[2])["page"]
        shutil.rmtree(path)
        state = json.loads(ask(server, "/state")[2])
        assert state["page"] == shown
        assert "moved or deleted" in state["problem"]
        assert state["phase"] == "finished"
        assert ask(server, "/report")[0] == 200


def test_a_connectivity_estimate_is_served_too(tmp_path: Path) -> None:
    with serving(write_connectivity(tmp_path / "run")) as server:
        state = json.loads(ask(server, "/state")[2])
        assert (state["kind"], state["phase"], state["problem"]) == ("connectivity", "finished", "")
        assert 'data-panel="connectivity"' in ask(server, "/report")[2].decode()


def test_names_of_files_are_text(tmp_path: Path) -> None:
    with serving(write_run(tmp_path / EVIL.replace("/", ""))) as server:
        page = ask(server, "/")[2].decode()
    assert "<img" not in page


def test_a_busy_port_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on port {port} .* --port 0"):
            LiveServer(tmp_path, port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(ConfigError, match="from 0"):
        LiveServer(tmp_path, port)


def test_what_is_no_run_is_refused_before_anything_listens(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not there"):
        LiveServer(tmp_path / "none", 0)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_ctrl_c_and_ends_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "spikesight",
        "serve",
        str(write_run(tmp_path / "run")),
        "--port",
        "0",
        "--no-open",
    ]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        line = child.stdout.readline()
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/state")
        assert json.loads(connection.getresponse().read())["phase"] == "finished"
        connection.close()
        child.send_signal(how)
        _, err = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    assert (child.returncode, err.strip()) == (0, "ended; the run goes on")

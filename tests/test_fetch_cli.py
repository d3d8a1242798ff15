import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from background import hear_signals
from servers.dandi_server import DandiServer
from servers.fault_server import Fault, FaultServer
from spikesight.cli import app
from spikesight.data import catalogue
from spikesight.data.public_source import S3_PREFIX

SESSION = 715093703
DATA = random.Random(1).randbytes(300_001)


def path_of(session_id: int) -> str:
    return f"/{S3_PREFIX}/session_{session_id}/session_{session_id}.nwb"


@pytest.fixture
def server(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FaultServer:
    monkeypatch.setenv("SPIKESIGHT_S3_URL", fault_server.url)
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    fault_server.serve(path_of(SESSION), DATA)
    return fault_server


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["fetch", *map(str, arguments)])


def test_fetch_prints_where_the_file_is_and_how_it_was_verified(server: FaultServer, tmp_path: Path) -> None:
    done = run(SESSION)
    assert done.exit_code == 0, done.output
    file = tmp_path / "cache" / "s3" / f"session_{SESSION}.nwb"
    assert done.stdout == f"{file}  (0.3 MB; md5)\n"
    assert "0.3 of 0.3 MB" in done.stderr
    assert file.read_bytes() == DATA


def test_json_is_a_list_of_objects(server: FaultServer, tmp_path: Path) -> None:
    done = run(SESSION, SESSION, "--json", "--cache", tmp_path / "other")
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)
    assert row.pop("seconds") > 0
    assert row == {
        **{"session_id": SESSION, "path": str(tmp_path / "other" / "s3" / f"session_{SESSION}.nwb")},
        **{"bytes": len(DATA), "verified": "md5", "source": "s3", "error": None},
    }


def test_a_session_that_fails_does_not_keep_the_others_away(server: FaultServer) -> None:
    done = run(42, SESSION, "--json")
    assert done.exit_code == 1
    rows = json.loads(done.stdout)
    assert [row["session_id"] for row in rows] == [42, SESSION]
    assert rows[0]["path"] is None
    assert "expected session 42" in rows[0]["error"]
    assert rows[1]["bytes"] == len(DATA)
    assert "error: 1 of 2 sessions not fetched: 42" in done.stderr


def test_all_fetches_every_session_that_was_shown_a_stimulus(server: FaultServer, tmp_path: Path) -> None:
    known = list(catalogue.sessions(stimulus="natural_scenes").index)
    for session_id in known:
        server.serve(path_of(session_id), str(session_id).encode())
    done = run("--all", "natural_scenes", "--json")
    assert done.exit_code == 0, done.output
    assert [row["session_id"] for row in json.loads(done.stdout)] == known
    assert len(known) == 32
    assert len(list((tmp_path / "cache" / "s3").glob("*.nwb"))) == 32


def test_a_stimulus_that_nobody_was_shown_is_told(server: FaultServer) -> None:
    done = run("--all", "natural_scene")
    assert done.exit_code == 1
    assert "Did you mean 'natural_scenes'" in done.stderr


def test_nothing_asked_for_is_wrong_usage(server: FaultServer) -> None:
    done = run()
    assert done.exit_code == 2
    assert "--all" in done.stderr


@pytest.mark.parametrize("arguments", [("no-number",), (SESSION, "--source", "ftp")])
def test_wrong_usage(server: FaultServer, arguments: tuple[object, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_dandi_and_its_address_can_be_chosen(dandi: DandiServer, server: FaultServer, monkeypatch: Any) -> None:
    monkeypatch.setenv("SPIKESIGHT_DANDI_URL", "http://127.0.0.1:9")
    dandi.add_session(SESSION, 699733573, DATA)
    done = run(SESSION, "--source", "dandi", "--base-url", dandi.api, "--json")
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)
    assert (row["verified"], row["source"]) == ("sha256", "dandi")
    assert not server.seen


def test_a_server_that_refuses_is_told(server: FaultServer) -> None:
    server.fail_when = lambda _: Fault(status=403)
    done = run(SESSION)
    assert done.exit_code == 1
    assert "answers 403" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_fetch_says_how_to_go_on_and_does(server: FaultServer, tmp_path: Path, stop: signal.Signals) -> None:
    data = random.Random(2).randbytes(4_000_000)
    server.serve(path_of(SESSION), data)
    server.bytes_per_second = 1e6
    part = tmp_path / "cache" / "s3" / f"session_{SESSION}.nwb.part"
    command = [sys.executable, "-m", "spikesight", "fetch", str(SESSION)]
    child = subprocess.Popen(
        command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals
    )
    give_up = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 300_000):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    child.send_signal(stop)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    assert stdout == ""
    assert "stopped; start the same command again to go on at the byte it had" in stderr
    server.bytes_per_second = None
    kept, sent = part.stat().st_size, server.bytes_sent
    assert 300_000 < kept < len(data)
    done = run(SESSION, "--json")
    assert done.exit_code == 0, done.output
    assert server.bytes_sent - sent == len(data) - kept
    assert hashlib.md5(Path(json.loads(done.stdout)[0]["path"]).read_bytes()).digest() == hashlib.md5(data).digest()

"""Public sessions that are decoded without being fetched: the command as a user types it."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from background import hear_signals
from servers.fault_server import Fault, FaultServer, Seen
from spikesight.config import BenchmarkConfig, load_config
from spikesight.connectivity_config import ConnectivityConfig
from spikesight.connectivity_run import load_fine_counts
from spikesight.data import http
from spikesight.data.catalogue import sessions
from spikesight.data.fetch import fetch_session
from spikesight.data.nwb import read_session
from spikesight.data.nwb_write import write_session
from spikesight.data.simulation import simulate_session
from spikesight.errors import FileFormatError, RemoteError, SpikesightError
from spikesight.evaluation.sources import located_source
from spikesight.experiment import run_benchmark
from spikesight.inspection import inspect_file
from spikesight.records.run_record import read_run
from spikesight.tracking.progress import Silent

IDS = (715093703, 719161530)
QUICK = {"decoders": ["lda"], "selection": ["default"], "n_splits": 3, "gap": 2, "jobs": 1}
QUICK_WORDS = ["--decoders", "lda", "--selection", "default", "--folds", "3", "--gap", "2", "--jobs", "1"]
MAY_DIFFER = ["fit_seconds", "predict_seconds"]


class Heard(Silent):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, task: str, done: int, total: int) -> None:
        self.steps.append((task, done, total))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two simulated sessions, without their truth: streamed ones have none."""
    folder = tmp_path_factory.mktemp("sessions")
    found = []
    for seed, session_id in enumerate(IDS):
        file = folder / f"session_{session_id}.nwb"
        write_session(simulate_session("tiny", seed).session, file)
        found.append(file)
    return found


def path_of(session_id: int) -> str:
    return f"/visual-coding-neuropixels/ecephys-cache/session_{session_id}/session_{session_id}.nwb"


@pytest.fixture
def bucket(
    fault_server: FaultServer, files: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> FaultServer:
    """Both sessions, served as the public bucket does."""
    for session_id, file in zip(IDS, files, strict=True):
        fault_server.serve(path_of(session_id), file.read_bytes())
    monkeypatch.setenv("SPIKESIGHT_S3_URL", fault_server.url)
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    return fault_server


def test_a_pause_before_the_first_byte_is_told_of(bucket: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WORTH_TELLING", 0.0)
    for look in (
        lambda heard: located_source(IDS[0], BenchmarkConfig(sources=(IDS[0],)), heard),
        lambda heard: inspect_file(IDS[0], progress=heard),
        lambda heard: load_fine_counts(ConnectivityConfig(source=IDS[0], method="correlation"), 0.01, heard),
    ):
        heard = Heard()
        bucket.fail_next(Fault(status=503))
        look(heard)
        assert "Trying again" in heard.notes[0]


def results(run: Path) -> pd.DataFrame:
    table = pd.read_parquet(run / "results.parquet").drop(columns=MAY_DIFFER)
    return table.sort_values(["session", "decoder", "selection", "fold"], ignore_index=True)


def spikesight(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spikesight", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def test_a_command_that_is_stopped_while_a_server_is_silent_ends_at_once(bucket: FaultServer, tmp_path: Path) -> None:
    stalled = Fault(stall_after=0, stall_seconds=60)
    # The first bytes come; the structure is looked up by HDF5, which holds its lock meanwhile.
    bucket.fail_when = lambda seen: None if seen.method == "HEAD" or "=0-" in seen.headers["range"] else stalled
    command = [sys.executable, "-m", "spikesight", "benchmark", str(IDS[0]), *QUICK_WORDS, "--out", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not any(seen.method == "GET" and "=0-" not in seen.headers["range"] for seen in bucket.seen):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "start the same command again" in said


def test_a_session_is_decoded_while_the_server_of_the_next_is_silent(bucket: FaultServer, tmp_path: Path) -> None:
    stalled = Fault(stall_after=0, stall_seconds=60)
    bucket.fail_when = lambda seen: (
        stalled
        if seen.method == "GET" and seen.path == path_of(IDS[1]) and "=0-" not in seen.headers["range"]
        else None
    )
    asked = ["--sessions", ",".join(map(str, IDS)), *QUICK_WORDS, "--out", "run"]
    command = [sys.executable, "-m", "spikesight", "benchmark", *asked]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 25  # the server is given up after 30 s at the earliest
        while not list((tmp_path / "run" / "parts").glob("*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        finished = list((tmp_path / "run" / "parts").glob("*"))
        process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert finished
    assert process.returncode == 130
    assert said.rstrip().endswith("(searches: with --resume)")


def test_the_command_decodes_public_sessions_as_it_decodes_their_files(
    bucket: FaultServer, files: list[Path], tmp_path: Path
) -> None:
    asked = ",".join(map(str, IDS))
    done = spikesight("benchmark", "--sessions", asked, *QUICK_WORDS, "--out", "streamed", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert {row["session"] for row in printed["leaderboard"]} == {"900000000", "900000001"}
    local = run_benchmark(load_config(overrides={**QUICK, "sources": files, "out": tmp_path / "local"}))
    pd.testing.assert_frame_equal(results(tmp_path / "streamed"), results(local), check_exact=True)
    ours, theirs = (pd.read_parquet(run / "predictions.parquet") for run in (tmp_path / "streamed", local))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.suffix == ".nwb"]
    assert kept == []
    inputs = json.loads((tmp_path / "streamed" / "provenance.json").read_text())["inputs"]
    assert inputs[0]["url"] == bucket.url + path_of(IDS[0])
    assert inputs[0]["size"] == files[0].stat().st_size
    assert len(inputs[1]["etag"]) == 32
    assert yaml.safe_load((tmp_path / "streamed" / "config.yaml").read_text())["sources"] == list(map(str, IDS))
    assert "decoding" in done.stderr


def test_a_run_that_is_started_again_asks_no_bytes_and_fits_nothing(bucket: FaultServer, tmp_path: Path) -> None:
    config = load_config(overrides={**QUICK, "sources": list(IDS), "out": tmp_path / "run"})
    first = results(run_benchmark(config))
    shutil.rmtree(tmp_path / "cache")  # pages may be gone: what was binned is kept
    asked = bucket.bytes_sent
    again = Heard()
    pd.testing.assert_frame_equal(results(run_benchmark(config, again)), first)
    assert bucket.bytes_sent == asked
    assert any("resuming" in note for note in again.notes)
    assert ("decoding", 12, 12) in again.steps
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(line["event"] == "cell finished" for line in lines) == 12


@pytest.mark.parametrize("damage", ["cut", "changed", "no card"])
def test_kept_trials_that_are_damaged_or_of_another_file_are_read_anew(
    bucket: FaultServer, tmp_path: Path, damage: str
) -> None:
    config = load_config(overrides={**QUICK, "sources": [IDS[0]], "out": tmp_path / "run"})
    first = results(run_benchmark(config))
    [kept] = (tmp_path / "run" / "binned").glob("*.nc")
    if damage == "cut":
        kept.write_bytes(kept.read_bytes()[:-3000])
    elif damage == "no card":
        kept.with_suffix(".json").write_text("{}")
    else:
        bucket.serve(path_of(IDS[0]), bucket.files[path_of(IDS[1])].data)
    shutil.rmtree(tmp_path / "cache")
    asked = bucket.bytes_sent
    second = results(run_benchmark(config))
    assert bucket.bytes_sent > asked + 500_000
    assert first.equals(second) == (damage != "changed")


def test_a_session_that_cannot_be_read_is_told_of_and_the_others_go_on(bucket: FaultServer, tmp_path: Path) -> None:
    bucket.fail_when = lambda seen: Fault(status=403) if str(IDS[0]) in seen.path else None
    done = spikesight("benchmark", *map(str, IDS), *QUICK_WORDS, "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 1
    printed = json.loads(done.stdout)
    assert [failure["session"] for failure in printed["failures"]] == [str(IDS[0])]
    assert "403" in printed["failures"][0]["error"]
    assert {row["session"] for row in printed["leaderboard"]} == {"900000001"}
    assert "left out 1 session (715093703)" in " ".join(done.stderr.split())
    assert "715093703, left out: RemoteError" in " ".join((tmp_path / "run" / "report.html").read_text().split())
    bucket.fail_when = lambda seen: None
    again = spikesight("benchmark", *map(str, IDS), *QUICK_WORDS, "--out", "run", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["failures"] == []


def test_when_no_session_can_be_read_the_first_reason_is_the_error(bucket: FaultServer, tmp_path: Path) -> None:
    bucket.fail_when = lambda seen: Fault(status=403)
    with pytest.raises(RemoteError, match="403"):
        run_benchmark(load_config(overrides={**QUICK, "sources": list(IDS), "out": tmp_path / "run"}))


def test_a_session_that_is_not_fit_for_the_folds_costs_the_others_nothing(bucket: FaultServer, tmp_path: Path) -> None:
    other = simulate_session("tiny", 5).session
    few = {name: table.iloc[:4] for name, table in other.stimulus_presentations.items()}

    file = tmp_path / "few.nwb"
    write_session(replace(other, stimulus_presentations=few), file)
    address = bucket.serve("/few.nwb", file.read_bytes())
    config = load_config(overrides={**QUICK, "sources": [address, IDS[1]], "out": tmp_path / "run"})
    record = read_run(run_benchmark(config))
    assert [failure["session"] for failure in record.failures] == ["900000005"]
    assert set(record.results["session"]) == {"900000001"}


def test_a_session_that_does_not_know_what_a_control_sees_costs_the_others_nothing(
    bucket: FaultServer, tmp_path: Path
) -> None:
    """Some public sessions have no eye tracking."""
    file = tmp_path / "blind.nwb"
    write_session(replace(simulate_session("tiny", 5).session, pupil=None), file)
    address = bucket.serve("/blind.nwb", file.read_bytes())
    config = load_config(
        overrides={**QUICK, "sources": [address, IDS[1]], "controls": ["pupil"], "out": tmp_path / "run"}
    )
    record = read_run(run_benchmark(config))
    assert [failure["session"] for failure in record.failures] == ["900000005"]
    assert set(record.results["session"]) == {"900000001"}
    assert "pupil alone" in set(record.results["decoder"])


def test_a_signature_is_in_no_record_and_a_renewed_one_resumes(bucket: FaultServer, tmp_path: Path) -> None:
    address = f"{bucket.url}{path_of(IDS[0])}?X-Amz-Signature="
    words = [*QUICK_WORDS, "--set", "controls=[]", "--out", "run"]
    first = spikesight("benchmark", f"{address}1f2e3d", *words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    kept = [file for folder in ("run", "cache") for file in (tmp_path / folder).rglob("*") if file.is_file()]
    assert [file for file in kept if b"1f2e3d" in file.read_bytes()] == []
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["sources"] == [address.split("?")[0]]
    again = spikesight("benchmark", f"{address}4c5b6a", *words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stderr


def test_a_signature_is_in_no_record_of_connectivity(bucket: FaultServer, tmp_path: Path) -> None:
    address = f"{bucket.url}{path_of(IDS[0])}?X-Amz-Signature=1f2e3d"
    words = ["--method", "noise-correlation", "--no-stability", "--out", "run"]
    done = spikesight("connectivity", "fit", address, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kept = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert [file for file in kept if b"1f2e3d" in file.read_bytes()] == []


@pytest.mark.parametrize(
    "n_answers",
    [
        pytest.param(3, id="first bytes", marks=pytest.mark.slow),
        pytest.param(6, id="structure", marks=pytest.mark.slow),
        pytest.param(10, id="spikes"),
    ],
)
def test_ctrl_c_does_not_wait_for_a_server_that_has_gone_silent(
    bucket: FaultServer, tmp_path: Path, n_answers: int
) -> None:
    """Neither Python, which waits for pools of threads, nor HDF5, which waits for a read, may keep the process."""
    large = tmp_path / "large.nwb"
    write_session(simulate_session("tiny", 3, n_units=500).session, large)
    bucket.serve(path_of(IDS[0]), large.read_bytes())
    silent = threading.Event()

    def fault(seen: Seen) -> Fault | None:
        if len(bucket.seen) <= n_answers:
            return None
        silent.set()
        return Fault(stall_after=0, stall_seconds=300)

    bucket.fail_when = fault
    command = [sys.executable, "-m", "spikesight", "benchmark", str(IDS[0]), *QUICK_WORDS, "--out", "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals
    ) as run:
        try:
            assert silent.wait(60)
            time.sleep(0.5)  # it is inside the read
            run.send_signal(signal.SIGINT)
            said = run.communicate(timeout=15)[1]
        finally:
            run.kill()
    assert run.returncode == 130
    assert "stopped; start the same command again" in said


def test_one_session_is_read_ahead_and_no_more(bucket: FaultServer, tmp_path: Path) -> None:
    from spikesight.data.location import find
    from spikesight.session_feed import SessionFeed
    from spikesight.tracking.run_directory import RunDirectory

    third = bucket.serve("/third.nwb", bucket.files[path_of(IDS[0])].data.replace(b"900000000", b"900000007"))
    config = BenchmarkConfig(sources=(*map(str, IDS), third))
    with RunDirectory(tmp_path / "run", {}) as run:
        run.write_provenance({})
        feed = SessionFeed(run, config, config.sources, Heard())
        ids = iter(feed)
        assert next(ids) == "900000000"
        for thread in threading.enumerate():
            if thread.name == "spikesight-read-ahead":
                thread.join()
        asked = {seen.path for seen in bucket.seen}
        assert asked == {path_of(IDS[0]), path_of(IDS[1])}
        assert next(ids) == "900000001"
        with pytest.raises(KeyError):
            feed["900000000"]
        assert list(ids) == ["900000007"]
    assert find(third).size == find(IDS[0]).size


def test_when_the_time_is_over_no_more_sessions_are_read(bucket: FaultServer, tmp_path: Path) -> None:
    third = bucket.serve("/third.nwb", bucket.files[path_of(IDS[0])].data.replace(b"900000000", b"900000007"))
    asked = {**QUICK, "sources": [*IDS, third], "out": tmp_path / "run"}
    with pytest.raises(SpikesightError, match="holds no finished result"):
        read_run(run_benchmark(load_config(overrides={**asked, "time_limit": 1e-9})))
    failures = json.loads((tmp_path / "run" / "failures.json").read_text())
    assert [failure["session"] for failure in failures if failure["decoder"] is None] == [str(IDS[1]), "third.nwb"]
    assert "/third.nwb" not in {seen.path for seen in bucket.seen}
    record = read_run(run_benchmark(load_config(overrides=asked)))
    assert record.failures == []
    assert record.results["session"].nunique() == 3


def test_whole_files_are_kept_when_that_is_asked(bucket: FaultServer, files: list[Path], tmp_path: Path) -> None:
    config = load_config(overrides={**QUICK, "sources": [IDS[0]], "out": tmp_path / "run", "keep_files": True})
    run_benchmark(config)
    kept = [file for file in (tmp_path / "cache").rglob("*.nwb")]
    assert [file.read_bytes() for file in kept] == [files[0].read_bytes()]
    asked = len(bucket.seen)
    spikesight("inspect", str(IDS[0]), cwd=tmp_path)
    assert len(bucket.seen) == asked


def test_sessions_that_were_fetched_are_decoded_by_their_ids_without_a_server(
    bucket: FaultServer, files: list[Path], tmp_path: Path
) -> None:
    for session_id in IDS:
        fetch_session(session_id)
    asked = len(bucket.seen)
    config = load_config(overrides={**QUICK, "sources": list(IDS), "out": tmp_path / "fetched"})
    fetched = run_benchmark(config)
    assert len(bucket.seen) == asked
    local = run_benchmark(load_config(overrides={**QUICK, "sources": files, "out": tmp_path / "local"}))
    pd.testing.assert_frame_equal(results(fetched), results(local))
    inputs = json.loads((fetched / "provenance.json").read_text())["inputs"]
    assert [Path(one["path"]).name for one in inputs] == [file.name for file in files]


def test_a_fetched_session_that_cannot_be_decoded_keeps_no_other_away(
    bucket: FaultServer, files: list[Path], tmp_path: Path
) -> None:
    for session_id in IDS:
        fetch_session(session_id).write_bytes(files[0].read_bytes() if session_id == IDS[0] else b"nothing")
    config = load_config(overrides={**QUICK, "sources": list(IDS), "out": tmp_path / "run"})
    record = read_run(run_benchmark(config))
    assert record.results["session"].unique().tolist() == [str(read_session(files[0]).session_id)]
    assert [failure["session"] for failure in record.failures] == [str(IDS[1])]


def test_an_id_that_is_not_public_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="123 is neither a file here nor the id of one of the 58"):
        run_benchmark(load_config(overrides={**QUICK, "sources": [123], "out": tmp_path / "run"}))
    assert not (tmp_path / "run").exists()


def test_sessions_are_asked_for_by_a_stimulus() -> None:
    from spikesight.commands.cli_options import question

    asked = question(None, "natural_scenes", "dandi", None, None)
    assert len(asked["sources"]) == 32
    assert asked["stimulus"] == "natural_scenes"
    assert asked["archive"] == "dandi"
    assert asked["sources"] == list(map(str, sessions(stimulus="natural_scenes").index))
    assert question(["a.nwb"], "715093703", None, None, "gabors") == {
        "sources": ["a.nwb", "715093703"], "archive": None, "keep_files": None, "stimulus": "gabors",
    }  # fmt: skip


@pytest.mark.parametrize(
    "command", ["inspect", "bin", *(pytest.param(name, marks=pytest.mark.slow) for name in ("connectivity", "predict"))]
)
def test_every_command_that_asks_a_file_takes_a_public_session(
    bucket: FaultServer, files: list[Path], tmp_path: Path, command: str
) -> None:
    place, local = str(IDS[0]), str(files[0])
    if command == "predict":
        config = load_config(overrides={**QUICK, "sources": [files[0]], "out": tmp_path / "run", "save_decoders": True})
        run = run_benchmark(config)
        decoder = next(path for path in (run / "decoders").iterdir() if "lda" in path.name)
        words = [["predict", str(decoder), where, "--json"] for where in (place, local)]
    elif command == "connectivity":
        more = ["--method", "noise-correlation", "--no-stability", "--json"]
        words = [["connectivity", "fit", where, *more, "--out", out] for where, out in ((place, "a"), (local, "b"))]
    elif command == "bin":
        words = [["bin", place, "--out", "a.nc", "--json"], ["bin", local, "--out", "b.nc", "--json"]]
    else:
        words = [["inspect", place, "--no-quick", "--json"], ["inspect", local, "--json"]]
    printed = []
    for one in words:
        done = spikesight(*one, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        printed.append(json.loads(done.stdout))
    for one in printed:
        for key in ("source", "out", "run", "report"):
            if isinstance(one, dict):
                one.pop(key, None)
    assert printed[0] == printed[1]


def test_counts_on_a_server_are_refused_with_what_to_do(bucket: FaultServer) -> None:
    from spikesight.inspection import inspect_file

    with pytest.raises(SpikesightError, match=r"fetch .*counts\.npz first"):
        inspect_file(f"{bucket.url}/counts.npz")

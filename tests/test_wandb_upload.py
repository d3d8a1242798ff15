"""Upload of W&B runs: in the background, with a key that nobody gets to see; a network that is down costs little."""

import base64
import gzip
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import wandb_server
from example_run import write_run
from lab_counts import write_lab_counts
from spikesight import tracked_run
from spikesight.config import load_config
from spikesight.errors import ConfigError
from spikesight.experiment import run_benchmark
from spikesight.tracking.trackers import Ending
from spikesight.tracking.wandb_tracking import upload
from spikesight.tracking.wandb_tracking.process import stop_writers
from spikesight.tracking.wandb_tracking.runs import closed_runs, follow_cell
from spikesight.tracking.wandb_tracking.upload import Uploader, has_key, sync_command, upload_environment
from test_wandb_tracking import KEY, line, settings_of
from wandb_file import record_bytes, runs_in

SECRET = "0123456789abcdef0123456789abcdef01234567"  # the form of a key, and the key of nobody


class Notes:
    """Remembers what a run says."""

    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)

    def advance(self, task, done, total):
        return


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A user without keys and settings."""
    for name in [name for name in os.environ if name.startswith("WANDB_") or name == "NETRC"]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("variables", "netrc", "settings", "found"),
    [
        ({}, None, None, False),
        ({"WANDB_API_KEY": SECRET}, None, None, True),
        ({"WANDB_API_KEY": ""}, None, None, False),
        ({}, f"machine api.wandb.ai login user password {SECRET}", None, True),
        ({}, f"machine example.org login user password {SECRET}", None, False),
        ({"WANDB_BASE_URL": "https://example.org"}, f"machine example.org login user password {SECRET}", None, True),
        ({}, f"machine lab.org login user password {SECRET}", "[default]\nbase_url = https://lab.org\n", True),
        ({}, "machine machine", None, False),
        ({}, None, "no settings", False),
    ],
)
def test_a_key_is_found_where_wandb_looks(monkeypatch, nobody, variables, netrc, settings, found):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if netrc is not None:
        (nobody / ".netrc").write_text(netrc)
        (nobody / ".netrc").chmod(0o600)
    if settings is not None:
        (nobody / ".config" / "wandb").mkdir(parents=True)
        (nobody / ".config" / "wandb" / "settings").write_text(settings)
    assert has_key() == found


def test_an_upload_has_the_key_and_writes_where_runs_are(monkeypatch, tmp_path):
    for name, value in {"WANDB_API_KEY": SECRET, "WANDB_MODE": "disabled", "HTTPS_PROXY": "p", "NETRC": "n"}.items():
        monkeypatch.setenv(name, value)
    given = upload_environment(tmp_path)
    assert (given["WANDB_API_KEY"], given["HTTPS_PROXY"], given["NETRC"]) == (SECRET, "p", "n")
    assert "WANDB_MODE" not in given
    assert given["WANDB_CACHE_DIR"].startswith(str(tmp_path))


def test_the_command_for_later_survives_a_folder_with_spaces(tmp_path):
    assert sync_command(tmp_path / "my run" / "wandb") == f"wandb sync '{tmp_path}/my run/wandb'"


def test_a_reason_has_no_key_in_it(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    output = tmp_path / "output"
    output.write_text(f"wandb: ERROR bad key {SECRET} of me\nwandb: bye\n\n")
    with output.open("rb") as file:
        assert upload._last_error(file) == "bad key *** of me"


def two_runs(folder):
    """Runs of two cells, the second of which failed."""
    settings = settings_of(folder)
    for part, ending in (("good", Ending(result={"accuracy": 0.5})), ("bad", Ending("it failed"))):
        run = follow_cell(settings, part, {**KEY, "decoder": part})
        run.hear([line(0), line(1, loss=0.25)])
        run.end(ending)
    stop_writers(settings.folder)
    return settings.folder


def shown(folder):
    """Whatever is in files, raw and unpacked."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield path.name.encode() + data
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from map(archive.read, archive.namelist())
        if data[:2] == b"\x1f\x8b":
            yield gzip.decompress(data)
        if path.suffix == ".parquet":
            yield pd.read_parquet(path).to_csv().encode()
        if path.suffix == ".wandb":
            yield from record_bytes(path)


def tells_the_key(data):
    forms = [base64.b64encode(f"{before}{SECRET}".encode())[4:-4] for before in ("api:", "", "a", "ab", "abc")]
    return any(form in data for form in (SECRET.encode(), *forms))


def test_the_search_for_the_key_finds_it(tmp_path):
    assert tells_the_key(f"Basic {base64.b64encode(f'api:{SECRET}'.encode()).decode()}".encode())
    np.savez_compressed(tmp_path / "a.npz", key=np.array([SECRET.encode()]))
    pd.DataFrame({"key": [SECRET]}).to_parquet(tmp_path / "a.parquet")
    assert [any(map(tells_the_key, shown(tmp_path)))] == [True]


def test_runs_are_uploaded_as_they_are_closed_and_those_of_failed_cells_in_the_end(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    folder = two_runs(tmp_path)
    with wandb_server.taking() as (url, taken):
        monkeypatch.setenv("WANDB_BASE_URL", url)
        uploader = Uploader(folder)
        until = time.monotonic() + 60
        while len(uploader.waiting()) > 1 and time.monotonic() < until:
            time.sleep(0.1)
        [failed] = uploader.waiting()
        assert failed == closed_runs(folder)["bad"][0]
        uploader.finish(60)
    assert (uploader.waiting(), uploader.reason) == ([], "")
    assert {run["displayName"]: run["groupName"] for run in taken.runs.values()} == {
        "good default s0 fold 1": "s0",
        "bad default s0 fold 1": "s0",
    }
    assert all(len(lines) == 2 and '"training/loss":0.25' in lines[1] for lines in taken.history.values())
    assert taken.keys == {SECRET}
    assert not any(map(tells_the_key, shown(tmp_path)))


@pytest.mark.parametrize("server", ["refusing", "failing"])
def test_a_server_that_takes_nothing_is_left_alone_soon_and_says_why(monkeypatch, tmp_path, server):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    folder = two_runs(tmp_path)
    with getattr(wandb_server, server)() as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        begun = time.monotonic()
        uploader = Uploader(folder)
        uploader.finish(120)
    assert time.monotonic() - begun < 60
    assert len(uploader.waiting()) == 2
    assert {"refusing": "refused", "failing": "500"}[server] in uploader.reason


def test_a_server_that_never_answers_is_waited_for_as_long_as_was_said(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    folder = two_runs(tmp_path)
    with wandb_server.stalling() as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        uploader = Uploader(folder)
        begun = time.monotonic()
        uploader.finish(2)
        assert time.monotonic() - begun < 30
    assert len(uploader.waiting()) == 2
    assert not any(map(tells_the_key, shown(tmp_path)))


def options(tmp_path, **more):
    source = write_lab_counts(tmp_path / "private folder" / "counts.npz") if not more.get("sources") else None
    given = {"sources": [source], "decoders": ["ridge"], "n_splits": 2, "jobs": 1, "selection": ["default"]}
    return load_config(overrides={**given, "out": tmp_path / "my run", **more})


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "private folder").mkdir()

    def ask(**more):
        return options(tmp_path, **more)

    return ask


def test_a_benchmark_has_one_more_run_with_its_leaderboard_and_figures(tmp_path, asked):
    notes = Notes()
    run = run_benchmark(asked(wandb="offline"), notes)
    found = runs_in(run)
    overview = found.pop("my run leaderboard")
    assert len(found) == 4  # two decoders, chance among them, on two folds
    assert overview.exit_code == 0
    assert overview.summary["best/decoder"] == "ridge"
    pictures = {Path(path).suffix for path in overview.files if "images" in path}
    assert pictures == {".png"}
    assert any("leaderboard" in path and path.endswith(".table.json") for path in overview.files)
    config = found["ridge default counts fold 1"].config
    assert config["benchmark"]["decoders"] == ["ridge"]
    assert config["sources"] == ["counts.npz"]
    assert config["versions"]["numpy"]
    assert notes.texts[-1].endswith(f"5 runs are in {run}/wandb; to upload them: {sync_command(run / 'wandb')}")
    sent = [data for path in run.glob("wandb/offline-run-*/*.wandb") for data in record_bytes(path)]
    assert not any(b"private folder" in data for data in sent)
    assert {stored.run.host for stored in (*found.values(), overview)} == {"-"}
    assert not list((run / "wandb").glob("tmp/*"))
    before = {path.name for path in run.glob("wandb/offline-run-*")}
    run_benchmark(asked(wandb="offline"), notes)
    assert (
        len({path.name for path in run.glob("wandb/offline-run-*")} & before) == 4
    )  # cells are found, the overview is new
    assert len(runs_in(run)) == 5


def test_an_overview_of_several_sessions_has_their_mean_and_figures_of_each(tmp_path):
    run = write_run(tmp_path / "run", n_sessions=2)
    (run / "failures.json").write_text('[{"decoder": "lda", "error": "singular"}]')
    tracked_run.write_overview(settings_of(run), run)
    stop_writers(run / "wandb")
    [overview] = runs_in(run).values()
    assert (overview.summary["best/decoder"], overview.summary["n_failed"]) == ("fa-lda", 1)
    logged = {name for row in overview.history for name in row if not name.startswith("_")}
    whole = {name.partition("/")[0] for name in logged}
    assert {"leaderboard", "leaderboard_over_sessions", "failures", "confusion"} <= whole
    pictures = {path.name for path in (run / "wandb" / "figures").iterdir()}
    assert len(pictures) == 5


def test_online_without_a_key_is_offline_and_said_so(asked, monkeypatch):
    monkeypatch.setattr(tracked_run, "Uploader", None)
    notes = Notes()
    run = run_benchmark(asked(wandb="online"), notes)
    assert sum("no key is set" in text for text in notes.texts) == 1
    assert len(runs_in(run)) == 5


@pytest.mark.slow
def test_a_benchmark_is_uploaded_whole_and_what_is_uploaded_is_not_uploaded_again(tmp_path, asked, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.chdir(tmp_path)
    notes = Notes()
    with wandb_server.taking() as (url, taken):
        monkeypatch.setenv("WANDB_BASE_URL", url)
        for again in (False, True):
            taken.artifacts.clear()
            run = run_benchmark(asked(wandb="online", wandb_entity="lab", out=Path("run")), notes)
            assert notes.texts[-1] == "W&B: 5 runs are uploaded"
            decoders = [name for name in taken.artifacts if name.startswith("ridge-")]
            assert sorted(decoders) == ([] if again else ["ridge-counts-default-0", "ridge-counts-default-1"])
    assert len(taken.runs) == 5
    assert {run["entity"] for run in taken.runs.values()} == {"lab"}
    stored = [path.read_bytes() for path in run.glob("wandb/decoders/*/arrays.npz")]
    assert taken.files["arrays.npz"] in stored
    assert not any(map(tells_the_key, shown(tmp_path)))


def test_without_the_package_it_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    def missing(name):
        raise tracked_run.PackageNotFoundError(name)

    monkeypatch.setattr(tracked_run, "version", missing)
    config = load_config(overrides={"sources": [tmp_path / "there is none.nwb"], "wandb": "offline"})
    with pytest.raises(ConfigError, match=r"pip install 'spikesight\[tracking\]'"):
        run_benchmark(config)


def test_a_run_that_is_stopped_waits_for_no_upload(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)

    def stop(*_):
        raise KeyboardInterrupt

    with wandb_server.stalling() as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setattr("spikesight.experiment.write_report", stop)
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(asked(wandb="online"))
        assert time.monotonic() - begun < tracked_run.UPLOAD_SECONDS


def test_an_overview_that_cannot_be_written_costs_a_note_and_no_result(asked, monkeypatch):
    def fail(*_):
        raise RuntimeError("no canvas")

    monkeypatch.setattr(tracked_run, "plot_leaderboard", fail)
    notes = Notes()
    run = run_benchmark(asked(wandb="offline"), notes)
    assert "no canvas" in notes.texts[-2]
    assert "4 runs are in" in notes.texts[-1]
    assert (run / "report.html").exists()


@pytest.mark.parametrize(
    "server", ["offline", *(pytest.param(name, marks=pytest.mark.slow) for name in ("refusing", "failing", "stalling"))]
)
def test_the_key_is_in_no_file_and_in_no_output_and_nothing_is_written_elsewhere(tmp_path, nobody, server):
    mode, decoders, jobs = ("offline", "ridge", 1) if server == "offline" else ("online", "mlp,ridge", 2)
    script = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from lab_counts import write_lab_counts
        from spikesight import cli, tracked_run
        tracked_run.UPLOAD_SECONDS = 10.0
        write_lab_counts(Path("counts.npz"))
        sys.argv = ["spikesight", "benchmark", "counts.npz", "--decoders", {decoders!r}, "--set", "n_splits=2",
                    "--selection", "default", "--jobs", "{jobs}", "--out", "run", "--save-decoders",
                    "--wandb", {mode!r}]
        cli.main()
    """
    for place in ("work", "temporary"):
        (tmp_path / place).mkdir()
    serving = nullcontext("http://127.0.0.1:9") if server == "offline" else getattr(wandb_server, server)()
    begun = time.monotonic()
    with serving as url:
        given = {"WANDB_API_KEY": SECRET, "WANDB_BASE_URL": url, "TMPDIR": str(tmp_path / "temporary")}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env={**os.environ, **given, "MPLCONFIGDIR": str(tmp_path / "mpl")},
            cwd=tmp_path / "work", capture_output=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert time.monotonic() - begun < 300
    assert len(runs_in(tmp_path / "work" / "run")) == 2 * (decoders.count(",") + 2) + 1  # chance too, and the overview
    output = done.stdout + done.stderr
    assert b"wandb sync" in b" ".join(output.split())
    assert not tells_the_key(output)
    assert not any(map(tells_the_key, shown(tmp_path)))
    left = {path.name for place in (nobody, tmp_path / "work") for path in place.iterdir()}
    assert left - {".cache", ".config", "nb_cache"} <= {"counts.npz", "run"}
    assert not [path for path in (*nobody.rglob("*"), *(tmp_path / "temporary").rglob("*")) if "wandb" in path.name]

"""The run directory: one config, one process, nothing half-written."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from spikesight.errors import RunDirectoryError
from spikesight.tracking import provenance
from spikesight.tracking.provenance import describe_run, identify_file
from spikesight.tracking.run_directory import RunDirectory

CONFIG = {"seed": 0, "decoders": ["lda"], "units": {"quality": "good"}, "jobs": 1}
TABLE = pd.DataFrame({"session": ["a"], "accuracy": [0.5]})


def names_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_new_run_directory_holds_its_config(tmp_path):
    with RunDirectory(tmp_path / "deep" / "run", CONFIG):
        pass
    assert names_in(tmp_path / "deep" / "run") == ["config.yaml"]


def test_json_tables_and_log_lines_are_read_back_as_written(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        run.write_json("panels/1.json", {"area": "VISp", "path": Path("x")})
        run.write_table("results.parquet", TABLE)
        run.log("cell finished", part="a")
        run.log("cell failed", error="é")
        pd.testing.assert_frame_equal(run.read_table("results.parquet"), TABLE)
    assert json.loads((tmp_path / "panels/1.json").read_text()) == {"area": "VISp", "path": "x"}
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["cell finished", "cell failed"]
    assert lines[1]["error"] == "é"


def test_a_part_counts_as_finished_only_once_its_result_is_there(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        run.write_part("one", TABLE, TABLE)
        run.write_table("parts/two.predictions.parquet", TABLE)
        assert run.finished_parts() == {"one"}
        result, predictions = run.read_part("one")
        pd.testing.assert_frame_equal(result, predictions)


def test_a_run_is_resumed_with_the_same_config_whatever_the_number_of_jobs(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        run.write_part("one", TABLE, TABLE)
    with RunDirectory(tmp_path, {**CONFIG, "jobs": 8, "decoders": ("lda",)}) as run:
        assert run.finished_parts() == {"one"}


def test_another_config_is_refused_and_the_options_that_differ_are_named(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        run.write_part("one", TABLE, TABLE)
    refused = RunDirectory(tmp_path, {**CONFIG, "seed": 1, "gap": 5})
    with pytest.raises(RunDirectoryError, match=r"seed is 0 there and 1 here; gap is None there and 5 here\. Choose"):
        refused.__enter__()
    with RunDirectory(tmp_path, CONFIG):  # the refusal let go of the lock
        pass


def test_an_option_that_an_earlier_version_did_not_have_is_as_nobody_asked_for_it(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        run.write_part("one", TABLE, TABLE)
    with RunDirectory(tmp_path, {**CONFIG, "running": "all"}, unasked={"running": "all", "seed": 7}):
        pass
    refused = RunDirectory(tmp_path, {**CONFIG, "running": "stationary"}, unasked={"running": "all"})
    with pytest.raises(RunDirectoryError, match=r"running is 'all' there and 'stationary' here"):
        refused.__enter__()


def test_a_directory_without_any_result_may_be_taken_for_another_question(tmp_path):
    with RunDirectory(tmp_path, CONFIG):
        pass
    with RunDirectory(tmp_path, {**CONFIG, "seed": 1}):
        pass
    assert "seed: 1" in (tmp_path / "config.yaml").read_text()


def test_a_run_directory_in_use_is_refused_at_once(tmp_path):
    with (
        RunDirectory(tmp_path, CONFIG),
        pytest.raises(RunDirectoryError, match="in use by another process"),
        RunDirectory(tmp_path, CONFIG),
    ):
        pass


def test_a_run_directory_in_use_by_another_process_is_refused_and_free_once_that_is_killed(tmp_path):
    code = (
        "import sys, time\nfrom spikesight.tracking.run_directory import RunDirectory\n"
        f"with RunDirectory({str(tmp_path)!r}, {CONFIG!r}):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunDirectoryError, match="in use"), RunDirectory(tmp_path, CONFIG):
            pass
        holder.kill()
    with RunDirectory(tmp_path, CONFIG):
        pass


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with (
        pytest.raises(RunDirectoryError, match=r"holds thesis\.tex but no config\.yaml"),
        RunDirectory(tmp_path, CONFIG),
    ):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_stopped_before_its_config_was_written_can_be_started_again(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / ".config.yaml.tmp").write_text("seed:")
    with RunDirectory(tmp_path, CONFIG):
        pass
    assert "quality: good" in (tmp_path / "config.yaml").read_text()


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("{")
    with pytest.raises(RunDirectoryError, match=r"cannot read .*config\.yaml"), RunDirectory(tmp_path, CONFIG):
        pass


def test_a_damaged_table_is_named(tmp_path):
    with RunDirectory(tmp_path, CONFIG) as run:
        (tmp_path / "results.parquet").write_bytes(b"PAR1 but not really")
        with pytest.raises(RunDirectoryError, match=r"cannot read .*results\.parquet.*Delete it"):
            run.read_table("results.parquet")


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunDirectoryError, match="cannot write to the run directory"),
        RunDirectory(tmp_path / "file" / "run", CONFIG),
    ):
        pass


def test_a_directory_without_write_permission_is_named(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(RunDirectoryError, match="Permission denied"), RunDirectory(tmp_path / "run", CONFIG):
        pass


@pytest.mark.parametrize("step", ["write", "flush"])
def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(tmp_path, monkeypatch, step):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def half_written(self, path, index):
        Path(path).write_bytes(b"PAR1")
        no_space()

    with RunDirectory(tmp_path, CONFIG) as run:
        run.write_table("results.parquet", TABLE)
        if step == "write":
            monkeypatch.setattr(pd.DataFrame, "to_parquet", half_written)
        else:
            monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(RunDirectoryError, match=r"No space left on device.*finished fits are kept"):
            run.write_table("results.parquet", TABLE * 2)
        pd.testing.assert_frame_equal(run.read_table("results.parquet"), TABLE)
    assert names_in(tmp_path) == ["config.yaml", "results.parquet"]


def test_provenance_keeps_that_of_earlier_runs(tmp_path):
    for seed in (1, 2, 3):
        with RunDirectory(tmp_path, CONFIG) as run:
            run.write_provenance({"seed": seed})
    now = json.loads((tmp_path / "provenance.json").read_text())
    assert (now["seed"], [run["seed"] for run in now["earlier"]]) == (3, [1, 2])


def test_provenance_says_with_what_and_from_what_a_run_was_made(tmp_path):
    source = tmp_path / "session.nwb"
    source.write_bytes(b"spikes")
    run = json.loads(json.dumps(describe_run(7, [source])))
    assert run["seed"] == 7
    assert run["versions"]["numpy"]
    assert run["hardware"]["n_cpus"] >= 1
    assert isinstance(run["hardware"]["gpus"], list)
    assert run["command_line"] == sys.argv
    assert run["time"].endswith("+00:00")
    [described] = run["inputs"]
    assert described["sha256"] == hashlib.sha256(b"spikes").hexdigest()
    assert (described["path"], described["size"]) == (str(source), 6)


def test_provenance_names_the_graphics_cards_that_the_driver_knows(tmp_path, monkeypatch):
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA A100\nIRQ:   \t\t 3\n")
    monkeypatch.setattr(provenance, "_GPUS", tmp_path)
    assert describe_run(0)["hardware"]["gpus"] == ["NVIDIA A100"]


def test_provenance_has_versions_of_optional_packages_where_they_are_installed(monkeypatch):
    there = {"ray": "2.60.0", "optuna": None, "wandb": "0.31.0"}
    monkeypatch.setattr(provenance, "_version", lambda name: there.get(name, "1"))
    versions = describe_run(0)["versions"]
    assert (versions["ray"], versions["wandb"], "optuna" in versions) == ("2.60.0", "0.31.0", False)


def test_provenance_has_the_commit_of_the_package_and_not_of_a_checkout_around_it(monkeypatch, tmp_path):
    here = Path(provenance.__file__).parent
    head = subprocess.run(["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode == 0:
        assert describe_run(0)["git_commit"] == head.stdout.strip()
    installed = tmp_path / "site-packages" / "provenance.py"
    installed.parent.mkdir()
    installed.write_text("")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(provenance, "__file__", str(installed))
    assert describe_run(0)["git_commit"] is None


def test_a_large_file_is_told_apart_by_its_size_and_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "WHOLE_FILE_BELOW", 100)
    monkeypatch.setattr(provenance, "END_SIZE", 10)
    digests = []
    for content in (b"a" * 200, b"b" + b"a" * 199, b"a" * 199 + b"b", b"a" * 201):
        file = tmp_path / "large.nwb"
        file.write_bytes(content)
        described = identify_file(file)
        assert described["digest_of"] == "size, first and last MiB"
        digests.append(described["sha256"])
    assert len(set(digests)) == 4


def test_every_source_that_is_said_to_decide_something_is_there():
    lists = (getattr(provenance, name) for name in dir(provenance) if name.startswith("DECIDES_"))
    patterns = [pattern for some in lists for pattern in some]
    assert len(patterns) > 20
    assert [pattern for pattern in patterns if not list(provenance.PACKAGE.glob(pattern))] == []

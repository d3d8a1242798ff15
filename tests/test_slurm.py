"""The batch script: what it asks of SLURM, that no value in it is run, and that it runs, with stubs of SLURM."""

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lab_counts import write_lab_counts
from spikesight.cli import app
from spikesight.errors import ConfigError, OutputError
from spikesight.slurm import NOTICE_SECONDS, SlurmJob, seconds_of, slurm_script, submission, write_slurm_script

SHELLCHECK = shutil.which("shellcheck")
HOSTILE = [
    "a b",
    "it's",
    '"',
    "$(touch ran)",
    "`touch ran`",
    "; touch ran #",
    "\\",
    "%j",
    "$HOME",
    "*",
    "-x",
    "é",
    "a\\",
]


def job(**more):
    return SlurmJob(**{"nodes": 2, "cpus": 4, "time": "12:00:00", **more})


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "scenes.yaml"
    file.write_text("sources: [one.npz]\n")
    return file


def directives(script):
    """What sbatch makes of a script: as it reads #SBATCH lines up to the first command."""
    found = {}
    for line in script.splitlines():
        if not line.startswith("#"):
            if line.strip():
                break
        elif line.startswith("#SBATCH"):
            [word] = sbatch_words(line.removeprefix("#SBATCH"))
            name, equals, value = word.partition("=")
            found[name] = value if equals else True
    return found


def sbatch_words(line):
    """Words as sbatch splits them: quotes group, a backslash takes what follows as it is, # begins a comment."""
    words, word, quote, escaped = [], None, "", False
    for character in line:
        if escaped:
            word, escaped = (word or "") + character, False
        elif character == "\\":
            escaped = True
        elif quote and character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote, word = character, word or ""
        elif not quote and character == "#":
            break
        elif not quote and character.isspace():
            words, word = words + [word] * (word is not None), None
        else:
            word = (word or "") + character
    assert not quote
    return words + [word] * (word is not None)


def test_the_script_asks_for_what_was_asked(config):
    script = slurm_script(config, job(gpus=1, partition="gpu", account="lab", memory="64G"))
    assert directives(script) == {
        "--job-name": "scenes", "--nodes": "2", "--ntasks-per-node": "1", "--cpus-per-task": "4",
        "--gpus-per-node": "1", "--mem": "64G", "--partition": "gpu", "--account": "lab", "--time": "12:00:00",
        "--output": f"{config.parent}/slurm-%j.log", "--open-mode": "append", "--signal": f"B:USR1@{NOTICE_SECONDS}",
        "--requeue": True, "--no-kill": True,
    }  # fmt: skip
    assert {"--gpus-per-node", "--mem", "--partition", "--account"}.isdisjoint(directives(slurm_script(config, job())))


def test_set_up_lines_come_first_and_as_they_are(config):
    lines = slurm_script(config, job(set_up=['module load "python/3.11"', "export A=$HOME"])).splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands[:3] == ['module load "python/3.11"', "export A=$HOME", "set -uo pipefail"]


def test_a_search_goes_on_when_the_job_is_started_again(config):
    assert "\ncommand=(benchmark)\n" in slurm_script(config, job())
    config.write_text("sources: [one.npz]\nselection: [searched, default]\ntuning: {candidates: 20}\n")
    assert "\ncommand=(benchmark --resume)\n" in slurm_script(config, job())


@pytest.mark.parametrize("value", HOSTILE)
def test_bash_takes_every_script(config, value):
    script = slurm_script(config, job(name=value, partition=value, account=value, gpus=1, set_up=["true"]))
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_shellcheck_finds_nothing(config):
    if SHELLCHECK is None:
        pytest.skip("no shellcheck on this machine: install it to have the script looked through")
    script = slurm_script(config, job(gpus=1, name=HOSTILE[3], set_up=["true"]))
    done = subprocess.run([SHELLCHECK, "-"], input=script, text=True, capture_output=True, check=False)
    assert done.stdout == ""


printable = st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=30)
values = printable | st.sampled_from(HOSTILE) | st.lists(st.sampled_from(HOSTILE), min_size=2).map("".join)


@given(name=values, account=values, partition=values)
@settings(max_examples=200, deadline=None)
def test_sbatch_gets_every_value_as_it_was_given(tmp_path_factory, name, account, partition):
    config = tmp_path_factory.getbasetemp() / "plain.yaml"
    config.write_text("sources: [one.npz]\n")
    found = directives(slurm_script(config, job(name=name, account=account, partition=partition)))
    assert (found["--job-name"], found["--account"], found["--partition"]) == (name, account, partition)
    assert found["--nodes"] == "2"


@given(folder=values, run=values)
@settings(max_examples=40, deadline=None)
def test_bash_gets_every_path_as_it_is_and_runs_none(tmp_path_factory, folder, run):
    place = tmp_path_factory.mktemp("at") / folder.replace("/", "_").strip(".")[:40]
    place.mkdir(exist_ok=True)
    out = place / run.replace("/", "_")[:40]
    config = place / "it's $(touch ran).yaml"
    config.write_text(yaml.safe_dump({"sources": ["one.npz"], "out": str(out)}))
    here = os.getcwd()
    os.chdir(place)
    try:
        script = slurm_script(config, job(name=folder, account=run))
    finally:
        os.chdir(here)
    assignments = script.partition("\ncd -- ")[0] + '\nprintf "%s\\0" "$folder" "$config" "$run" "$python"\n'
    done = subprocess.run(["bash"], input=assignments, text=True, capture_output=True, cwd=place, check=True)
    assert done.stdout.split("\0")[:4] == [str(place), str(config), str(out), sys.executable]
    assert sorted(place.iterdir()) == [config]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": 0}, "--nodes: expected at least 1, got 0"),
        ({"cpus": 0}, "--cpus: expected at least 1"),
        ({"gpus": -1}, "--gpus: expected at least 0"),
        ({"time": "soon"}, "--time: expected a time such as"),
        ({"time": "5"}, "--time: expected at least 10 minutes, got '5'"),
        ({"memory": "lots"}, "--memory: expected a number with K, M, G or T"),
        ({"partition": "a\n#SBATCH --uid=0"}, "--partition: expected text on one line"),
        ({"name": "a\rb"}, "--name: expected text on one line"),
        ({"account": ""}, "--account: expected text on one line"),
    ],
)
def test_what_slurm_would_not_understand_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        job(**options)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90", 5400), ("90:30", 5430), ("12:00:00", 43200), ("2-00", 172800), ("1-2:30", 95400), ("1-2:30:15", 95415)],
)
def test_times_are_read_as_slurm_reads_them(time, seconds):
    assert seconds_of(time) == seconds


def test_a_wrong_file_of_options_is_refused_before_it_is_submitted(config):
    config.write_text("sources: [one.npz]\nfoldz: 3\n")
    with pytest.raises(ConfigError, match="foldz: unknown key"):
        write_slurm_script(config, job(), config.with_name("job.sbatch"))
    assert not config.with_name("job.sbatch").exists()


def test_a_script_is_replaced_and_a_file_of_something_else_is_not(config):
    script = write_slurm_script(config, job(), Path("job.sbatch"))
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert "--nodes=3" in write_slurm_script(config, job(nodes=3), script).read_text()
    script.write_text("#!/bin/bash\nmy own\n")
    with pytest.raises(OutputError, match="was not written by spikesight slurm"):
        write_slurm_script(config, job(), script)
    assert sorted(file.name for file in config.parent.iterdir()) == ["job.sbatch", "scenes.yaml"]


def test_the_command_line_writes_the_script_and_says_how_to_submit_it(config):
    asked = [
        "--nodes",
        "2",
        "--cpus",
        "4",
        "--gpus",
        "1",
        "--partition",
        "gpu",
        "--time",
        "12:00:00",
        "--set-up",
        "true",
    ]
    done = CliRunner().invoke(app, ["slurm", str(config), *asked, "--out", "my job.sbatch", "--json"])
    assert done.exit_code == 0, done.output
    script = config.parent / "my job.sbatch"
    assert json.loads(done.stdout) == {"script": str(script), "submit": submission(script)}
    assert shlex.split(submission(script)) == ["sbatch", str(script)]
    assert "\ntrue\n" in script.read_text()
    done = CliRunner().invoke(app, ["slurm", str(config), *asked])
    assert (config.parent / "scenes.sbatch").exists()
    assert done.stdout == f"{config.parent}/scenes.sbatch\nsubmit it: sbatch {config.parent}/scenes.sbatch\n"


SRUN = """#!/bin/bash
# Run on "the node" what srun would: a process of this machine. Notes what the job shows to everybody on a machine.
while [[ $1 == --* ]]; do [[ $1 == --nodelist=* ]] && host=${1#*=}; shift; done
{ echo "$host"; printf '%s ' "$@"; } >> "$STUBS/steps"
stat -c %a "$RAY_AUTH_TOKEN_PATH" >> "$STUBS/modes"
cat "$RAY_AUTH_TOKEN_PATH" > "$STUBS/token"
exec "$@"
"""
SCONTROL = """#!/bin/bash
if [[ $1 == show ]]; then printf '%s\\n' node1 node2; else echo "$*" >> "$STUBS/requeued"; fi
"""


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    """SLURM as far as the script knows it; nodes are processes of this machine."""
    folder = tmp_path / "stubs"
    folder.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    number = 100_000 + os.getpid()
    given = {"SLURM_JOB_ID": number, "SLURM_JOB_NODELIST": "node[1-2]", "SLURMD_NODENAME": "node1", "STUBS": folder}
    for name, value in {**given, "SLURM_MEM_PER_NODE": 3000, "PATH": f"{folder}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-another-cluster")
    return folder


@pytest.mark.slow
def test_the_script_runs_stops_in_time_goes_on_and_leaves_nothing(tmp_path, stubs, monkeypatch):
    place = tmp_path / "a place"
    place.mkdir()
    monkeypatch.chdir(place)
    counts = write_lab_counts(tmp_path / "lab.npz")
    asked = {"sources": [str(counts)], "decoders": ["fa-lda", "mlp"], "n_splits": 3, "gap": 2}
    config = place / "run.yaml"
    config.write_text(yaml.safe_dump({**asked, "out": "runs/it's one"}))
    script = write_slurm_script(config, SlurmJob(2, 1, "12:00:00"), Path("job.sbatch"))
    run = place / "runs" / "it's one"
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(["bash", script], stdout=log, stderr=log)
        while not list(run.glob("parts/*.result.parquet")) and job.poll() is None:
            time.sleep(0.2)
        job.send_signal(signal.SIGUSR1)  # as SLURM does, minutes before the end
        assert job.wait(120) == 130, (tmp_path / "log").read_text()
    assert (stubs / "requeued").read_text() == f"requeue {os.environ['SLURM_JOB_ID']}\n"
    assert not (run / "results.parquet").exists()
    finished = len(list(run.glob("parts/*.result.parquet")))
    assert processes_of(os.environ["SLURM_JOB_ID"]) == []

    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"resuming: {run} holds {finished} finished fits" in done.stderr
    assert "on Ray: 2 nodes, 2 cores" in done.stderr
    alone = CliRunner().invoke(app, ["benchmark", "--config", str(config), "--jobs", "1", "--out", "alone"])
    assert alone.exit_code == 0, alone.output
    tables = [pd.read_parquet(folder / "predictions.parquet") for folder in (run, place / "alone")]
    pd.testing.assert_frame_equal(*tables)

    token = (stubs / "token").read_text()
    assert len(token) == 64
    assert set((stubs / "modes").read_text().split()) == {"600"}
    told = script.read_text() + (tmp_path / "log").read_text() + done.stdout + done.stderr
    assert token not in told + (stubs / "steps").read_text()
    assert list((place / "runs").iterdir()) == [run]
    assert (stubs / "steps").read_text().count("node2") == 2
    assert processes_of(os.environ["SLURM_JOB_ID"]) == []


@pytest.mark.slow
def test_a_head_that_cannot_start_ends_the_job_at_once(config, stubs):
    (stubs / "srun").write_text("#!/bin/bash\nexit 1\n")
    script = write_slurm_script(config, SlurmJob(2, 1, "12:00:00"), Path("job.sbatch"))
    begun = time.monotonic()
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode != 0
    assert "Ray has ended on node1" in done.stderr
    assert time.monotonic() - begun < 60
    assert not list(config.parent.rglob("*.token.*"))


def processes_of(number):
    """Processes that a job has left: those with its number in their environment."""
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"SLURM_JOB_ID={number}".encode() in environment and int(folder.name) != os.getpid():
            left.append(command)
    return left

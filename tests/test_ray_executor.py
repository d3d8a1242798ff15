"""Cells on Ray: the same numbers as in one process, whatever happens to workers and nodes."""

import json
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from lab_counts import write_lab_counts
from spikesight.cli import app
from spikesight.cluster import connected
from spikesight.decoders import registry
from spikesight.decoders.registry import DecoderSpec
from spikesight.detrending import Detrending
from spikesight.errors import ClusterError, WorkerError
from spikesight.evaluation import likeness, ray_executor
from spikesight.evaluation.likeness import Likeness, marked
from test_benchmark import Fragile, Linked, benchmark, run_in, session, without_seconds

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def local_ray():
    """One local Ray for all tests here: to start one takes seconds."""
    with connected("local", jobs=2):
        yield


@pytest.fixture
def with_linked():
    registry.register("linked", DecoderSpec(f"{Linked.__module__}:Linked", "passes messages"))
    yield
    registry.unregister("linked")


class DiesOnce(Fragile):
    """Takes its process with it the first time that it is fitted."""

    def __init__(self, mark=""):
        self.mark = mark

    def fit(self, X, y):
        if not os.path.exists(self.mark):
            with open(self.mark, "w"):
                os.kill(os.getpid(), signal.SIGKILL)
        self.classes_ = np.unique(y)
        return self


def assert_same(one, other):
    pd.testing.assert_frame_equal(without_seconds(one.results), without_seconds(other.results))
    pd.testing.assert_frame_equal(one.predictions, other.predictions)
    pd.testing.assert_frame_equal(one.failures, other.failures)


def warnings_of(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return sorted((line["part"], line["warning"]) for line in lines if line["event"] == "warning")


def files(folder):
    """What a run leaves, apart from its log and its lock."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_local_ray_gives_the_tables_graphs_failures_and_warnings_of_one_process(tmp_path, local_ray, with_linked):
    references = {"s0": {"broken": Fragile("raise"), "wordy": Fragile("warn")}}
    plan = benchmark(
        datasets={"s0": session(), "s1": session(1, n_trials=600, n_units=300, name="s1")},
        decoders=("logistic", "linked"), references=references, detrending=Detrending(10),
    )  # fmt: skip
    alone = run_in(tmp_path / "alone", plan)
    on_ray = run_in(tmp_path / "ray", replace(plan, ray="local"))
    assert_same(alone, on_ray)
    assert len(on_ray.failures) == 3
    assert files(tmp_path / "ray") == files(tmp_path / "alone")
    assert warnings_of(tmp_path / "ray") == warnings_of(tmp_path / "alone")
    assert len(warnings_of(tmp_path / "ray")) == 3


def test_decoders_are_kept_and_finished_cells_found_again_whoever_attempted_them(tmp_path, local_ray):
    plan = benchmark(selections=("default",), save_decoders=True)
    run_in(tmp_path, replace(plan, ray="local"))
    assert len(list((tmp_path / "decoders").iterdir())) == 3
    begun = len((tmp_path / "log.jsonl").read_text().splitlines())
    run_in(tmp_path, plan)
    events = [json.loads(line)["event"] for line in (tmp_path / "log.jsonl").read_text().splitlines()[begun:]]
    assert events == ["benchmark started", "benchmark finished"]


def test_a_task_whose_process_is_killed_is_tried_again(tmp_path, local_ray):
    plan = benchmark(references={"s0": {"dies": DiesOnce(str(tmp_path / "mark"))}}, selections=("default",))
    outcome = run_in(tmp_path / "run", replace(plan, ray="local"))
    assert (tmp_path / "mark").exists()
    assert outcome.failures.empty
    assert_same(outcome, run_in(tmp_path / "alone", plan))


def test_the_command_line_runs_on_ray_and_goes_on_without_it_in_the_same_directory(tmp_path, local_ray):
    counts = write_lab_counts(tmp_path / "lab.npz")
    quick = [
        "--decoders",
        "fa-lda,ridge",
        "--selection",
        "default",
        "--folds",
        "3",
        "--gap",
        "2",
        "--jobs",
        "1",
        "--json",
    ]
    told = {}
    for way, more in (("alone", []), ("ray", ["--ray", "local"])):
        out = tmp_path / way
        done = CliRunner().invoke(app, ["benchmark", str(counts), *quick, "--out", str(out), *more])
        assert done.exit_code == 0, done.output
        told[way] = json.loads(done.stdout)
    assert "on Ray: 1 node, 2 cores" in done.stderr
    tables = [pd.read_parquet(tmp_path / way / "predictions.parquet") for way in ("alone", "ray")]
    pd.testing.assert_frame_equal(*tables)
    again = CliRunner().invoke(app, ["benchmark", str(counts), *quick, "--out", str(tmp_path / "ray")])
    assert "resuming" in again.stderr
    assert again.exit_code == 0, again.output


@pytest.mark.slow
def test_a_task_that_kills_every_process_is_named_and_a_second_run_continues(tmp_path, local_ray, monkeypatch):
    monkeypatch.setattr(ray_executor, "RETRIES", 1)
    plan = benchmark(references={"s0": {"deadly": Fragile("die")}}, selections=("default",), ray="local")
    with pytest.raises(WorkerError, match=r"died while decoding session 's0' \(deadly, fold \d\), and 1 times again"):
        run_in(tmp_path, plan)
    assert not (tmp_path / "results.parquet").exists()
    assert len(run_in(tmp_path, replace(plan, references={})).results) == 6


def test_after_the_time_limit_no_task_is_begun_and_the_next_run_goes_on(tmp_path, local_ray):
    plan = benchmark(selections=("default",), ray="local")
    late = run_in(tmp_path, replace(plan, time_limit=0.0))
    assert late.failures["error"].str.startswith("not run: the time limit was over").tolist() == [True] * 6
    assert len(run_in(tmp_path, plan).results) == 6


def test_a_cell_that_is_too_large_for_every_node_is_refused_before_it_waits_for_ever(tmp_path, local_ray, monkeypatch):
    monkeypatch.setattr(ray_executor, "working_memory", lambda n_counts, detrended: 10**15)
    with pytest.raises(ClusterError, match=r"a fit needs a core and about 1,000,\d+,\d+ MB .* the largest has .* MB"):
        run_in(tmp_path, benchmark(ray="local"))


def test_a_worker_with_other_code_refuses(tmp_path, local_ray, monkeypatch):
    monkeypatch.setattr(likeness, "code_digest", lambda: "other")
    with pytest.raises(ClusterError, match=r"node '.*' runs other code of spikesight"):
        run_in(tmp_path, benchmark(ray="local"))
    assert not list(tmp_path.glob(".cluster-*"))


def test_a_worker_with_other_libraries_refuses(tmp_path, local_ray, monkeypatch):
    monkeypatch.setattr(likeness, "library_versions", lambda: {"numpy": "0.1"})
    with pytest.raises(ClusterError, match=r"has numpy 2.* \(here 0\.1\)"):
        run_in(tmp_path, benchmark(ray="local"))


def test_a_node_without_the_run_directory_is_told_of(tmp_path):
    like = Likeness.of_this_process(tmp_path / "no-such-run" / ".cluster-1.tmp")
    assert "does not see the run directory" in like.trouble()
    with marked(tmp_path) as mark:
        assert like._replace(mark=mark).trouble() == ""
    assert list(tmp_path.iterdir()) == []


def test_work_is_interrupted_when_its_driver_takes_its_mark_away_even_where_a_shell_ignores_ctrl_c(tmp_path):
    mark = tmp_path / "mark"
    mark.touch()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ray_executor._stopping_without(mark):
            time.sleep(2 * ray_executor.WATCH_SECONDS)
        mark.unlink()
        with pytest.raises(KeyboardInterrupt), ray_executor._stopping_without(mark):
            time.sleep(60)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)

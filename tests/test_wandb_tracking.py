"""W&B runs of cells: what is written offline, from which processes, and what their trouble costs."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from spikesight.decoders.linear import Logistic
from spikesight.decoders.storage import load_decoder
from spikesight.evaluation.cells import Keep, attempt, attempt_named
from spikesight.tracking.trackers import Ending
from spikesight.tracking.wandb_tracking import process
from spikesight.tracking.wandb_tracking.process import GivenUpError, environment, stop_writers, writer_of
from spikesight.tracking.wandb_tracking.runs import WandbSettings, closed_runs, follow_cell, run_id
from tracked_session import N_EPOCHS, SPLITTER, benchmark, brief_mlp, one_cell, run_in
from wandb_file import runs_in

KEY = {"session": "s0", "decoder": "lda", "selection": "default", "fold": 1, "seed": 0}


@pytest.fixture
def settings(tmp_path):
    yield settings_of(tmp_path)
    stop_writers(tmp_path / "wandb")


def settings_of(folder):
    return WandbSettings(
        folder / "wandb", "sight", "lab", "key of the folder", "first", "my-run", {"versions": {"a": "1"}}
    )


def end_all(*runs):
    for run in runs:
        run.end(Ending())


def line(epoch, **values):
    given = {
        "loss": 0.5,
        "accuracy": 0.25,
        "valid_loss": None,
        "valid_accuracy": None,
        "learning_rate": 0.1,
        "seconds": 1,
    }
    return {"epoch": epoch, **given, **values}


def test_a_cell_is_a_run_with_its_epochs_config_labels_predictions_and_decoder(tmp_path, settings):
    cell, problem = one_cell(brief_mlp(valid_fraction=0.2), fold=1)
    outcome = attempt(cell, problem, SPLITTER, 0, Keep(tmp_path, wandb=settings))
    assert not outcome.error
    stop_writers(settings.folder)
    [(name, stored)] = runs_in(tmp_path).items()
    run = stored.run
    assert name == "mlp default s0 fold 1"
    assert (run.project, run.entity, run.run_group, run.job_type) == ("sight", "lab", "s0", "mlp")
    assert list(run.tags) == ["default", "fold 1", "seed 0", "my-run"]

    epochs = [json.loads(text) for text in (tmp_path / "epochs" / f"{cell.part}.jsonl").read_text().splitlines()]
    assert stored.epochs("epoch") == list(range(N_EPOCHS))
    for shown, column in (("training/loss", "loss"), ("validation/accuracy", "valid_accuracy")):
        assert stored.epochs(shown) == [epoch[column] for epoch in epochs]
    assert stored.config["versions"] == {"a": "1"}
    assert stored.config["params"]["max_epochs"] == N_EPOCHS
    assert not {"checkpoint", "on_epoch"} & set(stored.config["params"])
    assert stored.config["part"] == cell.part

    [row] = outcome.result.to_dict("records")
    assert {key: stored.summary[key] for key in ("accuracy", "chance", "n_test")} == {
        key: row[key] for key in ("accuracy", "chance", "n_test")
    }
    assert stored.exit_code == 0
    [table] = [path for path in stored.files if "predictions" in path]
    [folder] = (settings.folder).glob("offline-run-*")
    shown = json.loads((folder / "files" / table).read_text())
    assert shown["columns"] == list(outcome.predictions.columns)
    assert [values[shown["columns"].index("y_pred")] for values in shown["data"]] == outcome.predictions[
        "y_pred"
    ].tolist()

    [artifact] = [artifact for artifact in stored.artifacts if artifact.type == "decoder"]
    assert artifact.name == "mlp-s0-default-1"
    files = {Path(entry.local_path) for entry in artifact.manifest.contents}
    assert {file.name for file in files} == {"decoder.json", "arrays.npz", "network.safetensors"}
    [kept] = {file.parent for file in files}
    assert tmp_path in kept.parents
    decoder, _ = load_decoder(kept)
    test = cell.rows[1]
    assert decoder.predict(problem.X[test]).astype(str).tolist() == outcome.predictions["y_pred"].tolist()


def test_a_stored_decoder_is_not_stored_twice(tmp_path, settings, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell, problem = one_cell(Logistic(), "logistic")
    attempt(cell, problem, SPLITTER, 0, Keep(Path(), decoders=True, wandb=settings))
    stop_writers(settings.folder)
    [stored] = runs_in(tmp_path).values()
    [artifact] = [artifact for artifact in stored.artifacts if artifact.type == "decoder"]
    assert {Path(entry.local_path).parent for entry in artifact.manifest.contents} == {
        tmp_path / "decoders" / cell.part
    }
    assert len(list(tmp_path.rglob("arrays.npz"))) == 1


class Stumbling(ClassifierMixin, BaseEstimator):
    """A decoder of nobody's registry: raises, or guesses the first class."""

    def __init__(self, how="raise"):
        self.how = how

    def fit(self, X, y):
        if self.how == "raise":
            raise FloatingPointError("covariance is singular")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def test_a_cell_that_failed_is_a_failed_run_which_the_next_attempt_replaces(tmp_path, settings):
    for how, failed in (("raise", True), ("", False)):
        cell, problem = one_cell(Stumbling(how), "stumbling", "reference")
        cell = cell._replace(part="the same cell")
        outcome = attempt(cell, problem, SPLITTER, 0, Keep(tmp_path, wandb=settings))
        [(part, (folder, told))] = closed_runs(settings.folder).items()
        assert (part, told, bool(outcome.error)) == ("the same cell", failed, failed)
        [stored] = runs_in(tmp_path).values()
        assert stored.exit_code == int(failed)
        assert ("covariance is singular" in stored.summary.get("error", "")) == failed
        assert folder.is_dir()


def test_a_decoder_that_cannot_be_stored_is_a_run_without_one_and_a_warning(tmp_path, settings):
    cell, problem = one_cell(Stumbling(""), "stumbling")
    with pytest.warns(UserWarning, match="no decoder of "):
        outcome = attempt(cell, problem, SPLITTER, 0, Keep(tmp_path, wandb=settings))
    assert not outcome.error
    [stored] = runs_in(tmp_path).values()
    assert not [artifact for artifact in stored.artifacts if artifact.type == "decoder"]


def test_a_resumed_fit_has_each_epoch_once(settings, tmp_path):
    run = follow_cell(settings, "part", KEY)
    run.hear([line(0), line(1)])  # the first call of this process tells of an epoch before it
    run.hear([line(0), line(1), line(2, loss=None)])
    run.end(Ending(epochs=[line(0), line(1), line(2, loss=None)]))
    [stored] = runs_in(tmp_path).values()
    assert stored.epochs("epoch") == [0, 1, 2]
    assert stored.epochs("training/loss") == [0.5, 0.5]
    assert not stored.epochs("validation/loss")


def test_a_fit_that_was_killed_is_a_crashed_run_which_the_next_attempt_replaces(tmp_path):
    script = f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_wandb_tracking import KEY, follow_cell, line, settings_of
        run = follow_cell(settings_of(Path({str(tmp_path)!r})), "part", KEY)
        run.hear([line(0)])
        while not list(Path({str(tmp_path)!r}).glob("wandb/offline-run-*/*.wandb")):
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert closed_runs(tmp_path / "wandb") == {}
    settings = settings_of(tmp_path)
    run = follow_cell(settings, "part", KEY)
    run.hear([line(0), line(1)])
    run.end(Ending())
    stop_writers(settings.folder)
    [stored] = runs_in(tmp_path).values()
    assert (stored.epochs("epoch"), stored.exit_code) == ([0, 1], 0)


def test_a_cell_has_one_id_in_a_run_directory_and_others_in_others():
    ids = [run_id(directory, part) for directory, part in (("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"))]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_nothing_of_this_process_is_changed_and_nothing_is_printed(tmp_path, settings, capfd):
    watched = (sys.excepthook, sys.exit, signal.getsignal(signal.SIGINT), dict(os.environ))
    cell, problem = one_cell(Logistic(), "logistic")
    attempt(cell, problem, SPLITTER, 0, Keep(tmp_path, wandb=settings))
    stop_writers(settings.folder)
    assert (sys.excepthook, sys.exit, signal.getsignal(signal.SIGINT), dict(os.environ)) == watched
    assert capfd.readouterr() == ("", "")


def test_off_writes_nothing_and_imports_nothing(tmp_path):
    script = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from tracked_session import benchmark, run_in
        assert run_in(Path({str(tmp_path)!r}), benchmark(decoders=("ridge",))).failures.empty
        assert "wandb" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    assert not list(tmp_path.rglob("*wandb*"))


def test_the_writer_has_neither_key_nor_proxy_nor_places_of_its_own(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "HTTPS_PROXY", "http_proxy", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "secret")
    for name in ("CACHE", "DATA", "CONFIG", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", "/elsewhere")
    given = environment(tmp_path)
    assert "secret" not in given.values()
    assert all(str(tmp_path) in given[f"WANDB_{name}_DIR"] for name in ("CACHE", "DATA", "CONFIG", "ARTIFACT"))


def test_what_wandb_raises_is_warned_of_once_and_the_next_run_goes_on(settings):
    run = follow_cell(replace(settings, project="a/b"), "broken", KEY)
    run.hear([line(0)])
    with pytest.warns(UserWarning, match="no W&B run of broken: .*project") as caught:
        end_all(run, run)
    assert len(caught) == 1
    follow_cell(settings, "whole", KEY).end(Ending())
    assert set(closed_runs(settings.folder)) == {"whole"}


def test_a_writer_that_died_is_warned_of_once_and_not_started_again(tmp_path, settings):
    run = follow_cell(settings, "first", KEY)
    writer_of(settings.folder, settings.visit).kill()
    with pytest.warns(UserWarning, match="no W&B run of first: TrackingError: .*has ended") as caught:
        end_all(run, run)
    follow_cell(settings, "second", KEY).end(Ending())
    assert len(caught) == 1
    next_time = replace(settings, visit="second")
    follow_cell(next_time, "second", KEY).end(Ending())
    assert set(closed_runs(settings.folder)) == {"second"}


def test_a_writer_that_hangs_costs_so_much_time_once(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE", 0.2)
    run = follow_cell(settings, "first", KEY)
    os.kill(writer_of(settings.folder, settings.visit)._process.pid, signal.SIGSTOP)
    with pytest.warns(UserWarning, match=r"did not answer for 0\.2 s"):
        run.end(Ending())
    with pytest.raises(GivenUpError, match="did not answer"):
        writer_of(settings.folder, settings.visit)


def test_a_writer_that_does_not_read_is_given_up_and_training_goes_on(settings, monkeypatch):
    monkeypatch.setattr(process, "MOST_ORDERS", 3)
    run = follow_cell(settings, "first", KEY)
    os.kill(writer_of(settings.folder, settings.visit)._process.pid, signal.SIGSTOP)
    epochs = [line(number) for number in range(2000)]
    with pytest.warns(UserWarning, match="lets 3 orders wait"):
        run.hear(epochs)


def test_a_process_that_cannot_be_started_is_warned_of(settings, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no memory")

    monkeypatch.setattr(process.subprocess, "Popen", refuse)
    with pytest.warns(UserWarning, match="no memory"):
        follow_cell(settings, "first", KEY).end(Ending())


def test_cells_that_were_finished_without_wandb_are_written_when_it_is_asked_for(tmp_path, settings):
    plan = benchmark(decoders=("ridge", "lda"))
    run_in(tmp_path, plan)
    assert not settings.folder.exists()
    folder = settings.folder
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation = run_in(tmp_path, replace(plan, wandb=settings))
    written = runs_in(tmp_path)
    assert len(written) == len(evaluation.results) == 9
    assert written["lda default s0 fold 2"].summary["accuracy"] == pytest.approx(
        evaluation.results.query("decoder == 'lda' and fold == 2")["accuracy"].item()
    )
    assert json.loads((folder / "missing.json").read_text()) == {}
    before = sorted(folder.glob("offline-run-*"))
    run_in(tmp_path, replace(plan, wandb=settings))
    assert sorted(folder.glob("offline-run-*")) == before


def test_runs_that_could_not_be_written_are_told(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(process, "WRITER", tmp_path / "nothing.py")
    evaluation = run_in(tmp_path, benchmark(decoders=("ridge",), wandb=settings))
    assert len(evaluation.results) == 6
    missing = json.loads((settings.folder / "missing.json").read_text())
    assert len(missing) == 6
    assert "has ended" in next(iter(missing.values()))
    log = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len([entry for entry in log if "no W&B run" in entry.get("warning", "")]) == 2  # while fitting, and after


@pytest.mark.slow
def test_wandb_changes_no_number(tmp_path, settings):
    plan = benchmark(decoders=("ridge",))
    without = run_in(tmp_path / "without", plan)
    beside = run_in(tmp_path / "with", replace(plan, wandb=replace(settings, folder=tmp_path / "with" / "wandb")))
    stop_writers()
    seconds = ["fit_seconds", "predict_seconds"]
    pd.testing.assert_frame_equal(without.results.drop(columns=seconds), beside.results.drop(columns=seconds))
    pd.testing.assert_frame_equal(without.predictions, beside.predictions)


def cells_of_ridge(tmp_path):
    for fold in range(2):
        cell, problem = one_cell(brief_mlp(), fold=fold)
        yield cell, problem, SPLITTER, 0, Keep(tmp_path, wandb=settings_of(tmp_path))


@pytest.mark.slow
def test_runs_are_written_from_loky_workers(tmp_path):
    tasks = [joblib.delayed(attempt_named)(*task) for task in cells_of_ridge(tmp_path)]
    outcomes = joblib.Parallel(n_jobs=2, backend="loky")(tasks)
    assert [outcome.error for _, outcome in outcomes] == ["", ""]
    check_two_folds(tmp_path)


@pytest.mark.slow
def test_runs_are_written_from_ray_workers(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    tests = str(Path(__file__).parent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}},
        )  # fmt: skip
        try:
            run = ray.remote(attempt)
            outcomes = ray.get([run.remote(*task) for task in cells_of_ridge(tmp_path)], timeout=180)
        finally:
            ray.shutdown()
    assert [outcome.error for outcome in outcomes] == ["", ""]
    check_two_folds(tmp_path)


def check_two_folds(tmp_path):
    found = runs_in(tmp_path)
    assert set(found) == {"mlp default s0 fold 0", "mlp default s0 fold 1"}
    for stored in found.values():
        assert stored.epochs("epoch") == list(range(N_EPOCHS))
        assert {artifact.type for artifact in stored.artifacts} == {"decoder", "run_table"}
    assert len(closed_runs(tmp_path / "wandb")) == 2

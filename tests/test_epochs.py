"""Epochs of networks in a run directory: each of them once, whatever is killed, and one table in the end."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spikesight.decoders import registry
from spikesight.decoders.feedforward import MLP
from spikesight.errors import OutputError, RunDirectoryError
from spikesight.evaluation.cells import Keep, attempt
from spikesight.evaluation.fitting import Contender, fit_fold
from spikesight.tracking.epochs import EPOCH_COLUMNS, EPOCHS_TABLE, EpochLog, read_epochs, write_epochs
from spikesight.tracking.run_directory import RunDirectory
from tracked_session import N_EPOCHS, SPLITTER, benchmark, brief_mlp, one_cell, run_in, session

KEY = {"session": "s0", "decoder": "mlp", "selection": "default", "fold": 1, "seed": 0}
MEASURED = ("loss", "accuracy", "valid_loss", "valid_accuracy", "learning_rate", "seconds")


def record(epoch, **values):
    return {"epoch": epoch, **dict.fromkeys(MEASURED, 0.5), **values}


def lines_in(folder, part="part"):
    return [json.loads(line) for line in (folder / "epochs" / f"{part}.jsonl").read_text().splitlines()]


def epochs_in(folder, part="part"):
    return [line["epoch"] for line in lines_in(folder, part)]


def log(folder):
    return EpochLog(folder, "part", KEY)


def test_each_epoch_is_a_line_as_soon_as_it_is_over(tmp_path):
    live = log(tmp_path)
    for epoch in range(3):
        live.add(record(epoch, loss=1.0 - epoch / 4))
        assert epochs_in(tmp_path) == list(range(epoch + 1))
    assert tuple(lines_in(tmp_path)[0]) == EPOCH_COLUMNS
    assert [line["loss"] for line in lines_in(tmp_path)] == [1.0, 0.75, 0.5]
    assert lines_in(tmp_path)[2]["session"] == "s0"


def test_what_is_no_number_is_null_and_json_of_any_reader(tmp_path):
    log(tmp_path).add(record(0, loss=math.nan, valid_loss=math.inf, accuracy=np.float32(0.25)))

    def refuse(constant):
        raise AssertionError(constant)

    line = json.loads((tmp_path / "epochs" / "part.jsonl").read_text(), parse_constant=refuse)
    assert (line["loss"], line["valid_loss"], line["accuracy"]) == (None, None, 0.25)


@pytest.mark.parametrize(("first", "expected"), [(3, [0, 1, 2, 3, 4]), (0, [0, 1]), (5, [0, 1, 2, 3, 4, 5, 6])])
def test_a_fit_that_goes_on_keeps_earlier_epochs_and_one_that_starts_anew_does_not(tmp_path, first, expected):
    killed = log(tmp_path)
    for epoch in range(5):
        killed.add(record(epoch))
    resumed = log(tmp_path)
    for epoch in (first, first + 1):
        resumed.add(record(epoch, loss=0.1))
    assert epochs_in(tmp_path) == expected
    assert [line["epoch"] for line in resumed.lines] == expected
    assert [line["loss"] for line in lines_in(tmp_path)][-2:] == [0.1, 0.1]


def test_a_line_that_was_cut_off_is_written_again(tmp_path):
    killed = log(tmp_path)
    for epoch in range(3):
        killed.add(record(epoch))
    file = tmp_path / "epochs" / "part.jsonl"
    file.write_bytes(file.read_bytes()[:-25])
    log(tmp_path).add(record(2))
    assert epochs_in(tmp_path) == [0, 1, 2]


def test_in_the_end_the_file_is_what_the_decoder_remembers(tmp_path):
    live = log(tmp_path)
    live.add(record(1))
    live.complete([record(0), record(1), record(2)])
    assert epochs_in(tmp_path) == [0, 1, 2]
    assert [file.name for file in (tmp_path / "epochs").iterdir()] == ["part.jsonl"]


def test_a_decoder_without_epochs_has_no_file(tmp_path):
    log(tmp_path).complete([])
    assert not (tmp_path / "epochs").exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "epochs").write_text("")
    with pytest.raises(OutputError, match=r"epochs.part\.jsonl.*Free some space"):
        log(tmp_path).add(record(0))


def test_the_table_is_tidy_and_in_the_order_of_the_parts(tmp_path):
    with RunDirectory(tmp_path / "run", {}) as run:
        for part, fold in (("b", 0), ("a", 1)):
            EpochLog(run.path, part, {**KEY, "fold": fold}).complete([record(0, valid_loss=math.nan), record(1)])
        write_epochs(run, ["b", "no epochs", "a"])
        table = run.read_table(EPOCHS_TABLE)
        assert tuple(table.columns) == EPOCH_COLUMNS
        assert table[["fold", "epoch"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert (table[list(MEASURED)].dtypes == "float64").all()
        assert table["valid_loss"].isna().tolist() == [True, False, True, False]
        write_epochs(run, ["no epochs"])
        assert not (run.path / EPOCHS_TABLE).exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"epoch": 0}'])
def test_a_damaged_file_is_named(tmp_path, text):
    log(tmp_path).add(record(0))
    (tmp_path / "epochs" / "part.jsonl").write_text(text + "\n")
    with pytest.raises(RunDirectoryError, match=r"cannot read .*part\.jsonl.*Delete it"):
        read_epochs(tmp_path, "part")


def test_only_the_last_fit_of_a_tuned_decoder_is_heard_and_it_keeps_no_hook():
    dataset = session()
    X, y = dataset["spike_counts"].to_numpy(), dataset["target"].to_numpy()
    heard = []
    candidates = ({"hidden_size": 4}, {"hidden_size": 8})
    entrant = Contender("mlp", "tuned", MLP(max_epochs=3), candidates)
    fitted = fit_fold(entrant, X, y, None, np.arange(100), gap=2, seed=0, on_epoch=heard.append)
    assert heard == fitted.decoder.history_
    assert len(heard) == 3
    assert fitted.decoder.on_epoch is None


def test_being_heard_changes_nothing():
    dataset = session()
    X, y = dataset["spike_counts"].to_numpy(), dataset["target"].to_numpy()
    entrant = Contender("mlp", "default", MLP(max_epochs=2))
    alone, heard = (
        fit_fold(entrant, X, y, None, np.arange(100), gap=2, seed=0, on_epoch=hook).decoder
        for hook in (None, [].append)
    )
    assert [line["loss"] for line in alone.history_] == [line["loss"] for line in heard.history_]
    np.testing.assert_array_equal(alone.predict_proba(X), heard.predict_proba(X))


def test_a_cell_leaves_what_its_decoder_remembers(tmp_path):
    cell, problem = one_cell(brief_mlp(valid_fraction=0.2))
    assert not attempt(cell, problem, SPLITTER, 0, Keep(tmp_path)).error
    lines = lines_in(tmp_path, cell.part)
    assert [line["epoch"] for line in lines] == list(range(N_EPOCHS))
    assert all(line["valid_accuracy"] is not None and line["decoder"] == "mlp" for line in lines)


def test_a_cell_whose_loss_is_no_number_keeps_the_epochs_before(tmp_path):
    cell, problem = one_cell(brief_mlp(learning_rate=1e30))
    outcome = attempt(cell, problem, SPLITTER, 0, Keep(tmp_path))
    assert outcome.error.startswith("TrainingError")
    assert not (tmp_path / "epochs" / f"{cell.part}.jsonl").exists() or epochs_in(tmp_path, cell.part) == [0]


def test_a_killed_fit_that_is_started_again_has_each_epoch_once(tmp_path):
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from spikesight.tracking import epochs
        from spikesight.evaluation.cells import Keep, attempt
        from tracked_session import SPLITTER, one_cell
        add = epochs.EpochLog.add
        def then_die(self, record):
            add(self, record)
            if record["epoch"] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        epochs.EpochLog.add = then_die
        cell, problem = one_cell()
        attempt(cell, problem, SPLITTER, 0, Keep(Path({str(tmp_path)!r})))
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, env={**os.environ})
    assert killed.returncode == -signal.SIGKILL
    cell, problem = one_cell()
    assert epochs_in(tmp_path, cell.part) == [0, 1]
    assert not attempt(cell, problem, SPLITTER, 0, Keep(tmp_path)).error
    assert epochs_in(tmp_path, cell.part) == [0, 1, 2]


def test_a_run_has_a_table_of_all_its_networks_also_of_cells_that_were_finished_earlier(tmp_path, monkeypatch):
    fits = []
    fit = MLP._fit
    monkeypatch.setattr(
        MLP, "_fit", lambda self, *rows: (fits.append(1), setattr(self, "max_epochs", 2), fit(self, *rows))
    )
    plan = benchmark(decoders=("logistic", "mlp"))
    evaluation = run_in(tmp_path / "run", plan)
    assert evaluation.failures.empty
    table = pd.read_parquet(tmp_path / "run" / EPOCHS_TABLE)
    assert table[["decoder", "selection", "fold", "epoch"]].to_numpy().tolist() == [
        ["mlp", "default", fold, epoch] for fold in range(3) for epoch in range(2)
    ]
    (tmp_path / "run" / EPOCHS_TABLE).unlink()
    run_in(tmp_path / "run", plan)
    assert len(fits) == 3
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "run" / EPOCHS_TABLE), table)


def test_a_run_without_networks_has_no_table(tmp_path):
    run_in(tmp_path / "run", benchmark(decoders=("logistic",)))
    assert not (tmp_path / "run" / EPOCHS_TABLE).exists()
    assert not (tmp_path / "run" / "epochs").exists()


def test_every_registered_network_tells_its_epochs():
    telling = {name for name in registry.names() if "on_epoch" in registry.make(name).get_params(deep=False)}
    assert telling == {name for name in registry.names() if "max_epochs" in registry.make(name).get_params(deep=False)}

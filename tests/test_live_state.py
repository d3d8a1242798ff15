"""What a run directory says while the run is at work, and what report its finished cells make."""

import json
from pathlib import Path

import pandas as pd
import pytest

from example_run import write_run
from running_run import RunningRun
from spikesight.errors import RunDirectoryError
from spikesight.evaluation.candidates import Record
from spikesight.records.partial_record import PartsReader, comparable, read_partial
from spikesight.reports.live_state import MOST_POINTS, LiveRun
from spikesight.reports.report import render
from spikesight.reports.text import headline
from spikesight.tracking.run_directory import RunDirectory


def test_a_directory_in_which_nothing_has_begun_is_waited_for(tmp_path: Path) -> None:
    state = LiveRun(tmp_path).look()
    assert (state.phase, state.kind, state.page) == ("waiting", "", "")


@pytest.mark.parametrize(
    "prepare", [lambda path: None, lambda path: (path.mkdir(), (path / "notes.txt").write_text(""))]
)
def test_a_directory_of_something_else_or_none_at_all_is_refused(tmp_path: Path, prepare) -> None:
    prepare(tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="expected a run directory"):
        LiveRun(tmp_path / "run")


def test_cells_are_counted_as_they_are_finished_and_fail(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        live = LiveRun(run.path)
        before = live.look()
        assert (before.phase, before.total, before.finished, before.page) == ("running", len(run.cells), 0, "")
        run.describe_sessions()
        run.finish_cell(run.cells[0])
        run.fail_cell(run.cells[1], "ValueError: singular")
        after = live.look()
        assert (after.finished, after.failed) == (1, 1)
        assert after.failures == [{"cell": "session_0-fa-lda-tuned-fold1", "error": "ValueError: singular"}]
        assert after.page
        run.finish_cell(run.cells[2])
        assert live.look().page != after.page
    assert live.look().phase == "stopped"


def test_looking_writes_nothing_and_does_not_keep_a_run_from_beginning(tmp_path: Path) -> None:
    run = RunningRun(tmp_path / "run")
    with run:
        pass
    there = sorted(run.path.rglob("*"))
    live = LiveRun(run.path)
    assert live.look().phase == "stopped"
    assert sorted(run.path.rglob("*")) == there
    with run:
        assert live.look().phase == "running"


def test_a_run_that_is_over_says_so(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.describe_sessions()
        for cell in run.cells:
            run.finish_cell(cell)
        run.finish()
        live = LiveRun(run.path)
        assert live.look().phase == "running"  # its report is being written
    state = live.look()
    assert (state.phase, state.finished, state.failed) == ("finished", len(run.cells), 0)


def test_failures_of_an_earlier_start_are_forgotten(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.fail_cell(run.cells[0], "MemoryError")
    with run:
        assert LiveRun(run.path).look().failed == 0


def test_the_number_of_cells_of_sessions_that_come_one_by_one_is_known_when_the_first_has_come(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run", total=None) as run:
        assert LiveRun(run.path).look().total is None
        run.directory.log("cells expected", cells=40)
        assert LiveRun(run.path).look().total == 40


def test_networks_under_way_have_curves_until_they_end(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.train(run.cells[0], 500)
        [network] = LiveRun(run.path).look().networks
        assert network["name"] == "fa-lda (tuned), fold 0, session session 0"
        assert network["n_epochs"] == 500
        assert len(network["epoch"]) <= MOST_POINTS
        assert network["epoch"][-1] == 500
        assert network["curves"]["loss"][-1] == pytest.approx(3 / 500)
        assert set(network["curves"]) == {"loss", "accuracy"}
        run.finish_cell(run.cells[0])
        assert LiveRun(run.path).look().networks == []


def test_a_line_of_an_epoch_that_is_half_written_is_left_out(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.train(run.cells[0], 3)
        with (run.path / "epochs" / f"{run.part(run.cells[0])}.jsonl").open("a") as file:
            file.write('{"session": "se')
        [network] = LiveRun(run.path).look().networks
        assert network["n_epochs"] == 3
        json.dumps(network, allow_nan=False)


def test_searches_under_way_say_how_many_candidates_they_tried(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        folder = run.path / "checkpoints" / run.part(run.cells[0]) / "search" / "candidates"
        for number, (state, accuracy) in enumerate(
            [("finished", 0.4), ("finished", 0.6), ("pruned", 0.9), ("unfinished", None)]
        ):
            Record(number, {}, state, (), accuracy, 1.0, 0.0, 1.0, "").write(folder)
        [search] = LiveRun(run.path).look().searches
        assert search == {"name": "session_0-fa-lda-tuned-fold0", "n_candidates": 4, "best": 0.6}
        run.finish_cell(run.cells[0])
        assert LiveRun(run.path).look().searches == []


def test_a_connectivity_estimate_counts_its_parts(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {"method": "granger", "source": "a.nwb"}) as run:
        (run.path / "parts" / "0123").mkdir()
        (run.path / "parts" / "0123" / "block-0.npz").write_bytes(b"")
        state = LiveRun(run.path).look()
    assert (state.kind, state.phase, state.finished, state.page) == ("connectivity", "running", 1, "")


def test_only_decoders_tested_on_the_same_folds_are_ranked(tmp_path: Path) -> None:
    rows = [("s", "a", "tuned", 0), ("s", "a", "tuned", 1), ("s", "b", "tuned", 0), ("s", "c", "tuned", 1)]
    rows += [("s", "d", "tuned", 0), ("s", "d", "tuned", 1), ("t", "a", "tuned", 2)]
    table = pd.DataFrame(rows, columns=["session", "decoder", "selection", "fold"])
    assert sorted(set(comparable(table)["decoder"])) == ["a", "d"]
    assert comparable(table)["session"].tolist() == ["s", "s", "s", "s", "t"]


def test_the_report_of_some_cells_ranks_what_is_finished(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        parts = PartsReader(run.path)
        assert read_partial(run.path, parts) is None
        run.describe_sessions()
        assert read_partial(run.path, parts) is None
        for cell in run.cells[:5]:
            run.finish_cell(cell)
        record = read_partial(run.path, parts)
        assert record is not None
        assert len(record.per_session) == 2  # the third row has one of its two folds
        assert record.per_session["n_trials"].tolist() == [360, 360]
        assert headline(record)["question"] in render(record)
        assert parts.results()["part"].is_unique


def test_the_report_of_sessions_under_way_shows_those_with_most_decoders(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run", n_sessions=3) as run:
        run.describe_sessions()
        for cell in run.cells[: len(run.cells) // 3 + 2]:  # the first session, and one decoder of the second
            run.finish_cell(cell)
        parts = PartsReader(run.path)
        record = read_partial(run.path, parts)
        assert record is not None
        assert [card["session_id"] for card in record.cards] == ["session 0"]
        assert record.over_sessions is None
        for cell in run.cells[len(run.cells) // 3 + 2 : 2 * len(run.cells) // 3]:
            run.finish_cell(cell)
        record = read_partial(run.path, parts)
        assert record is not None
        assert record.over_sessions is not None
        assert set(record.over_sessions["n_sessions"]) == {2}
        render(record)


def test_of_two_parts_of_the_same_fold_the_last_one_counts(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.describe_sessions()
        run.finish_cell(run.cells[0])
        old = PartsReader(run.path).results()
        run.directory.write_part(
            "again", old.drop(columns="part").assign(accuracy=0.123), run._of(run._predictions, run.cells[0])
        )
        [row] = PartsReader(run.path).results().to_dict("records")
    assert row["accuracy"] == 0.123


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.describe_sessions()
        run.finish_cell(run.cells[0])
        (run.path / "sessions.json").write_text("{[")
        with pytest.raises(RunDirectoryError, match=r"sessions\.json"):
            read_partial(run.path, PartsReader(run.path))
        (run.path / "config.yaml").write_text("{[")
        with pytest.raises(RunDirectoryError, match=r"config\.yaml"):
            LiveRun(run.path).look()


def test_a_finished_run_of_before_needs_no_parts(tmp_path: Path) -> None:
    state = LiveRun(write_run(tmp_path / "run")).look()
    assert state.phase == "finished"
    assert state.page


def test_sessions_under_way_that_share_no_decoder_have_no_mean_and_are_shown_one_by_one(tmp_path: Path) -> None:
    with RunningRun(tmp_path / "run", n_sessions=2) as run:
        run.describe_sessions()
        for cell in run.cells:
            if cell[:2] in (("session 0", "lda"), ("session 1", "fa-lda")):
                run.finish_cell(cell)
        record = read_partial(run.path, PartsReader(run.path))
        assert record is not None
        assert record.over_sessions is None
        render(record)

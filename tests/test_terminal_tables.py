"""Tables on a narrow terminal: no cell is cut or broken; columns are left out, and named."""

from pathlib import Path

import pytest
from rich.console import Console

from example_run import write_run
from spikesight.commands.terminal import leaderboard_tables, print_sessions
from spikesight.commands.terminal_tables import table_of
from spikesight.records.run_record import read_run

ROWS = [{"name": "natural_movie_one", "trials": "1,428", "pause": "0.25", "status": "too few units to tell"}]


def printed(table: object, width: int) -> str:
    console = Console(width=width)
    with console.capture() as shown:
        console.print(table)
    return shown.get()


@pytest.mark.parametrize(
    ("width", "left_out"), [(80, ()), (50, ("pause",)), (45, ("pause", "trials")), (30, ("pause", "trials"))]
)
def test_spare_columns_go_in_their_order_until_the_rest_fits(width: int, left_out: tuple[str, ...]) -> None:
    shown = printed(table_of(ROWS, "T", columns=tuple(ROWS[0]), width=width, spare=("pause", "trials")), width)
    header = shown.splitlines()[1]
    assert all((name in header) != (name in left_out) for name in ("trials", "pause"))
    assert all(name in shown for name in left_out)
    assert ("want of room" in shown) == bool(left_out)


def test_columns_of_sentences_are_broken_before_others_are_left_out() -> None:
    rows = [{**ROWS[0], "status": "answers to changes, not to which picture it was"}]
    for sentences in (("status",), ()):
        table = table_of(rows, "T", columns=tuple(rows[0]), width=60, spare=("pause",), sentences=sentences)
        assert ("want of room" in printed(table, 60)) == (not sentences)


@pytest.mark.parametrize("n_sessions", [1, 2])
def test_a_leaderboard_of_80_columns_tells_tuned_from_default_and_cuts_no_number(
    tmp_path: Path, n_sessions: int
) -> None:
    record = read_run(write_run(tmp_path / "run", n_sessions=n_sessions))
    for table in leaderboard_tables(record, 80):
        shown = printed(table, 80)
        assert "…" not in shown
        assert all(len(line) <= 80 for line in shown.splitlines())
    first = printed(leaderboard_tables(record, 80)[0], 80)
    assert "tuned" in first
    assert "minus best [95 %]" in first
    assert "Not shown for want of room: seconds" in first


def test_nothing_is_left_out_where_there_is_room(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path / "run", n_sessions=2))
    assert all("want of room" not in printed(table, 160) for table in leaderboard_tables(record, 160))


def test_one_session_is_not_called_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"session_id": 715093703, "session_type": "x", "sex": "M", "age_in_days": 100, "genotype": "wt"}
    for number, words in ((1, "1 session; units"), (2, "2 sessions; units")):
        print_sessions([{**known, "default_units_per_area": {"VISp": 3}}] * number, "a source")
        assert words in capsys.readouterr().out

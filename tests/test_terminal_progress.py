"""What is shown of long work: a line of a search, and its live table on a terminal."""

import io

import pandas as pd
import pytest
from rich.console import Console

from spikesight.commands.terminal_progress import QUIET_SECONDS, TerminalProgress, describe_search
from spikesight.evaluation.candidates import CANDIDATE_COLUMNS


def candidates(*rows):
    return pd.DataFrame(rows, columns=list(CANDIDATE_COLUMNS)).astype({"accuracy": float})


FINISHED = (0, "finished", 0.412, 1.0, 0.0, 60.0, "", '{"C": 0.01, "graph": null}')
PRUNED = (1, "pruned", 0.2, 0.25, 0.0, 20.0, "", '{"C": 3.0}')
FAILED = (2, "failed", float("nan"), 0.0, 20.0, 1.0, "MemoryError: [bold]no[/bold]", '{"C": 9.0}')
AT_WORK = (3, "unfinished", float("nan"), 0.0, 21.0, 0.0, "", '{"C": 1.0}')


@pytest.mark.parametrize(
    ("table", "left", "said"),
    [
        (candidates(), None, "0 of 10 candidates"),
        (candidates(AT_WORK), 90.0, "0 of 10 candidates, 1:30 left"),
        (
            candidates(FINISHED, PRUNED, FAILED, AT_WORK),
            3725.0,
            "3 of 10 candidates, 1 pruned, 1 failed, best 41.2 % on inner folds, 1:02:05 left",
        ),
        (
            candidates(FINISHED, PRUNED),
            None,
            "2 of 10 candidates, 1 pruned, best 41.2 % on inner folds, about 4:00 left",
        ),
        (candidates(*[FINISHED] * 10), 60.0, "10 of 10 candidates, best 41.2 % on inner folds"),
    ],
)
def test_a_search_is_described_in_one_line(table, left, said):
    assert describe_search(table, 10, left) == said


def test_on_a_terminal_the_candidates_at_work_and_the_best_are_shown(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=110, color_system=None)
    monkeypatch.setattr("spikesight.commands.terminal_progress.console", lambda **options: screen)
    with TerminalProgress() as progress:
        progress.advance("decoding", 1, 5)
        progress.search("mlp, session 7", candidates(PRUNED, FINISHED, FAILED, AT_WORK), 10, 30.0)
        progress.note("a note")
        progress._live.refresh()
        shown = screen.file.getvalue()
        progress.search("mlp, session 7", candidates(FINISHED), 1, None)
    assert "searching mlp, session 7: 3 of 10 candidates" in shown
    assert "a note" in shown
    rows = [line for line in shown.splitlines() if "C=" in line]
    assert [row.split()[:3] for row in rows[:4]] == [
        ["3", "at", "work"],
        ["0", "finished", "41.2"],
        ["1", "pruned", "20.0"],
        ["2", "failed", "-"],
    ]
    assert "C=0.01 graph=None" in rows[1]


def test_where_there_is_no_terminal_a_line_comes_now_and_then_and_at_the_end(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("spikesight.commands.terminal_progress.time.monotonic", lambda: now[0])
    with TerminalProgress() as progress:
        for after in (1.0, QUIET_SECONDS, 1.0):
            now[0] += after
            progress.search("mlp", candidates(AT_WORK), 2, None)
        progress.search("mlp", candidates(FINISHED, PRUNED), 2, None)
        progress.search("mlp", candidates(FINISHED, PRUNED), 2, None)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "searching mlp: 0 of 2 candidates",
        f"searching mlp: {describe_search(candidates(FINISHED, PRUNED), 2, None)}",
    ]


def test_on_a_terminal_bytes_and_their_speed_are_shown_beside_steps(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=110, color_system=None)
    monkeypatch.setattr("spikesight.commands.terminal_progress.console", lambda **options: screen)
    with TerminalProgress() as progress:
        progress.advance("sessions", 1, 3)
        progress.transfer("session_7", 1_000_000, 4_000_000)
        progress.transfer("session_7", 2_000_000, 4_000_000)
        progress._live.refresh()
    shown = screen.file.getvalue()
    assert "2.0/4.0 MB" in shown
    assert "MB/s" in shown or "?" in shown
    assert "1/3" in shown


def test_elsewhere_a_transfer_is_told_of_at_its_end_with_the_speed_of_what_came(capsys, monkeypatch):
    now = iter([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    monkeypatch.setattr("spikesight.commands.terminal_progress.time.monotonic", lambda: next(now))
    with TerminalProgress() as progress:
        progress.transfer("session_7", 1_000_000, 4_000_000)
        progress.transfer("session_7", 4_000_000, 4_000_000)
    assert capsys.readouterr().err == "session_7: 4.0 of 4.0 MB, 1.5 MB/s\n"

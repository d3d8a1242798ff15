import runpy
import sys
from pathlib import Path

from example_run import write_run

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "results_table.py"


def test_results_table_prints_every_session_and_compares_the_best_decoder_with_each_other(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(write_run(tmp_path / "run", n_sessions=3))])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("| session") for line in lines].count(True) == 2 * (3 + 1)
    assert [line.split(" | ")[1] for line in lines if line.startswith(("| tuned", "| default"))] == [
        "lda", "svc-linear", "lda", "svc-linear"
    ]  # fmt: skip


def test_results_table_of_one_session_has_a_row_per_decoder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(write_run(tmp_path / "run"))])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert "### One session, default constants" in printed
    assert printed.count("| fa-lda |") == 2
    assert "Each session" not in printed

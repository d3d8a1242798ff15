import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

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


def test_results_table_puts_runs_of_other_decoders_together_and_refuses_other_terms(tmp_path, monkeypatch, capsys):
    whole = write_run(tmp_path / "run", n_sessions=2)
    parts = []
    for name, chosen in (("some", ["chance", "fa-lda"]), ("others", ["chance", "lda", "svc-linear", "oracle"])):
        parts.append(str(shutil.copytree(whole, tmp_path / name)))
        for table in ("results", "predictions"):
            rows = pd.read_parquet(whole / f"{table}.parquet")
            rows[rows["decoder"].isin(chosen)].to_parquet(tmp_path / name / f"{table}.parquet", index=False)
    printed = []
    for runs in ([str(whole)], parts):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *runs, "--per-session", "fa-lda"])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        printed.append(sorted(capsys.readouterr().out.splitlines()))
    assert printed[0] == printed[1]
    results = pd.read_parquet(tmp_path / "others" / "results.parquet")
    results.assign(gap=3).to_parquet(tmp_path / "others" / "results.parquet", index=False)
    with pytest.raises(SystemExit, match="the same terms"):
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_results_table_prints_searched_rows_and_compares_where_the_best_decoder_has_some(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", n_sessions=2, searched=("lda", "svc-linear"))
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(run)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert "### Mean over sessions, searched constants" in printed
    assert "### Each session, searched constants" in printed
    assert "| tuned | lda |" in printed
    assert "| searched | lda |" not in printed  # there is no searched fa-lda to compare with


def test_results_table_of_graph_decoders_compares_default_rows_with_their_control_beside_searched_ones(tmp_path):
    graph_rows = runpy.run_path(str(SCRIPT))["graph_rows"]
    row = {"session": "a", "accuracy": 0.5}
    kinds = [("st-gat", "default"), ("st-gat", "searched"), ("st-gat, identity graph", "reference")]
    table = pd.DataFrame([{**row, "decoder": name, "selection": selection} for name, selection in kinds])
    assert graph_rows(table)[0]["difference (points)"] == "+0.0"

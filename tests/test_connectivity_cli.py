import json
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from example_connectivity import write_connectivity
from spikesight.cli import app
from spikesight.commands.terminal import print_connectivity
from spikesight.connectivity import registry


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def session_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("session") / "tiny.nwb"
    assert run("simulate", "--preset", "tiny", "--out", file).exit_code == 0
    return file


def test_methods_are_listed_with_one_line_each():
    done = run("connectivity", "methods")

    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == registry.names()
    assert json.loads(run("connectivity", "methods", "--json").stdout)[0]["name"] == "ccg-jitter"


def test_fit_prints_the_answer_its_stability_and_the_strongest_edges(session_file, tmp_path):
    done = run(
        "connectivity", "fit", session_file, "--period", "natural_scenes", "--set", "min_spikes=50",
        "--out", tmp_path / "run",
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    assert "ordered pairs of units have an edge by granger" in done.stdout
    assert "two halves of the recording correlate by" in done.stdout
    assert "Most certain edges" in done.stdout
    assert str(tmp_path / "run" / "report.html") in done.stdout.replace("\n", "")
    assert "on two cores" in done.stderr


def printed(capsys, path, **made):
    print_connectivity(write_connectivity(path, **made))
    return capsys.readouterr().out


def test_only_edges_that_pass_are_printed(tmp_path, capsys):
    out = printed(capsys, tmp_path / "run", n_edges=3)

    [title] = [at for at, line in enumerate(out.splitlines()) if line.startswith("Most certain edges")]
    [end] = [at for at, line in enumerate(out.splitlines()) if line.startswith("weight: ")]
    assert end - title - 2 == 3  # the title and the names of columns come before them


def test_where_no_pair_passes_the_smallest_q_is_said(tmp_path, capsys):
    out = printed(capsys, tmp_path / "run", n_edges=0)

    smallest = pd.read_parquet(tmp_path / "run" / "edges.parquet")["q_value"].min()
    assert f"No pair has a q of 0.05 or less; the smallest is {smallest:.2g}." in out
    assert "Most certain" not in out


def test_pairs_without_a_test_are_called_strong_and_not_certain(tmp_path, capsys):
    out = printed(capsys, tmp_path / "run", tested=False)

    assert "Strongest pairs" in out
    assert "Most certain" not in out


def test_fit_prints_json_and_report_writes_the_page_again(session_file, tmp_path):
    done = run(
        "connectivity", "fit", session_file, "--method", "noise-correlation", "--period", "spontaneous",
        "--no-stability", "--out", tmp_path / "run", "--json",
    )  # fmt: skip

    found = json.loads(done.stdout)
    assert found["method"] == "noise-correlation"
    assert found["directed"] is False
    assert len(found["edges"]) == found["n_edges"]
    (tmp_path / "run" / "report.html").unlink()
    assert run("report", tmp_path / "run").exit_code == 0
    assert (tmp_path / "run" / "report.html").is_file()


def test_validate_prints_scores_of_each_method(tmp_path):
    done = run(
        "connectivity", "validate", "--quick", "--seeds", 1, "--methods", "granger,noise-correlation", "--json",
        "--out", tmp_path,
    )  # fmt: skip

    rows = json.loads(done.stdout)
    assert {row["method"] for row in rows} == {"granger", "noise-correlation"}
    assert {"auroc", "average_precision", "direction", "tpr_at_1pct"} <= set(rows[0])


def test_the_directory_of_another_finished_estimate_is_refused(session_file, tmp_path):
    command = ("connectivity", "fit", session_file, "--no-stability", "--out", tmp_path / "run")
    assert run(*command, "--set", "min_spikes=50").exit_code == 0

    done = run(*command, "--method", "noise-correlation")

    assert done.exit_code == 1
    assert "belongs to a run with another config" in done.stderr


def test_validate_shows_few_columns_on_a_terminal(tmp_path):
    done = run("connectivity", "validate", "--quick", "--seeds", 1, "--methods", "granger", "--out", tmp_path)

    assert "Mean over 1 simulated network; intervals: --json" in done.stdout
    assert "AUROC" in done.stdout
    assert len(done.stdout.splitlines()) <= 4


def test_validate_prints_false_positives_of_each_kind_of_network(tmp_path):
    done = run(
        "connectivity", "validate", "--calibration", "--quick", "--seeds", 1, "--methods", "granger", "--json",
    )  # fmt: skip

    rows = {row["network"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"independent", "stimulus", "gain", "hidden"}
    assert 0 <= rows["independent"]["false_positives_5pct"] < 0.15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "glm"), "unknown connectivity estimator 'glm'"),
        (("--period", "flashlight"), "no period 'flashlight'"),
        (("--units", "a,b"), "unit_ids"),
    ],
)
def test_errors_are_one_line(session_file, arguments, said):
    done = run("connectivity", "fit", session_file, *arguments)

    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_minutes_that_are_no_numbers_are_refused():
    assert "expected numbers separated by commas" in run("connectivity", "validate", "--minutes", "5,x").stderr

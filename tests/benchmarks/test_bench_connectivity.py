import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_connectivity.py"
SMALL = ["--quick", "--methods", "granger", "--accuracy", "--scored", "granger", "|correlation| 25 ms"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the script with tiny sizes and give what it prints."""
    monkeypatch.syspath_prepend(SCRIPT.parent)

    def call(*options):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *SMALL, *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert ended.value.code == 0
        return capsys.readouterr().out

    return call


def test_bench_connectivity_gives_seconds_memory_and_scores(run):
    result = json.loads(run("--json"))

    [row] = result["scale"]
    assert (row["method"], row["n_units"], row["duration"]) == ("granger", 8, 30.0)
    assert row["seconds"] > 0
    assert row["bytes"] > 1e7
    assert row["reached"]
    assert {score["method"] for score in result["accuracy"]} == {"granger", "|correlation| 25 ms"}
    assert all(0 <= score["auroc"] <= 1 for score in result["accuracy"])
    assert all(score["error"] == "" for score in result["accuracy"])


def test_bench_connectivity_prints_tables(run):
    lines = run().splitlines()

    assert lines[2].split()[0] == "granger"
    assert lines[4].startswith("reference network")

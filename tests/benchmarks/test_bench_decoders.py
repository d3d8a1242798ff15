import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_decoders.py"
SMALL = ["--units", "20", "--trials", "100", "--classes", "4", "--repeats", "1"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the script with options; give its exit code and what it prints. So small, nothing is said of speed."""

    monkeypatch.syspath_prepend(SCRIPT.parent)

    def call(*options):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *SMALL, *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return ended.value.code, capsys.readouterr().out

    return call


def test_bench_decoders_gives_the_ratio_to_the_quickest_reference(run):
    code, printed = run("--json")
    result = json.loads(printed)
    seconds = {name: values["seconds"] for name, values in result["decoders"].items()}
    assert all(values["bytes"] >= 0 for values in result["decoders"].values())
    quickest = min(seconds[name] for name in seconds if name.startswith("LogisticRegression"))
    assert result["ratio_to_quickest_logistic_regression"] == pytest.approx(seconds["fa-lda"] / quickest)
    assert code == (0 if result["met"] else 1)
    assert (result["n_train"], result["n_test"], result["n_units"]) == (80, 20, 20)
    assert all(0 <= values["accuracy"] <= 1 for values in result["decoders"].values())


def test_bench_decoders_prints_a_table(run):
    _, printed = run()
    assert "fa-lda / quickest LogisticRegression" in printed

import json
import runpy
import sys
from pathlib import Path

import numba
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_glm.py"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the script with tiny sizes and give what it prints. So small, nothing is said of speed."""
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 1)

    def call(*options):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--quick", "--threads", "1", *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert ended.value.code == 0
        return capsys.readouterr().out

    return call


def test_bench_glm_finds_the_same_optimum_and_gives_the_ratio(run):
    result = json.loads(run("--json"))["against_dense"]

    assert result["largest_difference"] < 1e-6
    assert result["n_parameters"] == 3 * 6 + 8
    assert result["faster_than_dense"] == pytest.approx(result["dense_seconds"] / result["seconds"])


def test_bench_glm_prints_a_table(run):
    printed = run("--large")

    assert "same to" in printed
    assert "5 units, 60 s" in printed

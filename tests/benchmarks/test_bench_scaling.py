import json
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_scaling.py"
SMALL = ["--sessions", "4", "--trials", "120", "--units", "10", "--classes", "4", "--idle-sessions", "4"]
SMALL_MEMORY = ["--large-trials", "120", "--large-units", "100"]


def test_bench_scaling_gives_efficiency_overhead_and_the_memory_of_the_driver(monkeypatch, capsys):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *SMALL, *SMALL_MEMORY, "--json"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    found = json.loads(capsys.readouterr().out)
    seconds = found["scaling"]["seconds"]
    assert found["scaling"]["cells"] == 4 * 7 * 3
    assert found["scaling"]["efficiency"] == pytest.approx(seconds["1"] / (2 * seconds["2"]))
    assert found["task"]["cells"] == 4 * 3
    assert found["task"]["alone"] > 0
    assert [row["sessions"] for row in found["driver"]["runs"]] == [2, 3, 4]
    assert all(row["while_decoding"] > 0 for row in found["driver"]["runs"])
    assert ended.value.code == (0 if found["met"] else 1)

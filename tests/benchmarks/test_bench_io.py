import json
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_io.py"
ALLENSDK = Path(__file__).parents[2] / ".venv-allensdk" / "bin" / "python"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the script with options and give its exit code, or what it says instead, and what it prints."""

    def call(*options):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--preset", "tiny", "--units", "10", "--repeats", "1", *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return ended.value.code, capsys.readouterr().out

    return call


def test_without_the_environment_of_allensdk_it_says_what_builds_it(run, tmp_path):
    said, printed = run("--allensdk-python", str(tmp_path / "python"))

    assert "make test-allensdk" in said
    assert printed == ""


def test_presentations_that_touch_an_invalid_stimulus_are_left_out_as_allensdk_does(monkeypatch):
    without_invalid = runpy.run_path(str(SCRIPT))["without_invalid"]
    table = pd.DataFrame({"start_time": [0.0, 1.0, 2.0, 3.0], "stop_time": [1.0, 2.0, 3.0, 4.0]})
    invalid = pd.DataFrame({"start_time": [1.5, 3.5], "stop_time": [2.0, 3.6], "tags": [("stimulus",), ("probeA",)]})

    assert without_invalid(table, invalid)["start_time"].tolist() == [0.0, 3.0]


@pytest.mark.slow
def test_bench_io_reads_the_same_numbers_three_ways(run):
    if not ALLENSDK.exists():
        pytest.skip(f"no environment with AllenSDK at {ALLENSDK}: `make test-allensdk` builds it")

    code, printed = run("--json")

    result = json.loads(printed)
    assert code == 0
    assert result["equal"]
    assert result["n_units"] == 10
    assert result["n_presentations"] > 50
    assert set(result["ways"]) == {"local", "streamed", "allensdk"}
    for figures in result["ways"].values():
        assert len(figures["seconds"]) == len(figures["bytes"]) == 1
        assert figures["seconds_min"] == figures["seconds_median"] > 0
        assert figures["import_seconds"] > 0
    assert result["spike_bytes"] < result["ways"]["streamed"]["bytes"][0] < 1.1 * result["file_bytes"]
    times = result["times_faster_than_allensdk"]["local"]
    assert result["reached"] == (times >= 20)
    assert times > 5

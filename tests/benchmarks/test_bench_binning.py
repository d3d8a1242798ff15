import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_binning.py"
SMALL = ["--units", "7", "--spikes", "2e4", "--trials", "30", "--repeats", "1"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the script with options and give what it prints."""

    def call(*options):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *SMALL, *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert ended.value.code == 0
        return capsys.readouterr().out

    return call


def test_bench_binning_compares_equal_counts_and_gives_every_ratio(run):
    result = json.loads(run("--json"))

    assert [row["n_bins"] for row in result["rows"]] == [1, 5, 10]
    for row in result["rows"]:
        assert row["equal_to_searchsorted"]
        assert row["equal_to_allensdk"]
        assert set(row["ms"]) == {"count_spikes", "bin_spikes", "searchsorted", "allensdk", "copy"}
        assert row["copies"] == pytest.approx(row["ms"]["count_spikes"] / row["ms"]["copy"])
    assert result["n_units"] == 7


def test_bench_binning_prints_a_table(run):
    lines = run("--bins", "2").splitlines()

    assert lines[0].startswith("7 units")
    assert lines[2].split()[0] == "2"

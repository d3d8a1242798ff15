import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_binning.py"
SMALL = ["--units", "7", "--spikes", "2e4", "--trials", "30", "--repeats", "1"]


def run(*options):
    return subprocess.run([sys.executable, str(SCRIPT), *SMALL, *options], capture_output=True, text=True, check=True)


def test_bench_binning_compares_equal_counts_and_gives_every_ratio():
    result = json.loads(run("--json").stdout)

    assert [row["n_bins"] for row in result["rows"]] == [1, 5, 10]
    for row in result["rows"]:
        assert row["equal_to_searchsorted"]
        assert row["equal_to_allensdk"]
        assert set(row["ms"]) == {"count_spikes", "bin_spikes", "searchsorted", "allensdk", "copy"}
        assert row["copies"] == pytest.approx(row["ms"]["count_spikes"] / row["ms"]["copy"])
    assert result["n_units"] == 7


def test_bench_binning_prints_a_table():
    lines = run("--bins", "2").stdout.splitlines()

    assert lines[0].startswith("7 units")
    assert lines[2].split()[0] == "2"

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "validation_page.py"


@pytest.mark.slow
def test_the_page_is_made_by_one_command_and_goes_on_where_it_was(tmp_path):
    command = [sys.executable, str(SCRIPT), "--quick", "--seeds", "1", "--out", str(tmp_path)]

    subprocess.run(command, check=True, capture_output=True, text=True)

    tables = (tmp_path / "tables.md").read_text(encoding="utf-8")
    for name in ("reference", "lif", "durations", "fractions", "rates", "calibration", "stability"):
        assert f"## {name}" in tables
    assert "| `granger` |" in tables
    pictures = {file.name for file in (tmp_path / "images").iterdir()}
    assert {"connectivity_ground_truth.png", "validation_calibration.png", "validation_lif_auroc.png"} <= pictures
    rows = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")}
    subprocess.run(command, check=True, capture_output=True, text=True)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")} == rows

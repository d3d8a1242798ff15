"""Scripts of examples/ run, and their notebooks are made of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
SCRIPTS = [file for file in sorted(FOLDER.glob("*.py")) if file.read_text(encoding="utf-8").startswith("# %%")]
LARGEST = 400_000
"""Bytes of a notebook."""


def notebook_of(script: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))
    return found


def test_there_are_examples():
    assert {"explore_a_session", "benchmark_decoders", "tune", "connectivity"} <= {script.stem for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_holds_the_cells_of_its_script(script: Path):
    import jupytext

    cells = [(cell.cell_type, cell.source) for cell in jupytext.read(script).cells]
    stored = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook_of(script)["cells"]]
    assert stored == cells, "the script was changed: make notebooks"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_was_run_without_errors_and_is_small(script: Path):
    code = [cell for cell in notebook_of(script)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    kinds = {output["output_type"] for output in outputs}
    assert kinds <= {"display_data", "execute_result"}
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert script.with_suffix(".ipynb").stat().st_size < LARGEST


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_tells_nothing_of_the_machine(script: Path):
    text = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert [word for word in ("/tmp/", "/home/", "/root/", "/work/") if word in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_runs(script: Path, tmp_path: Path):
    own = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(FOLDER.parent / "src")}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=own, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(tmp_path.iterdir()) == []

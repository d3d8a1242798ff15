import runpy
import sys
from pathlib import Path

from candidate_table import candidates
from example_run import write_run

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tuning_page.py"


def test_the_page_compares_searched_and_default_constants_and_draws_them(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", searched=("lda",), candidates=candidates(("lda",)))
    picture = tmp_path / "tuning.png"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(run), "--image", str(picture)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| decoder | session |")
    assert "[" in lines[2]
    assert any(line.startswith("| decoder | fold |") for line in lines)
    assert picture.stat().st_size > 10_000

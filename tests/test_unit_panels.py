"""Panels of what single units see and carry: found beside a run, escaped, within their size."""

import json
from pathlib import Path

import pandas as pd
import pytest

from example_run import write_run
from page_reading import EVIL, markup_of
from spikesight.errors import ConfigError
from spikesight.reports import unit_panels as panels
from spikesight.reports.report import write_report

PNG = b"\x89PNG\r\n\x1a\n" + bytes(3000)


def add_attribution(run: Path, area: str = "VISp") -> Path:
    folder = run / "attribution" / "fa-lda-permutation"
    (folder / "figures").mkdir(parents=True)
    rows = [
        {"session": "session 0", "unit": unit, "area": area, "depth": 1200.0, "importance": 0.5 / unit, "low": 0.1,
         "high": 0.9, "q_value": 0.01 * unit, "measure": "log_probability"}
        for unit in (1, 2, 9)
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "attribution.parquet")
    (folder / "figures" / "units-session_0.png").write_bytes(PNG)
    (folder / "summary.json").write_text(json.dumps({"decoder": "fa-lda", "method": "permutation", "seeds": 5}))
    return folder


def add_maps(folder: Path) -> Path:
    (folder / "figures").mkdir(parents=True)
    (folder / "receptive_fields.nc").write_bytes(b"maps")
    (folder / "figures" / "receptive_fields.png").write_bytes(PNG)
    pd.DataFrame({"unit": [1]}).to_parquet(folder / "units.parquet")
    (folder / "summary.json").write_text("{}")
    return folder


@pytest.fixture
def sentences(monkeypatch):
    def section(folder):
        drawn = {"name": "maps", "caption": f"Maps {EVIL}", "path": Path(folder) / "figures" / "receptive_fields.png"}
        return {"title": "Receptive fields", "sentences": [f"3 units {EVIL}"], "figures": [drawn]}

    monkeypatch.setattr(panels, "receptive_field_section", section)


def test_an_attribution_of_a_run_is_on_its_page_with_counts_by_area(tmp_path):
    run = write_run(tmp_path / "run")
    add_attribution(run)
    page = markup_of(write_report(run).read_text())
    assert "Which units carry the prediction: fa-lda, permutation" in page
    assert "2 of 3 units carry" in page
    assert "VISp 2 of 3." in page
    assert page.count("data:image/png;base64,") == 1


def test_a_run_without_attribution_has_no_such_panel(tmp_path):
    assert "carry the prediction" not in markup_of(write_report(write_run(tmp_path / "run")).read_text())


def test_maps_stand_beside_a_run_and_what_a_file_says_is_escaped(tmp_path, sentences):
    run, maps = write_run(tmp_path / "run"), add_maps(tmp_path / "maps")
    add_attribution(run, area=EVIL)
    page = markup_of(write_report([run, maps], tmp_path / "page.html").read_text())
    assert "<h2>Receptive fields</h2>" in page
    assert EVIL not in page
    assert page.count("&lt;img onerror=x&gt;") >= 4


def test_maps_alone_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="Give a run beside it"):
        write_report(add_maps(tmp_path / "maps"), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_pictures_beyond_the_size_of_a_page_are_left_out_and_counted(tmp_path, sentences, monkeypatch):
    monkeypatch.setattr(panels, "MOST_PICTURE_CHARACTERS", 5000)
    run, maps = write_run(tmp_path / "run"), add_maps(tmp_path / "maps")
    add_attribution(run)
    page = markup_of(write_report([run, maps], tmp_path / "page.html").read_text())
    assert page.count("data:image/png;base64,") == 1
    assert "1 pictures are left out; they are in the folder of the attribution" in page

"""The panel of a connectivity estimate: every control does what it says, on its own page and on one with others."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from browser.chromium import OpenedPage
from browser.conftest import OpenPage
from example_connectivity import AREAS, write_connectivity
from example_run import write_run
from spikesight.reports.connectivity_report import write_connectivity_report
from spikesight.reports.report import write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_connectivity(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def page_file(run: Path) -> Path:
    return write_connectivity_report(run)


def edges_of(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "edges.parquet")


def told(opened: OpenedPage, name: str = "count") -> str:
    return str(opened.page.locator(f'[data-tell="{name}"]').inner_text())


def set_slider(opened: OpenedPage, step: int) -> None:
    """Move the slider as a keyboard does, and wait until the page has followed."""
    opened.page.locator('[data-choose="threshold"]').evaluate(
        "(one, step) => { one.value = step; one.dispatchEvent(new Event('input', { bubbles: true })); }", str(step)
    )
    settle(opened)


def settle(opened: OpenedPage) -> None:
    opened.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def kept_pairs(opened: OpenedPage) -> int:
    """Pairs of the matrix that are not pale."""
    count = "one => one.data[1].z.flat().filter(value => value !== null).length"
    return int(opened.page.eval_on_selector('[data-plot="matrix"]', count))


def table_rows(opened: OpenedPage) -> list[list[str]]:
    script = "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    return list(opened.page.eval_on_selector_all('[data-table="edges"] tbody tr', script))


def test_the_page_begins_with_the_edges_that_were_found(open_page: OpenPage, run: Path, page_file: Path) -> None:
    opened = open_page(page_file)
    found = edges_of(run).query("q_value <= 0.05")
    assert told(opened) == f"q at most 0.05: {len(found)} of 870 pairs"
    assert kept_pairs(opened) == len(found)
    assert opened.page.locator(".network .edge").count() == len(found)
    assert opened.page.locator(".network circle").count() == 30
    opened.assert_quiet()


def test_no_more_rows_are_listed_than_there_are_edges(open_page: OpenPage, run: Path, page_file: Path) -> None:
    found = edges_of(run).query("q_value <= 0.05")
    listed = page_file.read_text(encoding="utf-8").split('data-table="edges"')[1].split("</table>")[0]
    assert listed.count('<th scope="row">') == len(found) < 25
    rows = table_rows(open_page(page_file))
    assert [row[:2] for row in rows] == found[["source_unit", "target_unit"]].astype(str).to_numpy().tolist()


def test_the_table_drawn_by_the_script_says_what_the_written_one_says(
    open_page: OpenPage, run: Path, page_file: Path
) -> None:
    first = edges_of(run).iloc[0]
    row = table_rows(open_page(page_file))[0]
    assert row[2] == f"{first.source_area} to {first.target_area}"
    assert float(row[3].replace("\N{MINUS SIGN}", "-")) == pytest.approx(first.weight, rel=0.005)
    assert float(row[4].replace("\N{MINUS SIGN}", "-")) == pytest.approx(first.z, rel=0.005)
    assert row[5] == ("<1e\N{MINUS SIGN}38" if first.p_value < 1.2e-38 else row[5])
    assert row[7] == ("-" if np.isnan(first.lag) else f"{1000 * first.lag:g}")
    assert float(row[8].replace(",", "")) == pytest.approx(first.distance, abs=0.6)


@pytest.mark.parametrize(("step", "q"), [(3, 0.001), (10, 0.5)])
def test_the_slider_moves_the_threshold_of_q(
    open_page: OpenPage, run: Path, page_file: Path, step: int, q: float
) -> None:
    opened = open_page(page_file)
    set_slider(opened, step)
    expected = int((edges_of(run)["q_value"] <= q).sum())
    assert told(opened) == f"q at most {q}: {expected} of 870 pairs"
    assert kept_pairs(opened) == expected
    assert opened.page.locator('[data-choose="threshold"]').get_attribute("aria-valuetext") == f"q at most {q}"


def test_edges_are_called_by_the_size_of_z(open_page: OpenPage, run: Path, page_file: Path) -> None:
    opened = open_page(page_file)
    opened.page.select_option('[data-choose="by"]', "z")
    set_slider(opened, 25)
    least = float(re.findall(r"at least ([\d.]+):", told(opened))[0])
    z = edges_of(run)["z"].abs()
    assert least == pytest.approx(z.max() / 4, rel=0.01)
    assert f": {int((z >= z.max() / 4).sum())} of 870 pairs" in told(opened)


def test_edges_are_called_by_their_share_of_the_strongest(open_page: OpenPage, page_file: Path) -> None:
    opened = open_page(page_file)
    opened.page.select_option('[data-choose="by"]', "share")
    settle(opened)
    assert told(opened) == "the strongest 5 % by |z|: 44 of 870 pairs"
    set_slider(opened, 9)
    assert told(opened) == "the strongest 100 % by |z|: 870 of 870 pairs"
    assert len(table_rows(opened)) == 25
    assert told(opened, "table") == "The first 25; 845 more pass the threshold."
    assert "400 edges drawn; 470 less certain ones" in told(opened, "network")


def test_areas_filter_sources_and_targets(open_page: OpenPage, run: Path, page_file: Path) -> None:
    opened = open_page(page_file)
    set_slider(opened, 10)
    opened.page.select_option('[data-choose="from"]', "VISp")
    opened.page.select_option('[data-choose="onto"]', "LGd")
    settle(opened)
    own = edges_of(run).query("source_area == 'VISp' and target_area == 'LGd'")
    expected = int((own["q_value"] <= 0.5).sum())
    assert told(opened).endswith(f": {expected} of {len(own)} pairs")
    assert kept_pairs(opened) == opened.page.locator(".network .edge").count() == expected
    assert {row[2] for row in table_rows(opened)} <= {"VISp to LGd"}
    shape = "one => [one.data[0].z.length, one.data[0].z[0].length]"
    assert opened.page.eval_on_selector('[data-plot="matrix"]', shape) == [10, 10]


def test_a_pair_that_is_pointed_at_in_the_matrix_is_read(open_page: OpenPage, run: Path, page_file: Path) -> None:
    opened = open_page(page_file, 1400, 1200)
    first = edges_of(run).iloc[0]
    opened.page.locator('[data-plot="matrix"]').scroll_into_view_if_needed()
    units = opened.page.evaluate("JSON.parse(document.getElementById('data').textContent).panel.units")
    row, column = units.index(str(first.source_unit)), units.index(str(first.target_unit))
    box = opened.page.locator('[data-plot="matrix"] .nsewdrag').first.bounding_box()
    opened.page.mouse.move(
        box["x"] + box["width"] * (column + 0.5) / 30, box["y"] + box["height"] * (row + 0.5) / 30, steps=3
    )
    reading = opened.page.locator("[data-reading]")
    reading.wait_for(state="visible")
    text = reading.inner_text()
    assert f"{first.source_unit} ({first.source_area}) to {first.target_unit} ({first.target_area})" in text
    for word in ("weight", "z ", ", p ", ", q "):
        assert word in text
    opened.page.mouse.move(2, 2)
    reading.wait_for(state="hidden")


def test_an_edge_that_is_pointed_at_in_the_graph_is_read(open_page: OpenPage, page_file: Path) -> None:
    opened = open_page(page_file)
    edge = opened.page.locator(".network .edge").first
    edge.locator("path").last.dispatch_event("pointerover", {"bubbles": True, "clientX": 100, "clientY": 100})
    assert "(log ratio)" in opened.page.locator("[data-reading]").inner_text()
    assert "read" in edge.get_attribute("class")
    opened.page.locator(".network").dispatch_event("pointerleave")
    assert opened.page.locator("[data-reading]").is_hidden()


def test_the_graph_changes_its_layout(open_page: OpenPage, page_file: Path) -> None:
    opened = open_page(page_file)
    where = "() => [...document.querySelectorAll('.network circle.joined')].map(one => one.getAttribute('cx'))"
    circle = opened.page.evaluate(where)
    n_edges = opened.page.locator(".network .edge").count()
    assert opened.page.locator(".network text").all_text_contents() == sorted(AREAS)
    opened.page.select_option('[data-choose="layout"]', "force")
    settle(opened)
    assert opened.page.evaluate(where) != circle
    assert opened.page.locator(".network .edge").count() == n_edges > 0


def test_without_a_test_the_strongest_pairs_are_shown(tmp_path: Path, open_page: OpenPage) -> None:
    opened = open_page(write_connectivity_report(write_connectivity(tmp_path / "run", tested=False)))
    assert told(opened) == "the strongest 5 % by |weight|: 44 of 870 pairs"
    assert opened.page.locator('[data-choose="by"] option').all_text_contents() == ["share of the strongest"]
    assert table_rows(opened)[0][4:7] == ["-", "-", "-"]
    opened.assert_quiet()


def test_pairs_without_a_direction_are_counted_once(tmp_path: Path, open_page: OpenPage) -> None:
    run = write_connectivity(tmp_path / "run", directed=False)
    opened = open_page(write_connectivity_report(run))
    found = int((edges_of(run)["q_value"] <= 0.05).sum())
    assert told(opened) == f"q at most 0.05: {found} of 435 pairs"
    assert kept_pairs(opened) == 2 * found  # in both halves of the matrix
    set_slider(opened, 10)
    opened.page.select_option('[data-choose="from"]', "LGd")
    opened.page.select_option('[data-choose="onto"]', "VISp")
    settle(opened)
    assert told(opened).endswith("of 100 pairs")


def test_an_estimate_without_an_edge_says_so(tmp_path: Path, open_page: OpenPage) -> None:
    run = write_connectivity(tmp_path / "run", n_edges=0)
    opened = open_page(write_connectivity_report(run))
    assert told(opened) == "q at most 0.05: 0 of 870 pairs"
    assert told(opened, "table") == "No pair passes the threshold."
    assert table_rows(opened) == []
    opened.assert_quiet()


def test_true_couplings_are_marked_and_counted(
    tmp_path: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_connectivity(tmp_path / "run")
    first = edges_of(run)[["source_unit", "target_unit"]].iloc[[0, 1, -1]].to_numpy() - 1000

    class Truth:
        @staticmethod
        def load(file: Path) -> Any:
            return Truth()

        def coupling_matrix(self, ids: Any) -> Any:
            weights = np.zeros((30, 30))
            order = {unit: at for at, unit in enumerate(ids.tolist())}
            for source, target in first:
                weights[order[1000 + source], order[1000 + target]] = 0.5
            return weights, weights

    monkeypatch.setattr("spikesight.reports.connectivity_panel.GroundTruth", Truth)
    (tmp_path / "a.nwb.truth.npz").touch()
    (run / "config.yaml").write_text(f"method: granger\nsource: {tmp_path / 'a.nwb'}\n")
    opened = open_page(write_connectivity_report(run))
    assert told(opened, "truth") == "2 of the 3 between these areas are among the 20 edges."
    count = "one => one.data.length"
    assert opened.page.eval_on_selector('[data-plot="matrix"]', count) == 2
    opened.page.check('[data-choose="truth"]')
    settle(opened)
    marks = "one => one.data[2].x.length"
    assert opened.page.eval_on_selector('[data-plot="matrix"]', marks) == 3
    opened.assert_quiet()


def test_several_estimates_stand_on_the_page_of_a_benchmark(tmp_path: Path, open_page: OpenPage) -> None:
    runs = [
        write_run(tmp_path / "bench"),
        *(write_connectivity(tmp_path / f"conn{at}", n_edges=at + 5) for at in (0, 1)),
    ]
    opened = open_page(write_report(runs, tmp_path / "report.html"))
    panels = opened.page.locator("[data-connectivity]")
    assert panels.count() == 2
    second = panels.nth(1)
    second.locator('[data-choose="by"]').select_option("share")
    settle(opened)
    assert second.locator('[data-tell="count"]').inner_text().startswith("the strongest 5 %")
    assert panels.nth(0).locator('[data-tell="count"]').inner_text() == "q at most 0.05: 5 of 870 pairs"
    ids = opened.page.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    opened.assert_quiet()


def test_units_that_do_not_fit_are_left_out_and_that_is_said(
    tmp_path: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikesight.reports.connectivity_panel.MOST_PAIRS", 100)
    monkeypatch.setattr("spikesight.reports.connectivity_panel.FEWEST_UNITS", 10)
    opened = open_page(write_connectivity_report(write_connectivity(tmp_path / "run")))
    assert "10 of 30 units can be explored here" in opened.page.locator(".absent").inner_text()
    assert told(opened).endswith("of 90 pairs")
    opened.assert_quiet()

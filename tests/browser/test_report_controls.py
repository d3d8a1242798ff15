"""Every control of a report does what it says: asserted on what the page shows afterwards."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from browser.conftest import OpenPage
from example_run import write_epochs, write_run
from page_reading import EVIL
from spikesight.reports.report import write_report

COLUMN = "(table, at) => [...table.tBodies[0].rows].map(row => row.cells[at].textContent.trim())"
TITLES = "plots => plots.map(one => one.textContent)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions with every panel."""
    run = write_epochs(write_run(tmp_path_factory.mktemp("controls") / "run", n_sessions=2))
    table = pd.read_parquet(run / "predictions.parquet")
    table["confidence"] = np.where(table["decoder"] == "lda", 0.25 + 0.5 * table["correct"], np.nan)
    table.to_parquet(run / "predictions.parquet", index=False)
    frames = np.random.default_rng(0).random((12, 20, 30))
    images = xr.DataArray(frames, dims=("frame", "row", "column"), coords={"frame": range(12)})
    return write_report(run, run / "page.html", images)


@pytest.fixture
def opened(report: Path, open_page: OpenPage) -> Iterator[Any]:
    """The page, which must not have complained by the end of the test."""
    page = open_page(report)
    yield page
    page.assert_quiet()


def _column(page: Any, table: str, at: int) -> list[str]:
    return list(page.locator(table).evaluate(f"table => ({COLUMN})(table, {at})"))


def _of_plot(page: Any, place: str, expression: str) -> Any:
    return page.locator(f'article:visible [data-plot="{place}"]').first.evaluate(f"plot => {expression}")


def test_a_leaderboard_is_sorted_by_any_column_and_keeps_its_order_in_the_next_session(opened: Any) -> None:
    page = opened.page
    board = "article:visible table.board"
    head = page.locator(f'{board} th[data-key="decoder"]')
    head.get_by_role("button").click()
    names = _column(page, board, 0)
    assert names == sorted(names)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").press("Enter")
    assert _column(page, board, 0) == names[::-1]
    assert head.get_attribute("aria-sort") == "descending"
    page.select_option("#session", "1")
    assert _column(page, board, 0) == names[::-1]
    page.locator(f'{board} th[data-key="accuracy"]').get_by_role("button").click()
    values = [float(text) for text in _column(page, board, 2)]
    assert values == sorted(values, reverse=True)
    assert page.locator(f"{board} th[aria-sort]").count() == 1


def test_every_column_of_a_leaderboard_can_be_sorted_and_loses_no_row(opened: Any) -> None:
    page = opened.page
    board = "article:visible table.board"
    rows = sorted(_column(page, board, 0))
    for at in range(page.locator(f"{board} thead button").count()):
        for _ in range(2):
            page.locator(f"{board} thead button").nth(at).click()
            assert sorted(_column(page, board, 0)) == rows


def test_all_panels_follow_the_session_and_the_address_names_it(opened: Any) -> None:
    page = opened.page
    before = _of_plot(page, "leaderboard", "plot.data.map(one => [...one.x])")
    page.select_option("#session", "1")
    assert page.locator("article:visible .session-name").inner_text() == "Session session 1"
    assert page.locator("article:visible").count() == 1
    assert _of_plot(page, "leaderboard", "plot.data.map(one => [...one.x])") != before
    assert page.url.endswith("#session=session+1")


def test_an_address_with_a_session_opens_it(report: Path, open_page: OpenPage) -> None:
    opened = open_page(f"{report.as_uri()}#session=session+1")
    assert opened.page.locator("article:visible .session-name").inner_text() == "Session session 1"
    opened.page.evaluate("location.hash = 'session=session+0'")
    opened.page.wait_for_timeout(100)
    assert opened.page.locator("article:visible .session-name").inner_text() == "Session session 0"
    assert opened.page.locator("#session").input_value() == "0"
    opened.page.evaluate("location.hash = 'session=unheard-of'")
    opened.page.wait_for_timeout(100)
    assert opened.page.locator("article:visible").count() == 1
    opened.assert_quiet()


def test_the_raster_shows_one_class_one_area_or_the_repeats_of_one_unit(opened: Any) -> None:
    page = opened.page
    article = page.locator("article:visible")
    assert article.locator('[data-plot="raster"] .js-plotly-plot').count() == 4
    assert article.locator('[data-part="class-rates"]').is_hidden()
    article.locator('[data-choose="class"]').select_option(label="4")
    assert article.locator('[data-plot="raster"] .js-plotly-plot').count() == 1
    assert "4" in article.locator('[data-plot="raster"]').inner_text()
    width = "plot => plot.querySelector('svg').getBoundingClientRect().width / plot.parentNode.clientWidth"
    assert article.locator('[data-plot="raster"] .js-plotly-plot').evaluate(width) > 0.95
    assert article.locator('[data-part="class-rates"] .js-plotly-plot').is_visible()
    article.locator('[data-choose="area"]').select_option("LGd")
    assert "Shown: 14 of 40 units" in article.locator('[data-told="raster"]').inner_text()
    article.locator('[data-choose="rows"]').select_option("0")
    assert "3 presentations of unit 1000" in article.locator('[data-told="raster"]').inner_text()
    assert article.locator('[data-choose="area"]').is_disabled()
    article.locator('[data-choose="rows"]').select_option("")
    article.locator('[data-choose="class"]').select_option("-1")
    assert article.locator('[data-plot="raster"] .js-plotly-plot').count() == 4


def test_units_of_the_raster_are_sorted_as_asked(opened: Any) -> None:
    page = opened.page
    article = page.locator("article:visible")
    first = '[data-plot="raster"] .js-plotly-plot'
    drawn = {}
    for order, told in (("area", "area by area"), ("rate", "most active"), ("latency", "earliest")):
        article.locator('[data-choose="sort"]').select_option(order)
        assert told in article.locator('[data-told="raster"]').inner_text()
        drawn[order] = article.locator(first).first.evaluate("plot => plot.data.map(one => [...one.y])")
    assert drawn["area"] != drawn["rate"] != drawn["latency"]
    repeat = article.locator('[data-choose="repeat"]')
    repeat.select_option("2")
    assert article.locator(first).first.evaluate("plot => plot.data.map(one => [...one.y])") != drawn["latency"]


def test_a_class_is_looked_up_without_pointing_and_its_counts_are_those_of_the_matrix(opened: Any) -> None:
    page = opened.page
    article = page.locator("article:visible")
    article.locator('[data-choose="decoder"]').select_option(label="lda (default)")
    article.locator('[data-choose="shown"]').select_option(label="7")
    taken = article.locator('[data-part="taken"]')
    rows = taken.evaluate("body => [...body.rows].map(row => [...row.cells].map(cell => cell.textContent))")
    assert rows[0][0] == "7 (right)"
    assert sum(int(row[1]) for row in rows) == 30
    assert sum(float(row[2]) for row in rows) == pytest.approx(100, abs=1)
    text = _of_plot(page, "confusion", "plot.data[0].text[7][7]")
    assert f"{rows[0][1]} of 30 trials" in text
    assert article.locator('[data-part="picture"] img').get_attribute("alt") == "Picture of class 7"


def test_the_matrix_is_ordered_by_label_or_by_likeness(opened: Any) -> None:
    page = opened.page
    article = page.locator("article:visible")
    labels = _of_plot(page, "confusion", "[...plot.layout.yaxis.ticktext]")
    article.locator('[data-choose="order"]').select_option("similar")
    alike = _of_plot(page, "confusion", "[...plot.layout.yaxis.ticktext]")
    assert labels != alike
    assert sorted(labels) == sorted(alike)
    diagonal = _of_plot(page, "confusion", "plot.data[0].z.map((row, at) => row[at])")
    assert min(diagonal) > 0


def test_the_easiest_and_hardest_classes_have_pictures(opened: Any) -> None:
    article = opened.page.locator("article:visible")
    for part in ("easiest", "hardest"):
        assert article.locator(f'[data-part="{part}"] li').count() == 5
        assert article.locator(f'[data-part="{part}"] img').count() == 5
    widths = article.locator('[data-part="easiest"] img').evaluate_all("all => all.map(one => one.naturalWidth)")
    assert all(width > 0 for width in widths)


def test_curves_and_calibration_are_drawn_of_the_decoder_that_is_chosen(opened: Any) -> None:
    page = opened.page
    assert _of_plot(page, "loss", "plot.data.map(one => one.y.length)") == [5, 5]
    article = page.locator("article:visible")
    everyone = _of_plot(page, "calibration", "plot.data.length")
    assert everyone == 2
    article.locator('[data-choose="sure"]').select_option("1")
    assert _of_plot(page, "calibration", "plot.data.length") == 1


def test_the_paragraph_for_a_paper_is_copied(report: Path, open_page: OpenPage) -> None:
    opened = open_page(report, permissions=["clipboard-read", "clipboard-write"])
    page = opened.page
    page.locator("details.paste summary").click()
    page.locator("button[data-copy]").click()
    page.wait_for_timeout(200)
    assert page.locator("details.paste output").inner_text() in ("Copied.", "Selected: press Ctrl+C.")
    selected = page.evaluate("window.getSelection().toString()")
    assert selected.strip().startswith("Which frame of natural_scenes was shown was decoded")
    opened.assert_quiet()


def test_runs_that_are_apart_are_drawn_with_their_bins(tmp_path: Path, open_page: OpenPage) -> None:
    runs = [write_run(tmp_path / name) for name in ("one", "five")]
    table = pd.read_parquet(runs[1] / "results.parquet").assign(n_bins=5)
    table.to_parquet(runs[1] / "results.parquet", index=False)
    opened = open_page(write_report(runs, tmp_path / "page.html"))
    page = opened.page
    assert page.locator('[data-plot="bins"] .xtick text').all_text_contents() == ["1", "5"]
    page.select_option("#session", "1")
    assert page.locator("article:visible .session-name").inner_text() == "Session session 0 (five)"
    opened.assert_quiet()


def test_every_control_has_a_name_and_headings_come_in_order(opened: Any) -> None:
    page = opened.page
    nameless = "all => all.filter(one => !one.labels.length && !one.getAttribute('aria-label')).length"
    assert page.locator("select, input").evaluate_all(nameless) == 0
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    pictures = "all => all.filter(one => !one.getAttribute('aria-label')).length"
    assert page.locator('[role="img"]').evaluate_all(pictures) == 0


@pytest.mark.parametrize("width", [390, 820, 1400])
def test_no_width_scrolls_sideways(opened: Any, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 900})
    opened.page.locator('article:visible [data-choose="class"]').select_option("0")
    opened.page.wait_for_timeout(400)
    assert opened.width_of_content() <= width


def test_hostile_names_of_runs_classes_and_networks_stay_text(tmp_path: Path, open_page: OpenPage) -> None:
    one = write_run(tmp_path / EVIL.replace("/", "|"), label=f"{EVIL}{{}}", session=EVIL, area=EVIL)
    two = write_epochs(write_run(tmp_path / "two", label=f"{EVIL}{{}}", session=EVIL, area=EVIL), decoder=EVIL)
    file = two / "config.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "running": EVIL}))
    opened = open_page(write_report([one, two], tmp_path / "page.html"))
    page = opened.page
    page.select_option("#session", "1")
    article = page.locator("article:visible")
    article.locator('[data-choose="class"]').select_option("0")
    article.locator('[data-choose="area"]').select_option(EVIL)
    article.locator('[data-choose="shown"]').select_option("1")
    assert page.locator("img").count() == 0
    assert article.locator('[data-part="taken"] th').first.inner_text().startswith(EVIL)
    opened.assert_quiet()

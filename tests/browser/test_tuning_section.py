"""The section on searches, as a browser shows it."""

from pathlib import Path

import pandas as pd
import pytest

from browser.conftest import OpenPage
from candidate_table import candidates, hostile
from example_run import write_run
from page_reading import EVIL
from spikesight.reports.report import write_report

HEIGHTS = "plots => plots.map(one => [one.querySelector('svg').getBoundingClientRect().height, one.clientHeight])"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with searches."""
    return write_report(write_run(tmp_path_factory.mktemp("run") / "run", searched=("fa-lda", "svc-linear")))


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_draws_searches_on_screens_of_any_width_without_complaint(
    open_page: OpenPage, written: Path, width: int
) -> None:
    opened = open_page(written, width)
    page = opened.page
    crosses = page.locator('[data-plot="history"] .point').count()
    assert crosses == 48  # every candidate of two outer folds
    assert page.locator('[data-plot="history"] .js-line').count() >= 2
    assert page.locator('[data-plot="parallel"] .js-line').count() >= 5
    labels = page.locator('[data-plot="parallel"] .annotation').all_text_contents()
    assert {"learning_rate (log)", "inner accuracy", "attention", "60 %", "none"} <= {text.strip() for text in labels}
    assert page.locator('[data-plot="importance"] .bars .point').count() == 5
    page.select_option('[data-choose="searched"]', label="svc-linear")
    page.select_option('[data-choose="against"]', label="minutes since the search began")
    page.wait_for_timeout(200)
    assert "(min)" in page.locator('[data-plot="history"] .xtitle').text_content()
    assert opened.width_of_content() <= width
    assert all(drawn <= room + 1 for drawn, room in page.eval_on_selector_all(".js-plotly-plot", HEIGHTS))
    opened.assert_quiet()


def test_a_browser_lays_the_axes_down_when_the_window_becomes_narrow(open_page: OpenPage, written: Path) -> None:
    opened = open_page(written)
    page = opened.page
    place = page.locator('[data-plot="parallel"]')
    before = place.bounding_box()["height"]
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(500)
    assert place.bounding_box()["height"] > before
    assert opened.width_of_content() <= 390
    opened.assert_quiet()


def test_a_browser_shows_hostile_candidates_as_text_and_runs_none(tmp_path: Path, open_page: OpenPage) -> None:
    opened = open_page(write_report(write_run(tmp_path / "run", searched=("lda",), candidates=hostile())))
    page = opened.page
    assert page.locator("img").count() == 0
    assert EVIL in (page.locator("details:has-text('Why candidates failed') ul").text_content() or "")
    page.locator('[data-plot="parallel"] .point').first.hover(force=True)
    page.wait_for_timeout(300)
    assert page.locator("img").count() == 0
    opened.assert_quiet()


def test_a_browser_draws_the_searches_of_the_session_that_is_chosen(tmp_path: Path, open_page: OpenPage) -> None:
    tables = [candidates(("lda",), sessions=(f"session {at}",), folds=1, n=6 + at, failed=0) for at in range(2)]
    run = write_run(tmp_path / "run", n_sessions=2, searched=("lda",), candidates=pd.concat(tables))
    opened = open_page(write_report(run))
    page = opened.page
    assert page.locator('article:visible [data-plot="history"] .point').count() == 6
    page.select_option("#session", "1")
    page.wait_for_timeout(300)
    assert page.locator('article:visible [data-plot="history"] .point').count() == 7
    assert "searched or else tuned" in page.locator('[data-plot="paired"] .ytitle').text_content()
    assert page.locator('[data-plot="paired"] .xtick text').all_text_contents() == ["svc-linear", "lda", "fa-lda"]
    opened.assert_quiet()

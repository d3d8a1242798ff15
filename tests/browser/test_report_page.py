"""The report of a benchmark, as a browser shows it."""

from pathlib import Path

from browser.conftest import OpenPage
from example_run import write_run
from page_reading import EVIL
from spikesight.reports.report import write_report

HEIGHTS = "plots => plots.map(one => [one.querySelector('svg').getBoundingClientRect().height, one.clientHeight])"


def test_a_browser_draws_every_panel_without_network_or_complaint(tmp_path: Path, open_page: OpenPage) -> None:
    opened = open_page(write_report(write_run(tmp_path / "run")))
    page = opened.page
    drawn = page.eval_on_selector_all(".js-plotly-plot", "plots => plots.length")
    assert drawn == 4 + 4  # leaderboard, rates, confusion, classes; a raster of each of four classes
    assert page.locator('[data-plot="leaderboard"] .point').count() >= 8
    page.select_option('[data-choose="decoder"]', label="svc-linear (default)")
    page.select_option('[data-choose="repeat"]', label="3")
    page.wait_for_timeout(200)
    opened.assert_quiet()


def test_a_browser_shows_hostile_names_as_text_and_runs_none(tmp_path: Path, open_page: OpenPage) -> None:
    run = write_run(
        tmp_path / "run", n_sessions=2, stimulus=EVIL, area=EVIL, label=f"{EVIL}{{}}", session=f"{EVIL} {{}}"
    )
    opened = open_page(write_report(run))
    page = opened.page
    assert page.locator("img").count() == 0
    assert EVIL in page.locator("h1").inner_text()
    page.select_option("#session", "1")
    page.wait_for_timeout(200)
    assert page.locator("article:visible .session-name").inner_text() == f"Session {EVIL} 1"
    opened.assert_quiet()


def test_a_window_made_as_narrow_as_a_phone_neither_scrolls_sideways_nor_overlaps(
    tmp_path: Path, open_page: OpenPage
) -> None:
    opened = open_page(write_report(write_run(tmp_path / "run", label="x_position={}, y=-20")))
    page = opened.page
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_timeout(500)
    assert opened.width_of_content() <= 380
    assert all(drawn <= room + 1 for drawn, room in page.eval_on_selector_all(".js-plotly-plot", HEIGHTS))
    opened.assert_quiet()

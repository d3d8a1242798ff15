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


def test_a_printed_page_has_margins_and_keeps_headings_and_choices_with_their_charts(
    tmp_path: Path, open_page: OpenPage
) -> None:
    opened = open_page(write_report(write_run(tmp_path / "run")))
    page = opened.page
    page.emulate_media(media="print")
    breaks = "places => places.map(one => getComputedStyle(one).breakAfter)"
    assert set(page.eval_on_selector_all("main h2, main h3, main h2 + p, main .control", breaks)) == {"avoid"}
    rules = "Array.from(document.styleSheets[0].cssRules).filter(one => one instanceof CSSPageRule)"
    assert page.evaluate(f"{rules}.map(one => one.style.margin)") == ["14mm"]


def test_the_first_screen_says_whether_the_answer_can_be_trusted(tmp_path: Path, open_page: OpenPage) -> None:
    opened = open_page(write_report(write_run(tmp_path / "run")))
    link = opened.page.get_by_role("link", name="How these numbers were found")
    assert link.bounding_box()["y"] < 700
    link.click()
    assert opened.page.evaluate("document.getElementById('methods').getBoundingClientRect().top") < 450
    opened.assert_quiet()

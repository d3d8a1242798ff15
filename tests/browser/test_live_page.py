"""A run that is at work, followed on the page of ``spikesight serve``."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser.conftest import OpenPage
from browser.page_checks import ACCESSIBLE, LOW_CONTRAST
from running_run import RunningRun
from spikesight.reports.serve import LiveServer

Serve = Callable[[Path], str]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serve a directory that is looked at often; return its address."""
    for name, value in {"POLL_SECONDS": 0.2, "FRESH_SECONDS": 0.0, "RENDER_SHARE": 1.0}.items():
        monkeypatch.setattr(f"spikesight.reports.serve.{name}", value)
    started = []

    def begin(path: Path) -> str:
        server = LiveServer(path, 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        started.append((server, thread))
        return server.address

    yield begin
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def own_requests(requests: list[str], address: str) -> list[str]:
    return [place for place in requests if not place.startswith(address)]


def test_a_run_is_followed_from_before_it_begins_to_its_end(tmp_path: Path, open_page: OpenPage, serve: Serve) -> None:
    (tmp_path / "run").mkdir()
    address = serve(tmp_path / "run")
    opened = open_page(address)
    page, told = opened.page, opened.page.locator("#told")
    assert told.inner_text() == "Waiting for a run to begin in this directory."
    assert page.locator("#nothing").is_visible()
    with RunningRun(tmp_path / "run") as run:
        run.describe_sessions()
        opened.wait_until("document.getElementById('told').textContent.includes('0 of 16 fits so far')")
        run.train(run.cells[0], 5)
        page.wait_for_selector("#networks:visible")
        assert page.locator("#networks summary").inner_text() == "1 network learning"
        page.click("#networks summary")
        assert "epoch 5, accuracy on training trials 83.3 %" in page.locator("#networks figcaption").inner_text()
        assert page.locator("#networks polyline").get_attribute("points").count(",") == 5
        for cell in run.cells[:2]:
            run.finish_cell(cell)
        page.wait_for_selector("iframe:not(.coming)")
        report = page.frame_locator("iframe:not(.coming)")
        assert report.locator("h1").inner_text() == "Which frame of natural_scenes was shown?"
        assert report.locator('[data-plot="leaderboard"] .point').count() >= 1
        run.fail_cell(run.cells[2], "ValueError: <b>singular</b>")
        opened.wait_until("document.getElementById('told').textContent.includes('1 failed')")
        page.click("#failures summary")
        assert "<b>singular</b>" in page.locator("#failures li").inner_text()
        assert page.locator("#networks").is_hidden()
        for cell in run.cells:
            run.finish_cell(cell)
        run.finish()
    opened.wait_until("document.getElementById('told').textContent === 'The run is over: 16 of 16 fits.'")
    opened.wait_until(
        "document.querySelector('iframe:not(.coming)').contentDocument.body.textContent.includes('svc-linear')"
    )
    assert opened.complaints == []
    assert own_requests(opened.requests, address) == []


def test_a_cell_that_arrives_is_shown_where_the_reader_is(tmp_path: Path, open_page: OpenPage, serve: Serve) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.describe_sessions()
        for cell in run.cells[:6]:
            run.finish_cell(cell)
        opened = open_page(serve(run.path))
        page = opened.page
        page.wait_for_selector("iframe:not(.coming)")
        report = page.frame_locator("iframe:not(.coming)")
        report.locator("select[id^=decoder]").select_option(label="fa-lda (default)")
        report.locator("summary", has_text="Configuration").click()
        report.locator("h2", has_text="Which class is taken for which").scroll_into_view_if_needed()
        place = "document.querySelector('iframe:not(.coming)').contentDocument.querySelector('[id^=decoder]')"
        before = page.evaluate(f"{place}.getBoundingClientRect().top")
        version = page.evaluate("document.documentElement.dataset.page")
        for cell in run.cells[6:10]:
            run.finish_cell(cell)
        opened.wait_until(f"document.documentElement.dataset.page !== '{version}'")
        opened.wait_until("document.querySelectorAll('iframe').length === 1")
        opened.wait_until(f"{place}.options.length >= 5")
        chosen = f"{place}.selectedOptions[0].textContent"
        assert page.evaluate(chosen) == "fa-lda (default)"
        assert abs(page.evaluate(f"{place}.getBoundingClientRect().top") - before) < 3
        assert report.locator("details", has_text="Configuration").evaluate("one => one.open")
    assert opened.complaints == []


def test_a_run_that_was_killed_says_how_far_it_came(tmp_path: Path, open_page: OpenPage, serve: Serve) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.describe_sessions()
        run.finish_cell(run.cells[0])
    opened = open_page(serve(run.path))
    assert opened.page.locator("#told").inner_text() == (
        "The run has stopped before its end: 1 of 16 fits so far. Start the same command again to go on."
    )


def test_a_server_that_has_ended_is_noticed(tmp_path: Path, open_page: OpenPage, monkeypatch) -> None:
    monkeypatch.setattr("spikesight.reports.serve.POLL_SECONDS", 0.1)
    with RunningRun(tmp_path / "run") as run:
        server = LiveServer(run.path, 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        opened = open_page(server.address)
        server.shutdown()
        thread.join()
        server.server_close()
    opened.wait_until("document.getElementById('told').textContent.includes('has ended')")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 820, 1400])
def test_the_live_page_is_as_wide_as_its_window(
    tmp_path: Path, open_page: OpenPage, serve: Serve, screenshots: Path, width: int
) -> None:
    with RunningRun(tmp_path / "run") as run:
        run.describe_sessions()
        for cell in run.cells[:8]:
            run.finish_cell(cell)
        run.fail_cell(run.cells[9], "ValueError: singular matrix")
        for cell in run.cells[10:13]:
            run.train(cell, 40)
        opened = open_page(serve(run.path), width)
        opened.page.wait_for_selector("iframe:not(.coming)")
        opened.page.click("#networks summary")
        opened.page.wait_for_timeout(300)
        opened.page.screenshot(path=screenshots / f"live-{width}.png")
        assert opened.width_of_content() <= width
        assert opened.page.evaluate(ACCESSIBLE) == []
        assert opened.page.evaluate(LOW_CONTRAST) == []
        frame = "document.querySelector('iframe:not(.coming)').contentDocument.documentElement.scrollWidth"
        assert opened.page.evaluate(frame) <= width

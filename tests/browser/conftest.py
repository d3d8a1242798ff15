"""A real browser, one a worker, and pages opened in it that tell all they complain of and ask for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.chromium import FLAGS, SCREENSHOTS, OpenedPage, find_chromium, listen

OpenPage = Callable[..., OpenedPage]

REQUIRED = "SPIKESIGHT_REQUIRE_BROWSER"
"""Set to 1, a machine without a browser fails these tests instead of skipping them."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Headless Chromium, closed with the last test of this package.

    Not of the session: while Playwright is open, ``asyncio.run`` fails in all other tests of the worker.
    """
    chromium = find_chromium()
    if chromium is None:
        _do_without("no Chromium on this machine: install it, or name it in SPIKESIGHT_CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _do_without("playwright is not installed: it drives the browser")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """Open a file or an address in a window of some width; what is opened is closed after the test."""
    contexts = []

    def opened(place: Path | str, width: int = 1280, height: int = 900, **options: Any) -> OpenedPage:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = listen(context)
        page.page.goto(place if isinstance(place, str) else place.as_uri())
        page.page.wait_for_selector("html[data-drawn]", timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def screenshots(pytestconfig: pytest.Config) -> Path:
    """The folder of pictures that are kept to be looked at."""
    folder = pytestconfig.rootpath / SCREENSHOTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _do_without(reason: str) -> None:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason} ({REQUIRED} is set)", pytrace=False)
    pytest.skip(reason)

"""Where Chromium is, and a page of it that is listened to."""

import os
import shutil
import time
from dataclasses import dataclass, field
from typing import Any

CANDIDATES = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")

SCREENSHOTS = os.environ.get("SPIKESIGHT_SCREENSHOTS", "build/screenshots")
"""Folder of the pictures of pages that tests leave, relative to the project."""

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--disable-default-apps"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
"""The last one: no name of the world is ever looked up."""

TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} blocked ${event.blockedURI}`));
"""


def find_chromium() -> str | None:
    """The browser named by SPIKESIGHT_CHROMIUM, or else the first that is installed; None without one."""
    asked = os.environ.get("SPIKESIGHT_CHROMIUM")
    return next((found for name in ((asked,) if asked else CANDIDATES) if (found := shutil.which(name))), None)


@dataclass
class OpenedPage:
    """A page, and what was heard of it since before it was loaded.

    ``complaints`` are messages of the console, errors of scripts and what a policy blocked; ``requests`` all addresses
    that it asked for, but for the page itself and what it holds.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        """Nothing was complained of, and nothing was asked for."""
        assert self.complaints == []
        assert self.requests == []

    def wait_until(self, expression: str, seconds: float = 30) -> None:
        """Wait until an expression is true. (The pages' policy forbids Playwright's own way, which evaluates text.)"""
        until = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < until, f"still not so after {seconds} s: {expression}"
            self.page.wait_for_timeout(30)

    def width_of_content(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


def listen(context: Any) -> OpenedPage:
    """Open an empty page and listen to it."""
    context.add_init_script(TELL_VIOLATIONS)
    page = context.new_page()
    heard = OpenedPage(page)
    page.on("console", lambda message: heard.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.complaints.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (heard.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("websocket", lambda socket: heard.requests.append(socket.url))
    page.on("request", lambda request: _keep(heard, request))
    return heard


def _keep(heard: OpenedPage, request: Any) -> None:
    itself = request.is_navigation_request() and request.frame == heard.page.main_frame and not heard.requests
    if not itself and not request.url.startswith(("data:", "blob:")):
        heard.requests.append(request.url)

"""What a report page holds, and how a browser opens it."""

import json
import re
from pathlib import Path
from typing import Any

EVIL = "</script><img onerror=x>"


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found.group(1)))


def markup_of(page: str) -> str:
    """The page without what its scripts hold."""
    return re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)


def opened(browser: Any, path: Path, width: int = 1280) -> tuple[Any, list[str]]:
    """Open a page; return it and everything that it complained of or asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-drawn]", timeout=30_000)
    return page, heard

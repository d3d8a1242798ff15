"""The listener itself: a page that misbehaves is heard."""

from pathlib import Path

import pytest

from browser.chromium import find_chromium
from browser.conftest import OpenPage

PAGE = '<!doctype html><html data-drawn="yes"><head>{}</head><body>{}</body></html>'


def test_a_quiet_page_is_heard_as_quiet(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "page.html").write_text(PAGE.format('<link rel="icon" href="data:,">', "<p>Quiet.</p>"))
    open_page(tmp_path / "page.html").assert_quiet()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("console.warn('careful')", "careful"),
        ("throw new Error('broken')", "broken"),
        ("alert('look')", "look"),
    ],
)
def test_what_a_script_complains_of_is_heard(tmp_path: Path, open_page: OpenPage, said: str, heard: str) -> None:
    (tmp_path / "page.html").write_text(PAGE.format("", f"<script>{said}</script>"))
    assert any(heard in complaint for complaint in open_page(tmp_path / "page.html").complaints)


@pytest.mark.parametrize("policy", ["", "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"])
def test_a_request_is_heard_even_where_a_policy_blocks_it(tmp_path: Path, open_page: OpenPage, policy: str) -> None:
    (tmp_path / "page.html").write_text(PAGE.format(policy, '<img src="https://example.org/pixel.png">'))
    opened = open_page(tmp_path / "page.html")
    opened.page.wait_for_timeout(200)
    assert any("example.org" in told for told in opened.requests + opened.complaints)
    with pytest.raises(AssertionError):
        opened.assert_quiet()


def test_a_file_beside_the_page_is_a_request_too(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "page.html").write_text(PAGE.format("", '<img src="beside.png">'))
    assert [Path(place).name for place in open_page(tmp_path / "page.html").requests] == ["beside.png"]


def test_a_browser_that_is_named_is_the_one_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKESIGHT_CHROMIUM", str(tmp_path / "none"))
    assert find_chromium() is None
    own = tmp_path / "own"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("SPIKESIGHT_CHROMIUM", str(own))
    assert find_chromium() == str(own)

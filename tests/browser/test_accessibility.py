"""Labels, headings, contrast and keys, on a page of every kind."""

from pathlib import Path

import pytest

from browser.conftest import OpenPage
from browser.page_checks import ACCESSIBLE, LOW_CONTRAST, walk
from example_connectivity import write_connectivity
from example_run import write_run
from spikesight.reports.connectivity_report import write_connectivity_report
from spikesight.reports.report import write_report

KINDS = ("report", "several", "connectivity")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    network = write_connectivity(folder / "network")
    several = [write_run(folder / "sessions", n_sessions=2), network]
    return {
        "report": write_report(write_run(folder / "one", searched=("fa-lda", "svc-linear"))),
        "several": write_report(several, folder / "several.html"),
        "connectivity": write_connectivity_report(network, folder / "connectivity.html"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_can_be_heard_read_and_walked_through(pages: dict[str, Path], open_page: OpenPage, kind: str) -> None:
    page = open_page(pages[kind]).page
    assert page.evaluate(ACCESSIBLE) == []
    assert page.evaluate(LOW_CONTRAST) == []
    controls, reached, unseen = walk(page)
    missed = [controls[place] for place in sorted(set(range(len(controls))) - set(reached))]
    assert missed == []
    assert reached == sorted(reached)
    assert [controls[place] for place in unseen] == []


def test_the_threshold_follows_the_arrow_keys(pages: dict[str, Path], open_page: OpenPage) -> None:
    page = open_page(pages["connectivity"]).page
    page.focus('[data-choose="threshold"]')
    page.keyboard.press("ArrowRight")
    assert page.locator('[data-tell="count"]').inner_text().startswith("q at most 0.1:")
    page.keyboard.press("Home")
    assert page.locator('[data-tell="count"]').inner_text().startswith("q at most 1e-10:")


@pytest.mark.parametrize(
    ("markup", "said"),
    [
        ("<select><option>a</option></select>", "no label"),
        ("<img src='data:,'>", "no alt"),
        ("<h3>too deep</h3>", "a level is skipped"),
        ("<h1>twice</h1>", "not one h1"),
        ("<p id='a'></p><p id='a'></p>", "id twice"),
    ],
)
def test_the_check_sees_what_is_wrong(tmp_path: Path, open_page: OpenPage, markup: str, said: str) -> None:
    text = f'<!doctype html><html lang="en" data-drawn="yes"><title>t</title><main><h1>One</h1>{markup}</main></html>'
    (tmp_path / "page.html").write_text(text)
    assert said in " ".join(open_page(tmp_path / "page.html").page.evaluate(ACCESSIBLE))


def test_the_check_sees_pale_text_and_what_no_key_reaches(tmp_path: Path, open_page: OpenPage) -> None:
    body = (
        '<main><h1>One</h1><p style="color:#999">pale</p><a href="#a">one</a><a href="#b" tabindex="-1">two</a></main>'
    )
    (tmp_path / "page.html").write_text(
        f'<!doctype html><html lang="en" data-drawn="yes"><title>t</title>{body}</html>'
    )
    page = open_page(tmp_path / "page.html").page
    [pale] = page.evaluate(LOW_CONTRAST)
    assert pale.startswith("2.85 of 4.5")
    controls, reached, _ = walk(page)
    assert (len(controls), reached) == (2, [0])

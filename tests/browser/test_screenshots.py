"""Every page at the width of a phone, a tablet and a desk; pictures are kept to be looked at."""

from pathlib import Path

import pytest

from browser.conftest import OpenPage
from example_connectivity import write_connectivity
from example_run import write_run
from spikesight.reports.connectivity_report import write_connectivity_report
from spikesight.reports.report import write_report

pytestmark = pytest.mark.slow

WIDTHS = (390, 820, 1400)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "report": write_report(write_run(folder / "one", searched=("fa-lda", "svc-linear"))),
        "report-sessions": write_report(write_run(folder / "several", n_sessions=3)),
        "connectivity": write_connectivity_report(write_connectivity(folder / "network")),
        "report-combined": write_report(
            [write_run(folder / "bench"), write_connectivity(folder / "conn")], folder / "report.html"
        ),
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["report", "report-sessions", "connectivity", "report-combined"])
def test_a_page_is_quiet_and_as_wide_as_its_window(
    pages: dict[str, Path], open_page: OpenPage, screenshots: Path, name: str, width: int
) -> None:
    opened = open_page(pages[name], width)
    opened.page.screenshot(path=screenshots / f"{name}-{width}.png", full_page=True)
    assert opened.width_of_content() <= width
    opened.assert_quiet()

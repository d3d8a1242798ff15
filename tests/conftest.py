"""Fixtures shared by the whole suite."""

import os
import time
from pathlib import Path

import pytest

from browser.chromium import SCREENSHOTS

pytest_plugins = ["servers.fixtures"]

os.environ["RAY_AUTH_MODE"] = "disabled"  # alike for every Ray that tests start and join, before Ray reads it


_BEGAN = time.time()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the pictures are that this session took. (Here, because workers of xdist have no terminal.)"""
    folder = config.rootpath / SCREENSHOTS
    new = [file for file in folder.glob("*.png") if file.stat().st_mtime >= _BEGAN]
    if new and not hasattr(config, "workerinput"):
        terminalreporter.write_line(f"{len(new)} screenshots: {folder}")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings, which are not shipped with the package."""
    folder = Path(os.environ.get("SPIKESIGHT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: set SPIKESIGHT_DATA to the folder that holds them")
    return folder

"""Fixtures shared by the whole suite."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["servers.fixtures"]

os.environ["RAY_AUTH_MODE"] = "disabled"  # alike for every Ray that tests start and join, before Ray reads it


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings, which are not shipped with the package."""
    folder = Path(os.environ.get("SPIKESIGHT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: set SPIKESIGHT_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(chromium).exists():
        pytest.skip("no chromium on this machine: install it to open the report as a reader does")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield started
        started.close()

"""Fixtures shared by the whole suite."""

import os
from pathlib import Path

import pytest

os.environ["RAY_AUTH_MODE"] = "disabled"  # alike for every Ray that tests start and join, before Ray reads it


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings, which are not shipped with the package."""
    folder = Path(os.environ.get("SPIKESIGHT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: set SPIKESIGHT_DATA to the folder that holds them")
    return folder

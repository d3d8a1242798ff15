"""Fixtures: servers on the loopback. Each test gets one of its own, on a port that the system chose."""

from collections.abc import Iterator

import pytest

from servers.dandi_server import DandiServer
from servers.fault_server import FaultServer
from servers.s3_server import S3Server, s3_server


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go straight to servers of this machine, also where the network has a proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def fault_server(no_proxy: None) -> Iterator[FaultServer]:
    """An empty web server that fails as it is told to."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def dandi(no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[DandiServer]:
    """An empty dandiset 000021; ``SPIKESIGHT_DANDI_URL`` leads to it."""
    with DandiServer() as server:
        monkeypatch.setenv("SPIKESIGHT_DANDI_URL", server.api)
        yield server


@pytest.fixture
def s3(no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An empty public bucket on moto; ``SPIKESIGHT_S3_URL`` leads to it."""
    with s3_server() as server:
        monkeypatch.setenv("SPIKESIGHT_S3_URL", server.url)
        yield server

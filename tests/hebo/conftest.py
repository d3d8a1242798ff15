"""Ray for one test session."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray of our own, even where another runs on the same machine."""
    from spikesight.cluster import LOCAL, connected

    with connected(LOCAL, jobs=1):
        yield

"""Ray for one test session, and the warnings of HEBO's own code and of its GPyTorch, which are not ours to mend."""

from collections.abc import Iterator

import pytest

HEBO_WARNS = (
    "ignore:The behavior of DataFrame concatenation with empty or all-NA entries:FutureWarning:hebo",
    "ignore:Creating a tensor from a list of numpy.ndarrays is extremely slow:UserWarning:hebo",
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning:torch.jit",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("hebo"):
            for warning in HEBO_WARNS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray of our own, even where another runs on the same machine."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()

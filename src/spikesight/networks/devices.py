"""Where a network is trained, on how many threads, and with which random numbers: never the caller's."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import torch
from threadpoolctl import threadpool_limits

from spikesight.errors import ConfigError

DEVICES: Final = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; ``"auto"`` is the GPU if there is one.

    Raises
    ------
    ConfigError
        If there is no such device here.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if present[device])
    if name not in present:
        raise ConfigError(f"expected a device among {', '.join(DEVICES)}, got {name!r}.")
    if not present[name]:
        raise ConfigError(f"the device {name!r} was asked for, but torch finds none here; use device='auto'.")
    return torch.device(name)


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Let a GPU that knows bfloat16 multiply in it; anything else computes in single precision.

    bfloat16 has the range of float32, so losses need no scaling.
    """
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread for torch's operators on the CPU and for numpy's products, and put the caller's numbers back.

    Folds run in parallel processes: two processes of two threads each are many times slower than of one each. And sums
    that are cut among threads differ in their last bits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def own_randomness(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's generators for a while, and put the caller's states back.

    Initialisation and dropout of torch know no other generators than the global ones.
    """
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        if device.type != "mps":
            yield
            return
        before = torch.mps.get_rng_state()
        torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            torch.mps.set_rng_state(before)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of the generators that a network on ``device`` draws from."""
    states = {"cpu": torch.default_generator.get_state()}
    if device.type == "cuda":
        states["device"] = torch.cuda.get_rng_state()
    elif device.type == "mps":
        states["device"] = torch.mps.get_rng_state()
    return states


def set_random_state(device: torch.device, states: dict[str, torch.Tensor]) -> None:
    """Put back what ``random_state`` returned."""
    torch.default_generator.set_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["device"])
    elif device.type == "mps":
        torch.mps.set_rng_state(states["device"])

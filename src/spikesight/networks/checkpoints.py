"""An unfinished fit on disk: one safetensors file, whose header holds the history as JSON. Nothing in it can run.

The file is named after a fingerprint of everything that decides the outcome. So the same fit finds its file again, and
no other fit takes it for its own.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spikesight.errors import OutputError, TrainingError
from spikesight.networks.devices import random_state, set_random_state

Tensors = dict[str, Tensor]

_SHARE: Final = 0.1
"""Of the time may go into writing: short epochs are not all written."""


@dataclass
class State:
    """All that a fit changes from epoch to epoch.

    Parameters
    ----------
    network, optimiser
        What is trained, and by what.
    order
        Generator of the order of trials.
    device
        Where the network is.
    history
        Records of the finished epochs.
    best
        Copy of the weights with the lowest validation loss; empty without validation trials.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    order: torch.Generator
    device: torch.device
    history: list[dict[str, Any]] = field(default_factory=list)
    best: Tensors = field(default_factory=dict)


def copy_of(network: nn.Module) -> Tensors:
    """Return a copy of all weights and buffers, on the CPU."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in network.state_dict().items()}


class Checkpoint:
    """The file of one fit; without a path, nothing is written or read.

    Parameters
    ----------
    path
        The file, or None.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._allowed = -float("inf")

    @classmethod
    def named_after(cls, folder: Path | None, state: State, data: Sequence[Tensor], choices: object) -> Self:
        """Name the file after the data, the choices (by ``repr``), the network and its weights as they are now."""
        if folder is None:
            return cls(None)
        digest = hashlib.sha256(f"{torch.__version__} {state.device.type} {choices!r}\n{state.network!r}".encode())
        named = {**{str(place): value for place, value in enumerate(data)}, **copy_of(state.network)}
        for name, value in named.items():
            digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return cls(Path(folder) / f"{digest.hexdigest()[:32]}.safetensors")

    def write(self, state: State) -> None:
        """Keep the fit as it is after an epoch, unless the last time was so recent that writing would cost too much.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        begun = time.perf_counter()
        if self._path is None or begun < self._allowed:
            return
        new = self._path.with_name(f".{self._path.name}.{uuid.uuid4().hex}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            save_file(_tensors_of(state), new, {"history": json.dumps(state.history)})
            os.replace(new, self._path)
        except (OSError, SafetensorError) as error:
            raise OutputError(f"cannot keep an unfinished fit in {self._path}: {error}.") from error
        finally:
            new.unlink(missing_ok=True)
        ended = time.perf_counter()
        self._allowed = ended + (ended - begun) / _SHARE

    def restore(self, state: State) -> None:
        """Put a kept fit back into ``state``, if there is one.

        Raises
        ------
        TrainingError
            If the file is damaged.
        """
        if self._path is None or not self._path.exists():
            return
        try:
            with safe_open(self._path, framework="pt") as file:
                history = json.loads(file.metadata()["history"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            _put_back(tensors, state)
        except (OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
            raise TrainingError(
                f"expected an unfinished fit in {self._path}, it could not be read: {error}. Delete the file; the fit "
                "starts anew."
            ) from error
        state.history = history

    def remove(self) -> None:
        """Remove the file: the fit is finished."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _tensors_of(state: State) -> Tensors:
    """Name all tensors of a fit."""
    moments = {
        f"optimiser/{index}/{key}": value
        for index, moments in state.optimiser.state_dict()["state"].items()
        for key, value in moments.items()
    }
    return {
        **{f"network/{name}": value for name, value in copy_of(state.network).items()},
        **{f"best/{name}": value for name, value in state.best.items()},
        **{name: value.detach().to("cpu", copy=True).contiguous() for name, value in moments.items()},
        **{f"random/{name}": value for name, value in random_state(state.device).items()},
        "order": state.order.get_state(),
    }


def _put_back(tensors: Tensors, state: State) -> None:
    def under(prefix: str) -> Tensors:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    state.network.load_state_dict(under("network/"))
    state.best = under("best/")
    moments: dict[int, Tensors] = {}
    for name, value in under("optimiser/").items():
        index, _, key = name.partition("/")
        moments.setdefault(int(index), {})[key] = value
    state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": moments})
    set_random_state(state.device, under("random/"))
    state.order.set_state(tensors["order"])

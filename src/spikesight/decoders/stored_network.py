"""The network of a fitted decoder on disk: its weights as safetensors, its structure from the decoder's parameters."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from spikesight.errors import FileFormatError
from spikesight.networks.checkpoints import copy_of


def write_network(decoder: Any, path: Path) -> None:
    """Write the weights and buffers of ``decoder.network_``. Raises OSError if there is no room for them."""
    try:
        save_file(copy_of(decoder.network_), path)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def read_network(decoder: Any, path: Path) -> None:
    """Build the network of a decoder whose other attributes are in place, and put the stored weights into it.

    Raises
    ------
    FileFormatError
        If the file is damaged, or holds the weights of another network.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError, ValueError, MemoryError) as error:
        raise FileFormatError(f"expected the weights of a network in {path}, it could not be read: {error}.") from error
    try:
        network = decoder.untrained_network()
        network.load_state_dict(weights)
    except (RuntimeError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise FileFormatError(f"{path} does not hold the weights of {decoder!r}: {error}") from error
    for name, values in weights.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise FileFormatError(f"{path}: the weights {name!r} are not finite; the file is damaged.")
    decoder.network_ = network.eval()

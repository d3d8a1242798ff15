"""A fitted encoder on disk, within the folder of the decoder that stands behind it: JSON, arrays, weights."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.base import clone

from spikesight.data.npz_file import read_npz, write_npz
from spikesight.decoders.taken_apart import FITTED, NETWORK, plain, take_apart
from spikesight.encoders import registry
from spikesight.errors import ConfigError, DecoderError, FileFormatError

DESCRIPTION: Final = "encoder.json"
ARRAYS: Final = "arrays.npz"
WEIGHTS: Final = "network.safetensors"


def write_encoder(encoder: Any, folder: Path) -> None:
    """Store a fitted encoder of a registered class in a new folder.

    Raises
    ------
    DecoderError
        If its class is not registered, or it holds what only pickle could store.
    OSError
        If it cannot be written.
    """
    try:
        name = registry.name_of(encoder)
    except ConfigError as error:
        raise DecoderError(str(error)) from error
    arrays, numbers, texts = take_apart(encoder)
    folder.mkdir()
    described = {"encoder": name, "numbers": numbers, "texts": texts}
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2, default=plain) + "\n", encoding="utf-8")
    with (folder / ARRAYS).open("xb") as file:
        write_npz(file, arrays)
    if hasattr(encoder, NETWORK):
        from spikesight.decoders.stored_network import write_network  # torch, which other encoders do without

        write_network(encoder, folder / WEIGHTS)


def read_encoder(unfitted: Any, folder: Path) -> Any:
    """Read a stored encoder; it encodes bit for bit as it did.

    Parameters
    ----------
    unfitted
        The encoder with its parameters, as the decoder around it has it.
    folder
        Where it was stored.

    Raises
    ------
    FileFormatError
        If there is none, another one, or a damaged one.
    """
    if not hasattr(unfitted, "transform"):
        raise FileFormatError(f"{folder}: expected an encoder among the decoder's parameters, got {unfitted!r:.80}.")
    encoder = clone(unfitted)
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        name, numbers, texts = described["encoder"], dict(described["numbers"]), list(described["texts"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileFormatError(f"expected the description of an encoder in {folder}, got none: {error}.") from error
    if name != registry.name_of(encoder):
        raise FileFormatError(f"{folder} holds the encoder {name!r:.80}, expected {registry.name_of(encoder)!r}.")
    if not (folder / ARRAYS).is_file():
        raise FileFormatError(f"expected a stored encoder, but there is no file {folder / ARRAYS}.")
    for key, value in {**read_npz(folder / ARRAYS), **numbers}.items():
        if not FITTED.fullmatch(key) or hasattr(type(encoder), key):
            raise FileFormatError(f"{folder}: {key!r} is no fitted attribute of {type(encoder).__name__}.")
        as_objects = key in texts and isinstance(value, np.ndarray)
        setattr(encoder, key, value.astype(object) if as_objects else value)
    if hasattr(encoder, "untrained_network"):
        from spikesight.decoders.stored_network import read_network

        try:
            read_network(encoder, folder / WEIGHTS)
        except AttributeError as error:
            raise FileFormatError(f"{folder} lacks what the encoder had learned: {error}.") from error
    return encoder

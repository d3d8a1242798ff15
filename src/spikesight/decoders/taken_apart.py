"""A fitted estimator taken apart: arrays, plain values, and nothing that only pickle could store."""

import re
from typing import Any, Final

import numpy as np

from spikesight.decoders.stored_params import Arrays
from spikesight.errors import DecoderError

NETWORK: Final = "network_"
MEMBERS: Final = "members_"
ENCODER: Final = "encoder_"
DECODER: Final = "decoder_"
APART: Final = (NETWORK, MEMBERS, ENCODER, DECODER)
"""Fitted attributes that have a file or a folder of their own."""
FITTED: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*_")
"""Names of fitted attributes: they end in an underscore and do not begin with one."""


def take_apart(fitted: Any) -> tuple[Arrays, dict[str, Any], list[str]]:
    """Return the fitted arrays, the fitted plain values, and the names of arrays of Python strings.

    A network is left to a file of its own, and members, encoders and decoders within a decoder to folders.
    """
    arrays: Arrays = {}
    numbers: dict[str, Any] = {}
    texts: list[str] = []
    for name, value in vars(fitted).items():
        if not FITTED.fullmatch(name):
            if name not in fitted.get_params(deep=False):
                raise DecoderError(f"{type(fitted).__name__}.{name} is neither a parameter nor a fitted attribute.")
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            arrays[name] = value
        elif isinstance(value, np.ndarray) and all(isinstance(item, str) for item in value.flat):
            arrays[name] = value.astype(str)
            texts.append(name)
        elif _is_plain(value):
            numbers[name] = value.item() if isinstance(value, np.generic) else value
        elif name not in APART:
            raise DecoderError(
                f"cannot store {type(fitted).__name__}.{name}, a {type(value).__name__}: what is fitted is stored "
                "as arrays and plain values, never with pickle."
            )
    return arrays, numbers, texts


def _is_plain(value: Any) -> bool:
    """Tell if JSON gives the value back as it is: a scalar, or a list or a table by name of such."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def plain(value: Any) -> Any:
    """Turn numpy's scalars into Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is a {type(value).__name__}")

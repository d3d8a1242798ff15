"""Constructor parameters as JSON and arrays: plain values, arrays, lists, tables, graphs, decoders and encoders.

A file names classes by the names of three tables: the registries of decoders and of encoders, the sources of graphs. No
other class is ever made, whatever the file says.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikesight.decoders import registry
from spikesight.encoders import registry as encoders
from spikesight.errors import ConfigError, DecoderError, FileFormatError

Arrays = dict[str, NDArray[Any]]

_GRAPHS: Final = ("CorrelationGraph", "GivenGraph", "IdentityGraph", "LearnedGraph")
"""Classes of `spikesight.networks.graphs`."""


def encode_params(estimator: Any, arrays: Arrays, where: str, left_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the parameters of ``estimator`` for JSON, and put arrays among them into ``arrays``.

    Parameters
    ----------
    estimator
        Decoder or graph.
    arrays
        Gets each array under its place, for example ``"params/graph/matrix"``.
    where
        Place of the parameters.
    left_out
        Parameters that are not stored and get their default back.

    Raises
    ------
    DecoderError
        If a parameter is something that only pickle could store.
    """
    params = estimator.get_params(deep=False)
    return {
        name: _encode(value, arrays, f"{where}/{name}", type(estimator).__name__)
        for name, value in params.items()
        if name not in left_out
    }


def decode_params(described: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return the parameters that ``encode_params`` described. Arrays that are used are taken out of ``arrays``.

    Raises
    ------
    FileFormatError
        If they are described otherwise.
    """
    return {name: _decode(value, arrays) for name, value in described.items()}


def _encode(value: Any, arrays: Arrays, where: str, owner: str) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        arrays[where] = value
        return {"array": where}
    if isinstance(value, list | tuple):
        items = [_encode(item, arrays, f"{where}/{place}", owner) for place, item in enumerate(value)]
        return {type(value).__name__: items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode(item, arrays, f"{where}/{key}", owner) for key, item in value.items()}}
    if type(value).__name__ in _GRAPHS:
        return {"graph": type(value).__name__, "params": encode_params(value, arrays, where)}
    if hasattr(value, "get_params") and hasattr(value, "predict"):
        return {"decoder": _registered(value, where), "params": encode_params(value, arrays, where)}
    if hasattr(value, "get_params") and hasattr(value, "transform"):
        return {"encoder": _registered(value, where), "params": encode_params(value, arrays, where)}
    raise DecoderError(
        f"cannot store {owner}({where.rpartition('/')[2]}={value!r:.80}): parameters must be numbers, text, None, "
        "arrays, graphs, registered decoders, or lists and tables of these."
    )


def _registered(part: Any, where: str) -> str:
    """Return the registered name of a decoder or an encoder."""
    try:
        return registry.name_of(type(part)) if hasattr(part, "predict") else encoders.name_of(part)
    except ConfigError as error:
        raise DecoderError(f"cannot store what is in {where}: {error}") from error


def _decode(value: Any, arrays: Arrays) -> Any:
    match value:
        case {"array": str(where)} if where in arrays:
            return arrays.pop(where)
        case {"list": list(items)}:
            return [_decode(item, arrays) for item in items]
        case {"tuple": list(items)}:
            return tuple(_decode(item, arrays) for item in items)
        case {"dict": dict(items)}:
            return {key: _decode(item, arrays) for key, item in items.items()}
        case {"graph": str(name), "params": dict(params)} if name in _GRAPHS:
            return _graph(name, decode_params(params, arrays))
        case {"decoder": str(name), "params": dict(params)}:
            return registry.make(name, **decode_params(params, arrays))
        case {"encoder": str(name), "params": dict(params)} if name in encoders.names():
            return encoders.make(name, decode_params(params, arrays))
        case None | bool() | int() | float() | str():
            return value
    raise FileFormatError(f"{value!r:.200} describes no parameter of a stored decoder.")


def _graph(name: str, params: dict[str, Any]) -> Any:
    from spikesight.networks import graphs  # torch, which other decoders do without

    return getattr(graphs, name)(**params)

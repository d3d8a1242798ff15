"""Fitted decoders on disk: JSON and arrays, nothing that could run.

A stored decoder is a folder of two files, or three. ``decoder.json`` holds its registered name, constructor parameters,
plain fitted values and what the caller wants to remember; ``arrays.npz`` holds its fitted arrays and the ids of its
units; ``network.safetensors`` holds the weights of a network. The fitted members of an ensemble are stored decoders in
folders within it, ``members_0`` and so on; of a decoder behind an encoder there are ``encoder_`` and ``decoder_``.
Reading imports the class that the registry has under a name and nothing else, whatever the file says.
"""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight import __version__
from spikesight.data.npz_file import read_npz, write_npz
from spikesight.decoders import registry
from spikesight.decoders.encoded import EncodedDecoder
from spikesight.decoders.stored_params import Arrays, decode_params, encode_params
from spikesight.decoders.taken_apart import DECODER, ENCODER, FITTED, MEMBERS, NETWORK, plain, take_apart
from spikesight.errors import ConfigError, DecoderError, FileFormatError, SpikesightError, brief

DESCRIPTION: Final = "decoder.json"
ARRAYS: Final = "arrays.npz"
WEIGHTS: Final = "network.safetensors"
FORMAT: Final = "spikesight-decoder"
FORMAT_VERSION: Final = 1
_UNIT_IDS: Final = "unit_ids"


def save_decoder(decoder: Any, folder: str | Path, *, unit_ids: ArrayLike, meta: Mapping[str, Any]) -> None:
    """Store a fitted decoder in ``folder``, which appears complete or not at all and replaces a stored decoder.

    Parameters
    ----------
    decoder
        Fitted decoder of a registered class.
    folder
        New or empty folder, or one that holds a stored decoder.
    unit_ids
        Ids of the units of ``X``, in its order, shape (n_units,).
    meta
        JSON-able facts to give back with the decoder, for example the session.

    Raises
    ------
    DecoderError
        If the decoder is not fitted, or holds what only pickle could store; if ``meta`` is not
        JSON-able; if the folder holds something else or cannot be written.
    ConfigError
        If the decoder's class is not registered.
    """
    folder = Path(folder)
    ids = np.asarray(unit_ids)
    if not hasattr(decoder, "classes_"):
        raise DecoderError(f"expected a fitted decoder, got {decoder!r}: call fit first.")
    if ids.shape != (decoder.n_units_,) or ids.dtype.hasobject:
        raise DecoderError(f"expected {decoder.n_units_} unit ids, one per unit, got {ids.dtype} of shape {ids.shape}.")
    name = registry.name_of(type(decoder))
    arrays, numbers, texts = take_apart(decoder)
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "spikesight_version": __version__,
        "decoder": name,
        "params": encode_params(decoder, arrays, "params", getattr(decoder, "of_the_fit", ())),
        "numbers": numbers,
        "texts": texts,
        "meta": dict(meta),
    }
    try:
        text = json.dumps(description, indent=2, ensure_ascii=False, default=plain)
    except (TypeError, ValueError) as error:
        raise DecoderError(f"what is stored with a decoder must be JSON-able: {error}.") from error
    try:
        _write_folder(folder, text + "\n", {**arrays, _UNIT_IDS: ids}, decoder)
    except OSError as error:
        raise DecoderError(f"cannot store a decoder in {folder}: {error}.") from error


def load_decoder(folder: str | Path) -> tuple[Any, dict[str, Any]]:
    """Read a stored decoder; it predicts bit for bit what it predicted before.

    Returns
    -------
    decoder
        Fitted decoder.
    meta : dict
        What was stored with it, and ``unit_ids``, the list of its units in the order that ``X`` must have
        (``spikesight.data.unit_order.align_units`` brings a dataset into it).

    Raises
    ------
    FileFormatError
        If the folder holds no stored decoder, or a damaged one.
    DecoderError
        If it was stored by a decoder that this installation does not have.
    """
    return _load(Path(folder), (MEMBERS, ENCODER))


def _load(folder: Path, parts: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Read a decoder that may have these parts; none has itself as a part, however deep."""
    description = _read_description(folder)
    arrays = read_npz(_existing(folder / ARRAYS))
    unit_ids = arrays.pop(_UNIT_IDS, None)
    decoder = _make(description, arrays, folder)
    state: dict[str, Any] = {**arrays, **description["numbers"]}
    for name, value in state.items():
        if not FITTED.fullmatch(name) or hasattr(type(decoder), name):
            raise FileFormatError(f"{folder}: {name!r} is no fitted attribute of {type(decoder).__name__}.")
        as_objects = name in description["texts"] and isinstance(value, np.ndarray)
        setattr(decoder, name, value.astype(object) if as_objects else value)
    if hasattr(decoder, "untrained_network"):
        _read_network(decoder, _existing(folder / WEIGHTS))
    if "members" in decoder.get_params(deep=False):
        decoder.members_ = _read_members(decoder, folder, MEMBERS in parts)
    if isinstance(decoder, EncodedDecoder):
        _read_encoded(decoder, folder, ENCODER in parts)
    _check_state(decoder, unit_ids, folder)
    return decoder, {**description["meta"], _UNIT_IDS: np.asarray(unit_ids).tolist()}


def _write_folder(folder: Path, text: str, arrays: Arrays, decoder: Any) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    replaces = folder.exists() and any(folder.iterdir())
    if replaces and not (folder / DESCRIPTION).is_file():
        raise DecoderError(f"{folder} holds something that is no stored decoder; choose another folder.")
    token = uuid.uuid4().hex
    new, old = (folder.with_name(f".{folder.name}.{token}.{kind}") for kind in ("new", "old"))
    try:
        new.mkdir()
        (new / DESCRIPTION).write_text(text, encoding="utf-8")
        with (new / ARRAYS).open("xb") as file:
            write_npz(file, arrays)
        if hasattr(decoder, NETWORK):
            _write_network(decoder, new / WEIGHTS)
        for place, member in enumerate(getattr(decoder, MEMBERS, ())):
            save_decoder(member, new / f"{MEMBERS}{place}", unit_ids=arrays[_UNIT_IDS], meta={})
        if hasattr(decoder, ENCODER):
            _write_encoder(decoder, new / ENCODER)
            components = np.arange(decoder.decoder_.n_units_)
            save_decoder(decoder.decoder_, new / DECODER, unit_ids=components, meta={})
        if replaces:
            os.replace(folder, old)
        os.replace(new, folder)
    except BaseException:
        if old.exists():
            os.replace(old, folder)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write_network(decoder: Any, path: Path) -> None:
    from spikesight.decoders.stored_network import write_network  # torch, which other decoders do without

    write_network(decoder, path)


def _read_network(decoder: Any, path: Path) -> None:
    from spikesight.decoders.stored_network import read_network

    read_network(decoder, path)


def _write_encoder(decoder: Any, folder: Path) -> None:
    from spikesight.decoders.stored_encoder import write_encoder  # torch, as above

    write_encoder(decoder.encoder_, folder)


def _read_encoded(decoder: Any, folder: Path, allowed: bool) -> None:
    """Load an encoder and the decoder behind it, which has none itself: a link to the folder would never end."""
    from spikesight.decoders.stored_encoder import read_encoder

    if not allowed:
        raise FileFormatError(f"{folder}: expected a decoder without an encoder within another decoder.")
    decoder.encoder_ = read_encoder(decoder.encoder, folder / ENCODER)
    decoder.decoder_ = _load(folder / DECODER, (MEMBERS,))[0]


def _read_members(decoder: Any, folder: Path, allowed: bool) -> list[Any]:
    """Load the members of an ensemble. A member has none itself: a link to the folder would never end."""
    if not (allowed and isinstance(decoder.members, list | tuple)):
        raise FileFormatError(f"{folder}: {decoder.members!r:.200} are no members of a stored ensemble.")
    return [_load(folder / f"{MEMBERS}{place}", ())[0] for place in range(len(decoder.members))]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileFormatError(f"expected a stored decoder, but there is no file {path}.")
    return path


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    inside = sorted(
        found.parent for pattern in ("*", "decoders/*") for found in folder.glob(f"{pattern}/{DESCRIPTION}")
    )
    if inside and not path.is_file():
        named = brief(", ".join(map(str, inside)))
        raise FileFormatError(f"expected a stored decoder, {folder} holds {len(inside)}. Give one of them: {named}")
    _existing(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"expected JSON in {path}, it could not be read: {error}.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise FileFormatError(f"{path} does not describe a stored decoder (no format {FORMAT!r}).")
    if found.get("format_version") != FORMAT_VERSION:
        raise FileFormatError(
            f"{path} is of format version {found.get('format_version')!r}, this is version {FORMAT_VERSION}: it was "
            f"written by spikesight {found.get('spikesight_version')!r}."
        )
    expected = {"decoder": str, "params": dict, "numbers": dict, "texts": list, "meta": dict}
    for key, kind in expected.items():
        if not isinstance(found.get(key), kind):
            raise FileFormatError(f"{path}: expected a {kind.__name__} under {key!r}, got {found.get(key)!r:.80}.")
    return found


def _make(description: dict[str, Any], arrays: Arrays, folder: Path) -> Any:
    name, params = description["decoder"], description["params"]
    try:
        return registry.make(name, **decode_params(params, arrays))
    except ConfigError as error:
        raise DecoderError(f"{folder} was stored by a decoder that is not here: {error}") from error
    except (TypeError, ImportError, AttributeError) as error:
        raise DecoderError(f"{folder}: cannot make the decoder {name!r} with {params!r}: {error}.") from error


def _check_state(decoder: Any, unit_ids: NDArray[Any] | None, folder: Path) -> None:
    """Check what every decoder has; a decoder's own arrays are checked by using them."""
    classes, shape = (
        getattr(decoder, "classes_", None),
        [getattr(decoder, key, None) for key in ("n_bins_", "n_units_")],
    )
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or not all(isinstance(size, int) for size in shape):
        raise FileFormatError(f"{folder} lacks the classes of the decoder, or the shape of a trial.")
    if unit_ids is None or unit_ids.shape != (decoder.n_units_,):
        raise FileFormatError(f"{folder} has no unit id for each of the decoder's {decoder.n_units_} units.")
    try:
        decoder.predict(np.zeros((1, decoder.n_bins_, decoder.n_units_)))
    except SpikesightError:
        raise
    except (ValueError, TypeError, IndexError, AttributeError, MemoryError, RuntimeError) as error:
        raise FileFormatError(f"{folder}: the stored arrays do not make a decoder: {error}.") from error

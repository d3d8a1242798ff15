"""``.npz`` files without pickle: safe reading of what may be damaged or made to harm, and writing."""

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spikesight.data.memory import available_memory
from spikesight.errors import FileFormatError, SpikesightError, brief

_MAX_DEFLATE: Final = 1032
"""Deflate never makes its input smaller than by this factor."""
_SLACK: Final = 4096
_DAMAGE: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and numpy raise on damaged files: numpy reads a header as Python writes it."""
_READ_HEADER: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an ``.npz`` file. Objects are refused: reading them would run code from the file.

    Raises
    ------
    FileFormatError
        If it is not such a file, is damaged, holds objects, or claims more values than it can hold.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
        return {name: values.astype(values.dtype.newbyteorder("="), copy=False) for name, values in arrays.items()}
    except SpikesightError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(
            f"expected a whole .npz file, {path} ({path.stat().st_size} bytes) could not be read: "
            f"{brief(error)}. Copy it again, or write it with numpy.savez_compressed."
        ) from error


def write_npz(file: IO[bytes], arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> None:
    """Write arrays to an open file, by name. ``numpy.savez`` refuses objects itself from numpy 2.1 on only.

    Raises
    ------
    ValueError
        If an array holds Python objects, which could only be pickled.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"expected arrays of numbers or text, {name!r} holds Python objects.")
    write = np.savez_compressed if compressed else np.savez
    write(file, **arrays)  # type: ignore[arg-type]  # its keyword allow_pickle, which no array of ours is called


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Compare what each array claims with what its bytes in the file can hold, before memory is taken for any."""
    left = available_memory()
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        with archive.open(member) as stream:
            version = npy.read_magic(stream)
            if version not in _READ_HEADER:
                raise FileFormatError(f"{path}: array {name!r} is of the unknown .npy version {version}.")
            shape, _, dtype = _READ_HEADER[version](stream)
        if dtype.hasobject:
            raise FileFormatError(
                f"{path}: array {name!r} holds Python objects, which are never read: they could run code. Save text as "
                "numpy strings (array.astype(str)) and numbers as numbers."
            )
        claimed = prod(shape) * dtype.itemsize
        room = member.compress_size * _MAX_DEFLATE + _SLACK
        if claimed > min(room, member.file_size):
            raise FileFormatError(
                f"{path}: array {name!r} claims {claimed} bytes (shape {shape}, {dtype}), its {member.compress_size} "
                f"bytes in the file cannot hold that. The file is damaged; copy it again."
            )
        left -= claimed
        if left < 0:
            raise FileFormatError(
                f"{path}: the arrays up to {name!r} (shape {shape}, {dtype}) take more memory than there is. Save "
                "fewer trials or units in one file, or read it on a larger machine."
            )

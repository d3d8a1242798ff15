"""Damage to ``.npz`` files that knows the format: headers, types, claims, objects, bombs, and the zip around them."""

import io
import os
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator
Members = list[tuple[str, bytes]]
MIB = 2**20

SHAPES = (
    "(1000000000000,)",
    "(4611686018427387904, 4)",
    "(-1,)",
    "(-5, -5)",
    "()",
    "(0,)",
    "(3.5,)",
    "(True,)",
    "3",
    "None",
    "(24,)",
    "(1,) * 3",
    "(" * 60 + ")" * 60,
    "(" + "1, " * 70 + ")",
    "(" + "9" * 5000 + ",)",
    "(24, 3, 5, 1)",
)
DESCRS = (
    "'|O'",
    "'<f8'",
    "'>i2'",
    "'<U1000000'",
    "'|S0'",
    "'<U0'",
    "'|V1000000000'",
    "'<m8[s]'",
    "'<M8[ns]'",
    "'<c16'",
    "'?'",
    "'<f2'",
    "'<u8'",
    "[('a', '<i4')]",
    "[('a', '|O')]",
    "('<f8', (1000000,))",
    "'nonsense'",
    "None",
    "'<f16'",
    "[]",
    "[('a', '<f8', (2,))]",
    "{'names': ['a'], 'formats': ['<f8'], 'offsets': [9], 'itemsize': 5}",
)
TYPES = ("f2", "f4", ">f8", "longdouble", "c8", "?", "i1", ">u8", "U3", "S2", "M8[s]", "m8[ms]", "V3")
NUMBERS = (np.nan, np.inf, -1, 0.5, 2**31, 2**32 + 1, 2**63 - 1, 1e300)
NAMES = (
    "target",
    "repeat",
    "trial",
    "unit",
    "time",
    "spike_counts",
    "area",
    "structure",
    "y",
    "groups",
    "a/b",
    " ",
    "x" * 300,
    "µ",
    "start_time",
    "published_like_qc",
    "stimulus_block",
    "stimulus_target",
    "stimulus_presentation_id",
    "file",
)


class Payload:
    """Unpickling it makes a file in the folder that nothing may be done to."""

    def __init__(self, outside: Path) -> None:
        self.outside = outside

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.outside / "executed"),)


def as_npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=True)
    return stream.getvalue()


def change_header(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    """Write another header in front of the same values."""
    place = int(rng.integers(len(members)))
    name, content = members[place]
    size = int.from_bytes(content[8:10], "little")
    try:
        descr, fortran, shape = _header_of(content)
    except ValueError:  # an edit before this one left none
        return
    way = int(rng.integers(5))
    if way == 0:
        descr = _pick(DESCRS, rng)
    elif way == 1:
        shape = _pick(SHAPES, rng)
    elif way == 2:
        fortran = _pick(("True", "1", "None", "'x'"), rng)
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    if way == 3:
        text = _pick(
            ("{}", "", "[]", "__import__('os').mkdir('executed')", text[:-1], text + " " * 20_000, "\x00" * 30), rng
        )
    version = _pick((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"), rng) if way == 4 else b"\x01\x00"
    head = text.encode("latin1") + b"\n"
    claimed = len(head) if rng.random() < 0.9 else int(rng.integers(0, 2**16))
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", min(claimed, 2**16 - 1))
    members[place] = (name, b"\x93NUMPY" + version + length + head + content[10 + size :])


def change_type(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    name = _pick(list(arrays), rng)
    dtype = np.dtype(_pick(TYPES, rng))
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(arrays[name]).astype(dtype)
    except (TypeError, ValueError):
        values = np.zeros(np.shape(arrays[name]), dtype)
    _put(members, name, values)


def change_values(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    name = _pick(list(arrays), rng)
    values = np.array(arrays[name])
    if values.dtype.kind not in "iuf" or not values.size:
        return
    with np.errstate(all="ignore"):  # what an earlier change put there need not fit
        values = values.astype(np.float64) if rng.random() < 0.5 else values.astype(np.int64)
    for place in rng.integers(0, values.size, rng.integers(1, 4)):
        number = _pick(NUMBERS, rng)
        whole = int(min(number, 2**63 - 1)) if np.isfinite(number) else -1
        values.reshape(-1)[place] = number if values.dtype.kind == "f" else whole
    _put(members, name, values)


def change_shape(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    name = _pick(list(arrays), rng)
    values = np.atleast_1d(arrays[name])
    ways = (
        values[:-1],
        values[:0],
        values[None],
        values[..., None],
        values.reshape(-1),
        values.reshape(-1)[0],
        values.T,
        np.asfortranarray(values),
        values[..., :0],
        np.concatenate([values, values]),
    )
    _put(members, name, ways[int(rng.integers(len(ways)))])


def repeat_values(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    name = _pick(list(arrays), rng)
    _put(members, name, np.full_like(arrays[name], np.asarray(arrays[name]).reshape(-1)[0]))


def remove(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    del members[int(rng.integers(len(members)))]


def add(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    """One more array, of an odd name or of the name of another one."""
    like = np.asarray(arrays[_pick(list(arrays), rng)])
    members.append((f"{_pick(NAMES, rng)}.npy", as_npy(like)))


def add_other(arrays: dict[str, Any], members: Members, rng: Rng) -> None:
    """A member that is no array, or has a path for a name."""
    name = _pick(
        ("readme.txt", "../../executed", "/executed", "X", "y", ".npy", "X.npy.npy", "folder/", "C:\\x.npy"), rng
    )
    members.append((name, _pick((b"", b"text", as_npy(np.arange(24)), b"\x93NUMPY"), rng)))


def add_objects(arrays: dict[str, Any], members: Members, rng: Rng, outside: Path) -> None:
    """Objects whose unpickling would run code; also as a pickle that bears the name of an array."""
    name = _pick([*arrays, "more"], rng)
    objects = np.array([Payload(outside)] * 3, dtype=object)
    raw = pickle.dumps(Payload(outside))
    _put(members, name, _pick((objects, objects[0], np.array([(Payload(outside), 1)], [("a", "O"), ("b", "i4")])), rng))
    if rng.random() < 0.3:
        members[-1] = (members[-1][0], raw)


EDITS: tuple[Callable[..., None], ...] = (
    *(change_header, change_header, change_type, change_type, change_values, change_values, change_shape, change_shape),
    *(repeat_values, remove, add, add, add_other, add_objects),
)


def spoil(content: bytes, rng: Rng, outside: Path) -> tuple[bytes, list[str]]:
    """Make another archive of the arrays, spoilt one to three times, and name what was done."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if rng.random() < 0.04:
        return bomb(rng), ["bomb"]
    members = [(f"{name}.npy", as_npy(values)) for name, values in arrays.items()]
    names = []
    for _ in range(int(rng.integers(1, 4))):
        edit = EDITS[rng.integers(len(EDITS))]
        if not members:
            break
        edit(arrays, members, rng, outside) if edit is add_objects else edit(arrays, members, rng)
        names.append(edit.__name__)
    method = int(_pick((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA), rng))
    spoilt = bytearray(archive(members, method))
    if rng.random() < 0.25:
        names.append(_spoil_directory(spoilt, rng))
    return bytes(spoilt), names


def archive(members: Members, method: int) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as file:
        warnings.simplefilter("ignore")  # of members of the same name
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def bomb(rng: Rng) -> bytes:
    """An array ``X`` of zeros that is honest about its size: an eighth of a GiB to 8, in at most 8 MB."""
    mebibytes = int(_pick((128, 200, 1800, 8192), rng))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (mebibytes, MIB)})
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = compressor.compress(header.getvalue()) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    packed = begin + block * mebibytes + compressor.flush(zlib.Z_FINISH)
    name, size = b"X.npy", len(header.getvalue()) + mebibytes * MIB
    wide = struct.pack("<HHQQ", 1, 16, size, len(packed))
    fields = struct.pack("<HHHHHIII", 45, 0, 8, 0, 33, 0, 2**32 - 1, 2**32 - 1)
    local = b"PK\x03\x04" + fields + struct.pack("<HH", len(name), len(wide)) + name + wide
    central = b"PK\x01\x02" + struct.pack("<H", 45) + fields
    central += struct.pack("<HHHHHII", len(name), len(wide), 0, 0, 0, 0, 0) + name + wide
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    return local + packed + central + end


def _spoil_directory(content: bytearray, rng: Rng) -> str:
    """Lie in the zip's own fields: sizes, checksum, method, flags, offsets."""
    signature, fields = _pick(((b"PK\x01\x02", 46), (b"PK\x03\x04", 30), (b"PK\x05\x06", 22)), rng)
    places = [at for at in range(len(content) - 3) if content[at : at + 4] == signature]
    at = int(places[int(rng.integers(len(places)))]) + int(rng.integers(4, fields))
    size = int(rng.integers(1, 5))
    content[at : at + size] = bytes(int(b) for b in rng.choice([0, 1, 8, 99, 127, 255], size))
    return "spoil_directory"


def _header_of(content: bytes) -> tuple[str, str, str]:
    stream = io.BytesIO(content)
    np.lib.format.read_magic(stream)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    return repr(np.lib.format.dtype_to_descr(dtype)), str(fortran), repr(shape)


def _put(members: Members, name: str, values: Any) -> None:
    members[:] = [member for member in members if member[0] != f"{name}.npy"] + [(f"{name}.npy", as_npy(values))]


def _pick(among: Any, rng: Rng) -> Any:
    return among[int(rng.integers(len(among)))]

"""Damage that HDF5 takes for a sound file: other types and shapes, values at the edge, links, claims, filters."""

import contextlib
import functools
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

Rng = np.random.Generator
TEXT = h5py.string_dtype()
NUMBERS = (np.nan, np.inf, -np.inf, -1, 0, 1, 0.5, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1e300, 5e-324, -0.0)
TYPES = (
    *("i1", "u1", ">i2", "<u4", "i8", ">u8", "f2", "<f4", ">f8", "longdouble", "c16", "?", "S3", "V5"),
    *(TEXT, h5py.string_dtype("ascii"), h5py.string_dtype(length=4), h5py.vlen_dtype("i4"), h5py.vlen_dtype("f8")),
    *(
        [("a", "i4"), ("b", "f8")],
        ("f8", (2,)),
        h5py.enum_dtype({"a": 1, "b": 2}),
        h5py.ref_dtype,
        h5py.regionref_dtype,
    ),
)
TEXTS = (
    b"",
    b"good",
    b"\xff\xfe\x80",
    b"nan",
    b"None",
    b"-1",
    b"1e999",
    b"[1, 2",
    b"[]",
    b"1_000",
    b"a/b",
    b"x" * 70_000,
    "µ\U0001f400".encode(),
    b"  ",
    b"%s{0}",
)

BOMB_BYTES = 64 * 2**20


@functools.cache
def packed_zeros() -> bytes:
    """One chunk of a bomb."""
    return zlib.compress(bytes(BOMB_BYTES), 9)


class Spoiler:
    """Edits one file; ``outside`` is a folder that nothing may ever be read from."""

    def __init__(self, file: h5py.File, rng: Rng, outside: Path) -> None:
        self.file, self.rng, self.outside = file, rng, outside
        self.names: list[str] = []
        self.datasets: list[str] = []

        def note(name: str, node: object) -> None:
            self.names.append(name)
            if isinstance(node, h5py.Dataset):
                self.datasets.append(name)

        file.visititems(note)

    def pick(self, among: object) -> object:
        return among[int(self.rng.integers(len(among)))]

    def name(self) -> str:
        return str(self.pick(self.datasets))

    def group(self) -> str:
        return str(self.pick([name for name in self.names if name not in self.datasets] or ["/"]))

    def put(self, name: str, **options: object) -> None:
        """Put another dataset in place of one; its attributes stay."""
        attributes = dict(self.file[name].attrs)
        del self.file[name]
        made = self.file.create_dataset(name, **options)
        made.attrs.update(attributes)

    def remove(self) -> None:
        del self.file[str(self.pick(self.names))]

    def change_values(self) -> None:
        found = self.file[self.name()]
        if found.dtype.kind not in "biuf" or not found.size:
            return
        values = found[()]
        flat = np.array(values).reshape(-1)
        with np.errstate(all="ignore"):
            for place in self.rng.integers(0, flat.size, self.rng.integers(1, 5)):
                number = self.pick(NUMBERS)
                if flat.dtype.kind != "f":
                    info = np.iinfo(flat.dtype) if flat.dtype.kind in "iu" else np.iinfo(np.uint8)
                    number = int(np.clip(np.nan_to_num(number), info.min, info.max)) if np.isfinite(number) else -1 % 2
                flat[place] = number
        found[...] = flat.reshape(np.shape(values))

    def change_order(self) -> None:
        found = self.file[self.name()]
        if found.ndim == 1 and found.size:
            values = found[...]
            way = int(self.rng.integers(4))
            found[...] = (
                values[::-1],
                values[self.rng.permutation(values.size)],
                np.full_like(values, values[0]),
                np.roll(values, 1),
            )[way]

    def change_type(self) -> None:
        name, dtype = self.name(), self.pick(TYPES)
        found = self.file[name]
        dtype = np.dtype(dtype)
        try:
            with np.errstate(all="ignore"):
                values = found[()].astype(dtype)
        except (TypeError, ValueError, AttributeError):
            self.put(name, shape=found.shape, dtype=dtype)
        else:
            self.put(name, data=values, dtype=dtype)

    def change_shape(self) -> None:
        name = self.name()
        found = self.file[name]
        if found.shape is None or found.dtype.kind not in "biuf":
            n = len(found) if found.ndim else 1
            shape = self.pick(((), (0,), (n + 1,), (n, 1), (1, n), (2, 2, 2)))
            self.put(name, shape=shape, dtype=found.dtype)
            return
        values = np.atleast_1d(found[()])
        ways = (
            values[:-1],
            np.concatenate([values, values[:1]]),
            values[:, None],
            values[None],
            values[:0],
            values[:1],
        )
        way = int(self.rng.integers(len(ways) + 2))
        if way < len(ways):
            self.put(name, data=ways[way])
        elif way == len(ways) and values.size:
            self.put(name, data=values.reshape(-1)[0])
        else:
            self.put(name, data=h5py.Empty(values.dtype))

    def claim(self) -> None:
        """Claim far more values than there are, or what is just allowed to be claimed."""
        name = self.name()
        dtype = self.file[name].dtype
        size = int(self.pick((10**12, 2**40, 2**31, 2**26, 2**23, 2**20)))
        shape = self.pick(((size,), (size, 2), (2, size), (2**31, 2**31)))
        way = int(self.rng.integers(5))
        options = (
            {},
            {"chunks": True},
            {"chunks": True, "compression": "gzip"},
            {"chunks": (2**20,) * len(shape)},
            {"chunks": True, "fillvalue": 1},
        )[way]
        self.put(name, shape=shape, dtype=dtype, **options)

    def change_text(self) -> None:
        name = str(self.pick([n for n in self.datasets if self.file[n].dtype.kind in "OS"] or self.datasets))
        found = self.file[name]
        size = found.size if found.shape else 1
        texts = [self.pick(TEXTS) for _ in range(int(size or 1))]
        if self.rng.random() < 0.5:
            self.put(name, data=np.array(texts if found.shape else texts[0], object), dtype=TEXT)
        else:
            short = [text[:40] for text in texts]
            self.put(name, data=np.array(short if found.shape else short[0], "S40"))

    def change_attribute(self) -> None:
        node = self.file["/" if self.rng.random() < 0.3 else self.name()]
        known = [*node.attrs, "conversion", "offset", "rate", "colnames", "nwb_version", "_FillValue", "scale_factor"]
        name = str(self.pick(known))
        values = (
            np.nan,
            -1,
            0,
            "x",
            b"\xff\xfe",
            [1.0, 2.0],
            ["a", "b"],
            [],
            h5py.Empty("f8"),
            np.full(5000, 7),
            "2",
            "x" * 60_000,
            True,
            self.file.ref,
            np.zeros(2, [("a", "i4")]),
            "2.0\udce9",
            1e308,
        )
        way = int(self.rng.integers(len(values) + 1))
        if way == len(values):
            node.attrs.pop(name, None)
        else:
            node.attrs[name] = values[way]

    def change_links(self) -> None:
        name, other = str(self.pick(self.names)), str(self.pick(self.names))
        parent = self.file[name].parent.name
        del self.file[name]
        ways = (
            *(
                h5py.SoftLink("/nowhere"),
                h5py.SoftLink("/" + name),
                h5py.SoftLink("/" + other),
                h5py.SoftLink("/"),
                h5py.SoftLink("."),
            ),
            *(
                h5py.ExternalLink(self.outside / "outside.nwb", "/" + name),
                h5py.ExternalLink("outside/outside.nwb", "/" + name),
            ),
            *(h5py.ExternalLink("", "/" + other), h5py.ExternalLink("/dev/zero", "/"), None, "parent"),
        )
        way = self.pick(ways)
        if way == "parent":
            self.file[name] = self.file[parent]
        else:
            self.file[name] = self.file[other] if way is None else way

    def swap(self) -> None:
        one, other = self.name(), self.name()
        if one != other:
            self.file.move(one, "swapped")
            self.file.move(other, one)
            self.file.move("swapped", other)

    def store_outside(self) -> None:
        name = self.name()
        found = self.file[name]
        shape = found.shape or (4,)
        external = [(str(self.outside / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
        self.put(name, shape=shape, dtype="f8" if found.dtype.kind not in "iuf" else found.dtype, external=external)

    def view(self) -> None:
        """A virtual dataset of another file, of this file, or of itself."""
        name = self.name()
        found = self.file[name]
        shape, dtype = found.shape or (4,), found.dtype
        source = str(self.pick((str(self.outside / "outside.nwb"), ".", self.file.filename, "no.nwb")))
        layout = h5py.VirtualLayout(shape, dtype)
        layout[...] = h5py.VirtualSource(source, "/" + str(self.pick((name, self.name()))), shape)
        del self.file[name]
        self.file.create_virtual_dataset(name, layout)

    def bomb(self) -> None:
        """Values that are honest about their size, an eighth of a GiB to 4, in at most 4 MB."""
        name = self.name()
        chunks = int(self.pick((2, 32, 64)))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((BOMB_BYTES // 8,))
        plist.set_deflate(9)
        kind = h5py.h5t.NATIVE_DOUBLE if self.file[name].dtype.kind == "f" else h5py.h5t.NATIVE_INT64
        space = h5py.h5s.create_simple((chunks * BOMB_BYTES // 8,))
        del self.file[name]
        made = h5py.h5d.create(self.file.id, name.encode(), kind, space, plist)
        for chunk in range(chunks):
            made.write_direct_chunk((chunk * BOMB_BYTES // 8,), packed_zeros())

    def filter(self) -> None:
        """Filters that are unknown here, or that do not fit."""
        name = self.name()
        found = self.file[name]
        if not found.shape or found.dtype.kind not in "iuf":
            return
        values = found[...]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(tuple(max(1, n) for n in found.shape))
        number = int(self.pick((32001, 32015, 4, 5, 6, 1, 2, 3)))
        options = (0, 2**31 - 1, int(self.rng.integers(2**31)))
        plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, options[: int(self.rng.integers(4))])
        space, kind = h5py.h5s.create_simple(found.shape), found.id.get_type()
        del self.file[name]
        made = h5py.h5d.create(self.file.id, name.encode(), kind, space, plist)
        made.write_direct_chunk((0,) * values.ndim, values.tobytes(), filter_mask=int(self.pick((0, 1))))

    def change_kind(self) -> None:
        """A group in place of a dataset, a dataset in place of a group, a type in place of either."""
        name = str(self.pick(self.names))
        was_group = isinstance(self.file[name], h5py.Group)
        del self.file[name]
        if self.rng.random() < 0.3:
            self.file[name] = np.dtype("f8")
        elif was_group:
            self.file[name] = [1.0, 2.0]
        else:
            self.file.create_group(name + "/deeper")

    def add(self) -> None:
        """One more column or table, of an odd name."""
        names = (
            "id",
            "tags",
            "area",
            "target",
            "repeat",
            "frame",
            "start_time",
            "unit_id",
            "invalid_times",
            "valid_data",
            "spike_times_index",
            "_presentations",
            "trial",
            "a_index",
            " ",
            "µ",
            "x" * 500,
            "stimulus_block",
        )
        path = f"{self.group()}/{self.pick(names)}"
        if path in self.file:
            return
        like = self.file[self.name()]
        if self.rng.random() < 0.2:
            self.file.copy(self.file[self.group()], path)
        elif like.shape is not None:
            self.file.create_dataset(path, shape=(like.shape or (3,)), dtype=self.pick(("f8", "i8", TEXT, "?", "S4")))


EDITS: tuple[Callable[[Spoiler], None], ...] = (
    *(Spoiler.remove, Spoiler.change_values, Spoiler.change_values, Spoiler.change_values, Spoiler.change_order),
    *(
        Spoiler.change_type,
        Spoiler.change_type,
        Spoiler.change_shape,
        Spoiler.change_shape,
        Spoiler.claim,
        Spoiler.change_text,
    ),
    *(
        Spoiler.change_attribute,
        Spoiler.change_links,
        Spoiler.swap,
        Spoiler.store_outside,
        Spoiler.view,
        Spoiler.filter,
    ),
    *(Spoiler.change_kind, Spoiler.add, Spoiler.bomb),
)


def spoil(path: Path, rng: Rng, outside: Path) -> list[str]:
    """Edit a file one to three times, and name what was done. What HDF5 itself refuses to write is left out."""
    done = []
    with h5py.File(path, "r+") as file:
        for _ in range(int(rng.integers(1, 4))):
            edit = EDITS[rng.integers(len(EDITS))]
            with contextlib.suppress(Exception):
                spoiler = Spoiler(file, rng, outside)
                edit(spoiler)
                done.append(edit.__name__)
    return done

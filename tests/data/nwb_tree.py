"""What an HDF5 file holds, in a form that two files can be compared in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@dataclass(frozen=True)
class Node:
    """A group, dataset or soft link: its form (what must be equal to be the same layout) and its values."""

    form: tuple[Any, ...]
    attributes: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    values: Any = None
    attribute_values: dict[str, Any] = field(default_factory=dict)


def read_tree(path: Path | str) -> dict[str, Node]:
    """Describe every object of the file by its path."""
    nodes: dict[str, Node] = {}
    with h5py.File(path, "r", locking=False) as file:
        nodes["/"] = _describe(file, file["/"])
        _walk(file, file["/"], nodes)
    return nodes


def _walk(file: h5py.File, group: h5py.Group, nodes: dict[str, Node]) -> None:
    for name in group:
        path = f"{group.name.rstrip('/')}/{name}"
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            nodes[path] = Node(("soft link", link.path))
            continue
        nodes[path] = _describe(file, group[name])
        if isinstance(group[name], h5py.Group):
            _walk(file, group[name], nodes)


def _describe(file: h5py.File, node: h5py.Group | h5py.Dataset) -> Node:
    form: tuple[Any, ...] = ("group",)
    values = None
    if isinstance(node, h5py.Dataset):
        form = ("dataset", node.shape, node.maxshape, _type(node.dtype), node.chunks, node.compression)
        values = _plain(file, node[()])
    kinds = {name: (_type(node.attrs.get_id(name).dtype), node.attrs.get_id(name).shape) for name in node.attrs}
    return Node(form, kinds, values, {name: _plain(file, value) for name, value in node.attrs.items()})


def _type(dtype: np.dtype) -> Any:
    if dtype.names:
        return tuple((name, _type(dtype[name])) for name in dtype.names)
    text = h5py.check_string_dtype(dtype)
    if text is not None:
        return ("text", text.encoding, text.length)
    if h5py.check_ref_dtype(dtype) is not None:
        return h5py.check_ref_dtype(dtype).__name__
    return dtype.str


def _plain(file: h5py.File, value: Any) -> Any:
    """Values as plain Python, with a reference replaced by the path it points to."""
    if isinstance(value, h5py.Reference):
        return file[value].name
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.void):
        return tuple(_plain(file, value[name]) for name in value.dtype.names)
    if isinstance(value, np.ndarray) and (value.dtype.kind == "O" or value.dtype.names):
        return [_plain(file, item) for item in value]
    return value

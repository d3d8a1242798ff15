"""Read all of an HDF5 file with h5py alone: what kills this process kills it inside the library.

python fuzz_plain.py file
"""

import contextlib
import faulthandler
import resource
import sys

import h5py

MEMORY = 2 * 2**30
SECONDS = 2
LARGEST = 64 * 2**20


def walk(group, seen):
    for name in list(group):
        with contextlib.suppress(Exception):
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                continue
            node = group[name]
            with contextlib.suppress(Exception):
                dict(node.attrs)
            if isinstance(node, h5py.Group) and node.id not in seen:
                seen.append(node.id)
                walk(node, seen)
            elif isinstance(node, h5py.Dataset) and not node.external and not node.is_virtual:
                node.id.get_storage_size()
                if node.size is not None and node.size * node.dtype.itemsize <= LARGEST:
                    _ = node[()]


def main(path):
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    with contextlib.suppress(Exception):
        h5py.is_hdf5(path)
        with h5py.File(path, "r", locking=False) as file:
            dict(file.attrs)
            walk(file, [])


if __name__ == "__main__":
    main(sys.argv[1])

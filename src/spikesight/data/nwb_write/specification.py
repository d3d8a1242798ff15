"""The definitions of all types in a file, cached in the file itself, without which no reader knows what a probe is.

``schema/`` holds one JSON file per namespace, in the NWB specification language: the NWB core and HDMF common as their
authors published them (see LICENSE.nwb-schema.txt there), and the types that the Allen Institute's files use of
ndx-aibs-ecephys 0.2.0, whose names, dtypes and attributes are those of the files and whose wording is ours. Real files
cache all three. AllenSDK 2.16 and pynwb 4 would read a file with the extension alone, but the validator of pynwb, and
with it NWB Inspector, refuses one whose extension builds on a namespace that is not there; any newer core makes
AllenSDK fail.
"""

import json
from importlib.resources import files
from typing import Final

import h5py

from spikesight.data.nwb_write.nodes import TEXT

EXTENSION: Final = "ndx-aibs-ecephys"
NAMESPACES: Final = {"core": "2.2.5", "hdmf-common": "1.1.3", EXTENSION: "0.2.0"}
"""Every namespace that is cached, and its version."""


def write_specifications(file: h5py.File) -> None:
    """Cache every namespace in ``/specifications`` and point the root's ``.specloc`` there."""
    for name, version in NAMESPACES.items():
        resource = files(__package__).joinpath("schema", f"{name}-{version}.json")
        folder = file.create_group(f"/specifications/{name}/{version}")
        for source, content in json.loads(resource.read_text(encoding="utf-8")).items():
            folder.create_dataset(source, data=json.dumps(content, separators=(",", ":")), dtype=TEXT)
    file.attrs[".specloc"] = file["/specifications"].ref

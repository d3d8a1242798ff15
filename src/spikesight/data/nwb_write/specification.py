"""The cached definition of the Allen extension's types, without which no reader knows what a probe is.

``ndx-aibs-ecephys.json`` describes the types of namespace ndx-aibs-ecephys, version 0.2.0, in the NWB specification
language: the names, dtypes and attributes are those of the Allen Institute's files, the wording is ours. The NWB core
is deliberately not cached: AllenSDK 2.16 and pynwb 4 each bring a core of their own and clash with any other.
"""

import json
from importlib.resources import files
from typing import Final

import h5py

from spikesight.data.nwb_write.nodes import TEXT

EXTENSION: Final = "ndx-aibs-ecephys"
RESOURCE: Final = "ndx-aibs-ecephys.json"


def write_specification(file: h5py.File) -> None:
    """Cache the extension in ``/specifications`` and point the root's ``.specloc`` there."""
    definition = json.loads(files(__package__).joinpath(RESOURCE).read_text(encoding="utf-8"))
    version = definition["namespace"]["namespaces"][0]["version"]
    folder = file.create_group(f"/specifications/{EXTENSION}/{version}")
    for name, content in (("namespace", definition["namespace"]), (f"{EXTENSION}.extension", definition["extension"])):
        folder.create_dataset(name, data=json.dumps(content, separators=(",", ":")), dtype=TEXT)
    file.attrs[".specloc"] = file["/specifications"].ref

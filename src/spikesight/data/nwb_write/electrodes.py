"""Probes, their electrode groups, and the table of recording sites."""

from typing import Final, Literal

import h5py
import numpy as np
import pandas as pd

from spikesight.data.nwb_write.columns import Kind, write_column
from spikesight.data.nwb_write.nodes import TABLES, NwbNodes, checked_name
from spikesight.data.nwb_write.specification import EXTENSION
from spikesight.errors import DataError

SAMPLING_RATE: Final = 30_000.0
LFP_SAMPLING_RATE: Final = 2_500.0
"""Nominal rates of a Neuropixels 1.0 probe (samples / s); a Session does not hold those that were measured."""
FILTERING: Final = "AP band: 500 Hz high-pass; LFP band: 1000 Hz low-pass"

REFERENCE: Final = "group"
COLUMNS: Final[dict[str, tuple[Kind | Literal["reference"], str]]] = {
    "x": ("float", "the x coordinate of the channel location"),
    "y": ("float", "the y coordinate of the channel location"),
    "z": ("float", "the z coordinate of the channel location"),
    "imp": ("float", "the impedance of the channel"),
    "location": ("text", "the location of channel within the subject e.g. brain region"),
    "filtering": ("text", "description of hardware filtering"),
    REFERENCE: ("reference", "a reference to the ElectrodeGroup this electrode is a part of"),
    "group_name": ("text", "the name of the ElectrodeGroup this electrode is a part of"),
    "probe_vertical_position": ("int", "Length-wise position of electrode/channel on device (microns)"),
    "probe_horizontal_position": ("int", "Width-wise position of electrode/channel on device (microns)"),
    "probe_id": ("int", "The unique id of this electrode's/channel's device"),
    "local_index": ("int", "The local index of electrode/channel on device"),
    "valid_data": ("bool", "Whether data from this electrode/channel is usable"),
}
"""Columns of the electrodes table in the files' order: kind and description."""
DEFAULTS: Final[dict[str, float | str]] = {"imp": np.nan, "filtering": FILTERING}


def write_electrodes(nodes: NwbNodes, channels: pd.DataFrame) -> None:
    """Write ``/general/devices`` and ``/general/extracellular_ephys``.

    Parameters
    ----------
    nodes
        The file.
    channels
        One row per site, index the channel id, columns as in ``Session.channels``.

    Raises
    ------
    DataError
        If a column is missing, a probe has two ids, or a value is missing where the file needs a whole number.
    """
    required = [name for name in COLUMNS if name not in DEFAULTS and name != REFERENCE]
    missing = [name for name in required if name not in channels]
    if missing:
        raise DataError(
            f"the Allen layout needs a table of recording sites; Session.channels lacks the columns {missing}. "
            f"It has {list(channels.columns)}."
        )
    groups = _write_probes(nodes, channels)
    table = nodes.table(
        "/general/extracellular_ephys/electrodes",
        list(COLUMNS),
        channels.index,
        "metadata about extracellular electrodes",
        "DynamicTable",
        TABLES,
    )
    absent = {name: pd.Series(value, channels.index) for name, value in DEFAULTS.items() if name not in channels}
    complete = channels.assign(**absent)
    for name, (kind, description) in COLUMNS.items():
        if kind == "reference":
            references = np.array([groups[probe].ref for probe in channels["group_name"]], h5py.ref_dtype)
            nodes.column(table, name, references, description, h5py.ref_dtype)
        else:
            write_column(nodes, table, complete[name], kind, description)


def _write_probes(nodes: NwbNodes, channels: pd.DataFrame) -> dict[str, h5py.Group]:
    nodes.file.create_group("/general/devices")
    nodes.file.create_group("/general/extracellular_ephys")
    groups = {}
    for probe, rows in channels.groupby("group_name", sort=True):
        name = checked_name(str(probe), "probe")
        ids = rows["probe_id"].unique()
        if len(ids) != 1:
            raise DataError(f"expected one probe_id per probe; {name!r} has {ids.tolist()}.")
        probe_id = np.int64(ids[0])
        nodes.group(
            f"/general/devices/{name}",
            "EcephysProbe",
            EXTENSION,
            description="Neuropixels 1.0 Probe",
            manufacturer="imec",
            probe_id=probe_id,
            sampling_rate=SAMPLING_RATE,
        )
        groups[name] = nodes.group(
            f"/general/extracellular_ephys/{name}",
            "EcephysElectrodeGroup",
            EXTENSION,
            description="Ecephys Electrode Group",
            has_lfp_data=np.False_,
            lfp_sampling_rate=LFP_SAMPLING_RATE,
            location="See electrode locations",
            probe_id=probe_id,
        )
        groups[name]["device"] = h5py.SoftLink(f"/general/devices/{name}")
    return groups

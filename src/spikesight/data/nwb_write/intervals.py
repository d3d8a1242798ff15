"""Stimulus presentations and invalid times: tables of intervals."""

from collections.abc import Mapping
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.nwb_write.columns import Kind, write_column
from spikesight.data.nwb_write.nodes import TEXT, NwbNodes, checked_name
from spikesight.errors import PresentationsError

SPONTANEOUS: Final = "spontaneous"
"""Grey screen between stimuli: belongs to no block."""
TIMESTAMPS: Final = "/processing/stimulus/timestamps"
MISSING_TEXT: Final = "N/A"
"""How the files write a text that a presentation does not have."""

LEADING: Final = ("start_time", "stop_time", "stimulus_name", "stimulus_block", "stimulus_index")
DESCRIPTIONS: Final = {
    "start_time": "Start time of epoch, in seconds",
    "stop_time": "Stop time of epoch, in seconds",
    "stimulus_name": "Name of stimulus",
    "stimulus_block": "Index of contiguous presentations of one stimulus type",
    "stimulus_index": "Index of stimulus type",
    "frame": "Frame of movie stimulus",
    "contrast": "Contrast of stimulus",
    "mask": "Shape of mask applied to stimulus",
    "opacity": "Opacity of stimulus",
    "orientation": "Orientation of stimulus",
    "phase": "Phase of grating stimulus",
    "size": "Size of stimulus (see \u2018units\u2019 field for units)",
    "spatial_frequency": "Spatial frequency of stimulus",
    "temporal_frequency": "Temporal frequency of stimulus",
    "units": "Units of stimulus size",
    "x_position": "Horizontal position of stimulus on screen",
    "y_position": "Vertical position of stimulus on screen",
}
TAGS: Final = "user-defined tags"


def write_presentations(nodes: NwbNodes, presentations: Mapping[str, pd.DataFrame]) -> None:
    """Write one ``/intervals/<stimulus>_presentations`` per stimulus, and the clock that they refer to.

    ``stimulus_block`` and ``stimulus_index`` are worked out where a table lacks them: blocks are runs of one stimulus
    over the whole session, an index numbers the stimuli in the order in which they first appear.

    Parameters
    ----------
    nodes
        The file.
    presentations
        As in ``Session.stimulus_presentations``; numbers are stored as float64, columns without a value left out.

    Raises
    ------
    PresentationsError
        If a start or stop time is missing.
    DataError
        If a stimulus' name cannot name a group.
    """
    for name, table in presentations.items():
        bad = table[["start_time", "stop_time"]].isna().any(axis=1)
        if bad.any():
            raise PresentationsError(f"{int(bad.sum())} presentations of {name!r} lack a start or stop time.")
    starts = [table["start_time"].to_numpy(np.float64) for table in presentations.values()]
    clock = np.unique(np.concatenate(starts)) if starts else np.empty(0)
    nodes.module("stimulus", "Stimulus Times processing")
    nodes.time_series(TIMESTAMPS, clock, clock, "s")
    for name, table in sorted(with_blocks(presentations).items()):
        if len(table):
            _write_table(nodes, name, table, clock)


def with_blocks(presentations: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add ``stimulus_name``, ``stimulus_block`` and ``stimulus_index`` where missing; the spontaneous has no block."""
    rows = [
        pd.DataFrame({"name": name, "start": table["start_time"].to_numpy(np.float64), "row": np.arange(len(table))})
        for name, table in presentations.items()
        if name != SPONTANEOUS
    ]
    order = pd.concat(rows).sort_values("start", kind="stable") if rows else pd.DataFrame({"name": [], "row": []})
    block = (order["name"] != order["name"].shift()).cumsum() - 1
    index = {name: float(number) for number, name in enumerate(order["name"].unique())}
    completed = {}
    for name, table in presentations.items():
        new: dict[str, Any] = {} if "stimulus_name" in table else {"stimulus_name": name}
        if name != SPONTANEOUS:
            mine = order["name"] == name
            blocks = block[mine].iloc[np.argsort(order.loc[mine, "row"].to_numpy())].to_numpy(np.float64)
            new |= {} if "stimulus_block" in table else {"stimulus_block": blocks}
            new |= {} if "stimulus_index" in table else {"stimulus_index": index.get(name, np.nan)}
        completed[name] = table.assign(**new)
    return completed


def write_invalid_times(nodes: NwbNodes, invalid_times: pd.DataFrame) -> None:
    """Write ``/intervals/invalid_times``; as in the files there is no such table where nothing is invalid."""
    if not len(invalid_times):
        return
    table = nodes.table(
        "/intervals/invalid_times",
        ["start_time", "stop_time", "tags"],
        invalid_times.index,
        "experimental intervals",
        "TimeIntervals",
    )
    for name in ("start_time", "stop_time"):
        write_column(nodes, table, invalid_times[name], "float", DESCRIPTIONS[name])
    tags = [list(row) for row in invalid_times["tags"]]
    ends = np.cumsum([len(row) for row in tags], dtype=np.int64)
    flat = np.array([tag for row in tags for tag in row], "O")
    nodes.ragged_column(table, "tags", flat.shape, ends, TAGS, TEXT)[:] = flat


def _write_table(nodes: NwbNodes, name: str, table: pd.DataFrame, clock: NDArray[np.float64]) -> None:
    own = sorted(str(column) for column in table.columns if column not in LEADING)
    columns = [column for column in (*LEADING, *own) if column in table and table[column].notna().any()]
    group = nodes.table(
        f"/intervals/{checked_name(name, 'stimulus')}_presentations",
        [*columns, "tags", "timeseries"],
        table.index,
        f"Presentation times and stimuli details for '{name}' stimuli",
        "TimeIntervals",
    )
    for column in columns:
        kind: Kind = "float" if pd.api.types.is_numeric_dtype(table[column]) else "text"
        description = DESCRIPTIONS.get(column, "No description")
        write_column(nodes, group, table[column], kind, description, MISSING_TEXT)
    ends = np.arange(1, len(table) + 1)
    tags = nodes.ragged_column(group, "tags", (len(table),), ends, TAGS, TEXT)
    tags[:] = np.full(len(table), "stimulus_time_interval", "O")
    _write_timeseries(nodes, group, table, clock)


def _write_timeseries(nodes: NwbNodes, group: h5py.Group, table: pd.DataFrame, clock: NDArray[np.float64]) -> None:
    """For each presentation, the stretch of the stimulus clock that lies in it."""
    dtype = np.dtype([("idx_start", np.int32), ("count", np.int32), ("timeseries", h5py.ref_dtype)])
    first = np.searchsorted(clock, table["start_time"].to_numpy(np.float64))
    after = np.searchsorted(clock, table["stop_time"].to_numpy(np.float64))
    rows = np.empty(len(table), dtype)
    rows["idx_start"], rows["count"] = first, after - first
    rows["timeseries"] = nodes.file[TIMESTAMPS].ref
    ends = np.arange(1, len(table) + 1)
    nodes.ragged_column(group, "timeseries", (len(table),), ends, "index into a TimeSeries object", dtype)[:] = rows

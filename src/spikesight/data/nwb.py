"""Read a session from an NWB file: AllenSDK's layout, or any NWB 2 file with units and interval tables."""

import os
from collections.abc import Mapping
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.location import Located, find
from spikesight.data.nwb_file import NwbFile, OpenableNwb, as_text, dataset, member, read_text, read_values
from spikesight.data.nwb_remote import RemoteNwbFile
from spikesight.data.nwb_tables import LazyTables, ragged_column, read_intervals, read_table
from spikesight.data.public_source import RemoteFile, Source
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import FileFormatError, brief
from spikesight.tracking.progress import Progress

UNKNOWN_AREAS: Final = frozenset({"", "None"})
"""What the files write where a channel lies in no structure; AllenSDK takes the same two as missing."""

_ELECTRODES: Final = "/general/extracellular_ephys/electrodes"
_INTERVALS: Final = "/intervals"
_PRESENTATIONS: Final = "_presentations"
_NEWER_NAMES: Final = {"probe_channel_number": "local_index"}
"""What AllenSDK 2.16 calls a column of the electrodes, and the name in the published files."""
_JOINED: Final = {
    "location": "area",
    "group_name": "probe",
    "probe_vertical_position": "probe_vertical_position",
    "x": "anterior_posterior_ccf_coordinate",
    "y": "dorsal_ventral_ccf_coordinate",
    "z": "left_right_ccf_coordinate",
    "valid_data": "valid_data",
}
"""What a unit is told of its peak channel: the electrodes' column, and its name among the units (AllenSDK's)."""


def read_session(
    path: str | os.PathLike[str] | int | RemoteFile,
    *,
    filters: UnitFilters | None = UnitFilters(),  # noqa: B008
    source: Source = "s3",
    progress: Progress | None = None,
) -> Session:
    """Read a session from an NWB 2 file; spikes and presentations are read later, when they are asked for.

    Read at once: the plain columns of the units table, electrodes, invalid times, subject, and running speed and
    pupil where present (some MB). Read on demand, opening the file anew: ``spike_times`` per unit or in few
    large stretches, each table of ``stimulus_presentations``, ``spike_amplitudes`` and ``mean_waveforms``. The session
    can be pickled. Interval tables lose the ending ``_presentations`` of their name; their columns ``tags`` and
    ``timeseries`` are not read.

    A unit's ``area`` is the ``location`` of its peak channel (``peak_channel_id``), else of the first of its
    ``electrodes``, else its own column ``area`` or ``location``, else "". Acronyms stay as in the file.

    Parameters
    ----------
    path
        An NWB 2 file, in the layout of AllenSDK or any other with a units table; columns that are missing are
        optional, but for the spike times. Its path; the id of a public session; or an address (``s3://bucket/key``,
        ``https://``, ``dandi:000021/<session>``). Of a file on a server only what is needed is read.
    filters
        Quality filters on units; None keeps all. What each removed is in ``dropped_units`` of the session; a filter
        whose column the file lacks is not in ``unit_filters``.
    source
        Where a public session is read that is named by its id: ``"s3"`` (the Allen Institute's bucket) or ``"dandi"``.
    progress
        Hears how far the reading from a server is.

    Raises
    ------
    FileFormatError
        If there is no such file, it is not NWB 2 with a units table, is truncated or damaged, or keeps what is read
        here in other files (external links and external storage are refused).
    NoUnitsError
        If no unit passes the filters; says which filter removed how many.
    UnitIdsError
        If a unit id occurs more than once.
    RemoteError
        If a server cannot be reached, refuses, or sends something else than it announced.
    """
    file = _file(path if isinstance(path, RemoteFile) else find(path, source), progress)
    with file.open() as root:
        table = _group(root, "/units")
        if table is None:
            raise FileFormatError(
                f"expected a units table (sorted spikes) in {file.name}, it holds {brief(sorted(root))}. "
                "Files of one probe's LFP have none; give the session's file."
            )
        id_column = dataset(table, "id")
        ids = np.empty(0) if id_column is None else read_values(id_column)
        spike_times = None if id_column is None else _ragged(file, table, "spike_times", ids)
        if spike_times is None:
            raise FileFormatError(
                f"expected units/id, units/spike_times and units/spike_times_index in {file.name}, "
                f"units has {brief(sorted(table), 1000)}. Decoding needs the spike times of each unit."
            )
        channels = _read_channels(root)
        every_unit = _join_channels(read_table(table, "unit_id"), _peak_rows(table, channels), channels)
        units, dropped = (every_unit, {}) if filters is None else filters.apply(every_unit)
        return Session(
            session_id=read_text(root, "/general/session_id") or read_text(root, "/identifier") or file.stem,
            units=_complete(units),
            spike_times=spike_times.select(units.index.to_numpy()),
            stimulus_presentations=LazyTables(file, _interval_tables(root)),
            invalid_times=_read_invalid_times(root),
            channels=channels,
            running=_read_running(root),
            pupil=_read_pupil(root),
            spike_amplitudes=_select(_ragged(file, table, "spike_amplitudes", ids), units),
            mean_waveforms=_select(_ragged(file, table, "waveform_mean", ids), units),
            subject=_read_subject(root),
            session_type=read_text(root, "/general/stimulus"),
            start_time=read_text(root, "/timestamps_reference_time") or read_text(root, "/session_start_time"),
            source=file.name,
            dropped_units=dropped,
            unit_filters={} if filters is None else {name: getattr(filters, name) for name in dropped},
        )


def _file(located: Located, progress: Progress | None) -> OpenableNwb:
    return RemoteNwbFile.at(located, progress) if isinstance(located, RemoteFile) else NwbFile.at(located)


def _group(root: h5py.File, path: str) -> h5py.Group | None:
    found = member(root, path)
    return found if isinstance(found, h5py.Group) else None


def _read_channels(root: h5py.File) -> pd.DataFrame:
    """Read the electrodes; empty where the file has none."""
    table = _group(root, _ELECTRODES)
    if table is None:
        return pd.DataFrame(index=pd.Index([], name="channel_id", dtype=np.int64))
    channels = read_table(table, "channel_id")
    channels = channels.rename(columns={new: old for new, old in _NEWER_NAMES.items() if old not in channels})
    return channels.assign(location=_area(channels["location"])) if "location" in channels else channels


def _area(values: pd.Series) -> pd.Series:
    text = values.astype(str)
    return text.mask(text.isin(UNKNOWN_AREAS), "")


def _peak_rows(table: h5py.Group, channels: pd.DataFrame) -> NDArray[np.intp] | None:
    """Find the row in ``channels`` of each unit's peak channel, -1 where unknown; None if the file does not say."""
    peak = dataset(table, "peak_channel_id")
    if peak is not None and not channels.empty:
        if channels.index.has_duplicates:
            raise FileFormatError(f"{table.file.filename}: expected unique electrode ids to join peak_channel_id to.")
        return channels.index.get_indexer(pd.Index(read_values(peak)))
    region = dataset(table, "electrodes")
    if region is None or channels.empty:
        return None
    rows = read_values(region)
    index = dataset(table, "electrodes_index")
    if index is not None:
        column = ragged_column(table, "electrodes", len(index))
        if column is None:
            return None
        first = np.full(len(index), -1, np.intp)
        filled = column.stops > column.starts
        first[filled] = rows[column.starts[filled]]
        rows = first
    if rows.size and (rows.min() < -1 or rows.max() >= len(channels)):
        raise FileFormatError(f"{table.file.filename}: units/electrodes points beyond the {len(channels)} electrodes.")
    return rows.astype(np.intp)


def _join_channels(units: pd.DataFrame, rows: NDArray[np.intp] | None, channels: pd.DataFrame) -> pd.DataFrame:
    """Give each unit what is known of its peak channel; a column that the file does not have stays away."""
    if rows is None:
        own = next((name for name in ("area", "location") if name in units), None)
        return units if own is None else units.assign(area=_area(units[own]))
    known = rows >= 0
    for column, name in _JOINED.items():
        if column not in channels:
            continue
        values = channels[column].iloc[np.where(known, rows, 0)].set_axis(units.index)
        if name in {"area", "probe"}:
            values = values.astype(str).where(known, "")
        elif name == "valid_data":
            values = values.astype(bool) & known
        else:
            values = values.astype(np.float64).where(known)
        units = units.assign(**{name: values})
    return units


def _complete(units: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that every session has, and take off what served the filters only."""
    absent = {name: "" for name in ("area", "probe") if name not in units}
    return units.assign(**absent).drop(columns="valid_data", errors="ignore")


def _ragged(file: OpenableNwb, table: h5py.Group, name: str, ids: NDArray[Any]) -> RaggedArray | None:
    """Find values per unit, to be read on demand; a waveform table without bounds has one row per unit."""
    where = f"{table.name}/{name}"
    column = ragged_column(table, name, ids.size)
    if column is not None:
        if column.data.dtype.kind not in "iuf" or (column.data.ndim != 1 and name == "spike_times"):
            raise FileFormatError(
                f"{table.file.filename}: expected numbers in {where}, got values of type {column.data.dtype} and shape "
                f"{column.data.shape}. The file is damaged; fetch it again."
            )
        return RaggedArray(ids, column.starts, column.stops, file.values(where, column.data))
    data = dataset(table, name)
    if data is None or name != "waveform_mean" or data.ndim != 2 or len(data) != ids.size:
        return None
    rows = np.arange(ids.size)
    return RaggedArray(ids, rows, rows + 1, file.values(where, data))


def _select(values: RaggedArray | None, units: pd.DataFrame) -> RaggedArray | None:
    return None if values is None else values.select(units.index.to_numpy())


def _interval_tables(root: h5py.File) -> dict[str, str]:
    """Map each stimulus name to the path of its table, invalid times apart."""
    # Names are taken from a list: `name in group` would follow an external link.
    keys = list(_group(root, _INTERVALS) or ())
    tables: dict[str, str] = {}
    for key in keys:
        path = f"{_INTERVALS}/{key}"
        if key != "invalid_times" and "start_time" in list(_group(root, path) or ()):
            name = key.removesuffix(_PRESENTATIONS)
            tables[key if name in keys else name] = path
    return tables


def _read_invalid_times(root: h5py.File) -> pd.DataFrame:
    path = f"{_INTERVALS}/invalid_times"
    group = _group(root, path)
    if group is None:
        return pd.DataFrame({"start_time": [], "stop_time": [], "tags": []}, dtype=np.float64).astype({"tags": object})
    table = read_intervals(root, path, "id")
    tags = ragged_column(group, "tags", len(table))
    rows: list[tuple[str, ...]] = [()] * len(table)
    if tags is not None and h5py.check_string_dtype(tags.data.dtype) is not None and tags.data.ndim == 1:
        text = read_values(tags.data)
        rows = [tuple(text[low:high]) for low, high in zip(tags.starts, tags.stops, strict=True)]
    return table[["start_time", "stop_time"]].assign(tags=pd.Series(rows, index=table.index, dtype=object))


def _read_series(root: h5py.File, path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Read times and values of a ``TimeSeries`` of one channel, in its unit of measure; None where it is absent."""
    group = _group(root, path)
    data = None if group is None else dataset(group, "data")
    if group is None or data is None or data.ndim != 1:
        return None
    values = read_values(data) * float(data.attrs.get("conversion", 1.0)) + float(data.attrs.get("offset", 0.0))
    times = _read_times(group, values.size)
    if times is None or times.size != values.size:
        raise FileFormatError(f"{root.filename}: expected a time for each of the {values.size} values of {path}.")
    return times, values


def _read_times(group: h5py.Group, n_values: int) -> NDArray[np.float64] | None:
    stamps = dataset(group, "timestamps")
    if stamps is not None:
        return read_values(stamps).astype(np.float64)
    start = dataset(group, "starting_time")
    if start is None:
        return None
    rate = float(start.attrs.get("rate", np.nan))
    if not rate > 0:
        raise FileFormatError(f"{group.file.filename}: expected a rate above 0 Hz in {start.name}, got {rate}.")
    return float(start[()]) + np.arange(n_values) / rate


def _read_running(root: h5py.File) -> pd.DataFrame | None:
    """Read running speed; a sample ends where ``running_speed_end_times`` says, else where the next one starts."""
    series = _read_series(root, "/processing/running/running_speed")
    if series is None:
        return None
    start, velocity = series
    ends = _group(root, "/processing/running/running_speed_end_times")
    stop = None if ends is None else _read_times(ends, start.size)
    if stop is None or stop.size != start.size:
        stop = np.append(start[1:], np.nan)[: start.size]
    return pd.DataFrame({"start_time": start, "stop_time": stop, "velocity": velocity})


def _read_pupil(root: h5py.File) -> pd.DataFrame | None:
    """Read the pupil: its area with blinks taken out if the file has that, else raw, else from the fitted ellipses.

    Its centre is that of the ellipses, if they are of the same moments; it is not known where the area is not (blinks).
    """
    fits = _group(root, "/processing/eye_tracking/pupil_ellipse_fits")
    ellipses = pd.DataFrame() if fits is None else read_table(fits, "id").select_dtypes("number")
    pupil = _read_pupil_area(root, ellipses)
    centre = {"timestamps": "time", "center_x": "x", "center_y": "y"}
    if pupil is None or len(pupil) != len(ellipses) or not set(centre) <= set(ellipses):
        return pupil
    known = [ellipses[name].to_numpy(np.float64) for name in centre]
    if not np.allclose(known[0], pupil["time"], rtol=0, atol=1e-3, equal_nan=True):
        return pupil
    seen = pupil["area"].notna().to_numpy()
    return pupil.assign(x=np.where(seen, known[1], np.nan), y=np.where(seen, known[2], np.nan))


def _read_pupil_area(root: h5py.File, ellipses: pd.DataFrame) -> pd.DataFrame | None:
    for module in ("filtered_gaze_mapping", "raw_gaze_mapping"):
        series = _read_series(root, f"/processing/{module}/pupil_area")
        if series is not None:
            return pd.DataFrame({"time": series[0], "area": series[1]})
    if not {"timestamps", "width", "height"} <= set(ellipses):
        return None
    # A round pupil seen from the side is an ellipse whose larger half-axis is the radius (AllenSDK does the same).
    radius = ellipses[["width", "height"]].max(axis=1).to_numpy()
    with np.errstate(over="ignore"):
        return pd.DataFrame({"time": ellipses["timestamps"].to_numpy(), "area": np.pi * radius**2})


def _read_subject(root: h5py.File) -> Mapping[str, str]:
    """Read what the file says of the mouse, whether as attributes or as datasets."""
    group = _group(root, "/general/subject")
    if group is None:
        return {}
    attributes = {
        name: as_text(value)
        for name, value in group.attrs.items()
        if name not in {"namespace", "neurodata_type", "object_id"}
    }
    texts = {name: read_text(group, name) for name in group}
    return attributes | {name: text for name, text in texts.items() if text is not None}

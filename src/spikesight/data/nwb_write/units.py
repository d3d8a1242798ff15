"""The units table: metrics, and spike times, amplitudes and mean waveforms written one unit at a time."""

from collections.abc import Callable
from typing import Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.nwb_write.columns import Kind, as_numbers, write_column
from spikesight.data.nwb_write.nodes import NwbNodes
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.errors import DataError, SpikeTimesError

PEAK_CHANNEL: Final = "peak_channel_id"
METRICS: Final[dict[str, Kind]] = {
    PEAK_CHANNEL: "int",
    "local_index": "int",
    "cluster_id": "int",
    "quality": "text",
    "firing_rate": "float",
    "snr": "float",
    "isi_violations": "float",
    "presence_ratio": "float",
    "amplitude_cutoff": "float",
    "isolation_distance": "float",
    "l_ratio": "float",
    "d_prime": "float",
    "nn_hit_rate": "float",
    "nn_miss_rate": "float",
    "max_drift": "float",
    "cumulative_drift": "float",
    "silhouette_score": "float",
    "waveform_duration": "float",
    "waveform_halfwidth": "float",
    "PT_ratio": "float",
    "repolarization_slope": "float",
    "recovery_slope": "float",
    "amplitude": "float",
    "spread": "float",
    "velocity_above": "float",
    "velocity_below": "float",
}
"""Columns of the units table in the files' order, and their kinds; spike times, amplitudes and waveforms follow."""

FROM_CHANNEL: Final = frozenset(
    {
        "area",
        "probe",
        "probe_vertical_position",
        "anterior_posterior_ccf_coordinate",
        "dorsal_ventral_ccf_coordinate",
        "left_right_ccf_coordinate",
    }
)
"""Columns of ``Session.units`` that a reader takes from the peak channel, so that the file does not repeat them."""

Progress = Callable[[int, int], object]
"""Called with the number of units written so far and the number of all units."""


def write_units(nodes: NwbNodes, session: Session, unit_written: Progress) -> None:
    """Write ``/units``; at most one unit's spikes and waveform are held in memory at a time.

    Raises
    ------
    DataError
        If a unit's peak channel is not among the channels, a column is not one of the layout (AllenSDK refuses the
        whole file then), or a unit has other than one amplitude per spike.
    SpikeTimesError
        If a spike time is NaN or infinite or a unit's spikes are not in ascending order; names the unit.
    """
    units = session.units
    _check_columns(units, session.channels)
    ragged = ["spike_times"]
    if session.spike_amplitudes is not None:
        ragged.append("spike_amplitudes")
    if session.mean_waveforms is not None:
        ragged.append("waveform_mean")
    metrics = [name for name in METRICS if name in units]
    table = nodes.table("/units", metrics + ragged, units.index, "", "Units")
    for name in metrics:
        write_column(nodes, table, units[name], METRICS[name], "no description")
    stores = _create_stores(nodes, table, session)
    for done, unit_id in enumerate(units.index, start=1):
        for store in stores:
            store.write(int(unit_id))
        unit_written(done, len(units))


class _Store:
    """One ragged column on its way into the file, unit after unit."""

    def __init__(
        self,
        dataset: h5py.Dataset,
        ends: NDArray[np.int64],
        read: Callable[[int], NDArray[np.floating]],
    ) -> None:
        self._dataset = dataset
        self._ends = iter(ends)
        self._start = 0
        self._read = read

    def write(self, unit_id: int) -> None:
        """Write the values of the next unit."""
        stop = int(next(self._ends))
        values = np.asarray(self._read(unit_id), np.float64)
        expected = (stop - self._start, *self._dataset.shape[1:])
        if values.shape != expected:
            raise DataError(
                f"expected {self._dataset.name} of shape {expected} for unit {unit_id}, got {values.shape}."
            )
        if values.size:
            self._dataset[self._start : stop] = values
        self._start = stop


def _create_stores(nodes: NwbNodes, table: h5py.Group, session: Session) -> list[_Store]:
    ids = session.units.index.to_numpy()
    spike_times = session.spike_times.select(ids)
    ends = np.cumsum(spike_times.sizes())
    total = int(ends[-1]) if len(ends) else 0

    def checked_times(unit_id: int) -> NDArray[np.floating]:
        times = spike_times[unit_id]
        if not np.isfinite(times).all():
            raise SpikeTimesError(f"expected finite spike times; unit {unit_id} has NaN or infinite ones.")
        if (np.diff(times) < 0).any():
            raise SpikeTimesError(f"expected ascending spike times in unit {unit_id}. Sort the times of each unit.")
        return times

    column = nodes.ragged_column(table, "spike_times", (total,), ends, "times (s) of detected spiking events")
    stores = [_Store(column, ends, checked_times)]
    if session.spike_amplitudes is not None:
        description = "amplitude (s) of detected spiking events"
        column = nodes.ragged_column(table, "spike_amplitudes", (total,), ends, description)
        stores.append(_Store(column, ends, session.spike_amplitudes.__getitem__))
    if session.mean_waveforms is not None:
        sites, n_samples = _waveform_sizes(session, ids)
        ends = np.cumsum(sites)
        shape = (int(ends[-1]) if len(ends) else 0, n_samples)
        description = "mean waveforms on peak channels (and over samples)"
        column = nodes.ragged_column(table, "waveform_mean", shape, ends, description)
        column.attrs["unit"] = "volts"
        stores.append(_Store(column, ends, session.mean_waveforms.__getitem__))
    return stores


def _waveform_sizes(session: Session, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Sites per unit and samples per site, without reading every waveform twice where that can be helped."""
    waveforms = session.mean_waveforms
    if waveforms is None or len(ids) == 0:
        return np.zeros(0, np.int64), 0
    n_sites, n_samples = waveforms[int(ids[0])].shape
    if isinstance(waveforms, RaggedArray):
        return waveforms.select(ids).sizes(), n_samples
    return np.full(len(ids), n_sites, np.int64), n_samples


def _check_columns(units: pd.DataFrame, channels: pd.DataFrame) -> None:
    if PEAK_CHANNEL not in units:
        raise DataError(f"the Allen layout needs a column {PEAK_CHANNEL!r}; the units have {list(units.columns)}.")
    unknown = [name for name in units.columns if name not in METRICS and name not in FROM_CHANNEL]
    if unknown:
        raise DataError(
            f"the Allen layout has no unit columns {unknown}, and AllenSDK refuses a file with others than its own. "
            f"Drop them first: dataclasses.replace(session, units=session.units.drop(columns={unknown}))."
        )
    known = np.isin(as_numbers(units[PEAK_CHANNEL], "int"), channels.index.to_numpy())
    if not known.all():
        raise DataError(
            f"expected every unit's {PEAK_CHANNEL} among the {len(channels)} channels; "
            f"{int((~known).sum())} are not, first that of unit {units.index[int(np.flatnonzero(~known)[0])]}."
        )

"""A session file as large as the published ones, with holes where nobody looks, so that it takes little disk."""

from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

N_SPIKES: Final = 131_242_535
N_UNITS: Final = 2779
N_ELECTRODES: Final = 2304
WAVEFORM_ROWS: Final = 1_067_136
N_RUNNING: Final = 365_700
SESSION_ID: Final = "715093703"
TABLES: Final = {
    "spontaneous": (15, 0, 1), "gabors": (3645, 8, 4), "flashes": (150, 4, 4), "drifting_gratings": (628, 6, 5),
    "natural_movie_three": (36000, 3, 1), "natural_movie_one": (18000, 3, 1), "natural_scenes": (5950, 3, 1),
    "static_gratings": (6000, 7, 5),
}  # fmt: skip
"""Rows, columns of numbers and columns of text of each table of presentations, beside start and stop times."""
METRICS: Final = (
    "firing_rate", "snr", "isolation_distance", "l_ratio", "d_prime", "nn_hit_rate", "nn_miss_rate", "max_drift",
    "cumulative_drift", "silhouette_score", "waveform_duration", "waveform_halfwidth", "PT_ratio",
    "repolarization_slope",
    "recovery_slope", "amplitude", "spread", "velocity_above", "velocity_below",
)  # fmt: skip


def spike_bounds(seed: int = 0) -> NDArray[np.int64]:
    """Return where the spikes of each unit end: rates are log-normal, as real ones."""
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0.0, 1.2, N_UNITS)
    stops: NDArray[np.int64] = np.round(np.cumsum(share) / share.sum() * N_SPIKES).astype(np.int64)
    return stops


def spike_times_of(row: int, n_spikes: int) -> NDArray[np.float64]:
    """Return the times of a unit that are written: ascending, and its own."""
    return np.arange(n_spikes) * (9600.0 / n_spikes) + row * 1e-6


def write_real_size_session(path: Path, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write the file with the spikes of the units at ``rows``; return the ids of all units."""
    stops = spike_bounds()
    ids = 950_900_000 + 2 * np.arange(N_UNITS)
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.2.2"
        _texts(file)
        _series(file, "acquisition/raw_running_wheel_rotation")
        _series(file, "acquisition/running_wheel_signal_voltage")
        electrodes = _electrodes(file.create_group("general/extracellular_ephys/electrodes"))
        for name, (n_rows, n_numbers, n_texts) in TABLES.items():
            _table(file.create_group(f"intervals/{name}_presentations"), name, n_rows, n_numbers, n_texts)
        _series(file, "processing/running/running_speed")
        _series(file, "processing/running/running_speed_end_times")
        _units(file.create_group("units"), ids, electrodes, stops, rows)
    return ids


def _units(
    units: h5py.Group, ids: NDArray[np.int64], electrodes: NDArray[np.int64], stops: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:  # fmt: skip
    rng = np.random.default_rng(1)
    _column(units, "id", ids)
    _column(units, "peak_channel_id", np.sort(rng.choice(electrodes, N_UNITS)))
    _column(units, "local_index", np.arange(N_UNITS))
    _column(units, "cluster_id", np.arange(N_UNITS))
    _column(units, "quality", ["good"] * N_UNITS)
    for name in METRICS:
        _column(units, name, rng.random(N_UNITS))
    for name, value in (("isi_violations", 0.1), ("presence_ratio", 0.99), ("amplitude_cutoff", 0.01)):
        _column(units, name, np.full(N_UNITS, value))
    times = _hole(units, "spike_times", (N_SPIKES,))
    _column(units, "spike_times_index", stops)
    _hole(units, "spike_amplitudes", (N_SPIKES,))
    _column(units, "spike_amplitudes_index", stops)
    _hole(units, "waveform_mean", (WAVEFORM_ROWS, 82))
    _column(units, "waveform_mean_index", np.linspace(0, WAVEFORM_ROWS, N_UNITS + 1)[1:].astype(np.int64))
    for row in rows:
        start = stops[row - 1] if row else 0
        times[start : stops[row]] = spike_times_of(int(row), int(stops[row] - start))


def _electrodes(group: h5py.Group) -> NDArray[np.int64]:
    ids = 850_126_000 + 2 * np.arange(N_ELECTRODES)
    _column(group, "id", ids)
    for name in ("x", "y", "z", "imp"):
        _column(group, name, np.full(N_ELECTRODES, 1000.0))
    for name in ("local_index", "probe_vertical_position", "probe_horizontal_position", "probe_id"):
        _column(group, name, np.arange(N_ELECTRODES))
    _column(group, "valid_data", np.ones(N_ELECTRODES, bool))
    _column(group, "location", ["VISp"] * N_ELECTRODES)
    _column(group, "group_name", ["probeA"] * N_ELECTRODES)
    _column(group, "filtering", ["AP band: 500 Hz high-pass; LFP band: 1000 Hz low-pass"] * N_ELECTRODES)
    return ids


def _table(group: h5py.Group, name: str, n_rows: int, n_numbers: int, n_texts: int) -> None:
    _column(group, "id", np.arange(n_rows))
    start = 100.0 + 0.25 * np.arange(n_rows)
    _column(group, "start_time", start)
    _column(group, "stop_time", start + 0.25)
    _column(group, "stimulus_name", [name] * n_rows)
    if n_numbers:
        _column(group, "stimulus_block", np.arange(n_rows) // 2000.0)
        _column(group, "stimulus_index", np.arange(n_rows) * 1.0)
        _column(group, "frame", np.arange(n_rows) % 119 - 1.0)
    for number in range(3, n_numbers):
        _column(group, f"number_{number}", np.arange(n_rows) * 1.0)
    for number in range(1, n_texts):
        _column(group, f"text_{number}", ["[250.0, 250.0]"] * n_rows)
    _column(group, "tags", ["stimulus_time_interval"] * n_rows)
    _column(group, "tags_index", np.arange(1, n_rows + 1))


def _series(file: h5py.File, path: str) -> None:
    group = file.create_group(path)
    _column(group, "data", np.zeros(N_RUNNING)).attrs["conversion"] = 1.0
    _column(group, "timestamps", np.arange(N_RUNNING) / 60.0)


def _texts(file: h5py.File) -> None:
    for path, text in {
        "identifier": SESSION_ID, "session_start_time": "2019-01-19T08:54:18+00:00", "general/session_id": SESSION_ID,
        "general/stimulus": "brain_observatory_1.1", "general/subject/sex": "M",
        "specifications/core/2.2.2/nwb.base": "x" * 30_000, "specifications/core/2.2.2/nwb.ecephys": "x" * 30_000,
    }.items():  # fmt: skip
        file.create_dataset(path, data=text)


def _column(group: h5py.Group, name: str, values: Any) -> h5py.Dataset:
    data = group.create_dataset(name, data=values)
    data.attrs["description"] = "no description"
    data.attrs["namespace"] = "hdmf-common"
    data.attrs["neurodata_type"] = "VectorData"
    data.attrs["object_id"] = "77a22cf9-53ee-485e-866e-991ce35e5484"
    return data


def _hole(group: h5py.Group, name: str, shape: tuple[int, ...]) -> h5py.Dataset:
    """Make a dataset whose values stand end to end and take disk only where they are written."""
    data = group.create_dataset(name, shape, np.float64, fill_time="never")
    data.attrs["description"] = "no description"
    data[:1] = 0.0  # its place in the file is set with its first value
    return data

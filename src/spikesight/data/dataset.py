"""Put counts, trials and units together under the names of the schema."""

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight import __version__
from spikesight.schema import (
    AREA,
    BLOCK,
    DIMS,
    REPEAT,
    SPIKE_COUNTS,
    START,
    STOP,
    TARGET,
    TIME,
    TRIAL,
    UNIT,
    UNITS_OF_MEASURE,
    validate_dataset,
)

UNIT_METADATA: Final = (
    AREA,
    "probe",
    "probe_vertical_position",
    "anterior_posterior_ccf_coordinate",
    "dorsal_ventral_ccf_coordinate",
    "left_right_ccf_coordinate",
    "published_like_qc",
)
"""Columns of a table of units that go along with the counts where they are known."""

_TRIAL_COLUMNS: Final = (START, STOP, BLOCK, REPEAT, TARGET)


def make_dataset(
    counts: NDArray[np.integer],
    time: NDArray[np.float64],
    trials: pd.DataFrame,
    units: pd.DataFrame,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Build a dataset of binned trials.

    Parameters
    ----------
    counts
        Shape (n_trials, n_bins, n_units).
    time
        Beginning of each bin, seconds from ``start_time``, shape (n_bins,).
    trials
        One row per trial: ``start_time``, ``stop_time``, ``stimulus_block``, ``repeat``, ``target``, and the stimulus'
        own columns; the index becomes ``trial``.
    units
        One row per unit, index the unit ids; columns of ``UNIT_METADATA`` are taken along.
    attrs
        Provenance, of values that JSON and NetCDF can hold.

    Raises
    ------
    DataError
        If the parts do not make a valid dataset.
    """
    coords: dict[str, Any] = {TIME: (TIME, time), TRIAL: (TRIAL, trials.index.to_numpy())}
    coords |= unit_coords(units)
    coords |= {name: (TRIAL, plain_values(trials[name])) for name in _TRIAL_COLUMNS}
    for column in trials.columns.difference([*_TRIAL_COLUMNS], sort=False):
        coords[_free_name(column, coords)] = (TRIAL, plain_values(trials[column]))
    dataset = xr.Dataset({SPIKE_COUNTS: (DIMS, counts)}, coords, {**attrs, "spikesight_version": __version__})
    for name, unit_of_measure in UNITS_OF_MEASURE.items():
        dataset[name].attrs["units"] = unit_of_measure
    return validate_dataset(dataset)


def unit_coords(units: pd.DataFrame) -> dict[str, tuple[str, NDArray[Any]]]:
    """Coordinates along ``unit``: the ids, ``area``, and the metadata that is known."""
    known = [name for name in UNIT_METADATA if name in units.columns]
    return {UNIT: (UNIT, units.index.to_numpy())} | {name: (UNIT, plain_values(units[name])) for name in known}


def plain_values(column: "pd.Series[Any]") -> NDArray[Any]:
    """Values as numbers or numpy strings, never objects; what is missing becomes NaN or an empty string."""
    column = column.infer_objects()
    if pd.api.types.is_bool_dtype(column.dtype) and not column.hasnans:
        return column.to_numpy(bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(np.float64, na_value=np.nan) if column.hasnans else column.to_numpy()
        return np.asarray(values, values.dtype.newbyteorder("="))
    return column.astype(object).where(column.notna(), "").to_numpy().astype(str)


def _free_name(column: Hashable, taken: Mapping[str, Any]) -> str:
    """Name a stimulus column so that it neither hides a dimension nor reads as a path in a file."""
    name = str(column).replace("/", "_")
    while name in taken or name == SPIKE_COUNTS:
        name = f"stimulus_{name}"
    return name

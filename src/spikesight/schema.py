"""The names, units and dtypes of every dimension and coordinate, and the check that a dataset keeps to them."""

from typing import Final

import numpy as np
import xarray as xr

from spikesight.errors import DataError

SPIKE_COUNTS: Final = "spike_counts"
TRIAL: Final = "trial"
TIME: Final = "time"
UNIT: Final = "unit"
DIMS: Final = (TRIAL, TIME, UNIT)

TARGET: Final = "target"
BLOCK: Final = "stimulus_block"
REPEAT: Final = "repeat"
START: Final = "start_time"
STOP: Final = "stop_time"
AREA: Final = "area"

REQUIRED_COORDS: Final = {TARGET: TRIAL, BLOCK: TRIAL, REPEAT: TRIAL, START: TRIAL, STOP: TRIAL}
"""Coordinates that every dataset of binned trials has, and the dimension each lies on."""

UNITS_OF_MEASURE: Final = {START: "s", STOP: "s", TIME: "s", SPIKE_COUNTS: "spikes"}

RUNNING_SPEED: Final = "running_speed"
PUPIL_AREA: Final = "pupil_area"
PUPIL_X: Final = "pupil_x"
PUPIL_Y: Final = "pupil_y"
BEHAVIOUR_UNITS: Final = {RUNNING_SPEED: "cm/s", PUPIL_AREA: "pixel^2", PUPIL_X: "pixel", PUPIL_Y: "pixel"}
"""Coordinates along trial of what the mouse did, where it is known (NaN where not): means over the presentation."""
BY_BIN: Final = "_by_bin"
"""Ending of the same measures along (trial, time): means over each bin."""

BLANK_FRAME: Final = -1


def validate_dataset(dataset: xr.Dataset) -> xr.Dataset:
    """Return ``dataset`` unchanged if it is a dataset of binned trials, else say what is wrong with it.

    Parameters
    ----------
    dataset
        ``spike_counts`` with dims (trial, time, unit) in any order, an unsigned or signed integer dtype, unique
        unit ids, and the coordinates of ``REQUIRED_COORDS``.

    Raises
    ------
    DataError
        If a variable, dimension or coordinate is missing or has the wrong dtype or shape.
    """
    if SPIKE_COUNTS not in dataset:
        raise DataError(f"expected a variable {SPIKE_COUNTS!r}, the dataset has {list(dataset.data_vars)}.")
    counts = dataset[SPIKE_COUNTS]
    if set(counts.dims) != set(DIMS):
        raise DataError(f"expected {SPIKE_COUNTS!r} with dims {DIMS}, got {counts.dims}.")
    if not np.issubdtype(counts.dtype, np.integer):
        raise DataError(f"expected integer {SPIKE_COUNTS!r}, got {counts.dtype}; counts are never averaged or scaled.")
    for name, dim in REQUIRED_COORDS.items():
        if name not in dataset.coords or dataset[name].dims != (dim,):
            raise DataError(f"expected a coordinate {name!r} along {dim!r}; the dataset has {list(dataset.coords)}.")
    unit_ids = dataset[UNIT].to_index()
    if unit_ids.has_duplicates:
        repeated = unit_ids[unit_ids.duplicated()].unique().tolist()
        raise DataError(f"unit ids must be unique; these occur more than once: {repeated[:10]}.")
    return dataset

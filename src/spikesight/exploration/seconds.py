"""For how long each trial was counted."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.schema import START, STOP, TIME, TRIAL


def seconds_per_trial(dataset: xr.Dataset) -> NDArray[np.float64] | None:
    """Return the seconds of each trial that were counted, shape (n_trials,); None where the file holds no times."""
    bin_size = dataset.attrs.get("bin_size")
    if isinstance(bin_size, int | float | np.number) and np.isfinite(bin_size):
        return np.full(dataset.sizes[TRIAL], float(bin_size) * dataset.sizes[TIME])
    seconds: NDArray[np.float64] = (dataset[STOP] - dataset[START]).to_numpy().astype(np.float64)
    known = seconds.size and np.isfinite(seconds).all() and (seconds > 0).all()
    return seconds if known else None

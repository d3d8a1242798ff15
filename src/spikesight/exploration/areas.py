"""How the tables call areas, and what a class is called."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.schema import AREA, UNIT

NOT_GIVEN: Final = "not given"
"""Area of a unit whose area is not known."""


def named_areas(areas: Iterable[Any]) -> NDArray[np.str_]:
    """Return areas as text, ``NOT_GIVEN`` where they are missing or empty, shape (n_units,)."""
    return np.array([NOT_GIVEN if pd.isna(area) or str(area) == "" else str(area) for area in areas], np.str_)


def areas_of(data: xr.Dataset | xr.DataArray) -> NDArray[np.str_]:
    """Return the area of every unit of a dataset, shape (n_units,)."""
    if AREA not in data.coords:
        return np.full(data.sizes[UNIT], NOT_GIVEN)
    return named_areas(data[AREA].to_numpy())

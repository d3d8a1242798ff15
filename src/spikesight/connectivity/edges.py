"""The tidy table of edges: who, where, how strong, how sure, how late."""

from typing import Final, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from spikesight.schema import AREA

CCF: Final = (
    "anterior_posterior_ccf_coordinate",
    "dorsal_ventral_ccf_coordinate",
    "left_right_ccf_coordinate",
)
"""Columns of a unit's place in the common coordinate framework, um."""
EDGE_COLUMNS: Final = (
    "source_unit", "target_unit", "source_area", "target_area", "distance", "weight", "sign", "z", "p_value", "q_value",
    "lag",
)  # fmt: skip


class Fitted(Protocol):
    """What a table of edges is made of: a fitted estimator."""

    directed: bool
    connectivity_: xr.DataArray
    z_: xr.DataArray
    p_values_: xr.DataArray
    lag_: xr.DataArray
    units_: pd.DataFrame


def edge_table(fitted: Fitted) -> pd.DataFrame:
    """List every ordered pair of units (every pair once, where the measure has no direction).

    Parameters
    ----------
    fitted
        A fitted estimator.

    Returns
    -------
    DataFrame
        Columns ``EDGE_COLUMNS``, smallest p-value first, then the largest ``|z|`` and weight: unit ids and areas of
        both ends; ``distance`` between them in the CCF (um; NaN where a place is not known); ``weight`` in the
        estimator's measure and its ``sign``; ``z``; ``p_value`` (corrected for lags); ``q_value``, p after Benjamini
        and Hochberg's correction over all rows; ``lag`` (s).
    """
    ids = fitted.connectivity_.source_unit.to_numpy()
    n_units = len(ids)
    rows, columns = np.nonzero(~np.eye(n_units, dtype=bool) if fitted.directed else np.triu(np.ones((n_units,) * 2), 1))
    areas = fitted.units_[AREA].astype(str).to_numpy()
    weight = fitted.connectivity_.to_numpy()[rows, columns]
    p_value = fitted.p_values_.to_numpy()[rows, columns]
    table = pd.DataFrame(
        {
            "source_unit": ids[rows],
            "target_unit": ids[columns],
            "source_area": areas[rows],
            "target_area": areas[columns],
            "distance": distances(fitted.units_)[rows, columns],
            "weight": weight,
            "sign": np.sign(weight).astype(np.int8),
            "z": fitted.z_.to_numpy()[rows, columns],
            "p_value": p_value,
            "q_value": false_discovery_rates(p_value),
            "lag": fitted.lag_.to_numpy()[rows, columns],
        }
    )
    evidence = np.nan_to_num(np.abs(table["z"].to_numpy()))
    order = np.lexsort((-np.abs(weight), -evidence, np.nan_to_num(p_value, nan=2.0)))
    return table.iloc[order].reset_index(drop=True)


def distances(units: pd.DataFrame) -> NDArray[np.float64]:
    """Return distances between units in the CCF (um), (n_units, n_units); NaN where a place is not known."""
    if not set(CCF) <= set(units.columns):
        return np.full((len(units), len(units)), np.nan)
    places = units[list(CCF)].to_numpy(np.float64).copy()
    places[(places <= 0).any(axis=1)] = np.nan  # the files have -1 or 0 for probes that were not found again
    return np.asarray(np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2)), np.float64)


def false_discovery_rates(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values for their number (Benjamini and Hochberg 1995); NaN stays NaN and does not count."""
    known = np.isfinite(p_values)
    corrected = np.full(p_values.shape, np.nan)
    if known.any():
        corrected[known] = false_discovery_control(p_values[known])
    return corrected

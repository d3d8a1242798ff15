"""Maps beside the filters that a simulation was made with."""

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.simulation.receptive_fields import ReceptiveFields, gabor_filters
from spikesight.data.simulation.truth import GroundTruth
from spikesight.receptive_fields.regression import correlate_columns
from spikesight.schema import UNIT

Floats = NDArray[np.float64]


def fields_of_truth(truth: GroundTruth, unit_ids: NDArray[np.integer] | None = None) -> ReceptiveFields:
    """Return the receptive fields of some units of a simulated session; of all if None.

    Raises
    ------
    UnitIdsError
        If an id was not simulated.
    """
    rows = truth.rows(unit_ids)
    names = ("azimuth", "elevation", "size", "orientation", "spatial_frequency", "phase", "complexity")
    return ReceptiveFields(*(getattr(truth, f"rf_{name}")[rows] for name in names))


def true_filters(fields: ReceptiveFields, x: Floats, y: Floats) -> Floats:
    """Draw the filter on pixels of each unit, shape (n_units, n_y, n_x).

    Parameters
    ----------
    fields
        The units.
    x, y
        Degrees of columns and rows from the screen's middle, fine enough for the filters.
    """
    even, _ = gabor_filters(fields, x, y, abs(float(x[1] - x[0])))
    return even.reshape(len(fields), len(y), len(x)).astype(float)


def true_envelopes(fields: ReceptiveFields, x: Floats, y: Floats) -> Floats:
    """Draw where each unit's filter is, shape (n_units, n_y, n_x): 1 at its centre."""
    squared = (x[None, None, :] - fields.azimuth[:, None, None]) ** 2
    squared = squared + (y[None, :, None] - fields.elevation[:, None, None]) ** 2
    return np.asarray(np.exp(-squared / (2 * fields.size[:, None, None] ** 2)))


def compare_with_truth(maps: xr.Dataset, truth: GroundTruth) -> pd.DataFrame:
    """Correlate each unit's maps with what drove it.

    Parameters
    ----------
    maps
        From `scene_maps` or `gabor_maps`, in degrees, of units of the simulation.
    truth
        Of the session.

    Returns
    -------
    DataFrame
        Index ``unit``: ``true_x``, ``true_y`` (degrees), ``complexity`` (0 simple, 1 complex) and ``map_r``, the
        correlation over pixels of the map with the true filter (for gabors, and as ``contrast_map_r``: with the true
        envelope).
    """
    fields = fields_of_truth(truth, maps[UNIT].to_numpy())
    x, y = (maps[name].to_numpy().astype(float) for name in ("x", "y"))
    envelope = true_envelopes(fields, x, y)
    found = maps["receptive_field"].transpose(UNIT, "y", "x").to_numpy()
    target = envelope if maps.attrs.get("stimulus_name") == "gabors" else true_filters(fields, x, y)
    table = pd.DataFrame(
        {
            "true_x": fields.azimuth,
            "true_y": fields.elevation,
            "complexity": fields.complexity,
            "map_r": _map_correlation(found, target),
        },
        index=pd.Index(maps[UNIT].to_numpy(), name="unit"),
    )
    if "contrast_map" in maps:
        contrast = maps["contrast_map"].transpose(UNIT, "y", "x").to_numpy()
        table["contrast_map_r"] = _map_correlation(contrast, envelope)
    return table


def _map_correlation(first: Floats, second: Floats) -> Floats:
    return correlate_columns(first.reshape(len(first), -1).T, second.reshape(len(second), -1).T)

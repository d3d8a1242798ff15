"""Centres beside those that were published for the same units."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.errors import FileFormatError, UnitIdsError, brief
from spikesight.receptive_fields.regression import correlate_columns
from spikesight.schema import UNIT

Floats = NDArray[np.float64]

COLUMNS: Final = ("azimuth_rf", "elevation_rf", "p_value_rf", "on_screen_rf")
UNIT_COLUMNS: Final = ("unit", "unit_id", "ecephys_unit_id", "id")
MIDDLE: Final = (50.0, 10.0)
"""Where the screen's middle is in published azimuths and elevations, degrees: positions are counted from it here."""
SURE: Final = 0.01


def read_published(path: Path) -> pd.DataFrame:
    """Read a table of units with the metrics that the AllenSDK gives (``get_unit_analysis_metrics``...).

    Parameters
    ----------
    path
        Parquet or CSV with a column of unit ids (``ecephys_unit_id``, ``unit_id``, ``id``), ``azimuth_rf``,
        ``elevation_rf`` (degrees), ``p_value_rf`` and ``on_screen_rf``.

    Returns
    -------
    DataFrame
        Those columns, index ``unit``.

    Raises
    ------
    FileFormatError
        If there is no such file, it cannot be read, lacks a column, has text in one or has a unit twice.
    """
    if not path.is_file():
        raise FileFormatError(f"expected a table of published units, there is none at {path}. Check the path.")
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise FileFormatError(f"expected a Parquet or CSV table, could not read {path}: {brief(error)}.") from error
    ids = [name for name in UNIT_COLUMNS if name in table.columns]
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing or not ids:
        raise FileFormatError(
            f"expected the columns {', '.join(COLUMNS)} and one of {', '.join(UNIT_COLUMNS)} in {path}, it lacks "
            f"{', '.join(missing) or 'the unit ids'}."
        )
    if table[ids[0]].duplicated().any():
        raise FileFormatError(f"expected one row for each unit in {path}, some {ids[0]} come twice or more.")
    wrong = [name for name in COLUMNS[:-1] if table[name].dtype.kind not in "biuf"]
    wrong += [COLUMNS[-1]] * (not table[COLUMNS[-1]].dropna().isin([True, False]).all())
    if wrong:
        raise FileFormatError(
            f"expected numbers in {', '.join(COLUMNS[:-1])} and true or false in {COLUMNS[-1]} of {path}, "
            f"{', '.join(wrong)} has something else."
        )
    table = table.assign(**{COLUMNS[-1]: table[COLUMNS[-1]].isin([True])})
    return table.set_index(table[ids[0]].rename("unit"))[list(COLUMNS)]


def published_places(published: pd.DataFrame, unit_ids: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell which units are in a published table, (n_units,).

    Raises
    ------
    UnitIdsError
        If none is.
    """
    known = np.isin(unit_ids, published.index.to_numpy())
    if not known.any():
        raise UnitIdsError(
            f"none of {len(unit_ids)} units is in the published table of {len(published)} units. Give that of "
            "this session."
        )
    return known


def compare_with_published(maps: xr.Dataset, published: pd.DataFrame) -> pd.DataFrame:
    """Put published centres beside ours.

    Parameters
    ----------
    maps
        From `gabor_maps`.
    published
        From `read_published`.

    Returns
    -------
    DataFrame
        Index ``unit``, the units that both have: ``published_x``, ``published_y`` (degrees from the screen's middle),
        ``published_p_value``, and ``is_sure``: on screen with p < 0.01 in the published table, and with a centre.

    Raises
    ------
    UnitIdsError
        If no unit is in both.
    """
    ids = maps[UNIT].to_numpy()
    known = published_places(published, ids)
    theirs = published.loc[ids[known]]
    own = maps["centre_x"].to_numpy()[known]
    sure = theirs["on_screen_rf"].to_numpy(bool) & (theirs["p_value_rf"].to_numpy(float).round(6) < SURE)
    return pd.DataFrame(
        {
            "published_x": theirs["azimuth_rf"].to_numpy(float) - MIDDLE[0],
            "published_y": theirs["elevation_rf"].to_numpy(float) - MIDDLE[1],
            "published_p_value": theirs["p_value_rf"].to_numpy(float),
            "is_sure": sure & theirs["azimuth_rf"].notna().to_numpy() & np.isfinite(own),
        },
        index=pd.Index(ids[known], name="unit"),
    )


def agreement(ours: Floats, theirs: Floats, *, n_resamples: int = 2000, seed: int = 0) -> dict[str, float]:
    """Correlate two centres over units.

    Returns
    -------
    dict
        ``n``, ``r`` with ``low`` and ``high`` (95 % percentile bootstrap over units), ``median_difference`` (degrees,
        absolute); NaN with fewer than three units.
    """
    first, second = np.asarray(ours, float), np.asarray(theirs, float)
    n = len(first)
    if n < 3:
        return {"n": n, **dict.fromkeys(("r", "low", "high", "median_difference"), float("nan"))}
    drawn = np.random.default_rng(seed).integers(0, n, (n_resamples, n))
    low, high = np.quantile(correlate_columns(first[drawn.T], second[drawn.T]), [0.025, 0.975])
    r = float(correlate_columns(first[:, None], second[:, None])[0])
    difference = float(np.median(np.abs(first - second)))
    return {"n": n, "r": r, "low": float(low), "high": float(high), "median_difference": difference}

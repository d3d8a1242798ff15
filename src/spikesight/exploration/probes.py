"""Where units sit: on which probe, how deep, in which area, at which place of the brain."""

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.data.session import Session
from spikesight.errors import FileFormatError, NoUnitsError
from spikesight.exploration.areas import NOT_GIVEN, areas_of, named_areas
from spikesight.schema import AREA, UNIT

DEPTH: Final = "probe_vertical_position"
CCF: Final = {
    "anterior_posterior_ccf_coordinate": "anterior_posterior",
    "dorsal_ventral_ccf_coordinate": "dorsal_ventral",
    "left_right_ccf_coordinate": "left_right",
}
"""Columns of units -> columns of the tables here, um in the Allen Common Coordinate Framework."""


def probe_map(data: Session | xr.Dataset, *, ccf: bool = False) -> pd.DataFrame:
    """List where each unit sits.

    Parameters
    ----------
    data
        A session, or binned trials that kept the units' positions.
    ccf
        Ask for places in the CCF instead of on the probe: units without one are left out.

    Returns
    -------
    DataFrame
        One row per unit: ``unit``, ``probe``, ``area``, ``depth`` (um above the tip of the probe, NaN where unknown),
        ``anterior_posterior``, ``dorsal_ventral``, ``left_right`` (um, CCF, NaN where unknown).

    Raises
    ------
    NoUnitsError
        If there is no unit.
    FileFormatError
        If no unit has a place on a probe or, with ``ccf``, in the CCF.
    """
    table = _units_of(data)
    if table.empty:
        raise NoUnitsError("expected units, there is none. Loosen the quality filters, or choose other areas.")
    wanted = list(CCF.values()) if ccf else ["depth"]
    known = np.isfinite(table[wanted].to_numpy(np.float64)).all(axis=1)
    if not known.any():
        columns = list(CCF) if ccf else [DEPTH]
        raise FileFormatError(
            f"expected {', '.join(columns)} of units; none of {len(table)} has {'them' if ccf else 'it'}. The file "
            "does not tell where its units sit: use an NWB file with an electrodes table."
        )
    found: pd.DataFrame = table[known].reset_index(drop=True)
    return found


def probe_sites(session: Session) -> pd.DataFrame:
    """List where along each probe which area lies, from the recording sites.

    Returns
    -------
    DataFrame
        One row per stretch of sites in one area: ``probe``, ``area``, ``bottom``, ``top`` (um above the tip), by probe
        from the tip up. Empty if the file has no table of sites.
    """
    names = ["probe", "area", "bottom", "top"]
    channels = session.channels
    if channels.empty or not {"group_name", DEPTH, "location"} <= set(channels.columns):
        return pd.DataFrame(columns=names)
    rows = []
    for probe, sites in channels.groupby("group_name", sort=True):
        sites = sites.sort_values(DEPTH, kind="stable")
        depth, area = sites[DEPTH].to_numpy(np.float64), named_areas(sites["location"])
        begins = np.flatnonzero(np.append(True, area[1:] != area[:-1]))
        for first, last in zip(begins, np.append(begins[1:], len(area)) - 1, strict=True):
            above = depth[last + 1] if last + 1 < len(depth) else depth[last]
            rows.append((str(probe), str(area[first]), depth[first], above))
    return pd.DataFrame(rows, columns=names)


def _units_of(data: Session | xr.Dataset) -> pd.DataFrame:
    if isinstance(data, Session):
        units, areas = data.units, named_areas(data.units[AREA])
    else:
        known = [name for name in ("probe", DEPTH, *CCF) if name in data.coords]
        units = pd.DataFrame({name: data[name].to_numpy() for name in known}, index=data[UNIT].to_numpy())
        areas = areas_of(data)
    unknown = pd.Series(np.nan, units.index)
    probes = units["probe"].astype(str) if "probe" in units else pd.Series("", units.index)
    columns = {"depth": units.get(DEPTH, unknown), **{short: units.get(name, unknown) for name, short in CCF.items()}}
    places = {name: column.to_numpy(np.float64) for name, column in columns.items()}
    return pd.DataFrame(
        {UNIT: units.index.to_numpy(), "probe": probes.where(probes != "", NOT_GIVEN).to_numpy(), AREA: areas, **places}
    )

"""The shape of each unit's spike."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from spikesight.data.session import Session
from spikesight.errors import FileFormatError, UnitIdsError
from spikesight.exploration.areas import named_areas
from spikesight.schema import AREA, UNIT

SAMPLING_RATE: Final = 30_000.0
"""Samples per second of a Neuropixels probe."""


def mean_waveforms(
    session: Session, *, units: Sequence[int] | None = None, sampling_rate: float = SAMPLING_RATE
) -> pd.DataFrame:
    """Give the mean waveform of each unit at the site where it is largest.

    Parameters
    ----------
    session
        A session whose file holds mean waveforms.
    units
        Unit ids; all units of the session if None.
    sampling_rate
        Samples/s; the files do not tell it, it is that of the probes.

    Returns
    -------
    DataFrame
        One row per unit and sample: ``unit``, ``area``, ``time`` (ms from the trough) and ``voltage`` (uV as in the
        files, less the mean of the first five samples).

    Raises
    ------
    FileFormatError
        If the file holds no waveforms.
    UnitIdsError
        If a unit is not in the session.
    """
    if session.mean_waveforms is None:
        raise FileFormatError(
            f"expected mean waveforms (units/waveform_mean); the file of session {session.session_id} holds none. Use "
            "the file as the Allen Institute published it."
        )
    asked = session.units.index.tolist() if units is None else list(units)
    missing = [unit for unit in asked if unit not in session.units.index]
    if missing:
        raise UnitIdsError(f"expected units of the session, got {missing[:10]}, which are not among them.")
    areas = dict(zip(session.units.index, named_areas(session.units[AREA]), strict=True))
    tables = []
    for unit in asked:
        if unit not in session.mean_waveforms:
            continue
        sites = np.atleast_2d(np.asarray(session.mean_waveforms[unit], np.float64))
        if not np.isfinite(sites).any():
            continue
        peak = sites[int(np.nanargmax(np.ptp(np.nan_to_num(sites), axis=1)))]
        voltage = peak - np.mean(peak[:5])
        time = (np.arange(len(voltage)) - int(np.argmin(np.nan_to_num(voltage)))) / sampling_rate * 1000
        tables.append(pd.DataFrame({UNIT: unit, AREA: areas[unit], "time": time, "voltage": voltage}))
    if not tables:
        raise FileFormatError(f"expected a mean waveform of a unit; none of {len(asked)} units has one in the file.")
    return pd.concat(tables, ignore_index=True)

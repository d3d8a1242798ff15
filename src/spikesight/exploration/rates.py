"""How fast each unit fires."""

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.data.session import Session
from spikesight.errors import NoTrialsError, NoUnitsError
from spikesight.exploration.areas import areas_of, named_areas
from spikesight.exploration.seconds import seconds_per_trial
from spikesight.schema import AREA, SPIKE_COUNTS, TIME, TRIAL, UNIT


def unit_rates(data: Session | xr.Dataset) -> pd.DataFrame:
    """Give the mean firing rate of every unit.

    Parameters
    ----------
    data
        A session: its spikes over the time from the first to the last spike of any unit. Or binned trials: the spikes
        that were counted over the time that was counted.

    Returns
    -------
    DataFrame
        One row per unit: ``unit``, ``area`` and ``rate`` (spikes/s).

    Raises
    ------
    NoUnitsError
        If there is no unit, or none that spikes.
    NoTrialsError
        If binned trials hold no times, so that their length is not known.
    """
    if isinstance(data, Session):
        return _of_session(data)
    seconds = seconds_per_trial(data)
    if seconds is None:
        raise NoTrialsError(
            "expected start_time and stop_time of every trial, from which rates are made; the file holds none. Use a "
            "file with times, or look at counts: exploration.class_rates."
        )
    spikes = data[SPIKE_COUNTS].sum((TRIAL, TIME), dtype=np.int64).to_numpy()
    return pd.DataFrame({UNIT: data[UNIT].to_numpy(), AREA: areas_of(data), "rate": spikes / seconds.sum()})


def _of_session(session: Session) -> pd.DataFrame:
    if not len(session.units):
        raise NoUnitsError(f"session {session.session_id} has no unit to give a rate of.")
    times, offsets = session.checked_spike_times()
    length = float(times.max() - times.min()) if times.size else 0.0
    if not length > 0:
        raise NoUnitsError(f"expected spikes; the {len(session.units)} units of the session have {times.size}.")
    rate = np.diff(offsets) / length
    return pd.DataFrame({UNIT: session.units.index.to_numpy(), AREA: named_areas(session.units[AREA]), "rate": rate})

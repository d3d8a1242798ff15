"""One trial, cut into more and more bins."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import Trials
from spikesight.errors import NoTrialsError
from spikesight.schema import SPIKE_COUNTS, START, STOP, TRIAL

USUAL_CUTS: Final = (1, 3, 5, 10, 20)


def cut_trial(
    trials: Trials, trial: int | None = None, *, n_bins: Sequence[int] = USUAL_CUTS, units: Sequence[int] | None = None
) -> pd.DataFrame:
    """Count the spikes of one trial in so many bins, and in more.

    Parameters
    ----------
    trials
        Trials of one session with spike times.
    trial
        Id of the presentation; the first if None.
    n_bins
        Into how many equal bins the trial is cut, one cut after the other.
    units
        Unit ids whose spikes are counted together; all if None.

    Returns
    -------
    DataFrame
        One row per cut and bin: ``n_bins``, ``bin`` (from 0), ``left``, ``right`` (s from the start of the
        presentation) and ``count`` (spikes of all these units). Bins are those of
        `spikesight.data.binning.bin_spikes`: half-open, so that a spike counts in one bin of each cut.

    Raises
    ------
    NoTrialsError
        If there is no such trial.
    UnitIdsError
        If a unit is not in the session.
    ConfigError
        If a number of bins is less than 1.
    """
    wanted = trials.table.index[0] if trial is None and len(trials) else trial
    if wanted not in trials.table.index:
        raise NoTrialsError(
            f"expected the id of a presentation of {trials.stimulus!r}, got {trial}. Choose among the index of "
            f"trials.table: {trials.table.index[:5].tolist()} ..."
        )
    session = trials.session if units is None else trials.session.select_units(list(units))
    one = replace(trials, table=trials.table.loc[[wanted]], session=session)
    duration = float((one.table[STOP] - one.table[START]).iloc[0])
    tables = []
    for n in n_bins:
        counts = bin_spikes(one, n_bins=n)[SPIKE_COUNTS].isel({TRIAL: 0}).sum("unit", dtype=np.int64).to_numpy()
        edges = duration * np.arange(n + 1) / n
        row = {"n_bins": n, "bin": np.arange(n), "left": edges[:-1], "right": edges[1:], "count": counts}
        tables.append(pd.DataFrame(row))
    return pd.concat(tables, ignore_index=True)

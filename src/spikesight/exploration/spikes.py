"""Single spikes around presentations, for rasters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spikesight.data.presentations import Trials
from spikesight.errors import ConfigError, UnitIdsError
from spikesight.exploration.areas import named_areas
from spikesight.exploration.choices import choose_trials
from spikesight.schema import AREA, REPEAT, START, STOP, TARGET, TRIAL, UNIT

SpikesAndRows = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def trial_spikes(
    trials: Trials,
    *,
    classes: Sequence[Any] | None = None,
    units: Sequence[int] | None = None,
    n_repeats: int | None = None,
    margin: float = 0.05,
) -> SpikesAndRows:
    """Cut out the spikes of chosen units around the presentations of chosen classes.

    Parameters
    ----------
    trials
        Trials of one session with spike times.
    classes
        Labels, in the order in which they are to be shown; all if None.
    units
        Unit ids; all if None.
    n_repeats
        Take the first so many trials of each class; all if None.
    margin
        Seconds before the start and after the end of each presentation.

    Returns
    -------
    spikes : DataFrame
        One row per spike: ``time`` (s from the start of the presentation), ``unit``, ``area``, ``trial`` (id of the
        presentation), ``target`` (text) and ``repeat``.
    shown_units : DataFrame
        ``unit`` and ``area`` of every chosen unit, silent ones included, sorted by area, then from the surface down.
    shown_trials : DataFrame
        ``trial``, ``target``, ``repeat``, ``start_time`` and ``duration`` (s) of every chosen trial, silent ones
        included, classes in the order asked for.

    Raises
    ------
    NoTrialsError, UnitIdsError
        If a class or a unit is not there.
    ConfigError
        If ``margin`` is negative or ``n_repeats`` less than 1.
    """
    if not margin >= 0 or (n_repeats is not None and n_repeats < 1):
        raise ConfigError(f"expected margin >= 0 s and n_repeats >= 1; got {margin} and {n_repeats}.")
    shown_trials = _rows_of_trials(choose_trials(trials, classes), classes, n_repeats)
    shown_units = _rows_of_units(trials, units)
    times, offsets = trials.session.select_units(shown_units[UNIT].to_numpy()).checked_spike_times()
    low = shown_trials[START].to_numpy() - margin
    high = shown_trials[START].to_numpy() + shown_trials["duration"].to_numpy() + margin
    found: list[pd.DataFrame] = []
    for row, unit, area in shown_units.itertuples():
        own = times[offsets[row] : offsets[row + 1]]
        first, last = np.searchsorted(own, low), np.searchsorted(own, high)
        sizes = last - first
        trial = np.repeat(np.arange(len(sizes)), sizes)
        taken = np.concatenate([np.empty(0), *(own[a:b] for a, b in zip(first, last, strict=True))])
        of_trials = shown_trials.iloc[trial]
        found.append(
            pd.DataFrame(
                {
                    "time": taken - of_trials[START].to_numpy(), UNIT: unit, AREA: area,
                    TRIAL: of_trials[TRIAL].to_numpy(), TARGET: of_trials[TARGET].to_numpy(),
                    REPEAT: of_trials[REPEAT].to_numpy(),
                }
            )
        )  # fmt: skip
    return pd.concat(found, ignore_index=True), shown_units, shown_trials


def _rows_of_trials(trials: Trials, classes: Sequence[Any] | None, n_repeats: int | None) -> pd.DataFrame:
    table = trials.table
    rows = pd.DataFrame(
        {
            TRIAL: table.index.to_numpy(), TARGET: table[TARGET].astype(str).to_numpy(),
            REPEAT: table[REPEAT].to_numpy(), START: table[START].to_numpy(np.float64),
            "duration": (table[STOP] - table[START]).to_numpy(np.float64), "label": table[TARGET].to_numpy(),
        }
    )  # fmt: skip
    asked = sorted(set(rows["label"])) if classes is None else list(classes)
    place = {str(label): number for number, label in enumerate(asked)}
    rows = rows.drop(columns="label").assign(order=[place[label] for label in rows[TARGET]])
    rows = rows.sort_values(["order", START], kind="stable").drop(columns="order")
    if n_repeats is not None:
        rows = rows.groupby(TARGET, sort=False).head(n_repeats)
    return rows.reset_index(drop=True)


def _rows_of_units(trials: Trials, asked: Sequence[int] | None) -> pd.DataFrame:
    units = trials.session.units
    if asked is not None:
        missing = [unit for unit in asked if unit not in units.index]
        if missing or not len(asked):
            raise UnitIdsError(
                f"expected ids of the {len(units)} units of the session; not among them: "
                f"{missing[:10] or 'none given'}."
            )
        units = units.loc[list(asked)]
    depth = units.get("probe_vertical_position", pd.Series(np.nan, units.index)).to_numpy(np.float64)
    rows = pd.DataFrame({UNIT: units.index.to_numpy(), AREA: named_areas(units[AREA]), "depth": -depth})
    return rows.sort_values([AREA, "depth"], kind="stable").drop(columns="depth").reset_index(drop=True)

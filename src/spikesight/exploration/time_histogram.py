"""Peri-stimulus time histograms: the rate around the start of a presentation, per class and area."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import Trials
from spikesight.errors import ConfigError, NoTrialsError, NoUnitsError
from spikesight.exploration.areas import named_areas
from spikesight.exploration.choices import choose_trials
from spikesight.schema import AREA, SPIKE_COUNTS, START, STOP, TARGET, TIME, TRIAL, UNIT

ALL_CLASSES: Final = "all"
"""Class of rows that are means over the trials of all classes."""


def psth(
    trials: Trials,
    *,
    bin_size: float = 0.01,
    margin: float = 0.05,
    classes: Sequence[Any] | None = None,
    areas: Sequence[str] | None = None,
    per_class: bool = True,
    level: float = 0.95,
) -> pd.DataFrame:
    """Average the firing rate over the units of each area and the trials of each class, in short bins.

    Parameters
    ----------
    trials
        Trials of one session with spike times.
    bin_size
        Seconds.
    margin
        Seconds shown before the start and after the (median) end of a presentation.
    classes
        Labels to average over, in the order in which they are to be shown; all if None.
    areas
        Areas to average over; all if None.
    per_class
        Average each class apart; else all these trials together, under the class "all".
    level
        Probability of the interval.

    Returns
    -------
    DataFrame
        One row per class, area and bin: ``target`` (text), ``area``, ``time`` (centre of the bin, s from the start of
        the presentation), ``mean``, ``low``, ``high`` (spikes/s per unit), ``n_trials``, ``n_units``. The interval is
        Student's, of the mean over trials for these very units; NaN where there is a single trial.

    Raises
    ------
    NoTrialsError, NoUnitsError
        If nothing is left of the classes or the areas; names those there are.
    ConfigError
        If ``bin_size``, ``margin`` or ``level`` is not in its range.
    """
    if not 0 < level < 1:
        raise ConfigError(f"expected a level between 0 and 1, got {level}. 0.95 is usual.")
    if not margin >= 0:
        raise ConfigError(f"expected a margin of 0 s or more, got {margin}.")
    chosen = choose_trials(trials, classes)
    duration = float((chosen.table[STOP] - chosen.table[START]).median())
    n_bins = max(1, round((duration + 2 * margin) / bin_size)) if bin_size > 0 else 0
    dataset = bin_spikes(chosen, bin_size=bin_size, window=(-margin, -margin + n_bins * bin_size))
    unit_areas = named_areas(dataset[AREA].to_numpy())
    shown = _known_areas(unit_areas, areas)
    counts = dataset[SPIKE_COUNTS].transpose(UNIT, TRIAL, TIME).to_numpy()
    labels = dataset[TARGET].to_numpy() if per_class else np.full(len(chosen), ALL_CLASSES)
    time = dataset[TIME].to_numpy() + bin_size / 2
    asked = classes if classes is not None and per_class else sorted(set(labels.tolist()))
    rows_of = {str(label): labels.astype(str) == str(label) for label in asked}
    tables = []
    for area in shown:
        per_trial = counts[unit_areas == area].mean(axis=0) / bin_size
        for label, rows in rows_of.items():
            own = per_trial[rows]
            columns = {TARGET: label, AREA: area, TIME: time, **_interval(own, level)}
            n_units = int((unit_areas == area).sum())
            tables.append(pd.DataFrame({**columns, "n_trials": len(own), "n_units": n_units}))
    return pd.concat(tables, ignore_index=True)


def _known_areas(there: NDArray[np.str_], asked: Sequence[str] | None) -> list[str]:
    """Areas by falling number of units, of those that were asked for."""
    names, sizes = np.unique(there, return_counts=True)
    by_size = [str(names[place]) for place in np.argsort(-sizes, kind="stable")]
    missing = [area for area in asked or () if area not in by_size]
    if missing or not by_size:
        raise NoUnitsError(f"expected units in {', '.join(missing)}; the areas are: {', '.join(by_size)}. Choose here.")
    return by_size if asked is None else list(asked)


def _interval(per_trial: NDArray[np.float64], level: float) -> dict[str, NDArray[np.float64]]:
    """Mean over trials, shape (n_trials, n_bins), with Student's interval."""
    from scipy.stats import t

    n_trials = len(per_trial)
    if n_trials == 0:
        raise NoTrialsError("expected at least one trial to average over, got none. Choose another class.")
    mean = per_trial.mean(axis=0)
    if n_trials == 1:
        unknown = np.full(mean.shape, np.nan)
        return {"mean": mean, "low": unknown, "high": unknown}
    half = t.ppf(0.5 + level / 2, n_trials - 1) * per_trial.std(axis=0, ddof=1) / np.sqrt(n_trials)
    return {"mean": mean, "low": np.clip(mean - half, 0, None), "high": mean + half}

"""Which classes, trials and units of a session are looked at."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from spikesight.data.presentations import Trials
from spikesight.data.session import Session
from spikesight.errors import ConfigError, NoTrialsError, did_you_mean
from spikesight.exploration.responses import class_rates
from spikesight.schema import AREA, BLANK_FRAME, SPIKE_COUNTS, TARGET, TIME, TRIAL, UNIT


def choose_trials(trials: Trials, classes: Sequence[Any] | None) -> Trials:
    """Keep the trials of these classes, in order of time; all if None.

    Raises
    ------
    NoTrialsError
        If a class is not among the trials, names the nearest.
    """
    if classes is None:
        return trials
    there = trials.table[TARGET].astype(str)
    names = sorted(set(there))
    missing = [str(label) for label in classes if str(label) not in names]
    if missing or not classes:
        shown = f"{', '.join(names[:10])}{' ...' if len(names) > 10 else ''}"
        raise NoTrialsError(
            f"expected classes of {trials.stimulus!r}, {', '.join(missing) or 'none'} came."
            f"{did_you_mean(missing[0], names) if missing else ''} Choose among its {len(names)}: {shown}."
        )
    return replace(trials, table=trials.table[there.isin([str(label) for label in classes]).to_numpy()])


def spread_classes(trials: Trials, most: int) -> list[Any]:
    """Choose up to ``most`` classes, evenly spread over all in sorted order; blanks only where there is nothing else.

    Raises
    ------
    ConfigError
        If ``most`` is less than 1.
    """
    if most < 1:
        raise ConfigError(f"expected at least 1 class, got {most}.")
    labels = sorted(trials.table[TARGET].unique())
    if trials.blanks == "kept" and len(labels) > 1:
        labels = [label for label in labels if label not in (BLANK_FRAME, "blank")]
    places = np.unique(np.linspace(0, len(labels) - 1, min(most, len(labels))).astype(int))
    return [labels[place] for place in places]


def most_active_units(session: Session, most: int) -> list[int]:
    """Choose up to ``most`` units: an equal share of each area, those with most spikes.

    Raises
    ------
    ConfigError
        If ``most`` is less than 1.
    """
    if most < 1:
        raise ConfigError(f"expected at least 1 unit, got {most}.")
    units = session.units[[AREA]].assign(spikes=session.spike_times.select(session.units.index.to_numpy()).sizes())
    by_size = units[AREA].value_counts().head(most).index
    share = max(1, most // max(1, len(by_size)))
    return [int(unit) for area in by_size for unit in units[units[AREA] == area].nlargest(share, "spikes").index]


def best_tuned_unit(dataset: xr.Dataset) -> int:
    """Return the id of the unit whose counts differ most between classes, relative to how they differ within (F).

    Raises
    ------
    NoTrialsError
        If there are fewer than 2 classes, or no class is repeated.
    """
    counts = dataset[SPIKE_COUNTS].sum(TIME, dtype=np.int64).transpose(TRIAL, UNIT).to_numpy().astype(np.float64)
    labels, place = np.unique(dataset[TARGET].to_numpy(), return_inverse=True)
    if len(labels) < 2 or len(place) <= len(labels):
        raise NoTrialsError(
            f"expected 2 classes or more that are repeated; {len(place)} trials have {len(labels)} classes."
        )
    size = np.bincount(place)[:, None]
    total = np.zeros((len(labels), counts.shape[1]))
    np.add.at(total, place, counts)
    means = total / size
    between = (size * (means - counts.mean(axis=0)) ** 2).sum(axis=0) / (len(labels) - 1)
    within = ((counts - means[place]) ** 2).sum(axis=0) / (len(place) - len(labels))
    ratio = np.divide(between, within, out=np.zeros_like(between), where=within > 1e-12)
    return int(dataset[UNIT].to_numpy()[int(ratio.argmax())])


def classes_by_response(dataset: xr.Dataset, unit: int, most: int) -> list[Any]:
    """Choose up to ``most`` classes from the one that a unit answers to most to the one it answers to least."""
    rates = class_rates(dataset).sel({UNIT: unit})
    order = np.argsort(-rates.to_numpy(), kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).astype(int))
    return [rates[TARGET].to_numpy()[order[place]].item() for place in places]

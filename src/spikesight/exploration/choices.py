"""Which classes, trials and units of a session are looked at."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikesight.data.presentations import Trials
from spikesight.errors import ConfigError, NoTrialsError, did_you_mean
from spikesight.schema import BLANK_FRAME, TARGET


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

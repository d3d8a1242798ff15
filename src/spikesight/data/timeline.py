"""Which trials follow each other: the time from onset to onset, and the pauses that part one stretch from the next."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONGEST_STEP: Final = 1.5
"""Steps from onset to onset within which one trial follows the other without another presentation in between."""

FAR: Final = 1000
"""Places between trials that do not follow each other: more than any number of neighbours."""


def stretches(groups: ArrayLike, start: ArrayLike, stop: ArrayLike, gap: int) -> NDArray[np.intp]:
    """Merge neighbouring blocks unless they are known to be apart in time.

    Two blocks are apart if the pause between them, from the stop of one's last trial to the start of the other's
    first, is longer than ``gap`` times the ``trial_step``. Blocks whose times are not known are merged: a gap that
    reaches too far costs training trials, one that ends too early is a leak.

    Parameters
    ----------
    groups
        Block of every row, in time order.
    start, stop
        Beginning and end of every trial, in seconds; not finite where not known.
    gap
        Trials that must lie between training and test rows.

    Returns
    -------
    ndarray of shape (n_rows,)
        Number of the stretch of each row, from 0.
    """
    pauses = _known(start)[1:] - _known(stop)[:-1]
    apart = _changes(groups) & (pauses > gap * trial_step(groups, start))
    return np.concatenate([[0], np.cumsum(apart)]).astype(np.intp)


def trial_step(groups: ArrayLike, start: ArrayLike) -> float:
    """Return the median seconds from onset to onset within blocks, or of all where no block has two; NaN if unknown."""
    onsets = np.diff(_known(start))
    known = np.isfinite(onsets)
    within = known & ~_changes(groups)
    steps = onsets[within] if within.any() else onsets[known]
    return float(np.median(steps)) if len(steps) else float("nan")


def places(groups: ArrayLike, start: ArrayLike) -> NDArray[np.intp]:
    """Give consecutive numbers to trials that follow each other directly; after an interruption they go on far beyond.

    A trial follows the one before directly if both are of one block and their onsets are at most ``LONGEST_STEP``
    times the ``trial_step`` apart: no presentation was left out between them. Trials of one block whose times are not
    known are taken to follow each other.

    Parameters
    ----------
    groups
        Block of every trial, in time order.
    start
        Onset of every trial, in seconds; not finite where not known.

    Returns
    -------
    ndarray of shape (n_trials,)
        Ascending from 0; across an interruption the number grows by ``FAR``.
    """
    onsets = np.diff(_known(start))
    follows = ~_changes(groups) & ~(onsets > LONGEST_STEP * trial_step(groups, start))
    return np.concatenate([[0], np.cumsum(np.where(follows, 1, FAR))]).astype(np.intp)


def _changes(groups: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(np.asarray(groups)[1:] != np.asarray(groups)[:-1])


def _known(times: ArrayLike) -> NDArray[np.float64]:
    return np.where(np.isfinite(times), np.asarray(times, np.float64), np.nan)

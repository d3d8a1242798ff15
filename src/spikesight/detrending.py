"""Slow drift taken away: the running mean of each unit's square-root counts, within a fold and without any label.

Rates drift over a session. What a unit fired in the trials around one says where it stands; what differs from that is
nearer to the stimulus. Test rows are compared with test rows only and training rows with training rows only: a running
mean that reached across would carry test trials into training, and labels of neighbours back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from spikesight.errors import ConfigError, DataError, FileFormatError
from spikesight.preprocessing import anscombe

FEWEST: Final = 10
"""A mean over fewer trials is filled up to so many with the level of the training trials: it would be mostly noise."""
_LOWEST_ROOT: Final = float(np.sqrt(0.375))
"""The square root that a count of zero has."""

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Detrending:
    """How the running mean is taken.

    Attributes
    ----------
    n_trials
        Trials on either side of each trial that the mean is over; the trial itself counts too. Distances are counted in
        trials of the session, whether or not they are in the same fold.
    causal
        Only the ``n_trials`` before it, without the trial itself: what an experiment under way would know.
    """

    n_trials: int
    causal: bool = False

    def __post_init__(self) -> None:
        """Refuse fewer than one trial (``ConfigError``)."""
        if self.n_trials < 1:
            raise ConfigError(f"expected a running mean over 1 or more trials on a side, got {self.n_trials}.")

    def __str__(self) -> str:
        return f"{self.n_trials}, causal" if self.causal else str(self.n_trials)

    def fit_transform(
        self, counts: NDArray[Any], rows: Rows, stretches: NDArray[Any]
    ) -> tuple["FittedDetrending", NDArray[np.float32]]:
        """Detrend the training rows and keep what test rows need.

        Parameters
        ----------
        counts
            Spike counts of the rows, (n_rows, n_bins, n_units).
        rows
            Places of the rows in the session, ascending, (n_rows,).
        stretches
            Stretch of each row, (n_rows,): the mean never reaches from one into another.

        Returns
        -------
        fitted
            What is applied to test rows.
        detrended
            As from `FittedDetrending.transform`.
        """
        level = _mean_root(counts)
        roots = np.empty(counts.shape, np.float32)
        _subtract_running_mean(counts, roots, rows, stretches, self, level)
        fitted = FittedDetrending(self, level, roots.min(axis=0).astype(np.float64))
        return fitted, fitted._as_counts(roots)


@dataclass(frozen=True, eq=False)
class FittedDetrending:
    """A running mean with what is known from the training rows: two values per bin and unit.

    Attributes
    ----------
    setting
        How the running mean is taken.
    level
        Mean square-root count of the training rows, (n_bins, n_units).
    lowest
        Smallest detrended square-root count of the training rows, (n_bins, n_units).
    """

    setting: Detrending
    level: Floats
    lowest: Floats

    def transform(self, counts: NDArray[Any], rows: Rows, stretches: NDArray[Any]) -> NDArray[np.float32]:
        """Detrend rows by their own running mean.

        Decoders take counts and begin with their square root. So what comes out are values whose ``sqrt(x + 3/8)`` is
        the detrended square root, moved by a constant of the bin and unit: such that the smallest training value is
        that of a count of zero. Decoders of standardised square roots see exactly the detrended values; smaller ones in
        test rows are raised to the smallest of training.

        Parameters
        ----------
        counts, rows, stretches
            As in `Detrending.fit_transform`, of one set of rows that belong together (the test rows of a fold).

        Returns
        -------
        ndarray of shape (n_rows, n_bins, n_units)
            Non-negative.

        Raises
        ------
        DataError
            If trials have another shape than those of the training, or rows are not ascending.
        """
        if counts.shape[1:] != self.level.shape:
            raise DataError(
                f"expected trials of shape {self.level.shape} (n_bins, n_units), as those of the training, got "
                f"{counts.shape[1:]}."
            )
        roots = np.empty(counts.shape, np.float32)
        _subtract_running_mean(counts, roots, rows, stretches, self.setting, self.level)
        return self._as_counts(roots)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as values that JSON can hold, bit for bit."""
        return {**asdict(self.setting), "level": self.level.tolist(), "lowest": self.lowest.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` gave.

        Raises
        ------
        FileFormatError
            If it is not that.
        """
        try:
            setting = Detrending(int(values["n_trials"]), bool(values["causal"]))
            level, lowest = (np.asarray(values[name], np.float64) for name in ("level", "lowest"))
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise FileFormatError(f"what is stored of the detrending is damaged: {error!r}. Fit it again.") from error
        if level.ndim != 2 or level.shape != lowest.shape or not np.isfinite([level, lowest]).all():
            raise FileFormatError(f"what is stored of the detrending is damaged: shapes {level.shape}, {lowest.shape}.")
        return cls(setting, level, lowest)

    def _as_counts(self, roots: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn detrended square roots into counts that have them, in place."""
        roots += (_LOWEST_ROOT - self.lowest).astype(np.float32)
        np.maximum(roots, np.float32(_LOWEST_ROOT), out=roots)
        np.square(roots, out=roots)
        roots -= np.float32(0.375)
        return np.maximum(roots, np.float32(0), out=roots)


def _mean_root(counts: NDArray[Any]) -> Floats:
    """Average the square-root counts over rows without a copy of them all."""
    total = np.zeros(counts.shape[1:])
    for row in counts:
        total += anscombe(row)
    return total / len(counts)


def _subtract_running_mean(
    counts: NDArray[Any],
    out: NDArray[np.float32],
    rows: Rows,
    stretches: NDArray[Any],
    setting: Detrending,
    level: Floats,
) -> None:
    """Write square-root counts less their running mean into ``out``.

    One sum moves along: a row is added when the window reaches it and taken off when it is left behind. Each stretch
    begins with a sum of zero, so that rounding does not add up over a session.
    """
    if (np.diff(rows) <= 0).any():
        raise DataError("expected rows in ascending (time) order.")
    first, last = _windows(rows, stretches, setting)
    total = np.zeros(counts.shape[1:])
    left = entered = 0
    for row in range(len(rows)):
        if first[row] >= entered:
            total[:] = 0.0
            left = entered = int(first[row])
        while entered < last[row]:
            total += anscombe(counts[entered])
            entered += 1
        while left < first[row]:
            total -= anscombe(counts[left])
            left += 1
        number = entered - left
        missing = max(0, min(FEWEST, setting.n_trials) - number)
        np.subtract(anscombe(counts[row]), (total + missing * level) / (number + missing), out=out[row])


def _windows(rows: Rows, stretches: NDArray[Any], setting: Detrending) -> tuple[Rows, Rows]:
    """Return, for each row, the first row of its window and the one behind the last."""
    stretches = np.asarray(stretches)
    begins = np.flatnonzero(np.concatenate([[True], stretches[1:] != stretches[:-1]]))
    ends = np.append(begins[1:], len(rows))
    own = np.searchsorted(begins, np.arange(len(rows)), side="right") - 1
    first = np.maximum(np.searchsorted(rows, rows - setting.n_trials), begins[own])
    if setting.causal:
        return first, np.arange(len(rows))
    return first, np.minimum(np.searchsorted(rows, rows + setting.n_trials, side="right"), ends[own])

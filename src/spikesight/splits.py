"""Which trials are for training and which for testing: scikit-learn cv objects that respect time.

Rows are trials in time order; ``groups`` is ``stimulus_block``, a label that is constant over stretches of rows and
never comes back. Neighbouring trials share slow drift, running and late responses, so a test trial whose neighbours
were trained on is not new: ``BlockKFold`` and ``LastBlock`` keep a gap. ``RepeatKFold`` does not, and says so. A gap
ends at the bound of a block only where the blocks are apart in time: `spikesight.data.timeline.stretches` tells which
are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight.errors import ConfigError, DataError, TooFewRepeatsError, UnknownNameError

Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]

INNER_SPLITS: Final = 2
"""Folds among the training trials on which a decoder's own constants are chosen.

Two cost half as much as three, and candidates lie a factor of two or more apart: a finer choice is not needed.
"""


class Splitter(Protocol):
    """What scikit-learn asks of a cv object."""

    def split(self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Iterator[Fold]:
        """Yield the training rows and the test rows of each fold."""
        ...

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:
        """Count the folds."""
        ...


@dataclass(frozen=True)
class BlockKFold:
    """Folds of contiguous runs of trials, with a gap on either side of every test run.

    Each block is cut into ``n_splits`` contiguous runs whose lengths differ by at most one trial; the test rows of
    fold ``k`` are the ``k``-th run of every block. Training rows are all others except those within ``gap`` trials of
    a test run of the same block. Runs never span blocks and the gap does not reach over a block's bounds: ``groups``
    are taken to be apart in time. Give ``stretches`` where that is not known. A block of fewer than ``n_splits``
    trials gives its trials to as many folds, in turn with other such blocks.

    Parameters
    ----------
    n_splits
        Number of folds, at least 2.
    gap
        Trials left out on either side of a test run.
    """

    n_splits: int = 5
    gap: int = 10
    name: ClassVar[str] = "block-kfold"

    def __post_init__(self) -> None:
        """Refuse fewer than two folds and negative gaps (``ConfigError``)."""
        _check_n_splits(self.n_splits)
        _check_gap(self.gap)

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None, *, stretches: ArrayLike | None = None
    ) -> Iterator[Fold]:
        """Yield the training rows and the test rows of each fold.

        Parameters
        ----------
        X, y, groups
            Rows in time order, their labels and their blocks.
        stretches
            Stretch of each row, cut into runs in place of the blocks; None where blocks are apart in time.

        Raises
        ------
        TooFewRepeatsError
            If ``y`` is given and a class has fewer repeats than folds.
        DataError
            If a block comes back after another one, or a fold has no training or no test rows.
        """
        blocks = _block_numbers(_n_rows(X, y), groups)
        blocks = blocks if stretches is None else _block_numbers(len(blocks), stretches)
        _check_repeats(y, self.n_splits, f"{self.n_splits} folds")
        folds = self._fold_of_rows(blocks)
        for fold in range(self.n_splits):
            yield _fold(folds == fold, blocks, self.gap, f"fold {fold} of {self!r}")

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:
        """Count the folds."""
        return self.n_splits

    def _fold_of_rows(self, blocks: Rows) -> Rows:
        pieces = []
        turn = 0
        for size in np.bincount(blocks):
            if size < self.n_splits:
                pieces.append((turn + np.arange(size)) % self.n_splits)
                turn += int(size)
            else:
                pieces.append(np.arange(size) * self.n_splits // size)
        return np.concatenate(pieces).astype(np.intp)


@dataclass(frozen=True)
class RepeatKFold:
    """Folds over the repeats of each condition: early repeats are one fold, late repeats another.

    The ``r``-th of the ``m`` trials of a class, in time order, is tested in fold ``r * n_splits // m``. Every class is
    tested in every fold. There is no gap: neighbours in time of a test trial, which are trials of other classes, are
    trained on. Use it to compare with published work; ``BlockKFold`` is the stricter question.

    Parameters
    ----------
    n_splits
        Number of folds, at least 2.
    """

    n_splits: int = 5
    name: ClassVar[str] = "repeat-kfold"

    def __post_init__(self) -> None:
        """Refuse fewer than two folds (``ConfigError``)."""
        _check_n_splits(self.n_splits)

    def split(self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Iterator[Fold]:
        """Yield the training rows and the test rows of each fold; ``groups`` is not used.

        Raises
        ------
        TooFewRepeatsError
            If a class has fewer repeats than folds.
        DataError
            If ``y`` is None.
        """
        if y is None:
            raise DataError("RepeatKFold parts the repeats of each class: expected y, got None.")
        _check_repeats(y, self.n_splits, f"{self.n_splits} folds")
        _, codes = np.unique(np.asarray(y), return_inverse=True)
        folds = np.empty(len(codes), np.intp)
        for code, size in enumerate(np.bincount(codes)):
            folds[codes == code] = np.arange(size) * self.n_splits // size
        for fold in range(self.n_splits):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:
        """Count the folds."""
        return self.n_splits


@dataclass(frozen=True)
class LastBlock:
    """One fold: train on the earlier blocks, test on the last; with a single block, on its last ``fraction``.

    Parameters
    ----------
    gap
        Trials left out before the test rows where a single block is cut, or where the last block touches the others.
    fraction
        Share of the trials of a single block that is tested, between 0 and 1.
    """

    gap: int = 10
    fraction: float = 0.2
    name: ClassVar[str] = "last-block"

    def __post_init__(self) -> None:
        """Refuse negative gaps and impossible fractions (``ConfigError``)."""
        _check_gap(self.gap)
        if not 0 < self.fraction < 1:
            raise ConfigError(f"expected a fraction of trials to test between 0 and 1, got {self.fraction}.")

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None, *, stretches: ArrayLike | None = None
    ) -> Iterator[Fold]:
        """Yield the training rows and the test rows of the one fold.

        Parameters
        ----------
        X, y, groups
            Rows in time order, their labels and their blocks: the last one is tested.
        stretches
            Stretch of each row: the gap ends at its bounds. None where blocks are apart in time.

        Raises
        ------
        TooFewRepeatsError
            If ``y`` is given and a class has a single trial.
        DataError
            If a block comes back after another one, or no training rows are left.
        """
        blocks = _block_numbers(_n_rows(X, y), groups)
        _check_repeats(y, 2, "training and testing")
        last = blocks == blocks[-1]
        if last.all():
            last[: len(last) - max(1, round(self.fraction * len(last)))] = False
        reach = blocks if stretches is None else _block_numbers(len(blocks), stretches)
        yield _fold(last, reach, self.gap, repr(self))

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:
        """Count the folds: one."""
        return 1


SPLITTERS: Final = (BlockKFold.name, RepeatKFold.name, LastBlock.name)


def make_splitter(name: str, n_splits: int = 5, gap: int = 10) -> Splitter:
    """Return the splitter of that name.

    Parameters
    ----------
    name
        ``"block-kfold"``, ``"repeat-kfold"`` (no gap) or ``"last-block"`` (one fold; a single block is tested on its
        last ``1 / n_splits``).
    n_splits, gap
        Number of folds; trials left out on either side of a test run.

    Raises
    ------
    UnknownNameError
        If there is no such splitter; offers the nearest name.
    """
    if name == BlockKFold.name:
        return BlockKFold(n_splits, gap)
    if name == RepeatKFold.name:
        return RepeatKFold(n_splits)
    if name == LastBlock.name:
        _check_n_splits(n_splits)
        return LastBlock(gap, 1 / n_splits)
    raise UnknownNameError("splitter", name, SPLITTERS)


def segments(train_rows: Rows, groups: ArrayLike | None, gap: int) -> Rows:
    """Give each stretch of training rows a number; no inner gap is needed between stretches.

    A stretch of training rows ends where ``groups`` change and at a hole (rows left out for the outer test run and its
    gap) of at least ``gap`` trials: what lies beyond is far enough already. A shorter hole, as ``RepeatKFold`` leaves
    by the hundred, does not end a stretch, so that an inner gap reaches across it. There it counts training rows and
    is never shorter, in trials, than ``gap``.

    Parameters
    ----------
    train_rows
        Rows of the outer training set, ascending.
    groups
        Stretch of every row of the whole dataset (see `spikesight.data.timeline.stretches`), or None for a single one.
    gap
        Trials that must lie between inner training and test rows.

    Returns
    -------
    ndarray of shape (n_train,)
        Number of the stretch of each training row: ``groups`` for the inner ``BlockKFold``.
    """
    rows = np.asarray(train_rows)
    steps = np.diff(rows)
    if (steps <= 0).any():
        raise DataError("expected training rows in ascending (time) order.")
    new = steps - 1 >= max(gap, 1)
    if groups is not None:
        new |= np.asarray(groups)[rows][1:] != np.asarray(groups)[rows][:-1]
    return np.concatenate([[0], np.cumsum(new)]).astype(np.intp)


def inner_folds(train_rows: Rows, groups: ArrayLike | None, gap: int) -> list[Fold]:
    """Folds among training rows, on which a decoder's constants are chosen.

    ``BlockKFold(INNER_SPLITS, gap)`` over ``segments``. Classes with few repeats are no reason to refuse: the choice
    is only made on fewer of their trials.

    Returns
    -------
    list of (train, test)
        Positions in ``train_rows``.

    Raises
    ------
    DataError
        If an inner fold would have no training or no test rows.
    """
    stretches = segments(train_rows, groups, gap)
    return list(BlockKFold(INNER_SPLITS, gap).split(train_rows, groups=stretches))


def _n_rows(X: Any, y: ArrayLike | None) -> int:
    n_rows = int(X.shape[0]) if hasattr(X, "shape") else len(X)
    if y is not None and len(np.asarray(y)) != n_rows:
        raise DataError(f"expected one label per row, got {len(np.asarray(y))} labels for {n_rows} rows.")
    if n_rows == 0:
        raise DataError("expected at least one trial to split, got none.")
    return n_rows


def _block_numbers(n_rows: int, groups: ArrayLike | None) -> Rows:
    """Turn block labels into 0, 1, ... in time order."""
    if groups is None:
        return np.zeros(n_rows, np.intp)
    labels = np.asarray(groups)
    if labels.shape != (n_rows,):
        raise DataError(f"expected one block per row, got groups of shape {labels.shape} for {n_rows} rows.")
    bounds = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    starts = labels[np.concatenate([[0], bounds])]
    names, counts = np.unique(starts, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"expected rows in time order with each block in one stretch; block {names[counts > 1][0]} comes back "
            "after another block. Sort the rows by start_time, or number the stretches."
        )
    numbers = np.zeros(n_rows, np.intp)
    numbers[bounds] = 1
    return np.cumsum(numbers)


def _fold(tested: NDArray[np.bool_], blocks: Rows, gap: int, what: str) -> Fold:
    """Training and test rows, once rows within ``gap`` of a test row of the same block are left out."""
    test = np.flatnonzero(tested)
    held_out = tested.copy()
    for distance in range(1, gap + 1):
        near = tested[:-distance] & (blocks[:-distance] == blocks[distance:])
        held_out[distance:] |= near
        near = tested[distance:] & (blocks[:-distance] == blocks[distance:])
        held_out[: len(held_out) - distance] |= near
    train = np.flatnonzero(~held_out)
    if not len(test) or not len(train):
        raise DataError(
            f"{what} has {len(test)} test and {len(train)} training trials out of {len(tested)} in {blocks[-1] + 1} "
            "block(s); expected some of each. Use fewer folds or a shorter gap."
        )
    return train, test


def _check_n_splits(n_splits: int) -> None:
    if n_splits < 2:
        raise ConfigError(f"expected at least 2 folds, got {n_splits}.")


def _check_gap(gap: int) -> None:
    if gap < 0:
        raise ConfigError(f"expected a gap of 0 or more trials, got {gap}.")


def _check_repeats(y: ArrayLike | None, needed: int, purpose: str) -> None:
    if y is None:
        return
    classes, counts = np.unique(np.asarray(y), return_counts=True)
    rarest = int(counts.argmin())
    if counts[rarest] < needed:
        raise TooFewRepeatsError(
            f"expected at least {needed} repeats of every class for {purpose}; class {classes[rarest].item()!r} has "
            f"{counts[rarest]} ({(counts < needed).sum()} of {len(classes)} classes have too few). "
            "Use fewer folds, drop the rare classes, or decode a coarser target."
        )

"""How much of the counts a label explains: the product of class means of two halves of the trials.

Noise of the two halves is independent, so the product is zero on average where the label says nothing, however few the
repeats; where it says something, it is the variance of the tuning.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats32 = NDArray[np.float32]
FEWEST_REPEATS: Final = 2
"""A class that is shown less often has no two halves."""


def standardised(counts: NDArray[np.integer]) -> Floats32:
    """Square-root counts, (n_trials, ...), centred over trials, in standard deviations; what never varies is zero."""
    roots: Floats32 = np.sqrt(counts + np.float32(0.375), dtype=np.float32)
    roots -= roots.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = roots.std(axis=0, dtype=np.float64).astype(np.float32)
    roots /= np.where(spread > 0, spread, 1)
    return roots


def halves(codes: NDArray[np.intp]) -> tuple[csr_array, csr_array]:
    """Averages over the even and over the odd repeats of each class.

    Parameters
    ----------
    codes
        Class of each trial, (n_trials,), in the order shown.

    Returns
    -------
    even, odd
        Each (n_classes, n_trials): times values (n_trials, n_columns) it is the class means. Classes with fewer than
        ``FEWEST_REPEATS`` are left out.
    """
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    begins = np.cumsum(sizes) - sizes
    repeat = np.empty(len(codes), np.intp)
    repeat[order] = np.arange(len(codes)) - np.repeat(begins, sizes)
    kept = np.flatnonzero(sizes >= FEWEST_REPEATS)
    row = np.full(len(sizes), -1)
    row[kept] = np.arange(len(kept))

    def averages(half: int) -> csr_array:
        trials = np.flatnonzero((repeat % 2 == half) & (row[codes] >= 0))
        rows = row[codes[trials]]
        share = (1 / np.bincount(rows, minlength=len(kept))).astype(np.float32)[rows]
        return csr_array((share, (rows, trials)), (len(kept), len(codes)))

    return averages(0), averages(1)


def explained(values: Floats32, even: csr_array, odd: csr_array) -> NDArray[np.float64]:
    """Variance of the tuning of each column.

    Parameters
    ----------
    values
        ``(n_trials, n_columns)``; where they are standardised, the result is a share of the variance.
    even, odd
        As from `halves`.

    Returns
    -------
    ndarray of shape (n_columns,)
        Unbiased, so it may be below zero.
    """
    one, other = even @ values, odd @ values
    one -= one.mean(axis=0)
    other -= other.mean(axis=0)
    return np.asarray(np.einsum("cu,cu->u", one, other, dtype=np.float64) / max(len(one), 1))

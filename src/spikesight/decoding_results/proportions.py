"""How sure a share of a few trials is."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Z = 1.959963984540054
"""97.5 % of a normal distribution lies below."""


def wilson_interval(n_right: ArrayLike, n: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % interval of Wilson (1927) of shares ``n_right / n``, elementwise; NaN where there is no trial.

    It takes trials for independent of each other. Where neighbours in time are alike it is too narrow; the trials of
    one class lie far apart.
    """
    right, total = np.broadcast_arrays(np.asarray(n_right, np.float64), np.asarray(n, np.float64))
    total = np.where(total > 0, total, np.nan)
    share, z2 = right / total, _Z**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z / (1 + z2 / total) * np.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    low, high = np.where(share == 0, 0.0, middle - half), np.where(share == 1, 1.0, middle + half)  # exact at the ends
    return np.asarray(low), np.asarray(high)

"""Whether a unit's response depends on where the stimulus was: a chi-square statistic and shuffled labels.

The statistic is that of AllenSDK (``chisquare_categorical``): summed counts at each place against what the mean count
predicts, squared, over the expectation. Counts are no independent draws, so its distribution is not looked up: labels
are shuffled within blocks. AllenSDK draws trials with replacement instead, over the whole session, and can return 0;
here the least p-value is 1 / (1 + number of shuffles).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spikesight.errors import ConfigError, DataError

Floats = NDArray[np.float64]

N_SHUFFLES: Final = 999


def permutation_p_values(
    counts: Floats,
    places: NDArray[np.integer],
    blocks: NDArray[np.integer],
    *,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> Floats:
    """Test each unit for a dependence of its counts on ``places``.

    Parameters
    ----------
    counts
        Shape (n_trials, n_units).
    places
        Code of the stimulus of each trial, 0, 1, ..., shape (n_trials,).
    blocks
        Block of each trial: labels are shuffled within blocks, shape (n_trials,).
    n_shuffles, seed
        Number of shuffles; seed.

    Returns
    -------
    ndarray of shape (n_units,)
        Share of the shuffles, and of the data themselves, whose statistic is as large; 1 for a silent unit.

    Raises
    ------
    DataError, ConfigError
        If shapes do not fit, or there is no shuffle.
    """
    if counts.ndim != 2 or places.shape != (len(counts),) or blocks.shape != places.shape:
        raise DataError(
            f"expected counts (trials, units) with a place and a block for each trial, got {counts.shape}, "
            f"{places.shape} and {blocks.shape}."
        )
    if n_shuffles < 1:
        raise ConfigError(f"expected at least one shuffle, got {n_shuffles}.")
    rng = np.random.default_rng(seed)
    observed = _chi_square(counts, places)
    reached = np.zeros(counts.shape[1])
    members = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    shuffled = places.copy()
    for _ in range(n_shuffles):
        for rows in members:
            shuffled[rows] = places[rng.permutation(rows)]
        reached += _chi_square(counts, shuffled) >= observed - 1e-9 * np.maximum(observed, 1.0)
    return np.asarray((1 + reached) / (1 + n_shuffles))


def _chi_square(counts: Floats, places: NDArray[np.integer]) -> Floats:
    n_trials, n_places = len(places), int(places.max()) + 1
    of_place = sparse.csr_array((np.ones(n_trials), (places, np.arange(n_trials))), shape=(n_places, n_trials))
    shown = np.bincount(places, minlength=n_places).astype(float)
    expected = shown[:, None] * counts.mean(0)
    difference = (of_place @ counts - expected) ** 2
    return np.asarray(np.divide(difference, expected, out=np.zeros_like(expected), where=expected > 0).sum(0))

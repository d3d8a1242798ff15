"""Principal components."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from spikesight.encoders.base import N_COMPONENTS, Encoder, Floats
from spikesight.errors import ConfigError
from spikesight.preprocessing import FLOOR

_LARGEST_COVARIANCE = 3000
"""Units up to which components come exactly, from the covariance; above it, from a randomised SVD."""


def components_possible(asked: int, n_rows: int, n_units: int) -> int:
    """Return how many components there can be, at most as many as were asked for.

    Raises
    ------
    ConfigError
        If fewer than one was asked for.
    """
    if not isinstance(asked, int | np.integer) or isinstance(asked, bool) or asked < 1:
        raise ConfigError(f"expected n_components of at least 1, a whole number, got {asked!r}.")
    return int(max(1, min(asked, n_units, n_rows - 1)))


class PCAEncoder(Encoder):
    """Principal components of standardised square-root counts (scikit-learn's PCA).

    Parameters
    ----------
    n_components
        Components to keep; at most the number of units, and of rows less one, are.
    floor
        Smallest standard deviation to divide by.
    random_state
        Seed of the randomised SVD that takes over above 3000 units.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_units)
        Orthonormal axes, the one of the largest variance first.
    explained_variance_ratio_ : ndarray of shape (n_components_,)

    References
    ----------
    Jolliffe (2002), "Principal Component Analysis".
    """

    def __init__(self, n_components: int = N_COMPONENTS, *, floor: float = FLOOR, random_state: int | None = 0) -> None:
        self.n_components = n_components
        self.floor = floor
        self.random_state = random_state

    def _learn(self, rows: Floats, trials: NDArray[Any], y: ArrayLike | None) -> None:
        if len(rows) < 2:
            raise ValueError(f"expected two rows or more to find components in, got {len(rows)} sample.")
        self.n_components_ = components_possible(self.n_components, *rows.shape)
        solver = "covariance_eigh" if rows.shape[1] <= _LARGEST_COVARIANCE else "randomized"
        pca = PCA(self.n_components_, svd_solver=solver, random_state=check_random_state(self.random_state))
        with np.errstate(invalid="ignore"):  # of shares of no variance, where no unit ever varied
            pca.fit(rows)
        self.components_ = pca.components_
        self.explained_variance_ratio_ = np.nan_to_num(pca.explained_variance_ratio_)

    def _encode(self, rows: Floats) -> Floats:
        return np.asarray(rows @ self.components_.T)

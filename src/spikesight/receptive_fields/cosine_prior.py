"""What is believed of a map before the data: that it is small (ridge), or that neighbouring places are alike.

A penalty on the second differences of a map, with reflecting borders, is diagonal in the basis of cosines (the type-II
discrete cosine transform). So the belief is a factor on each cosine: images are turned into cosines, multiplied, and
a plain ridge on the products is the penalised regression. No matrix of pixels by pixels is ever made.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from spikesight.errors import UnknownNameError

Floats = NDArray[np.float64]

PRIORS: Final = ("smooth", "ridge")
_CURVATURE: Final = 1.0
"""Weight of squared second differences beside squared values."""


def cosine_factors(shape: tuple[int, int], prior: str) -> Floats:
    """Return the prior standard deviation of each cosine of a map, shape ``shape``; that of the constant is 1.

    Parameters
    ----------
    shape
        Rows and columns of the map.
    prior
        ``"ridge"``: all alike. ``"smooth"``: the penalty of a map ``w`` is ``sum(w ** 2) + sum((Laplacian w) ** 2)``.

    Raises
    ------
    UnknownNameError
        If there is no such prior.
    """
    if prior not in PRIORS:
        raise UnknownNameError("prior", prior, PRIORS)
    if prior == "ridge":
        return np.ones(shape)
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape)
    curvature = rows[:, None] + columns[None, :]
    return np.asarray(1 / np.sqrt(1 + _CURVATURE * curvature**2))


def to_cosines(images: Floats, factors: Floats) -> Floats:
    """Turn images (n, rows, columns) into predictors (n, rows * columns)."""
    return np.asarray(dctn(images, axes=(1, 2), norm="ortho") * factors).reshape(len(images), -1)


def to_maps(weights: Floats, factors: Floats) -> Floats:
    """Turn weights on such predictors (n, rows * columns) into maps that images are multiplied by."""
    return np.asarray(idctn(weights.reshape(-1, *factors.shape) * factors, axes=(1, 2), norm="ortho"))

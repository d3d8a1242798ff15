"""What is believed of a map before the data: that it is small (ridge), or that neighbouring places are alike.

A penalty on the second differences of a map, with mirrored borders, is diagonal in the basis of cosines (the type-II
discrete cosine transform). So the belief is a factor on each cosine: images are turned into cosines, multiplied, and
a plain ridge on the products is the penalised regression. No matrix of pixels by pixels is ever made.

Mirrored borders alone would let a map be up to twice as variable at the screen's edge as in its middle, and maps of
little data would lie there. So places are scaled to the same prior variance everywhere.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, dctn, idctn

from spikesight.errors import UnknownNameError

Floats = NDArray[np.float64]

PRIORS: Final = ("smooth", "ridge")
_CURVATURE: Final = 1.0
"""Weight of squared second differences beside squared values."""


class CosinePrior(NamedTuple):
    """A prior over maps.

    Attributes
    ----------
    factors
        Standard deviation of each cosine; that of the constant is 1. Shape of a map.
    scale
        Factor of each place, so that all have the same prior variance. Shape of a map.
    """

    factors: Floats
    scale: Floats

    def to_cosines(self, images: Floats) -> Floats:
        """Turn images (n, rows, columns) into predictors (n, rows * columns)."""
        products = dctn(images * self.scale, axes=(1, 2), norm="ortho") * self.factors
        return np.asarray(products).reshape(len(images), -1)

    def to_maps(self, weights: Floats) -> Floats:
        """Turn weights on such predictors (n, rows * columns) into maps (n, rows, columns) on images."""
        products = weights.reshape(-1, *self.factors.shape) * self.factors
        return np.asarray(idctn(products, axes=(1, 2), norm="ortho") * self.scale)


def cosine_prior(shape: tuple[int, int], prior: str) -> CosinePrior:
    """Return a prior over maps of ``shape`` (rows, columns).

    Parameters
    ----------
    shape
        Rows and columns.
    prior
        ``"ridge"``: all cosines alike, which penalises ``sum(w ** 2)``. ``"smooth"``: penalises
        ``sum(v ** 2) + sum((Laplacian v) ** 2)``, where ``v`` is the map divided by ``scale``.

    Raises
    ------
    UnknownNameError
        If there is no such prior.
    """
    if prior not in PRIORS:
        raise UnknownNameError("prior", prior, PRIORS)
    if prior == "ridge":
        return CosinePrior(np.ones(shape), np.ones(shape))
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape)
    curvature = rows[:, None] + columns[None, :]
    factors = np.asarray(1 / np.sqrt(1 + _CURVATURE * curvature**2))
    squares = [dct(np.eye(n), axis=0, norm="ortho") ** 2 for n in shape]
    variance = squares[0].T @ factors**2 @ squares[1]
    return CosinePrior(factors, np.asarray(np.sqrt(variance.mean() / variance)))

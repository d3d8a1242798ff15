"""Gabor-energy receptive fields: what drives each unit, and how selective its nonlinearity makes it.

Adelson & Bergen (1985): two Gabor filters a quarter cycle apart; a simple unit answers to one, half-rectified, a
complex unit to the root of the sum of their squares, and most units lie between. The drive is then raised to a power
of the unit's own, and a constant is mixed in, so that its tuning curve over the scenes has the coefficient of variation
drawn for it, and few scenes drive it much more than all others.
"""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikesight.data.simulation.scenes import PIXEL, Images, screen

Floats = NDArray[np.float64]

BATCH: Final = 256
"""Units whose filters are in memory at a time."""
FLOOR: Final = 0.05
"""Added to the drive (mean 1) so that a power of it never reaches exactly nothing."""
LARGEST_POWER: Final = 8.0
CEILING: Final = 1.2
"""No other stimulus drives a unit more than this multiple of the scene that drives it most."""


@dataclass(frozen=True)
class ReceptiveFields:
    """One Gabor per unit; every array has shape (n_units,).

    Attributes
    ----------
    azimuth, elevation
        Centre, degrees from the screen's middle.
    size
        Standard deviation of the envelope, degrees.
    orientation
        Radians.
    spatial_frequency
        Cycles per degree.
    phase
        Radians.
    complexity
        0 = simple, 1 = complex.
    """

    azimuth: Floats
    elevation: Floats
    size: Floats
    orientation: Floats
    spatial_frequency: Floats
    phase: Floats
    complexity: Floats

    def __len__(self) -> int:
        return len(self.azimuth)

    def rows(self, chosen: slice) -> "ReceptiveFields":
        """Return the receptive fields of some units."""
        return ReceptiveFields(*(getattr(self, entry.name)[chosen] for entry in fields(self)))

    def surround(self) -> "ReceptiveFields":
        """Return the wide, coarse fields of the late response: twice the size, across the early orientation."""
        return replace(
            self,
            size=2 * self.size,
            spatial_frequency=0.5 * self.spatial_frequency,
            orientation=self.orientation + np.pi / 2,
            complexity=np.ones_like(self.complexity),
        )


def drive(images: Images, receptive_fields: ReceptiveFields, coarseness: int = 1) -> NDArray[np.float32]:
    """Compute the drive of every unit by every image, shape (n_images, n_units), not negative.

    Parameters
    ----------
    images
        Shape (n_images, height, width), contrast around grey.
    receptive_fields
        The units.
    coarseness
        Pixels are averaged in squares of this side first: enough for wide fields, and cheaper.
    """
    azimuth, elevation = screen()
    if coarseness > 1:
        images = _average(images, coarseness)
        azimuth = azimuth.reshape(-1, coarseness).mean(1)
        elevation = elevation.reshape(-1, coarseness).mean(1)
    pixels = images.reshape(len(images), -1)
    result = np.empty((len(images), len(receptive_fields)), np.float32)
    for start in range(0, len(receptive_fields), BATCH):
        batch = slice(start, start + BATCH)
        some = receptive_fields.rows(batch)
        even, odd = gabor_filters(some, azimuth, elevation, PIXEL * coarseness)
        first, second = pixels @ even.T, pixels @ odd.T
        simple = np.maximum(first, 0)
        complex_ = np.sqrt((first**2 + second**2) / 2)
        result[:, batch] = some.complexity * complex_ + (1 - some.complexity) * simple
    return result


@dataclass(frozen=True)
class Nonlinearity:
    """From drive to response: ``constant + (1 - constant) * (drive / mean + FLOOR) ** power / norm``, (n_units,) each.

    Attributes
    ----------
    power, constant
        Shape of the nonlinearity.
    mean, norm
        Mean of the drive over the scenes, and of the power of it.
    ceiling
        Largest relative drive that is told from larger ones.
    """

    power: Floats
    constant: Floats
    mean: Floats
    norm: Floats
    ceiling: Floats

    def __call__(self, stimulus_drive: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute responses, mean 1 over the scenes, from drives; both of shape (n_images, n_units)."""
        part = (np.minimum(stimulus_drive / self.mean, self.ceiling) + FLOOR) ** self.power / self.norm
        return np.asarray(self.constant + (1 - self.constant) * part, np.float32)


def fit_nonlinearity(scene_drive: NDArray[np.float32], variation: Floats, peaked: Floats) -> Nonlinearity:
    """Find each unit's nonlinearity.

    Parameters
    ----------
    scene_drive
        Shape (n_scenes, n_units).
    variation
        Wanted coefficient of variation of the response over the scenes, shape (n_units,). A unit that cannot be as
        selective with these scenes comes as near as the largest power allows.
    peaked
        Coefficient of variation of the part that varies, (n_units,): the larger, the larger the constant part, and the
        fewer the scenes that drive the unit.
    """
    mean = np.maximum(scene_drive.mean(0, dtype=np.float64), 1e-12)
    relative = scene_drive / mean
    ceiling = CEILING * relative.max(0)
    relative = relative + FLOOR
    low = np.full(len(variation), 0.01)
    high = np.full(len(variation), LARGEST_POWER)
    for _ in range(30):
        middle = (low + high) / 2
        response = relative**middle
        too_low = response.std(0) / response.mean(0) < peaked
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    response = relative ** ((low + high) / 2)
    reached = response.std(0) / response.mean(0)
    constant = 1 - np.minimum(variation / np.maximum(reached, 1e-12), 1.0)
    return Nonlinearity((low + high) / 2, constant, mean, response.mean(0), ceiling)


def gabor_filters(
    some: ReceptiveFields, azimuth: Floats, elevation: Floats, pixel: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Even and odd Gabor of each unit without response to grey, unit energy, shape (n_units, n_pixels)."""
    x = azimuth[None, None, :] - some.azimuth[:, None, None]
    y = elevation[None, :, None] - some.elevation[:, None, None]
    envelope = np.exp(-(x**2 + y**2) / (2 * some.size[:, None, None] ** 2))
    along = np.cos(some.orientation)[:, None, None] * x + np.sin(some.orientation)[:, None, None] * y
    cycle = 2 * np.pi * some.spatial_frequency[:, None, None] * along + some.phase[:, None, None]
    pair = []
    for wave in (np.cos(cycle), np.sin(cycle)):
        gabor = envelope * wave
        gabor -= envelope * (gabor.sum((1, 2)) / envelope.sum((1, 2)))[:, None, None]
        gabor /= np.sqrt((gabor**2).sum((1, 2)))[:, None, None] / pixel
        pair.append(gabor.reshape(len(some), -1).astype(np.float32))
    return pair[0], pair[1]


def _average(images: Images, side: int) -> Images:
    n_images, height, width = images.shape
    squares = images.reshape(n_images, height // side, side, width // side, side)
    return np.asarray(squares.mean((2, 4)), np.float32)

"""Gabor-energy receptive fields: what drives each unit, and how selective its nonlinearity makes it.

Adelson & Bergen (1985): two Gabor filters a quarter cycle apart; a simple unit answers to one, half-rectified, a
complex unit to the root of the sum of their squares, and most units lie between. The drive is then raised to a power
of the unit's own, chosen so that its tuning curve over the scenes has the coefficient of variation that was drawn for it.
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
CEILING: Final = 12.0
"""Responses saturate softly at this multiple of the mean response to the scenes."""


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
        even, odd = _filters(some, azimuth, elevation, PIXEL * coarseness)
        first, second = pixels @ even.T, pixels @ odd.T
        simple = np.maximum(first, 0)
        complex_ = np.sqrt((first**2 + second**2) / 2)
        result[:, batch] = some.complexity * complex_ + (1 - some.complexity) * simple
    return result


def powers(scene_drive: NDArray[np.float32], variation: Floats) -> Floats:
    """Find the power of each unit's nonlinearity, shape (n_units,).

    Parameters
    ----------
    scene_drive
        Shape (n_scenes, n_units).
    variation
        Wanted coefficient of variation of the response over the scenes, shape (n_units,). A unit that cannot be as
        selective (or as blunt) with these scenes gets the nearest power that is allowed.
    """
    relative = _relative(scene_drive, scene_drive)
    low = np.full(len(variation), 0.01)
    high = np.full(len(variation), LARGEST_POWER)
    for _ in range(30):
        middle = (low + high) / 2
        response = _saturate(relative**middle)
        too_low = response.std(0) / response.mean(0) < variation
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return np.asarray((low + high) / 2, np.float64)


def responses(
    stimulus_drive: NDArray[np.float32], scene_drive: NDArray[np.float32], power: Floats
) -> NDArray[np.float32]:
    """Pass drives through each unit's nonlinearity; mean 1 over the scenes. Shape (n_images, n_units)."""
    mean = _saturate(_relative(scene_drive, scene_drive) ** power).mean(0)
    return np.asarray(_saturate(_relative(stimulus_drive, scene_drive) ** power) / mean, np.float32)


def _relative(stimulus_drive: NDArray[np.float32], scene_drive: NDArray[np.float32]) -> Floats:
    mean = np.maximum(scene_drive.mean(0, dtype=np.float64), 1e-12)
    return np.asarray(stimulus_drive / mean + FLOOR, np.float64)


def _saturate(response: Floats) -> Floats:
    # Relative to the unit's own mean: a power's scale is arbitrary, its shape is not.
    return np.asarray(CEILING * (1 - np.exp(-response / CEILING)), np.float64)


def _filters(
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

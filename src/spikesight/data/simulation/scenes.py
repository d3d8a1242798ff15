"""Images: natural-looking scenes, frames of movies, gratings and Gabor patches, on one screen in degrees.

The screen spans 120 x 95 degrees at 1.25 degrees a pixel, like the monitor of the Allen rigs seen by one eye. An image
is contrast around the mean grey: 0 is grey, about +-1 black and white.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
Floats = NDArray[np.float64]

PIXEL: Final = 1.25
"""Degrees a pixel."""
HEIGHT: Final = 76
WIDTH: Final = 96
SMALLEST_LEAF: Final = 1.5
LARGEST_LEAF: Final = 40.0
"""Radii of dead leaves, pixels."""


def screen() -> tuple[Floats, Floats]:
    """Return azimuth (WIDTH,) and elevation (HEIGHT,) of the pixel centres, degrees from the screen's middle."""
    azimuth: Floats = (np.arange(WIDTH, dtype=np.float64) - (WIDTH - 1) / 2) * PIXEL
    elevation: Floats = (np.arange(HEIGHT, dtype=np.float64) - (HEIGHT - 1) / 2) * PIXEL
    return azimuth, elevation


def one_over_f(rng: np.random.Generator, height: int, width: int) -> Images:
    """Draw Gaussian noise whose amplitude spectrum falls as 1/f (Field 1987), standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / frequency
    image = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(image / image.std(), np.float32)


def dead_leaves(rng: np.random.Generator, height: int, width: int, n_leaves: int = 400) -> Images:
    """Draw opaque discs that hide one another, radii after a power law r^-3 (Lee, Mumford & Huang 2001).

    Returns
    -------
    Mean 0, standard deviation 1: edges and flat patches as in photographs, and about their 1/f spectrum.
    """
    low, high = LARGEST_LEAF**-2, SMALLEST_LEAF**-2
    radii = rng.uniform(low, high, n_leaves) ** -0.5
    # A few large leaves first, so that no part of the ground stays bare.
    radii[: n_leaves // 8] = rng.uniform(LARGEST_LEAF / 2, LARGEST_LEAF, n_leaves // 8)
    rows = rng.uniform(0, height, n_leaves)
    columns = rng.uniform(0, width, n_leaves)
    greys = rng.uniform(-1.0, 1.0, n_leaves)
    image = np.zeros((height, width))
    for radius, row, column, grey in zip(radii, rows, columns, greys, strict=True):
        top, bottom = max(0, int(row - radius)), min(height, int(row + radius) + 2)
        left, right = max(0, int(column - radius)), min(width, int(column + radius) + 2)
        down = np.arange(top, bottom)[:, None] - row
        across = np.arange(left, right)[None, :] - column
        image[top:bottom, left:right][down**2 + across**2 <= radius**2] = grey
    image -= image.mean()
    return np.asarray(image / image.std(), np.float32)


def natural_scenes(rng: np.random.Generator, n_scenes: int) -> Images:
    """Draw scenes, shape (n_scenes, HEIGHT, WIDTH): dead leaves and 1/f noise in changing parts, contrasts unequal."""
    images = np.empty((n_scenes, HEIGHT, WIDTH), np.float32)
    for scene in range(n_scenes):
        part = rng.uniform(0.3, 1.0)
        leaves, noise = dead_leaves(rng, HEIGHT, WIDTH), one_over_f(rng, HEIGHT, WIDTH)
        image = np.sqrt(part) * leaves + np.sqrt(1 - part) * noise
        images[scene] = 0.35 * np.exp(0.25 * rng.standard_normal()) * image / image.std()
    return images


def movie(rng: np.random.Generator, n_frames: int) -> Images:
    """Draw a camera's slow way over one large scene, shape (n_frames, HEIGHT, WIDTH)."""
    ground = dead_leaves(rng, 2 * HEIGHT, 2 * WIDTH, n_leaves=1600) + 0.5 * one_over_f(rng, 2 * HEIGHT, 2 * WIDTH)
    ground *= 0.35 / ground.std()
    # Slow turns: the direction of the way changes over about ten frames, so that it leads far.
    turns = np.cumsum(rng.normal(0.0, 0.3, n_frames))
    way = 2.5 * np.cumsum(np.stack([np.sin(turns), np.cos(turns)], axis=1), axis=0)
    images = np.empty((n_frames, HEIGHT, WIDTH), np.float32)
    for frame, (row, column) in enumerate(way.astype(int)):
        images[frame] = np.roll(ground, (row, column), axis=(0, 1))[:HEIGHT, :WIDTH]
    return images


def gratings(orientations: Floats, spatial_frequencies: Floats, phases: Floats, contrast: float = 0.8) -> Images:
    """Draw full-field gratings: orientation in degrees, cycles per degree, phase in cycles; shapes (n_images,)."""
    azimuth, elevation = screen()
    angle = np.deg2rad(orientations)[:, None, None]
    along = np.cos(angle) * azimuth[None, None, :] + np.sin(angle) * elevation[None, :, None]
    cycles = spatial_frequencies[:, None, None] * along + phases[:, None, None]
    return (contrast * np.cos(2 * np.pi * cycles)).astype(np.float32)


def gabor_patches(x_position: Floats, y_position: Floats, orientations: Floats, contrast: float = 0.8) -> Images:
    """Draw 20-degree patches of a 0.08-cycle grating at these places (degrees), orientations in degrees."""
    azimuth, elevation = screen()
    x = azimuth[None, None, :] - x_position[:, None, None]
    y = elevation[None, :, None] - y_position[:, None, None]
    angle = np.deg2rad(orientations)[:, None, None]
    carrier = np.cos(2 * np.pi * 0.08 * (np.cos(angle) * x + np.sin(angle) * y))
    inside = x**2 + y**2 <= 10.0**2
    return (contrast * carrier * inside).astype(np.float32)

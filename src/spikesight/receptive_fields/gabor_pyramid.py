"""What an image is made of: energies of Gabor filters at several scales, orientations and places.

At each scale a pair of Gabors, a quarter cycle apart, is convolved with the image; the root of the sum of their
squares is the energy (Adelson & Bergen 1985, J. Opt. Soc. Am. A 2:284), as complex cells have it and as models of
natural scenes in visual cortex use it (Kay et al. 2008, Nature 452:352). Energies are averaged over cells of half a
wavelength or more, so that their number falls with the scale, and the square root is taken of them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from spikesight.errors import ConfigError, DataError

Floats = NDArray[np.float64]

WAVELENGTHS: Final = (4.0, 8.0, 16.0)
"""Pixels."""
N_ORIENTATIONS: Final = 6
_ENVELOPE: Final = 0.4
"""Standard deviation of the envelope in wavelengths: about one octave of bandwidth (Daugman 1985)."""
_REACH: Final = 2.5
"""Half width of a filter in standard deviations."""


@dataclass(frozen=True)
class GaborPyramid:
    """Filters at ``wavelengths`` (pixels) and ``n_orientations``, evenly spaced over half a turn.

    Parameters
    ----------
    wavelengths
        Of the carriers, pixels of the images that are analysed, each at least 2.
    n_orientations
        At least 1.
    """

    wavelengths: tuple[float, ...] = WAVELENGTHS
    n_orientations: int = N_ORIENTATIONS

    def __post_init__(self) -> None:
        """Refuse wavelengths that pixels do not carry (``ConfigError``)."""
        if not self.wavelengths or min(self.wavelengths) < 2 or self.n_orientations < 1:
            raise ConfigError(
                f"expected wavelengths of 2 pixels or more and an orientation, got {self.wavelengths} and "
                f"{self.n_orientations}."
            )

    def transform(self, images: Floats) -> Floats:
        """Return the features of ``images`` (n, rows, columns), shape (n, n_features).

        Raises
        ------
        DataError
            If it is no stack of images, or a value is not finite.
        """
        stack = np.asarray(images, np.float64)
        if stack.ndim != 3 or not np.isfinite(stack).all():
            raise DataError(f"expected finite images (n, rows, columns), got shape {stack.shape}.")
        parts = []
        for wavelength in self.wavelengths:
            for orientation in np.arange(self.n_orientations) * np.pi / self.n_orientations:
                energy = gabor_energy(stack, wavelength, float(orientation))
                parts.append(np.sqrt(_cells(energy, max(1, int(wavelength // 2)))))
        return np.concatenate(parts, axis=1)


def gabor_pair(wavelength: float, orientation: float) -> tuple[Floats, Floats]:
    """Return the even and the odd Gabor, square, without response to grey, of unit energy.

    Parameters
    ----------
    wavelength
        Pixels.
    orientation
        Direction in which the carrier changes, radians from the row axis's right towards larger rows.
    """
    width = _ENVELOPE * wavelength
    reach = int(np.ceil(_REACH * width))
    at = np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = at[None, :], at[:, None]
    envelope = np.exp(-(x**2 + y**2) / (2 * width**2))
    phase = 2 * np.pi / wavelength * (np.cos(orientation) * x + np.sin(orientation) * y)
    pair = []
    for wave in (np.cos(phase), np.sin(phase)):
        gabor = envelope * wave
        gabor -= envelope * (gabor.sum() / envelope.sum())
        pair.append(gabor / np.sqrt((gabor**2).sum()))
    return pair[0], pair[1]


def gabor_energy(images: Floats, wavelength: float, orientation: float) -> Floats:
    """Return the energy at every pixel of ``images`` (n, rows, columns), in the same shape; borders are mirrored."""
    even, odd = gabor_pair(wavelength, orientation)
    reach = len(even) // 2
    rows, columns = images.shape[1:]
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    # Only the middle is kept, which no wrapping round reaches.
    shape = [next_fast_len(n, real=True) for n in padded.shape[1:]]
    spectrum = rfft2(padded, shape)
    total = np.zeros(images.shape)
    for gabor in (even, odd):
        answer = irfft2(spectrum * rfft2(gabor, shape), shape)
        total += answer[:, 2 * reach : 2 * reach + rows, 2 * reach : 2 * reach + columns] ** 2
    return np.asarray(np.sqrt(total))


def _cells(energy: Floats, side: int) -> Floats:
    """Average energies over squares of ``side`` pixels, those at the far border smaller; shape (n, n_cells)."""
    rows, columns = (np.arange(0, n, side) for n in energy.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(energy, rows, axis=1), columns, axis=2)
    heights = np.diff(np.append(rows, energy.shape[1]))
    widths = np.diff(np.append(columns, energy.shape[2]))
    return np.asarray(sums / (heights[:, None] * widths)).reshape(len(energy), -1)

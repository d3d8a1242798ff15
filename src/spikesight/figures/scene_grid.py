"""The pictures that were shown, side by side."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr

from spikesight.data.images import upright
from spikesight.errors import ConfigError, DataError
from spikesight.figures.theme import INK, SOFT_INK, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP: Final = 0.08
_LABEL: Final = 0.24
"""Room between pictures, and for what is written under each, as parts of a picture's height."""


def plot_scene_grid(
    images: xr.DataArray,
    ax: "Axes | None" = None,
    *,
    repeats: Mapping[Any, int] | None = None,
    most: int = 40,
) -> "Axes":
    """Draw thumbnails of pictures in a grid, each with its frame number and how often it was shown.

    Parameters
    ----------
    images
        Dims (frame, row, column) in any order; coordinate ``frame``. Grey is scaled over all pictures together, so
        that their contrasts can be compared.
    ax
        Where to draw; a new figure if None.
    repeats
        Frame -> how often it was shown; not written if None.
    most
        Draw at most so many, evenly spread over the frames; the title says how many there are.

    Returns
    -------
    Axes
        Without ticks; one picture after the other, row by row.

    Raises
    ------
    DataError
        If the dims are others, or there is no picture.
    ConfigError
        If ``most`` is less than 1.
    """
    if set(images.dims) != {"frame", "row", "column"} or not images.size:
        raise DataError(f"expected pictures with dims frame, row and column, got {dict(images.sizes)}.")
    if most < 1:
        raise ConfigError(f"expected to draw at least 1 picture, got most={most}.")
    n_frames = images.sizes["frame"]
    chosen = np.unique(np.linspace(0, n_frames - 1, min(most, n_frames)).round().astype(int))
    pictures = upright(images).transpose("frame", "row", "column").isel(frame=chosen)
    values = pictures.to_numpy().astype(float)
    height = values.shape[1] / values.shape[2]
    n_columns = max(1, min(len(values), round(math.sqrt(len(values) * 1.7 * height))))
    n_rows = -(-len(values) // n_columns)
    step_x, step_y = 1 + _GAP, height * (1 + _LABEL + _GAP)
    width = 7.4
    ax = axes_or_new(ax, width, 0.35 + width * n_rows * step_y / (n_columns * step_x))
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    for number, (frame, picture) in enumerate(zip(pictures["frame"].to_numpy(), values, strict=True)):
        left, top = number % n_columns * step_x, number // n_columns * step_y
        ax.imshow(
            picture, cmap="gray", vmin=low, vmax=high if high > low else low + 1,
            extent=(left, left + 1, top + height, top), interpolation="antialiased", aspect="equal", zorder=2,
        )  # fmt: skip
        shown = "" if repeats is None else f" ({repeats.get(frame, 0)}x)"
        ax.text(
            left + 0.5, top + height * (1 + _LABEL / 2), f"{plain(frame)}{shown}", ha="center", va="center",
            fontsize=min(8.5, 42 / n_columns), color=INK,
        )  # fmt: skip
    ax.set_xlim(-_GAP, n_columns * step_x)
    ax.set_ylim(n_rows * step_y, -_GAP)
    ax.set_axis_off()
    some = "" if len(values) == n_frames else f"{len(values):,} of "
    ax.set_title(
        f"{some}{n_frames:,} pictures: frame{'' if repeats is None else ' (times shown)'}", fontsize=9.5, color=SOFT_INK
    )
    return ax

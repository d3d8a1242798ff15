"""Which class was taken for which."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from spikesight.figures.theme import axes_or_new, plain, sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LABELS = 24


def plot_confusion_matrix(confusion: xr.DataArray, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of each shown class' trials that were decoded as each class.

    Parameters
    ----------
    confusion
        Trial counts, dims ``(y_true, y_pred)`` in any order, coordinates the labels.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Decoded class on x, shown class on y (first class on top), rows normalised to %.
    """
    counts = confusion.transpose("y_true", "y_pred").to_numpy().astype(float)
    labels = [plain(label) for label in confusion["y_true"].to_numpy()]
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0) * 100
    ax = axes_or_new(ax, 5.8, 5.0)
    image = ax.imshow(share, cmap=sequential(), vmin=0, vmax=100, interpolation="nearest", aspect="equal")
    step = max(1, -(-len(labels) // _MOST_LABELS))
    places = range(0, len(labels), step)
    ax.set_xticks(places, [labels[place] for place in places], rotation=90)
    ax.set_yticks(places, [labels[place] for place in places])
    ax.tick_params(length=2, labelsize=7.5)
    ax.spines[:].set_visible(True)
    ax.set_xlabel("decoded class")
    ax.set_ylabel("shown class")
    ax.figure.colorbar(image, ax=ax, label="trials of the shown class (%)", shrink=0.85)
    return ax

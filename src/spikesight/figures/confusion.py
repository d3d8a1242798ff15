"""Which class was taken for which."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from spikesight.figures.theme import axes_or_new, plain, sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LABELS = 24


def sort_labels(labels: Iterable[object]) -> list[str]:
    """Sort labels as a reader counts: ``-1, 2, 10``, also for numbers inside text such as ``"x=-20, y=5"``."""
    return sorted({str(label) for label in labels}, key=_counting_key)


def count_confusions(y_true: Iterable[object], y_pred: Iterable[object]) -> xr.DataArray:
    """Count how often each class was decoded as each class.

    Parameters
    ----------
    y_true, y_pred
        Label shown and label decoded of every test trial, shape (n_trials,).

    Returns
    -------
    xarray.DataArray
        Trials, dims ``(y_true, y_pred)``, both over all labels that occur, sorted by `sort_labels`.
    """
    shown, decoded = [str(label) for label in y_true], [str(label) for label in y_pred]
    labels = sort_labels([*shown, *decoded])
    place = {label: row for row, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, ([place[label] for label in shown], [place[label] for label in decoded]), 1)
    return xr.DataArray(counts, dims=("y_true", "y_pred"), coords={"y_true": labels, "y_pred": labels})


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


def _counting_key(label: str) -> list[tuple[int, float, str]]:
    """Split a label into numbers and the text between, numbers first."""
    parts = re.split(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", label)
    return [(1, 0.0, part) if index % 2 == 0 else (0, float(part), "") for index, part in enumerate(parts) if part]

"""Which class was taken for which."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.labels import short_labels, sort_labels
from spikesight.errors import DataError
from spikesight.figures.theme import axes_or_new, plain, sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LABELS = 24


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


def order_by_similarity(confusion: xr.DataArray, responses: xr.DataArray | None = None) -> list[str]:
    """Order classes so that those which are alike stand side by side.

    Classes are joined by average linkage, and the tree's leaves are ordered so that neighbours are as alike as can be
    (Bar-Joseph, Gifford and Jaakkola 2001). The order is for the eye: it was chosen by the trials that are drawn, so
    blocks along the diagonal are no finding by themselves.

    Parameters
    ----------
    confusion
        Trial counts, dims ``(y_true, y_pred)`` in any order, coordinates the labels. Two classes are alike if they are
        often taken for each other, in either direction.
    responses
        Mean response of each class, dims ``(y_true, <any>)``: classes are then alike if these correlate.

    Returns
    -------
    list of str
        The labels, as text.

    Raises
    ------
    DataError
        If a class has no response, or one that is not finite.
    """
    labels = [str(label) for label in confusion["y_true"].to_numpy()]
    if responses is None:
        order = similar_order(confusion.transpose("y_true", "y_pred").to_numpy())
    else:
        order = _leaves(_response_distance(responses, labels))
    return [labels[at] for at in order]


def similar_order(counts: NDArray[Any]) -> list[int]:
    """Order classes so that those which are taken for each other, in either direction, stand together.

    Parameters
    ----------
    counts
        Trials, shape (shown class, decoded class).

    Returns
    -------
    list of int
        Numbers of the classes, see `order_by_similarity`.
    """
    return _leaves(_confusion_distance(counts))


def plot_confusion_matrix(
    confusion: xr.DataArray, ax: "Axes | None" = None, *, order: Sequence[str] | Literal["similarity"] | None = None
) -> "Axes":
    """Draw the share of each shown class' trials that were decoded as each class.

    Parameters
    ----------
    confusion
        Trial counts, dims ``(y_true, y_pred)`` in any order, coordinates the labels.
    ax
        Where to draw; a new figure if None.
    order
        Labels in the order to draw them in; "similarity": by `order_by_similarity`; None: as they come.

    Returns
    -------
    Axes
        Decoded class on x, shown class on y (first class on top), rows normalised to %.

    Raises
    ------
    DataError
        If ``order`` does not hold each label once.
    """
    similar = isinstance(order, str) and order == "similarity"
    if order is not None:
        chosen = order_by_similarity(confusion) if similar else [str(label) for label in order]
        confusion = _in_order(confusion, chosen)
    short, names = short_labels(confusion["y_true"].to_numpy())
    labels = [plain(label) for label in short]
    share = 100 * _shares(confusion.transpose("y_true", "y_pred").to_numpy())
    ax = axes_or_new(ax, 5.8, 5.0)
    image = ax.imshow(share, cmap=sequential(), vmin=0, vmax=100, interpolation="nearest", aspect="equal")
    step = max(1, -(-len(labels) // _MOST_LABELS))
    places = range(0, len(labels), step)
    ax.set_xticks(places, [labels[place] for place in places], rotation=90)
    ax.set_yticks(places, [labels[place] for place in places])
    ax.tick_params(length=2, labelsize=7.5)
    ax.spines[:].set_visible(True)
    of = f" ({plain(names)})" if names else ""
    ax.set_xlabel(f"decoded class{of}" + (", confused ones side by side" if similar else ""))
    ax.set_ylabel("shown class, in the same order" if similar else "shown class")
    ax.figure.colorbar(image, ax=ax, label="trials of the shown class (%)", shrink=0.85)
    return ax


def _leaves(distance: NDArray[np.float64]) -> list[int]:
    """Return the leaves of the tree of average linkage, neighbours as near as can be."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(distance) < 3:
        return list(range(len(distance)))
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return [int(at) for at in leaves_list(tree)]


def _shares(trials: NDArray[Any]) -> NDArray[np.float64]:
    """Return the share of each shown class' trials that were decoded as each class; 0 for a class never shown."""
    counts = trials.astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros_like(counts), where=total > 0))


def _confusion_distance(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return 0 for the two classes that are most often taken for each other, 1 for those that never are."""
    share = _shares(counts)
    alike = (share + share.T) / 2
    np.fill_diagonal(alike, 0.0)
    return np.asarray(1.0 - alike / (alike.max() or 1.0))


def _response_distance(responses: xr.DataArray, labels: list[str]) -> NDArray[np.float64]:
    """Return 1 minus the correlation of mean responses; classes whose response is constant are like no other."""
    table = responses.transpose("y_true", ...)
    place = {str(label): row for row, label in enumerate(table["y_true"].to_numpy())}
    missing = [label for label in labels if label not in place]
    if missing:
        raise DataError(f"expected a mean response of each of {len(labels)} classes, missing: {missing[:10]}.")
    values = table.to_numpy().reshape(len(place), -1)[[place[label] for label in labels]].astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError("expected finite mean responses, got NaN or infinity. Leave such features out.")
    values = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    return np.asarray((1.0 - values @ values.T).clip(0.0))


def _in_order(confusion: xr.DataArray, order: list[str]) -> xr.DataArray:
    labels = [str(label) for label in confusion["y_true"].to_numpy()]
    if sorted(order) != sorted(labels):
        odd = sorted(set(order) ^ set(labels))[:10]
        raise DataError(
            f"expected an order of all {len(labels)} classes, each once, got {len(order)}; differing: {odd}."
        )
    rows = [labels.index(label) for label in order]
    columns = [str(label) for label in confusion["y_pred"].to_numpy()]
    return confusion.isel(y_true=rows, y_pred=[columns.index(label) for label in order])

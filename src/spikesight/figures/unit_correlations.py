"""The clustered matrix of correlations between units, with its dendrogram."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.figures.theme import SOFT_INK, axes_or_new, diverging, inset, plain
from spikesight.figures.unit_order import area_names, area_tints, sort_areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STRIP = 0.025
_TREE = 0.2
"""Widths of the strip of areas and of the dendrogram, as parts of the matrix."""
_QUANTILE = 0.98


def plot_unit_correlations(clustered: xr.Dataset, ax: "Axes | None" = None) -> "Axes":
    """Draw the correlation of every pair of units, units of a cluster together, with the dendrogram on the left.

    The scale is symmetric about 0 and ends at the 98th percentile of the absolute values off the diagonal. The diagonal
    and units that do not vary are grey.

    Parameters
    ----------
    clustered
        From `spikesight.exploration.cluster_units`: ``correlation`` (unit, other_unit) in the order of the leaves,
        ``linkage`` (merge, part), coordinates ``area`` and ``leaf`` (unit).
    ax
        Where to draw the matrix; a new figure if None.

    Returns
    -------
    Axes
        The matrix, units on x and y. The dendrogram is an inset of it, ``ax.child_axes[0]``: distance (1 - r) on x, the
        same units on y.
    """
    correlation = clustered["correlation"].transpose("unit", "other_unit")
    values = np.array(correlation, np.float64)
    n_units = len(values)
    np.fill_diagonal(values, np.nan)
    known = np.abs(values[np.isfinite(values)])
    limit = float(np.quantile(known, _QUANTILE)) if known.size and known.max() > 0 else 1.0
    ax = axes_or_new(ax, 7.6, 5.6)
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=diverging(), vmin=-limit, vmax=limit, interpolation="nearest", aspect="equal"
    )
    areas = area_names(clustered["area"].to_numpy()) if "area" in clustered.coords else []
    _draw_areas(ax, areas)
    _draw_tree(ax, clustered)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    ax.set_xlabel(f"units (n = {n_units:,}, sorted by clustering)")
    label = plain(correlation.attrs.get("long_name", "correlation of counts"))
    clipped = bool(known.size and limit < known.max())
    ends = f"\n(scale ends at the {_QUANTILE * 100:g}th percentile of |r|)" if clipped else ""
    ax.figure.colorbar(
        image, ax=ax, label=f"{label}, r{ends}", shrink=0.8, extend="both" if clipped else "neither",
    )  # fmt: skip
    return ax


def _draw_areas(ax: "Axes", areas: list[str]) -> None:
    """Draw a strip beside the matrix that says which area each unit lies in, and what its colours mean."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    if not areas:
        return
    tints = area_tints(sort_areas(areas))
    strip = inset(ax, (-_STRIP * 1.4, 0, _STRIP, 1))
    strip.imshow(np.array([[to_rgb(tints[area])] for area in areas]), aspect="auto", interpolation="nearest")
    strip.set_axis_off()
    handles = [Patch(color=colour, label=plain(area)) for area, colour in tints.items()]
    ax.legend(
        handles=handles, title="area (strip)", loc="upper center", bbox_to_anchor=(0.5, -0.06),
        ncols=min(6, len(handles)), frameon=False, fontsize=8, handlelength=1.0, columnspacing=1.2,
    )  # fmt: skip


def _draw_tree(ax: "Axes", clustered: xr.Dataset) -> None:
    """Draw the dendrogram to the left of the matrix, leaves at the rows of their units."""
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import dendrogram

    merges: NDArray[Any] = clustered["linkage"].to_numpy()
    n_units = clustered.sizes["unit"]
    tree = inset(ax, (-_STRIP * 1.8 - _TREE, 0, _TREE, 1))
    drawn = dendrogram(merges, no_plot=True, get_leaves=True)
    rows = (np.array(drawn["icoord"]) - 5) / 10  # scipy puts leaves at 5, 15, 25 ...
    heights = np.array(drawn["dcoord"])
    tree.add_collection(
        LineCollection(
            [*np.stack([heights, rows], axis=-1)], colors=SOFT_INK, linewidths=float(np.clip(90 / n_units, 0.15, 0.7))
        )
    )
    tree.set_xlim(1.03 * float(heights.max()) or 1.0, 0)
    tree.set_ylim(n_units - 0.5, -0.5)
    tree.set_yticks([])
    tree.spines[["left", "top", "right"]].set_visible(False)
    tree.tick_params(axis="x", labelsize=7.5, colors=SOFT_INK)
    tree.set_xlabel("distance (1 - r)", fontsize=8.5)
    ax.child_axes.sort(key=lambda child: child is not tree)

"""The connectivity matrix, units sorted by area and depth."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.figures.theme import SOFT_INK, axes_or_new, diverging, plain, spread_labels
from spikesight.figures.unit_order import NOT_GIVEN, UnitOrder, area_looks, order_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUANTILE = 0.99
_FONT_SIZE = 8.0


def plot_connectivity_matrix(connectivity: xr.DataArray, units: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw who drives whom: one row per source, one column per target, in colours that are symmetric about 0.

    The scale ends at the 99th percentile of the absolute values, so that one strong pair does not leave all others
    pale; its label says so. The diagonal and what is not known are grey.

    Parameters
    ----------
    connectivity
        Dims (``source_unit``, ``target_unit``) in any order, coordinates the unit ids, shape (n_units, n_units); the
        attribute ``measure`` says what the values are.
    units
        One row per unit, index the unit ids; ``area`` and ``probe_vertical_position`` (um) where they are known.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Target units on x, source units on y (first on top), sorted by area and then from the surface down.

    Raises
    ------
    UnitIdsError
        If a unit of the matrix is not in ``units``.
    """
    order = order_units(units, connectivity["source_unit"].to_numpy())
    ax = axes_or_new(ax, 7.2, 5.2)
    draw_matrix(connectivity, order, ax)
    return ax


def draw_matrix(connectivity: xr.DataArray, order: UnitOrder, ax: "Axes") -> None:
    """Draw a matrix with its units in ``order``, areas marked along both axes.

    Parameters
    ----------
    connectivity
        As for `plot_connectivity_matrix`; holds at least the units of ``order``.
    order
        Units to draw.
    ax
        Where to draw.
    """
    chosen = connectivity.sel(source_unit=order.ids, target_unit=order.ids).transpose("source_unit", "target_unit")
    values = np.array(chosen, np.float64)
    np.fill_diagonal(values, np.nan)
    limit, clipped = _colour_limit(values)
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=diverging(), vmin=-limit, vmax=limit, interpolation="nearest", aspect="equal"
    )
    keys = ["area"] * (set(order.areas) != {NOT_GIVEN}) + ["depth"] * order.by_depth
    if "area" in keys:
        _mark_areas(order, ax)
    else:
        ax.set_xticks([])
        ax.set_yticks([])
    sorted_by = f", by {' and '.join(keys)}" if keys else ""
    ax.set_xlabel(f"target unit (n = {len(order.ids):,}{sorted_by})")
    ax.set_ylabel(f"source unit (n = {len(order.ids):,}{sorted_by})")
    measure = textwrap.fill(plain(connectivity.attrs.get("measure", "connectivity")), 56)
    ends = (
        f"(scale ends at the {_QUANTILE * 100:g}th percentile of |values|)" if clipped else "(scale holds all values)"
    )
    ax.figure.colorbar(
        image, ax=ax, label=f"{measure}\n{ends}", shrink=0.8, extend="both" if clipped else "neither",
    )  # fmt: skip


def _colour_limit(values: NDArray[np.float64]) -> tuple[float, bool]:
    """Return where the scale ends, and whether values lie beyond."""
    strength = np.abs(values[np.isfinite(values)])
    largest = float(strength.max(initial=0.0))
    if largest == 0:
        return 1.0, False
    limit = float(np.quantile(strength, _QUANTILE))
    if strength.size * (1 - _QUANTILE) < 1 or limit == 0:  # few pairs, or nearly all of them 0: nothing is cut
        return largest, False
    return limit, limit < largest


def _mark_areas(order: UnitOrder, ax: "Axes") -> None:
    """Draw a coloured strip and a name beside the units of each area, and a line between areas."""
    from matplotlib.patches import Rectangle

    n = len(order.ids)
    blocks = order.blocks
    looks = area_looks(order.areas)
    strip, gap, lead = 0.022 * n, 0.012 * n, 0.03 * n
    left, bottom = -0.5 - gap - strip, n - 0.5 + gap
    for area, first, last in blocks:
        colour = looks[area][0]
        size = last - first + 1
        ax.add_patch(Rectangle((left, first - 0.5), strip, size, fc=colour, ec="white", lw=0.5))
        ax.add_patch(Rectangle((first - 0.5, bottom), size, strip, fc=colour, ec="white", lw=0.5))
    between = [first - 0.5 for _, first, _ in blocks[1:]]
    ax.hlines(between, -0.5, n - 0.5, color=SOFT_INK, lw=0.4)
    ax.vlines(between, -0.5, n - 0.5, color=SOFT_INK, lw=0.4)
    ax.add_patch(Rectangle((-0.5, -0.5), n, n, fill=False, ec=SOFT_INK, lw=0.8))
    centres = np.array([(first + last) / 2 for _, first, last in blocks])
    names = [plain(area) for area, _, _ in blocks]
    points_per_unit = _points(ax) / n
    upright = any((last - first + 1) * points_per_unit < 0.65 * _FONT_SIZE * len(area) for area, first, last in blocks)
    at = spread_labels(centres, 1.25 * _FONT_SIZE / points_per_unit, -0.5, n - 0.5)
    at_x = at if upright else centres
    for place, label_y, label_x in zip(centres, at, at_x, strict=True):
        ax.plot([left, left - lead], [place, label_y], color=SOFT_INK, lw=0.6)
        ax.plot([place, label_x], [bottom + strip, bottom + strip + lead], color=SOFT_INK, lw=0.6)
    ax.set_yticks(at, names, fontsize=_FONT_SIZE)
    ax.set_xticks(at_x, names, fontsize=_FONT_SIZE, rotation=90 if upright else 0)
    ax.tick_params(length=0, pad=2)
    ax.spines[:].set_visible(False)
    ax.set_xlim(left - lead, n - 0.5)
    ax.set_ylim(bottom + strip + lead, -0.5)


def _points(ax: "Axes") -> float:
    """Return the length of the shorter side of axes, points; a layout engine has yet to make room for labels."""
    box = ax.get_window_extent()
    return float(min(box.width, box.height)) * 72 / ax.figure.dpi * 0.85

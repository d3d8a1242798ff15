"""How each unit answers to each class."""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from spikesight.data.labels import short_labels
from spikesight.figures.theme import SOFT_INK, axes_or_new, diverging, inset, plain, sequential, spread_labels
from spikesight.figures.unit_order import area_looks, area_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LABELS = 24
_QUANTILE = 0.99
_STRIP = 0.02


def plot_response_map(responses: xr.DataArray, ax: "Axes | None" = None) -> "Axes":
    """Draw the response of every unit to every class; areas are marked beside the units.

    Responses with a sign are drawn in colours that are symmetric about 0, others from white to dark. The scale ends at
    the 99th percentile of the absolute values.

    Parameters
    ----------
    responses
        Dims (unit, target) in any order, units drawn in this order; coordinate ``area`` (unit); attributes
        ``long_name`` and ``units``, as from `spikesight.exploration.response_map`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Classes on x, units on y.
    """
    table = responses.transpose("unit", "target")
    values = table.to_numpy().astype(float)
    n_units, n_classes = values.shape
    strength = np.abs(values[np.isfinite(values)])
    limit = float(np.quantile(strength, _QUANTILE)) if strength.size and strength.max() > 0 else 1.0
    limit = limit or float(strength.max())
    signed = bool((values < 0).any())
    short, names = short_labels(table["target"].to_numpy())
    labels = [plain(label) for label in short]
    longest = max(map(len, labels), default=0)
    ax = axes_or_new(ax, 7.4, 5.2 if longest < 16 else 6.4)
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=diverging() if signed else sequential(), vmin=-limit if signed else 0,
        vmax=limit, interpolation="nearest", aspect="auto",
    )  # fmt: skip
    places = range(0, n_classes, max(1, -(-n_classes // _MOST_LABELS)))
    ax.set_xticks(places, [labels[place] for place in places], rotation=90 if longest * len(places) > 60 else 0)
    ax.tick_params(axis="x", length=2, labelsize=7.5)
    _mark_areas(ax, area_names(table["area"].to_numpy()) if "area" in table.coords else [])
    ax.spines[:].set_visible(True)
    ax.set_xlabel(f"class{names and ': '}{plain(names)} (n = {n_classes:,})")
    ax.set_ylabel(f"units (n = {n_units:,})")
    clipped = bool(strength.size and limit < strength.max())
    name, unit = plain(responses.attrs.get("long_name", "response")), plain(responses.attrs.get("units", ""))
    ends = f"\n(scale ends at the {_QUANTILE * 100:g}th percentile)" if clipped else ""
    ax.figure.colorbar(
        image, ax=ax, label=f"{name} ({unit}){ends}" if unit else f"{name}{ends}", shrink=0.8,
        extend="neither" if not clipped else "both" if signed else "max",
    )  # fmt: skip
    return ax


def _mark_areas(ax: "Axes", areas: list[str]) -> None:
    """Draw a coloured strip and a name beside the units of each area."""
    if not areas:
        return
    n_units = len(areas)
    edges = [0, *(row for row in range(1, n_units) if areas[row] != areas[row - 1]), n_units]
    runs = [(areas[first], first, last) for first, last in pairwise(edges)]
    looks = area_looks(areas)
    strip = inset(ax, (-1.5 * _STRIP, 0, _STRIP, 1), sharey=ax)
    for area, first, last in runs:
        strip.bar(0, last - first, 1, first - 0.5, color=looks[area][0], align="edge", lw=0)
    strip.set_xlim(0, 1)
    strip.spines[:].set_visible(False)
    strip.set_xticks([])
    ax.set_ylim(n_units - 0.5, -0.5)
    if len(runs) > 1:
        ax.hlines([first - 0.5 for _, first, _ in runs[1:]], -0.5, ax.get_xlim()[1], color=SOFT_INK, lw=0.4)
    if len(runs) > 3 * len(looks):  # areas are mixed: a name for each run would say nothing
        ax.set_yticks([])
        return
    rows_per_point = n_units / (0.8 * 72 * ax.get_window_extent().height / ax.figure.dpi)
    centres = np.array([(first + last - 1) / 2 for _, first, last in runs])
    at = spread_labels(centres, 10.0 * rows_per_point, -0.5, n_units - 0.5)
    ax.set_yticks(at, [plain(area) for area, _, _ in runs], fontsize=8)
    strip.tick_params(axis="y", length=0, labelleft=False)
    ax.tick_params(axis="y", length=0, pad=14)

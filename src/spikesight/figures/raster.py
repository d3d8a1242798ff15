"""Spikes of many units in one presentation, or in several."""

from typing import TYPE_CHECKING

import pandas as pd

from spikesight.figures.theme import RULE, SOFT_INK, area_colours, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_raster(
    spikes: pd.DataFrame, ax: "Axes | None" = None, *, rows: pd.DataFrame | None = None, stop: float | None = None
) -> "Axes":
    """Draw one tick per spike, units from top to bottom, a colour per area.

    Parameters
    ----------
    spikes
        Columns ``time`` (s from the start of the presentation), ``unit`` and ``area``; one row per spike.
    ax
        Where to draw; a new figure if None.
    rows
        Columns ``unit`` and ``area`` of every row to draw, silent units included, top first; None draws the units
        that have a spike, sorted by area.
    stop
        End of the presentation (s), shaded from 0; not drawn if None.

    Returns
    -------
    Axes
        Time in ms on x, units on y.
    """
    if rows is None:
        rows = spikes[["unit", "area"]].drop_duplicates().sort_values(["area", "unit"])
    place = {unit: row for row, unit in enumerate(rows["unit"])}
    colours = area_colours(rows["area"].astype(str))
    ax = axes_or_new(ax, 6.4, 4.2)
    if stop is not None:
        ax.axvspan(0, stop * 1000, color=RULE, alpha=0.45, lw=0, zorder=0)
    for area, colour in colours.items():
        own = spikes[spikes["area"].astype(str) == area]
        y = own["unit"].map(place).to_numpy(float)
        ax.vlines(own["time"].to_numpy(float) * 1000, y - 0.42, y + 0.42, color=colour, lw=1.0)
        members = [row for row, name in enumerate(rows["area"].astype(str)) if name == area]
        ax.annotate(
            plain(area), (1.01, (min(members) + max(members)) / 2), xycoords=("axes fraction", "data"), color=colour,
            va="center", fontsize=8.5, annotation_clip=False,
        )  # fmt: skip
    ax.set_ylim(len(place) - 0.5, -0.5)
    ax.set_xlabel("time from the start of the presentation (ms)")
    ax.set_ylabel(f"units (n = {len(place)})")
    ax.tick_params(axis="y", colors=SOFT_INK)
    return ax

"""The shape of each unit's spike, area by area."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, RULE, SOFT_INK, axes_or_new, counted, plain
from spikesight.figures.unit_order import area_looks, area_names, sort_areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP: Final = 0.25
"""Room between areas, as a part of the length of a waveform."""


def plot_mean_waveforms(waveforms: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean waveform of every unit as a thin line and the mean over the units of an area as a thick one.

    Areas stand side by side, each on its own time; a bar shows how long a millisecond is.

    Parameters
    ----------
    waveforms
        Columns ``unit``, ``area``, ``time`` (ms from the trough) and ``voltage`` (uV), as from
        `spikesight.exploration.mean_waveforms`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Areas, each with its time in ms, on x; voltage in uV on y.
    """
    table = waveforms.assign(area=area_names(waveforms["area"]))
    low, high = float(table["time"].quantile(0.01)), float(table["time"].quantile(0.99))
    table = table[table["time"].between(low, high)]
    step = (high - low) * (1 + _GAP)
    areas = sort_areas(table["area"])
    looks = area_looks(areas)
    ax = axes_or_new(ax, max(4.0, 1.2 + 0.85 * len(areas)), 3.8)
    for number, area in enumerate(areas):
        own = table[table["area"] == area]
        colour, shift = looks[area][0], number * step
        for _, wave in own.groupby("unit", sort=False):
            ax.plot(wave["time"] + shift, wave["voltage"], color=colour, lw=0.5, alpha=0.35)
        # Samples of different units are not at the same times from their troughs, but as far apart.
        mean = own.assign(time=own["time"].round(3)).groupby("time")["voltage"].agg(["mean", "size"])
        mean = mean[mean["size"] >= 0.5 * own["unit"].nunique()]
        ax.plot(mean.index.to_numpy(float) + shift, mean["mean"], color=colour, lw=2.2)
    n_units = table.groupby("area")["unit"].nunique()
    ax.set_xticks(
        [number * step for number in range(len(areas))],
        [f"{plain(area)}\n{counted(n_units[area], 'unit')}" for area in areas],
    )
    ax.tick_params(axis="x", length=0)
    ax.tick_params(axis="y", colors=SOFT_INK)
    ax.axhline(0, color=RULE, lw=0.8, zorder=0)
    bottom = float(np.nanmin(table["voltage"]))
    ax.plot([0, 1], [bottom * 1.06] * 2, color=INK, lw=2)
    ax.annotate("1 ms", (0.5, bottom * 1.06), xytext=(0, -4), textcoords="offset points", ha="center", va="top",
                fontsize=8.5)  # fmt: skip
    ax.margins(x=0.02)
    ax.set_ylim(bottom * 1.2, None)
    ax.set_xlabel(
        "area; time in ms from the trough, at the tick\nthin: a unit; thick: the mean over the units of an area"
    )
    ax.set_ylabel("mean waveform at the largest site (uV)")
    return ax

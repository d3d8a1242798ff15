"""How fast the units of each area fire."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, RULE, axes_or_new, counted, plain
from spikesight.figures.unit_order import area_looks, area_names, sort_areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_rate_distributions(rates: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean rate of every unit as a point on the row of its area, with the median and the quartiles.

    Rates spread over decades, so the axis is logarithmic. Units that never spiked have no place on it: they stand at
    its left end as open triangles.

    Parameters
    ----------
    rates
        Columns ``area`` and ``rate`` (spikes/s), one row per unit, as from `spikesight.exploration.unit_rates`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Rate in spikes/s on x, logarithmic; areas on y.
    """
    named = np.array(area_names(rates["area"]))
    rate = rates["rate"].to_numpy(float)
    areas = sort_areas(named.tolist())
    looks = area_looks(areas)
    ax = axes_or_new(ax, 6.4, 1.3 + 0.42 * len(areas))
    positive = rate[rate > 0]
    floor = float(positive.min()) / 2 if positive.size else 0.01
    for row, area in enumerate(areas):
        own = np.sort(rate[named == area])
        spread = row + 0.28 * _spread(len(own))
        silent = own <= 0
        colour = looks[area][0]
        ax.scatter(own[~silent], spread[~silent], s=9, color=colour, alpha=0.55, lw=0, zorder=2)
        ax.scatter(
            np.full(silent.sum(), floor), spread[silent], s=20, marker="<", facecolors="none", edgecolors=colour,
            zorder=2,
        )  # fmt: skip
        quartiles = np.maximum(np.quantile(own, [0.25, 0.5, 0.75]), floor)
        ax.plot(quartiles[[0, 2]], [row, row], color=INK, lw=1.6, zorder=3)
        ax.plot(quartiles[[1]], [row], "|", color=INK, ms=15, mew=2.2, zorder=4)
    ax.set_xscale("log")
    _write_plain_numbers(ax, float(positive.max()) / floor if positive.size else 1.0)
    ax.set_yticks(range(len(areas)), [f"{plain(area)} ({(named == area).sum():,})" for area in areas])
    ax.set_ylim(len(areas) - 0.5, -0.5)
    ax.grid(axis="x", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    never = f"\ntriangles: {counted((rate <= 0).sum(), 'unit')} that never spiked" if (rate <= 0).any() else ""
    ax.set_xlabel(f"mean rate (spikes/s), bar: median and quartiles{never}")
    ax.set_ylabel("area (units)")
    return ax


def _write_plain_numbers(ax: "Axes", reach: float) -> None:
    """Write 0.1, 1, 10 rather than powers; 1, 2, 5 where the axis has few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if reach < 200 else (1.0,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _spread(n_units: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Heights between -1 and 1 that keep neighbours of a sorted list apart, the same every time."""
    golden = 0.6180339887498949
    return np.asarray(2 * ((np.arange(n_units) * golden) % 1) - 1, np.float64)

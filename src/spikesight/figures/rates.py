"""How the mean rate of each area runs through a presentation."""

from typing import TYPE_CHECKING

import pandas as pd

from spikesight.figures.theme import RULE, area_colours, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_area_rates(rates: pd.DataFrame, ax: "Axes | None" = None, *, stop: float | None = None) -> "Axes":
    """Draw the mean firing rate over the units of each area, with its interval.

    Parameters
    ----------
    rates
        Columns ``area``, ``time`` (centre of a bin, s from the start of the presentation), ``mean`` and its
        95 % interval, ``low`` to ``high`` (spikes/s), and ``n_units``.
    ax
        Where to draw; a new figure if None.
    stop
        End of the presentation (s), shaded from 0; not drawn if None.

    Returns
    -------
    Axes
        Time in ms on x, rate in spikes/s on y, one line per area.
    """
    ax = axes_or_new(ax, 6.6, 3.8)
    if stop is not None:
        ax.axvspan(0, stop * 1000, color=RULE, alpha=0.45, lw=0, zorder=0)
    for area, colour in area_colours(rates["area"].astype(str)).items():
        own = rates[rates["area"].astype(str) == area].sort_values("time")
        time = own["time"].to_numpy(float) * 1000
        ax.fill_between(time, own["low"].to_numpy(float), own["high"].to_numpy(float), color=colour, alpha=0.15, lw=0)
        ax.plot(
            time,
            own["mean"].to_numpy(float),
            color=colour,
            lw=1.6,
            label=f"{plain(area)} ({int(own['n_units'].iloc[0]):,})",
        )
    ax.set_ylim(0, None)
    ax.margins(x=0)
    ax.set_xlabel("time from the start of the presentation (ms)")
    ax.set_ylabel("mean rate per unit (spikes/s)\nband: 95 % interval over trials")
    ax.legend(title="area (units)", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax

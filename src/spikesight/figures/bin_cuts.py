"""What a decoder sees of one trial: its spikes cut into bins."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, SOFT_INK, axes_or_new, sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NUMBERS = 20
"""Bins of a row that still have room for their count."""


def plot_bins(cuts: pd.DataFrame, ax: "Axes | None" = None, *, spikes: pd.DataFrame | None = None) -> "Axes":
    """Draw one trial cut into 1, 3, 5 ... bins: a row per cut, edges of bins, and the spikes counted in each.

    Darker is a higher rate (count over length of the bin), on one scale for all rows.

    Parameters
    ----------
    cuts
        Columns ``n_bins``, ``left``, ``right`` (s from the start of the presentation) and ``count``, one row per bin,
        as from `spikesight.exploration.cut_trial`.
    ax
        Where to draw; a new figure if None.
    spikes
        Column ``time`` (s from the start of the presentation): the spikes themselves, drawn as ticks above the rows,
        and ``unit``, by which they are spread.

    Returns
    -------
    Axes
        Time in ms on x, cuts on y.
    """
    sizes = cuts["n_bins"].drop_duplicates().tolist()
    rate = cuts["count"].to_numpy(float) / (cuts["right"] - cuts["left"]).to_numpy(float)
    highest = max(float(rate.max(initial=0.0)), 1e-9)
    colours = sequential()
    head = 1.6 if spikes is not None else 0.0
    ax = axes_or_new(ax, 7.0, 1.1 + 0.45 * (len(sizes) + head))
    for row, n_bins in enumerate(sizes):
        own = cuts["n_bins"].to_numpy() == n_bins
        table = cuts[own]
        for left, right, count, height in zip(table["left"], table["right"], table["count"], rate[own], strict=True):
            shade = colours(0.04 + 0.7 * height / highest)
            ax.barh(
                row, (right - left) * 1000, 0.78, left * 1000, align="center", color=shade, edgecolor="white", lw=1.2
            )
            if n_bins <= _MOST_NUMBERS:
                dark = float(np.dot(shade[:3], (0.299, 0.587, 0.114))) < 0.55
                ax.text(
                    (left + right) * 500, row, f"{count:,}", ha="center", va="center", color="white" if dark else INK,
                    fontsize=8.5 if n_bins <= 10 else 7,
                )  # fmt: skip
    if spikes is not None and len(spikes):
        inside = spikes[(spikes["time"] >= 0) & (spikes["time"] < float(cuts["right"].max()))]
        rank = inside["unit"].rank(method="dense").to_numpy(float) if "unit" in inside else np.ones(len(inside))
        place = -0.55 - head * (rank / max(float(rank.max(initial=1.0)), 1.0)) * 0.95
        ax.vlines(inside["time"].to_numpy(float) * 1000, place - 0.05, place + 0.05, color=SOFT_INK, lw=0.8)
    places = [*([-0.55 - head / 2] if spikes is not None else []), *range(len(sizes))]
    names = [*(["spikes"] if spikes is not None else []), *(f"{n} bin{'s' * (n > 1)}" for n in sizes)]
    ax.set_yticks(places, names)
    ax.set_ylim(len(sizes) - 0.45, -0.55 - head)
    ax.set_xlim(0, float(cuts["right"].max()) * 1000)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(
        "time from the start of the presentation (ms)\nnumber: spikes of all units in the bin; darker: higher rate"
    )
    ax.set_ylabel("one trial, cut into")
    return ax

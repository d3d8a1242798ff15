"""Accuracy against a number: bins of a trial, width of a hidden layer."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, PALETTE, RULE, SOFT_INK, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMES: Final = {
    "n_bins": "bins of a trial (number)",
    "n_units": "units (number)",
    "hidden_size": "width of the hidden layer (hidden_size)",
}
_MARKERS: Final = "osD^vP*X"
_LINES: Final = {"searched": "-", "tuned": "-", "default": (0, (4, 2)), "reference": (0, (1, 1.5))}
_WIDE: Final = 8.0
"""Ratio of the largest to the smallest value from which the scale is logarithmic."""


def plot_accuracy_against(table: pd.DataFrame, what: str = "n_bins", ax: "Axes | None" = None) -> "Axes":
    """Draw a line for each decoder over the values of a number, with intervals and chance.

    Parameters
    ----------
    table
        As from `spikesight.decoding_results.accuracy_against`: ``decoder, selection, value, accuracy, low, high,
        chance``, accuracies as fractions.
    what
        The number, for the axis.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        The number on x (logarithmic if it spans a factor of eight), accuracy in % on y.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    ax = axes_or_new(ax, 6.6, 4.0)
    points = list(table.groupby(["decoder", "selection"], sort=False))
    decoders = list(dict.fromkeys(table["decoder"]))
    several = table.groupby("decoder")["selection"].nunique().max() > 1 if len(table) else False
    values = np.unique(table["value"].to_numpy(np.float64))
    wide = len(values) > 1 and values[0] > 0 and values[-1] / values[0] >= _WIDE
    for number, ((decoder, selection), own) in enumerate(points):
        at = decoders.index(decoder)
        colour = PALETTE[at % len(PALETTE)]
        shift = (number - (len(points) - 1) / 2) * 0.012  # intervals side by side, not on top of each other
        reach = np.log(values[-1] / values[0]) if wide else values[-1] - values[0]
        x = own["value"].to_numpy(np.float64)
        x = x * np.exp(shift * reach) if wide else x + shift * (reach or 1.0)
        y = own["accuracy"].to_numpy(np.float64)
        bars = np.vstack([y - own["low"].to_numpy(np.float64), own["high"].to_numpy(np.float64) - y])
        ax.errorbar(
            x, y, yerr=np.nan_to_num(bars).clip(0), color=colour, marker=_MARKERS[at % len(_MARKERS)], ms=5.5, lw=1.5,
            ls=_LINES.get(str(selection), "-") if several else "-", elinewidth=1.3, zorder=3,
            mfc="white" if several and selection == "default" else colour,
            label=plain(f"{decoder} ({selection})" if several else decoder),
        )  # fmt: skip
    _draw_chance(table, ax)
    if wide:
        ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([float(value) for value in values]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylim(0, None)
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_xlabel(_NAMES.get(what, plain(what)))
    ax.set_ylabel("accuracy on test trials (%), bar: 95 % interval")
    write_percent(ax, "y")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5, title="decoder")
    return ax


def _draw_chance(table: pd.DataFrame, ax: "Axes") -> None:
    """Draw chance as a line, or a band where it differs between rows."""
    low, high = float(table["chance"].min()), float(table["chance"].max())
    for chance in {low, high}:
        ax.axhline(chance, color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
    same = f"{low:.1%}" == f"{high:.1%}"
    ax.annotate(
        f"chance {low:.1%}" if same else f"chance {low:.1%} to {high:.1%}", (1, high),
        xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points", ha="right", color=SOFT_INK,
        fontsize=8.5,
    )  # fmt: skip

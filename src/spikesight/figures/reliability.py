"""Whether a decoder is right as often as it claims."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, PALETTE, RULE, SOFT_INK, axes_or_new, plain, write_instead, write_percent
from spikesight.metrics import calibration_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS: Final = "osD^vP*X"
_FEW: Final = 10
"""Trials in a bin below which its point is hollow."""


def plot_reliability(table: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw accuracy against confidence, and how many trials there are of each confidence.

    Points below the diagonal: the decoder claims more than it keeps. The legend has the expected calibration error,
    the mean gap to the diagonal over trials.

    Parameters
    ----------
    table
        As from `spikesight.decoding_results.reliability`: ``decoder, selection, bin_low, bin_high, confidence,
        accuracy, low, high, n``.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Confidence in % on x, accuracy in % on y; above, in axes of their own, the number of trials per bin.
    """
    ax = axes_or_new(ax, 6.8, 5.0)
    if table.empty:
        write_instead(ax, "no decoder has probabilities")
        return ax
    ax.plot([0, 1], [0, 1], color=INK, lw=1, ls=(0, (4, 3)), zorder=1, label="right as often\nas claimed")
    strip = ax.inset_axes((0, 1.06, 1, 0.2), sharex=ax)
    pairs = list(table.groupby(["decoder", "selection"], sort=False))
    any_few = False
    several = table.groupby("decoder")["selection"].nunique().max() > 1
    for number, ((decoder, selection), own) in enumerate(pairs):
        colour = PALETTE[number % len(PALETTE)]
        x, y = own["confidence"].to_numpy(np.float64), own["accuracy"].to_numpy(np.float64)
        bars = np.vstack([y - own["low"].to_numpy(np.float64), own["high"].to_numpy(np.float64) - y]).clip(0)
        error = calibration_error(own)
        name = f"{decoder} ({selection})" if several else str(decoder)
        ax.errorbar(
            x, y, yerr=bars, color=colour, marker=_MARKERS[number % len(_MARKERS)], ms=5, lw=1.4, elinewidth=1.1,
            zorder=3, label=plain(f"{name}: {100 * error:.1f} %"),
        )  # fmt: skip
        few = own["n"].to_numpy() < _FEW
        ax.plot(
            x[few], y[few], ls="", marker=_MARKERS[number % len(_MARKERS)], ms=5, color=colour, mfc="white", zorder=4
        )
        any_few = any_few or bool(few.any())
        low, high = own["bin_low"].to_numpy(np.float64), own["bin_high"].to_numpy(np.float64)
        width = (high - low) * 0.9 / len(pairs)
        strip.bar(low + (high - low) * 0.05 + width * (number + 0.5), own["n"], width=width, color=colour)
        if len(pairs) == 1:
            for left, right, n in zip(low, high, own["n"], strict=True):
                strip.annotate(
                    f"{n}", ((left + right) / 2, n), xytext=(0, 1), textcoords="offset points", ha="center",
                    va="bottom", fontsize=7.5, color=SOFT_INK,
                )  # fmt: skip
    if any_few:
        ax.plot([], [], "o", color=SOFT_INK, mfc="white", ms=5, label=f"fewer than {_FEW} trials")
    strip.tick_params(labelbottom=False, labelsize=7.5)
    strip.set_ylabel("trials", fontsize=8.5)
    strip.margins(y=0.22)
    strip.spines[["top", "right"]].set_visible(False)
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.02, 1.03)
    ax.grid(color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_xlabel("confidence: probability of the decoded class (%)")
    ax.set_ylabel("test trials decoded correctly (%),\nbar: 95 % interval")
    write_percent(ax, "x")
    write_percent(ax, "y")
    ax.legend(
        title="calibration error", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5,
        title_fontsize=8.5, alignment="left",
    )  # fmt: skip
    return ax

"""The leaderboard as points with intervals, beside chance."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spikesight.figures.theme import ACCENT, INK, REFERENCE, RULE, SOFT_INK, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = {
    "searched": ("s", ACCENT, ACCENT),
    "tuned": ("o", ACCENT, ACCENT),
    "default": ("o", "white", ACCENT),
    "reference": ("D", REFERENCE, REFERENCE),
}
_MEANING = {
    "searched": "constants searched on training trials",
    "tuned": "constants tuned on training trials",
    "default": "fixed defaults",
    "reference": "reference",
}
_SHIFT = {"searched": 0.17, "default": -0.17}


def plot_leaderboard(leaderboard: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw one point per decoder and selection, best on top, with its interval and the chance level.

    Parameters
    ----------
    leaderboard
        Columns ``decoder``, ``selection`` ("searched", "tuned", "default" or "reference"), ``accuracy``, ``low``,
        ``high`` and ``chance``, all fractions; one row per point, as from
        `spikesight.records.leaderboard.session_leaderboard`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Accuracy in % on x, decoders on y.
    """
    table = leaderboard.reset_index(drop=True)
    best = table.groupby("decoder", sort=False)["accuracy"].max().sort_values(kind="stable")
    height = {str(decoder): row for row, decoder in enumerate(best.index)}
    ax = axes_or_new(ax, 6.6 if table["selection"].nunique() < 2 else 8.6, 1.4 + 0.36 * len(height))
    shown = [selection for selection in _MARKS if (table["selection"] == selection).any()]
    for selection in shown:
        rows = table[table["selection"] == selection]
        marker, face, edge = _MARKS[selection]
        y = rows["decoder"].map(height).to_numpy(float) + _SHIFT.get(selection, 0.0)
        value = rows["accuracy"].to_numpy(float)
        spread = np.vstack([value - rows["low"].to_numpy(float), rows["high"].to_numpy(float) - value])
        ax.errorbar(
            value, y, xerr=np.nan_to_num(spread).clip(0), fmt=marker, color=edge, mfc=face, ms=6, elinewidth=1.6,
            label=_MEANING[selection], zorder=3,
        )  # fmt: skip
    chance = float(table["chance"].mean())
    ax.axvline(chance, color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(
        f"chance {chance:.1%}", (chance, 1), xycoords=("data", "axes fraction"), xytext=(3, 2),
        textcoords="offset points", color=SOFT_INK, fontsize=8.5,
    )  # fmt: skip
    ax.set_yticks(range(len(height)), [plain(name) for name in height])
    ax.set_ylim(-0.6, len(height) - 0.4)
    ax.set_xlim(-0.015 * ax.get_xlim()[1], None)  # a marker at 0 stays whole
    ax.grid(axis="x", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_xlabel("accuracy on test trials (%), bar: 95 % interval")
    write_percent(ax, "x")
    if len(shown) > 1:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax

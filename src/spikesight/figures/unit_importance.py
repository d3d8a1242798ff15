"""How much each unit carries, area by area or along the depth."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, PALETTE, RULE, SOFT_INK, axes_or_new, plain, write_instead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Q: Final = 0.05
_MEANING: Final = {
    "log_likelihood": "importance: log-probability lost (nats a trial)",
    "margin": "importance: margin of the true class lost",
    "score of the true class": "importance: mean part of the true class' score",
}
_MOST_AREAS: Final = 14


def plot_unit_importance(units: pd.DataFrame, ax: "Axes | None" = None, *, by: str = "area") -> "Axes":
    """Draw one point per unit.

    Parameters
    ----------
    units
        Columns ``area, depth, measure, importance, q_value``, of one session, as from
        `spikesight.attribution.unit_table.unit_table`.
    ax
        Where to draw; a new figure if None.
    by
        ``"area"``: areas side by side, the most important first, with their medians; ``"depth"``: depth on y, as height
        above the tip of the probe, um.

    Returns
    -------
    Axes
        Units whose false discovery rate is at most 5 % are filled, the others are rings.

    Raises
    ------
    ValueError
        If ``by`` is neither.
    """
    if by not in ("area", "depth"):
        raise ValueError(f"expected by='area' or 'depth', got {by!r}.")
    named = units.assign(area=units["area"].replace("", "not given"))
    named = named[named["depth"].notna()] if by == "depth" else named
    strongest = named.groupby("area")["importance"].median().sort_values(ascending=False)
    areas = strongest.index.tolist()[:_MOST_AREAS]
    ax = axes_or_new(ax, 6.8 if by == "depth" else max(4.8, 2.0 + 0.75 * len(areas)), 4.2)
    if named.empty:
        write_instead(ax, "no unit whose depth is known" if by == "depth" else "no unit")
        return ax
    rng = np.random.default_rng(0)
    for place, area in enumerate(areas):
        own = named[named["area"] == area]
        carries = (own["q_value"] <= Q).to_numpy(bool)
        colour = PALETTE[place % len(PALETTE)]
        x = place + rng.uniform(-0.28, 0.28, len(own)) if by == "area" else own["importance"].to_numpy(float)
        y = own["importance"].to_numpy(float) if by == "area" else own["depth"].to_numpy(float)
        ax.scatter(x[~carries], y[~carries], s=14, facecolors="none", edgecolors=colour, linewidths=0.7, alpha=0.7)
        ax.scatter(x[carries], y[carries], s=16, color=colour, alpha=0.85, linewidths=0, label=plain(area))
        if by == "area":
            ax.plot([place - 0.36, place + 0.36], [np.median(y)] * 2, color=INK, lw=1.6, zorder=4)
    meaning = _MEANING.get(str(units["measure"].iloc[0]), "importance")
    if by == "area":
        counts = named["area"].value_counts()
        share = {area: (named.loc[named["area"] == area, "q_value"] <= Q).mean() for area in areas}
        labels = [f"{plain(area)}\n{share[area]:.0%} of {counts[area]:,}" for area in areas]
        ax.set_xticks(range(len(areas)), labels, fontsize=8.5)
        ax.set_xlim(-0.6, len(areas) - 0.4)
        ax.set_xlabel("area; bar: median\nfilled, and their share: units that carry (q <= 0.05)")
        ax.set_ylabel(meaning)
        ax.axhline(0, color=SOFT_INK, lw=0.8, zorder=0)
        ax.grid(axis="y", color=RULE, lw=0.7)
    else:
        ax.set_xlabel(f"{meaning}; filled: q <= 0.05")
        ax.set_ylabel("depth: height above the tip of the probe (um)")
        ax.axvline(0, color=SOFT_INK, lw=0.8, zorder=0)
        ax.grid(axis="x", color=RULE, lw=0.7)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(title="area", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    ax.set_axisbelow(True)
    return ax

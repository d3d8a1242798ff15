"""How a decoder does without units, and without areas."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, PALETTE, RULE, axes_or_new, counted, plain, write_instead, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ORDERS: Final = ("most important first", "random", "least important first")
_HOW: Final = {"mean": ("-", "units at their mean"), "refit": ((0, (4, 2)), "fitted again")}
_WITHOUT, _ALONE = "without the area", "the area alone"


def plot_ablation_curves(ablation: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw accuracy on test trials against the share of the units that are dropped.

    Parameters
    ----------
    ablation
        Columns ``order, how, area, fold, seed, share_dropped, accuracy`` of one session, as from
        `spikesight.attribution.ablation.ablate`; rows of areas are not drawn.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        One colour an order, the mean over folds and seeds; the band is from the lowest to the highest fold.
    """
    curves = ablation[ablation["area"] == ""]
    ax = axes_or_new(ax, 7.4, 4.2)
    if curves.empty:
        write_instead(ax, "no unit was dropped")
        return ax
    ways = [how for how in _HOW if (curves["how"] == how).any()]
    for place, order in enumerate(_ORDERS):
        for how in ways:
            own = curves[(curves["order"] == order) & (curves["how"] == how)]
            if own.empty:
                continue
            by_fold = own.groupby(["share_dropped", "fold"])["accuracy"].mean().unstack()
            style, meaning = _HOW[how]
            label = f"{order}, {meaning}" if len(ways) > 1 else order
            x = by_fold.index.to_numpy(float)
            ax.plot(x, by_fold.mean(axis=1), color=PALETTE[place], ls=style, marker="o", ms=3.5, label=label)
            if how == ways[0]:
                ax.fill_between(x, by_fold.min(axis=1), by_fold.max(axis=1), color=PALETTE[place], alpha=0.13, lw=0)
    ax.set_xlabel("units dropped (%), ranked on training trials")
    ax.set_ylabel("accuracy on test trials (%), band: folds")
    write_percent(ax, "x")
    write_percent(ax, "y")
    ax.set_ylim(0, None)
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return ax


def plot_area_ablation(ablation: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw accuracy on test trials without each area, and with it alone.

    Parameters
    ----------
    ablation
        As for `plot_ablation_curves`; rows of areas are drawn, and all units as a line.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Areas on x, the one that is missed most first; accuracy in % on y, bars from the lowest to the highest fold.
    """
    rows = ablation[ablation["area"] != ""]
    ways = [how for how in _HOW if (rows["how"] == how).any()]
    missed = rows[rows["order"] == _WITHOUT].groupby("area")["accuracy"].mean().sort_values()
    areas = missed.index.tolist()
    ax = axes_or_new(ax, max(5.6, 3.6 + 0.7 * len(areas)), 4.2)
    if rows.empty:
        write_instead(ax, "no area is known")
        return ax
    everything = ablation[(ablation["area"] == "") & (ablation["n_dropped"] == 0)]
    if len(everything):
        whole = float(everything["accuracy"].mean())
        ax.axhline(whole, color=INK, lw=1, ls=(0, (4, 3)), zorder=1, label=f"all units ({whole:.1%})")
    kinds: list[tuple[str, str]] = [(order, how) for order in (_WITHOUT, _ALONE) for how in ways]
    for place, (order, how) in enumerate(kinds):
        own = rows[(rows["order"] == order) & (rows["how"] == how)]
        by_fold = own.groupby(["area", "fold"])["accuracy"].mean().unstack().reindex(areas)
        mean = by_fold.mean(axis=1).to_numpy(float)
        extremes = by_fold.min(axis=1).to_numpy(float), by_fold.max(axis=1).to_numpy(float)
        bars = np.array([mean - extremes[0], extremes[1] - mean]).clip(0)
        x = np.arange(len(areas)) + 0.16 * (place - (len(kinds) - 1) / 2)
        label = f"{order}, {_HOW[how][1]}" if len(ways) > 1 else order
        ax.errorbar(x, mean, yerr=bars, fmt="o", ms=5, color=PALETTE[place], elinewidth=1.2, label=label)
    sizes = ablation[ablation["order"] == _WITHOUT].groupby("area")["n_dropped"].first()
    ax.set_xticks(range(len(areas)), [f"{plain(area)}\n{counted(sizes[area], 'unit')}" for area in areas], fontsize=8.5)
    ax.set_xlabel("area")
    ax.set_ylabel("accuracy on test trials (%), bar: folds")
    write_percent(ax, "y")
    ax.set_ylim(0, None)
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return ax

"""The rate around the start of a presentation, with its interval."""

from typing import TYPE_CHECKING, Final

import pandas as pd

from spikesight.data.labels import short_labels
from spikesight.errors import ConfigError
from spikesight.figures.theme import PALETTE, RULE, area_colours, axes_or_new, counted, plain
from spikesight.figures.unit_order import NOT_GIVEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ABOVE: Final = 2.0
"""The axis ends at so many times the highest mean at most: the interval of two trials has hardly an end."""
_DASHES: Final = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))


def plot_psth(
    table: pd.DataFrame, ax: "Axes | None" = None, *, stop: float | None = None, level: float = 0.95
) -> "Axes":
    """Draw the mean rate and its interval for each class and area: a colour per class, a dash per area.

    Where there is one class only, the colours tell the areas.

    Parameters
    ----------
    table
        Columns ``target``, ``area``, ``time`` (centre of a bin, s from the start of the presentation), ``mean``,
        ``low``, ``high`` (spikes/s), ``n_trials`` and ``n_units``, as from `spikesight.exploration.psth`.
    ax
        Where to draw; a new figure if None.
    stop
        End of the presentation (s), shaded from 0; not drawn if None.
    level
        Probability of the interval, as it was given to `spikesight.exploration.psth`: the axis names it.

    Returns
    -------
    Axes
        Time in ms on x, rate in spikes/s on y, a line per class and area. An interval that reaches beyond twice the
        highest mean is cut by the end of the axis.

    Raises
    ------
    ConfigError
        If there are more lines than can be told apart: 8 colours, 4 dashes.
    """
    classes = table["target"].astype(str).drop_duplicates().tolist()
    areas = table["area"].astype(str).drop_duplicates().tolist()
    coloured, dashed = ("target", "area") if len(classes) > 1 else ("area", "target")
    n_dashed = len(areas if dashed == "area" else classes)
    if max(len(classes), len(areas) if coloured == "area" else 0) > len(PALETTE) or n_dashed > len(_DASHES):
        raise ConfigError(
            f"expected at most {len(PALETTE)} classes and {len(_DASHES)} areas, or one class and {len(PALETTE)} areas; "
            f"got {len(classes)} and {len(areas)}. Choose classes and areas: exploration.psth(..., classes=, areas=)."
        )
    ax = axes_or_new(ax, 6.6, 3.8)
    if stop is not None:
        ax.axvspan(0, stop * 1000, color=RULE, alpha=0.45, lw=0, zorder=0)
    colours = area_colours(table[coloured].astype(str))
    dashes = dict(zip(table[dashed].astype(str).drop_duplicates(), _DASHES, strict=False))
    written, columns = short_labels(list(colours))
    short = dict(zip(colours, written, strict=True))
    for (target, area), own in table.groupby(["target", "area"], sort=False):
        names = {"target": str(target), "area": str(area)}
        colour = colours[names[coloured]]
        own = own.sort_values("time")
        time = own["time"].to_numpy(float) * 1000
        ax.fill_between(time, own["low"].to_numpy(float), own["high"].to_numpy(float), color=colour, alpha=0.15, lw=0)
        label = short[names[coloured]] if n_dashed == 1 else f"{short[names[coloured]]}, {names[dashed]}"
        what = "trial" if coloured == "target" else "unit"
        n = counted(int(own[f"n_{what}s"].iloc[0]), what)
        ax.plot(
            time, own["mean"].to_numpy(float), color=colour, ls=dashes[names[dashed]], lw=1.6,
            label=f"{plain(label)} ({n})",
        )  # fmt: skip
    highest = float(table["mean"].max())
    ax.set_ylim(0, max(min(float(table["high"].max()), _MOST_ABOVE * highest), 1.05 * highest) or None)
    ax.margins(x=0)
    ax.set_xlabel("time from the start of the presentation (ms)")
    ax.set_ylabel(f"mean rate per unit (spikes/s)\nband: {100 * level:g} % interval over trials")
    title = "area" if coloured == "area" else "class" if n_dashed == 1 else "class, area"
    title = f"{title}: {plain(columns)}" if columns else title
    if n_dashed == 1:
        one = (areas if dashed == "area" else classes)[0]
        title = (
            f"{title}\nof {plain(one)}"
            if one not in ("all", NOT_GIVEN)
            else f"{title}\n(all {'classes' if one == 'all' else 'units'})"
        )
    ax.legend(title=title, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax

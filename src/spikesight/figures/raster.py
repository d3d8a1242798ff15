"""Spikes of many units in one presentation, or in several."""

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from spikesight.data.labels import short_labels
from spikesight.errors import ConfigError
from spikesight.figures.theme import INK, RULE, SOFT_INK, area_colours, axes_or_new, plain, spread_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP: Final = 0.25
"""Room between presentations side by side, as a part of the window of one."""
_SHORT: Final = 8
"""Labels up to this length are called a class; longer ones say themselves what they are."""
_LABEL_HEIGHT: Final = 11.0
"""Points that a label beside the rows takes."""


def plot_raster(
    spikes: pd.DataFrame,
    ax: "Axes | None" = None,
    *,
    rows: pd.DataFrame | None = None,
    stop: float | None = None,
    by: Literal["unit", "trial"] = "unit",
) -> "Axes":
    """Draw one tick per spike: units from top to bottom and a colour per area, or trials and a colour per class.

    By unit, presentations of several trials stand side by side, each on its own time, in the order in which
    they come in ``spikes`` (a trial without a spike is not there).
    By trial, all units of a trial share its row; trials of one class stand together.

    Parameters
    ----------
    spikes
        Columns ``time`` (s from the start of the presentation), ``unit`` and ``area``; one row per spike. Columns
        ``trial`` and ``target`` where there are several presentations, as from `spikesight.exploration.trial_spikes`.
    ax
        Where to draw; a new figure if None.
    rows
        Every row to draw, silent ones included, top first: columns ``unit`` and ``area``, or by trial ``trial`` and
        ``target``. None draws those that have a spike, sorted by area or class.
    stop
        End of the presentation (s), shaded from 0; not drawn if None.
    by
        What the rows are.

    Returns
    -------
    Axes
        Time in ms on x, units or trials on y.

    Raises
    ------
    ConfigError
        If ``by`` is neither, or trials are asked of spikes that do not tell their trial.
    """
    key, group = {"unit": ("unit", "area"), "trial": ("trial", "target")}.get(by, ("", ""))
    if not key or not {key, group} <= set(spikes.columns):
        raise ConfigError(
            f"expected by='unit' (columns unit, area) or by='trial' (columns trial, target), got {by!r} and "
            f"{list(spikes.columns)}. Take the spikes of spikesight.exploration.trial_spikes."
        )
    if rows is None:
        rows = spikes[[key, group]].drop_duplicates().sort_values([group, key])
    ax = axes_or_new(ax, 6.4, 4.2)
    panels = _panels(spikes, stop) if by == "unit" else [("", spikes, 0.0)]
    place = {one: row for row, one in enumerate(rows[key])}
    groups = rows[group].astype(str).to_numpy()
    half = max(0.42, 1.1 * _rows_per_point(ax, len(place)))  # where rows are thin, a tick reaches into the next
    for _, own, shift in panels:
        if stop is not None:
            ax.axvspan(shift, shift + stop * 1000, color=RULE, alpha=0.45, lw=0, zorder=0)
        for name, colour in area_colours(groups).items():
            of_group = own[own[group].astype(str) == name]
            y = of_group[key].map(place).to_numpy(float)
            ax.vlines(of_group["time"].to_numpy(float) * 1000 + shift, y - half, y + half, color=colour, lw=1.0)
    ax.set_ylim(max(len(place), 1) - 0.5, -0.5)
    _name_groups(ax, groups, "class" if by == "trial" else "area")
    _name_panels(ax, panels, stop)
    ax.set_xlabel("time from the start of the presentation (ms)" if len(panels) < 2 else "time from each start (ms)")
    ax.set_ylabel(f"{key}s (n = {len(place):,})")
    ax.tick_params(axis="y", colors=SOFT_INK)
    return ax


def _panels(spikes: pd.DataFrame, stop: float | None) -> list[tuple[str, pd.DataFrame, float]]:
    """Each presentation's name, spikes, and place of its start (ms); one without a name where there is only one."""
    if "trial" not in spikes or spikes["trial"].nunique() < 2:
        return [("", spikes, 0.0)]
    time = spikes["time"].to_numpy(float)
    window = 1000 * (max(time.max(), stop or 0.0) - min(time.min(), 0.0))
    trials = spikes["trial"].drop_duplicates()
    panels = []
    for number, trial in enumerate(trials):
        own = spikes[spikes["trial"] == trial]
        panels.append((str(own["target"].iloc[0]), own, number * window * (1 + _GAP)))
    return panels


def _name_groups(ax: "Axes", groups: "np.ndarray[Any, Any]", heading: str) -> None:
    """Write the name of each group beside its rows, apart from each other where rows are thin."""
    colours = area_colours(groups)
    if not colours:
        return
    bounds = {name: np.flatnonzero(groups == name)[[0, -1]] for name in colours}
    centres = np.array([bounds[name].mean() for name in colours])
    order = np.argsort(centres, kind="stable")
    at = spread_labels(centres[order], _LABEL_HEIGHT * _rows_per_point(ax, len(groups)), -0.5, len(groups) - 0.5)
    names = list(colours)
    short, columns = short_labels(names)
    for number, y in zip(order, at, strict=True):
        name = names[number]
        ax.annotate(
            plain(short[number]), (1.01, y), xycoords=("axes fraction", "data"), color=colours[name],
            va="center", fontsize=8.5, annotation_clip=False,
        )  # fmt: skip
        if heading == "class" and bounds[name][0] > 0:
            ax.axhline(bounds[name][0] - 0.5, color=RULE, lw=0.8, zorder=0)
    if heading == "class":
        title = f"class: {plain(columns)}" if columns else "class"
        ax.annotate(title, (1.01, 1.0), xycoords="axes fraction", color=SOFT_INK, va="bottom", fontsize=8.5)


def _rows_per_point(ax: "Axes", n_rows: int) -> float:
    """Return how many rows a point (1/72 inch) is high; a layout engine has yet to make room for labels."""
    return float(n_rows / (0.8 * 72 * ax.get_window_extent().height / ax.figure.dpi))


def _name_panels(ax: "Axes", panels: list[tuple[str, pd.DataFrame, float]], stop: float | None) -> None:
    """Write the class above each presentation, and the time of each from its own start."""
    if len(panels) < 2:
        return
    end = round(stop * 1000) if stop is not None else None
    ticks = [shift + at for _, _, shift in panels for at in ([0.0] if end is None else [0.0, float(end)])]
    names = [text for _ in panels for text in (["0"] if end is None else ["0", str(end)])]
    ax.set_xticks(ticks, names)
    middle = (stop or 0.0) * 500
    short, columns = short_labels([name for name, _, _ in panels])
    for label, (_, _, shift) in zip(short, panels, strict=True):
        ax.annotate(
            plain(f"class {label}" if len(label) <= _SHORT and not columns else label), (shift + middle, 1.0),
            xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8.5,
            color=INK, annotation_clip=False,
        )  # fmt: skip

"""Maps of units, where their centres are on the screen, and how these agree with centres that are known."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.figures.theme import (
    PALETTE,
    REFERENCE,
    RULE,
    SOFT_INK,
    area_colours,
    axes_or_new,
    diverging,
    plain,
    sequential,
    write_instead,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_MAPS: Final = 24
_COLUMNS: Final = 6
_PAD: Final = 0.12
_TITLE: Final = 0.3
_NOTE: Final = 0.25
"""Space between maps, above each and below all, in widths of a map."""


def plot_receptive_fields(
    maps: xr.Dataset, ax: "Axes | None" = None, *, variable: str = "receptive_field", most: int = MOST_MAPS
) -> "Axes":
    """Draw the maps of the units whose responses they predict best.

    Parameters
    ----------
    maps
        ``variable`` (unit, y, x) and ``held_out_r`` (unit); coordinates ``x`` and ``y`` (degrees), perhaps ``area``.
    ax
        Where to draw; a new figure if None.
    variable
        ``receptive_field`` or ``contrast_map``.
    most
        Number of units at most.

    Returns
    -------
    Axes
        A map per unit, each from its own least to its own largest value; signed ones symmetric around 0. y upwards.
    """
    score = "contrast_held_out_r" if variable == "contrast_map" else "held_out_r"
    r = maps[score].to_numpy()
    best = np.argsort(-r, kind="stable")[: min(most, len(r))]
    n_rows = -(-len(best) // _COLUMNS)
    height = abs(float(maps["y"][-1] - maps["y"][0])) / max(abs(float(maps["x"][-1] - maps["x"][0])), 1e-9)
    step = height + _TITLE + _PAD
    ax = axes_or_new(ax, 7.2, 0.3 + 1.06 * (step * n_rows + _NOTE))
    values = maps[variable].transpose("unit", "y", "x").to_numpy()
    # Pictures are stored from the top or from the bottom: y tells.
    upwards = float(maps["y"][-1]) > float(maps["y"][0])
    signed = bool((values < 0).mean() > 0.1)
    areas = maps["area"].to_numpy().astype(str) if "area" in maps.coords else np.full(len(r), "")
    for place, unit in enumerate(best):
        left, bottom = (place % _COLUMNS) * (1 + _PAD), (n_rows - 1 - place // _COLUMNS) * step
        reach = float(np.abs(values[unit]).max()) or 1.0
        low, high = (-reach, reach) if signed else (float(values[unit].min()), float(values[unit].max()))
        ax.imshow(
            values[unit],
            cmap=diverging() if signed else sequential(),
            vmin=low,
            vmax=max(high, low + 1e-12),
            origin="lower" if upwards else "upper",
            extent=(left, left + 1, bottom, bottom + height),
            interpolation="nearest",
        )
        title = f"{plain(areas[unit])} {maps['unit'].to_numpy()[unit]}\nr = {r[unit]:.2f}".strip()
        ax.text(left, bottom + height + 0.03, title, fontsize=6.5, color=SOFT_INK, va="bottom", linespacing=1.1)
    ax.set_xlim(-0.02, _COLUMNS * (1 + _PAD) - _PAD + 0.02)
    x, y = (f"{maps[name].min().item():g} to {maps[name].max().item():g}" for name in ("x", "y"))
    unit = maps["x"].attrs.get("units", "degrees")
    scale = "blue below, red above 0" if signed else "white = least, dark = largest value of each"
    note = f"x: {x}, y: {y} {unit}; {scale}; r: predicted and observed responses, held out"
    ax.text(0, -_NOTE, note, fontsize=7.5, color=SOFT_INK, va="bottom")
    ax.set_ylim(-_NOTE - 0.02, n_rows * step)
    which = f"{len(best):,} of {len(r):,} units" if len(best) < len(r) else f"All {len(r):,} units"
    ax.set_title(f"{which}, those whose responses are predicted best first", loc="left", fontsize=10)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def plot_receptive_field_centres(
    units: pd.DataFrame, ax: "Axes | None" = None, *, screen: tuple[float, float, float, float] | None = None
) -> "Axes":
    """Draw the centre of each unit's receptive field on the screen.

    Parameters
    ----------
    units
        Columns ``centre_x``, ``centre_y`` (degrees from the screen's middle) and ``area``.
    ax
        Where to draw; a new figure if None.
    screen
        Left, right, bottom and top of what stimuli covered, degrees; drawn as a frame.

    Returns
    -------
    Axes
        Azimuth on x, elevation on y, to scale; a colour per area.
    """
    ax = axes_or_new(ax, 6.6, 4.6)
    shown = units[np.isfinite(units["centre_x"]) & np.isfinite(units["centre_y"])]
    if shown.empty:
        write_instead(ax, "no unit has a receptive field to show")
        return ax
    if screen is not None:
        left, right, bottom, top = screen
        ax.add_patch(_frame(left, bottom, right - left, top - bottom))
    areas = shown["area"].astype(str).replace("", "unknown")
    for area, colour in area_colours(sorted(set(areas))).items():
        own = shown[areas == area]
        ax.scatter(
            own["centre_x"],
            own["centre_y"],
            s=14,
            color=colour,
            alpha=0.65,
            lw=0,
            label=f"{plain(area)} ({len(own):,})",
        )
    ax.set_aspect("equal", adjustable="datalim")
    framed = "\ngrey frame: what the stimulus covered" if screen is not None else ""
    ax.set_xlabel(f"azimuth (degrees from the screen's middle){framed}")
    ax.set_ylabel("elevation (degrees)")
    ax.legend(title="area (units)", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax


def plot_centre_agreement(units: pd.DataFrame, ax: "Axes | None" = None, *, reference: str = "published") -> "Axes":
    """Draw estimated centres against known ones.

    Parameters
    ----------
    units
        Columns ``centre_x``, ``centre_y``, ``<reference>_x`` and ``<reference>_y``, degrees; rows to be drawn.
    ax
        Where to draw; a new figure if None.
    reference
        ``"published"`` or ``"true"``.

    Returns
    -------
    Axes
        Known centre on x, estimated centre on y, and the line of equality; azimuth and elevation in two colours.
    """
    ax = axes_or_new(ax, 5.0, 4.6)
    parts = (("azimuth", "x", PALETTE[0], "o"), ("elevation", "y", REFERENCE, "^"))
    ends = []
    for name, axis, colour, marker in parts:
        known, own = units[f"{reference}_{axis}"].to_numpy(float), units[f"centre_{axis}"].to_numpy(float)
        both = np.isfinite(known) & np.isfinite(own)
        r = np.corrcoef(known[both], own[both])[0, 1] if both.sum() > 2 else np.nan
        label = f"{name}, r = {r:.2f} (n = {int(both.sum()):,})"
        ax.scatter(known[both], own[both], s=11, color=colour, marker=marker, alpha=0.5, lw=0, label=label)
        ends += [*known[both], *own[both]]
    if not ends:
        write_instead(ax, "no unit has both centres")
        return ax
    low, high = min(ends), max(ends)
    ax.plot([low, high], [low, high], color=SOFT_INK, lw=0.8, ls="--", zorder=0)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel(f"{reference} centre (degrees)")
    ax.set_ylabel("estimated centre (degrees)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8.5)
    return ax


def _frame(left: float, bottom: float, width: float, height: float):  # type: ignore[no-untyped-def]
    from matplotlib.patches import Rectangle

    return Rectangle((left, bottom), width, height, facecolor="none", edgecolor=RULE, lw=1.4, zorder=0)

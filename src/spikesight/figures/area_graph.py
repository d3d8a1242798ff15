"""Areas as nodes, what one does to another as arrows."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.figures.theme import SOFT_INK, axes_or_new, diverging, draw_to_scale, plain
from spikesight.figures.unit_order import area_looks, sort_areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Circle

_MIDDLE = "#a7adb3"
_LETTER = 0.04
"""Width of a letter where the circle of areas has the radius 1, about."""


class _Drawn(NamedTuple):
    """What is drawn between areas, the first two axes (n_areas, n_areas) as [source, target]."""

    width: NDArray[np.float64]
    """Points; 0 where nothing is drawn."""
    colour: NDArray[np.float64]
    """RGBA of the sign, (n_areas, n_areas, 4)."""
    largest: float
    """Value of the widest line."""
    tested: bool
    directed: bool


def plot_area_graph(summary: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw areas on a circle, with an arrow from each area to each that it has edges to.

    The area of a node grows with its number of units, the width of an arrow with the density of edges; the ring around
    a node stands for the edges within the area. Where no pair was tested, widths show the absolute mean weight.

    Parameters
    ----------
    summary
        One row per ordered pair of areas, as from `spikesight.connectivity.areas.area_summary`: columns
        ``source_area``, ``target_area``, ``n_sources``, ``density`` (a fraction, NaN without a test),
        ``share_excitatory`` and ``mean_weight``.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        No scales; a colour bar of signs and a legend of widths. Where both directions of all pairs are the same, the
        measure has no direction and lines have no heads.
    """
    areas = sort_areas(summary["source_area"])
    n_units = summary.groupby("source_area")["n_sources"].first().loc[areas].to_numpy(np.float64)
    ax = axes_or_new(ax, 7.8, 5.2)
    drawn = _what_to_draw(summary, areas)
    places = _on_circle(len(areas))
    rings = _draw_nodes(areas, n_units, places, drawn, ax)
    _draw_arrows(places, rings, drawn, ax)
    draw_to_scale(ax, *_name_nodes(areas, n_units, rings, ax))
    if drawn.largest:
        _explain(drawn, float(drawn.width.max()), ax)
    else:
        nothing = "no pair of areas has a significant edge" if drawn.tested else "all mean weights are 0"
        ax.set_title(nothing, fontsize=10)
    return ax


def _what_to_draw(summary: pd.DataFrame, areas: list[str]) -> _Drawn:
    """Turn densities, or mean weights where nothing was tested, into widths and colours."""

    def square(column: str) -> NDArray[np.float64]:
        table = summary.pivot(index="source_area", columns="target_area", values=column)
        return table.loc[areas, areas].to_numpy(np.float64)

    tested = bool(summary["density"].notna().any())
    value = np.nan_to_num(square("density") if tested else np.abs(square("mean_weight")))
    sign = np.nan_to_num(2 * square("share_excitatory") - 1 if tested else np.sign(square("mean_weight")))
    largest = float(value.max(initial=0.0))
    widest = float(np.clip(26 / len(areas), 2.5, 6.0))
    width = widest * value / largest if largest else value
    return _Drawn(width, diverging(_MIDDLE)(0.5 + sign / 2), largest, tested, not np.allclose(value, value.T))


def _on_circle(n_areas: int) -> NDArray[np.float64]:
    """Return places clockwise from the top, (n_areas, 2); the middle for a single area."""
    if n_areas == 1:
        return np.zeros((1, 2))
    angle = np.pi / 2 - 2 * np.pi * np.arange(n_areas) / n_areas
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _draw_nodes(
    areas: list[str], n_units: NDArray[np.float64], places: NDArray[np.float64], drawn: _Drawn, ax: "Axes"
) -> "list[Circle]":
    """Draw nodes and rings; return the rings, where arrows end."""
    from matplotlib.patches import Circle

    largest = min(0.24, 0.6 * np.sin(np.pi / len(areas))) if len(areas) > 1 else 0.3
    looks = area_looks(areas)
    rings = []
    for row, (area, place) in enumerate(zip(areas, places, strict=True)):
        radius = max(largest * np.sqrt(n_units[row] / n_units.max()), 0.03)
        ax.add_patch(Circle(tuple(place), radius, fc=looks[area][0], ec="none", zorder=3))
        width = drawn.width[row, row]
        ring = Circle(tuple(place), radius + 0.035, fill=False, ec=drawn.colour[row, row], lw=width, zorder=3)
        ring.set_visible(width > 0)
        ax.add_patch(ring)
        rings.append(ring)
    return rings


def _name_nodes(
    areas: list[str], n_units: NDArray[np.float64], rings: "list[Circle]", ax: "Axes"
) -> tuple[float, float]:
    """Write names and numbers of units away from the middle; return how far they reach in x and y, about."""
    x_reach = y_reach = 0.7
    for area, n, ring in zip(areas, n_units, rings, strict=True):
        centre = np.array(ring.center)
        away = centre if len(areas) > 1 else np.array([0.0, -1.0])
        x, y = centre + away * (ring.radius + 0.1)
        beside = abs(away[0]) >= 0.3
        ax.text(
            x, y, f"{plain(area)}\nn = {n:.0f}", fontsize=8.5, linespacing=1.1, zorder=4,
            ha=("left" if away[0] > 0 else "right") if beside else "center",
            va="center" if abs(away[1]) < 0.8 else "bottom" if away[1] > 0 else "top",
        )  # fmt: skip
        x_reach = max(x_reach, abs(x) + _LETTER * max(len(area), 6) * (1.0 if beside else 0.5))
        y_reach = max(y_reach, abs(y) + 4 * _LETTER)
    return x_reach, y_reach


def _draw_arrows(places: NDArray[np.float64], rings: "list[Circle]", drawn: _Drawn, ax: "Axes") -> None:
    """Draw what is between areas, the weakest first."""
    from matplotlib.patches import FancyArrowPatch

    for flat in np.argsort(drawn.width, axis=None, kind="stable"):
        source, target = divmod(int(flat), len(places))
        width = drawn.width[source, target]
        if width == 0 or source == target or (source > target and not drawn.directed):
            continue
        ax.add_artist(
            FancyArrowPatch(
                tuple(places[source]), tuple(places[target]), patchA=rings[source], patchB=rings[target], shrinkA=2,
                shrinkB=2, arrowstyle="-|>" if drawn.directed else "-", mutation_scale=7 + 1.5 * width,
                connectionstyle=f"arc3,rad={0.16 if drawn.directed else 0}", lw=max(width, 0.3),
                color=drawn.colour[source, target], alpha=0.85, joinstyle="miter", zorder=2,
            )
        )  # fmt: skip


def _explain(drawn: _Drawn, widest: float, ax: "Axes") -> None:
    """Add the colour bar of signs and the legend of widths."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    handles: list[Any] = []
    for share in (1.0, 0.5, 0.1):
        value = drawn.largest * share
        label = f"{100 * value:.3g} %" if drawn.tested else f"{value:.2g}"
        handles.append(Line2D([], [], color=SOFT_INK, lw=widest * share, label=label))
    what = "edges per pair of units" if drawn.tested else "|mean weight|"
    ax.legend(
        handles=handles, title=f"{what}\n(ring: within the area)", loc="upper left", bbox_to_anchor=(1.02, 1.0),
        frameon=False, fontsize=8.5, title_fontsize=8.5, alignment="left",
    )  # fmt: skip
    scale = ax.inset_axes((1.05, 0.02, 0.035, 0.4))
    label = "mean sign of the edges" if drawn.tested else "sign of the mean weight"
    bar = ax.figure.colorbar(ScalarMappable(Normalize(-1, 1), diverging(_MIDDLE)), cax=scale, label=label)
    bar.set_ticks([-1, 0, 1], labels=["-1 (inhibitory)", "0", "+1 (excitatory)"])

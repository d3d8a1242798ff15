"""Units on a circle, sorted by area, and edges as chords of it."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from spikesight.figures.theme import plain, spread_labels
from spikesight.figures.unit_order import UnitOrder, area_looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP: Final = np.radians(4.0)
"""Between areas on the circle: as wide as a line of text beside it."""
_LINE: Final = 0.085
"""Height of a line of text where the radius of the circle is 1."""


def unit_angles(order: UnitOrder) -> NDArray[np.float64]:
    """Return the angle of each unit, clockwise from the top, areas apart from each other."""
    n_areas = len(order.blocks)
    gap = min(_GAP, np.pi / n_areas)
    step = (2 * np.pi - n_areas * gap) / len(order.ids)
    number = np.repeat(np.arange(n_areas), [last - first + 1 for _, first, last in order.blocks])
    return np.asarray(np.pi / 2 - (np.arange(len(order.ids)) + 0.5) * step - (number + 0.5) * gap)


def name_arcs(order: UnitOrder, angles: NDArray[np.float64], ax: "Axes") -> None:
    """Draw an arc outside the units of each area, with its name beside it; names on one side are kept apart."""
    looks = area_looks(order.areas)
    middles = np.array([(angles[first] + angles[last]) / 2 for _, first, last in order.blocks])
    for area, first, last in order.blocks:
        margin = 0.3 * _GAP
        arc = np.linspace(angles[first] + margin, angles[last] - margin, 60)
        ax.plot(1.06 * np.cos(arc), 1.06 * np.sin(arc), color=looks[area][0], lw=3, solid_capstyle="butt")
    for side in (-1, 1):
        own = np.flatnonzero(np.where(np.cos(middles) < 0, -1, 1) == side)
        own = own[np.argsort(np.sin(middles[own]))]
        heights = spread_labels(1.15 * np.sin(middles[own]), _LINE, -1.25, 1.25)
        for block, height in zip(own, heights, strict=True):
            area, first, last = order.blocks[block]
            x, y = np.cos(middles[block]), np.sin(middles[block])
            beside = side * max(np.sqrt(max(1.15**2 - height**2, 0)), abs(x))
            ax.plot([1.08 * x, beside], [1.08 * y, height], color=looks[area][0], lw=0.6)
            ax.text(
                beside + 0.02 * side, height, f"{plain(area)} ({last - first + 1})", fontsize=8.5, va="center",
                ha="left" if side > 0 else "right",
            )  # fmt: skip


def chord(start: NDArray[np.float64], stop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return start, bend and end of an edge inside the circle; both directions of a pair bend to their own side."""
    chord = stop - start
    length = float(np.hypot(*chord))
    aside = 0.04 * np.array([-chord[1], chord[0]]) / max(length, 1e-9)
    bend = (start + stop) / 2 * (0.9 - 0.6 * min(1.0, length / 1.2)) + aside
    return np.array([0.965 * start, bend, 0.965 * stop])

"""A flow chart: boxes in rows, arrows between them."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spikesight.figures.theme import INK, SOFT_INK, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TINTS: Final[dict[str, tuple[str, str]]] = {
    "data": ("#eef1f4", "#5b6570"),
    "input": ("#fdf1dc", "#b87f00"),
    "graph": ("#fbe3d4", "#b34f00"),
    "spatial": ("#d9eaf5", "#0072b2"),
    "temporal": ("#d5efe6", "#007a5a"),
    "readout": ("#f6e2ee", "#a3558a"),
}
"""Fill and edge of each kind of box; what a box is also stands in its title."""

_WIDTHS: Final = (4.1, 2.8)
"""Of the main and of the side column, inches."""
_BETWEEN: Final = 0.95
"""Inches between the columns."""
_MARGIN: Final = 0.62
"""Left of the main column, where an arrow goes past boxes."""
_LINE, _TITLE, _PAD, _GAP = 0.175, 0.225, 0.09, 0.33
"""Height of a line, of a title, and of the space in and between boxes, inches."""
_CHARACTERS_PER_INCH: Final = 14.6
_FONT: Final = 8.3


class Box(NamedTuple):
    """One step.

    Attributes
    ----------
    key
        What arrows call it.
    title, lines
        What it says.
    kind
        One of ``TINTS``.
    column
        0: the main way; 1: beside it.
    row
        From the top.
    """

    key: str
    title: str
    lines: tuple[str, ...]
    kind: str
    row: int
    column: int = 0


class Arrow(NamedTuple):
    """From one box to another.

    Attributes
    ----------
    source, target
        Keys of boxes.
    label
        What goes along it.
    way
        "down", from a box of the main column to the next; "across", to or from the side column; "back", dashed, from a
        box to the one beside it; "past", along the left side of the boxes between.
    """

    source: str
    target: str
    label: str = ""
    way: str = "down"


class FlowChart(NamedTuple):
    """What to draw.

    Attributes
    ----------
    title
        Above it all.
    boxes, arrows
        Steps, and what goes from one to the other.
    """

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


class _Place(NamedTuple):
    left: float
    bottom: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    @property
    def top(self) -> float:
        return self.bottom + self.height

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def level(self) -> float:
        return self.bottom + self.height / 2


def plot_architecture(chart: FlowChart, ax: "Axes | None" = None) -> "Axes":
    """Draw the flow chart of a decoder.

    Parameters
    ----------
    chart
        As from `spikesight.decoders.architecture.architecture_of`.
    ax
        Where to draw; a new figure that fits if None.

    Returns
    -------
    Axes
        No scales; a unit is an inch.
    """
    written = {box.key: _wrapped(box) for box in chart.boxes}
    places = _places(chart.boxes, written)
    two = any(box.column for box in chart.boxes)
    width = _MARGIN + _WIDTHS[0] + (_BETWEEN + _WIDTHS[1] if two else 0.3)
    bottom = min(place.bottom for place in places.values()) - 0.08
    ax = axes_or_new(ax, width + 0.2, 0.45 - bottom)
    ax.set_axis_off()
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlim(0, width + 0.05)
    ax.set_ylim(bottom, 0.04)
    ax.set_title(plain(chart.title), fontsize=11, loc="left")
    for box in chart.boxes:
        _draw_box(box, written[box.key], places[box.key], ax)
    for arrow in chart.arrows:
        _draw_arrow(arrow, places, ax)
    return ax


def _wrapped(box: Box) -> list[str]:
    room = int((_WIDTHS[box.column] - 2 * _PAD) * _CHARACTERS_PER_INCH)
    return [part for line in box.lines for part in textwrap.wrap(line, room)]


def _places(boxes: Sequence[Box], written: Mapping[str, Sequence[str]]) -> dict[str, _Place]:
    """Stack the boxes of the main column; one of the side column stands level with the one of its row."""
    heights = {box.key: 2 * _PAD + _TITLE + _LINE * len(written[box.key]) for box in boxes}
    middles: dict[int, float] = {}
    top = 0.0
    for box in sorted((box for box in boxes if box.column == 0), key=lambda box: box.row):
        middles[box.row] = top - heights[box.key] / 2
        top -= heights[box.key] + _GAP
    lefts = (_MARGIN, _MARGIN + _WIDTHS[0] + _BETWEEN)
    return {
        box.key: _Place(
            lefts[box.column], middles[box.row] - heights[box.key] / 2, _WIDTHS[box.column], heights[box.key]
        )
        for box in boxes
    }


def _draw_box(box: Box, lines: Sequence[str], place: _Place, ax: "Axes") -> None:
    from matplotlib.patches import FancyBboxPatch

    fill, edge = TINTS[box.kind]
    ax.add_patch(
        FancyBboxPatch(
            (place.left, place.bottom), place.width, place.height, boxstyle="round,pad=0,rounding_size=0.07", fc=fill,
            ec=edge, lw=1.2, zorder=2,
        )
    )  # fmt: skip
    ax.text(
        place.middle, place.top - _PAD, plain(box.title), ha="center", va="top", weight="bold", fontsize=9, color=INK,
        zorder=3,
    )  # fmt: skip
    for number, line in enumerate(lines):
        ax.text(
            place.middle, place.top - _PAD - _TITLE - _LINE * number, plain(line), ha="center", va="top",
            fontsize=_FONT, color=INK, zorder=3,
        )  # fmt: skip


def _draw_arrow(arrow: Arrow, places: Mapping[str, _Place], ax: "Axes") -> None:
    source, target = places[arrow.source], places[arrow.target]
    look: dict[str, Any] = {"arrowstyle": "-|>", "color": SOFT_INK, "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
    label: dict[str, Any] = {"fontsize": 7.6, "color": SOFT_INK, "zorder": 3, "linespacing": 1.1}
    said = plain(arrow.label)
    if arrow.way == "down":
        x = target.middle
        ax.annotate("", (x, target.top), (x, source.bottom), arrowprops=look)
        ax.text(x + 0.08, (source.bottom + target.top) / 2, said, ha="left", va="center", **label)
    elif arrow.way == "past":
        x, start, stop = source.left, source.level, target.level
        ax.plot([x, x - 0.3, x - 0.3], [start, start, stop], color=SOFT_INK, lw=1.3, solid_joinstyle="round")
        ax.annotate("", (x, stop), (x - 0.3, stop), arrowprops=look)
        ax.text(x - 0.37, (start + stop) / 2, said, ha="right", va="center", rotation=90, **label)
    elif abs(source.level - target.level) < 1e-6:  # in one row: to the left above, back below
        back = arrow.way == "back"
        y = source.level + (-0.15 if back else 0.15)
        left, right = min(source.right, target.right), max(source.left, target.left)
        ends = ((left, y), (right, y)) if source.left < target.left else ((right, y), (left, y))
        ax.annotate("", ends[1], ends[0], arrowprops=look | ({"ls": (0, (4, 2))} if back else {}))
        x, shift = (left + right) / 2, -0.05 if back else 0.05
        ax.text(x, y + shift, said, ha="center", va="top" if back else "bottom", **label)
    else:  # out of the main column, then down into a box of the side column
        x, y = target.middle, source.level
        ax.plot([source.right, x], [y, y], color=SOFT_INK, lw=1.3)
        ax.annotate("", (x, target.top), (x, y), arrowprops=look)
        ax.text(source.right + 0.12, y + 0.05, said, ha="left", va="bottom", **label)

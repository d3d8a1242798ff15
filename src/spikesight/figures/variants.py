"""Every combination that a graph decoder may be, and those that have a name."""

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pandas as pd

from spikesight.figures.flow_chart import TINTS
from spikesight.figures.theme import INK, PALETTE, RULE, SOFT_INK, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADS: Final = {
    "graph": "graph\nof units",
    "scope": "scope\nof the graph",
    "spatial": "spatial block,\nwithin a bin",
    "temporal": "temporal block,\nover bins",
    "readout": "read-out:\nscores ...",
}
_NODES: Final = {
    "given": "given matrix",
    "single": "single,\none for all",
    "per-class-per-bin": "per-class-\nper-bin",
    "trial": "of the trial",
    "bin": "of each bin,\naveraged",
}
_KINDS: Final = {"graph": "graph", "scope": "graph", "spatial": "spatial", "temporal": "temporal", "readout": "readout"}
_STEP: Final = 2.3
"""Inches from column to column."""
_WIDTH, _HEIGHT, _TALL = 1.4, 0.62, 5.0
"""Of a node, and of the columns, inches."""
_APART: Final = 0.1
"""Inches between two paths."""


def plot_decoder_variants(combinations: pd.DataFrame, named: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw the parts of graph decoders in columns, what goes with what as grey lines, and named decoders as paths.

    Parameters
    ----------
    combinations
        One row per legal combination, columns ``graph, scope, spatial, temporal, readout``.
    named
        One row per decoder with a name: ``decoder`` and the same columns. Both as from
        `spikesight.decoders.variants.decoder_variants`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        No scales; a unit is an inch.
    """
    stages = list(_HEADS)
    ax = axes_or_new(ax, 1.35 + _STEP * (len(stages) - 1) + _WIDTH + 0.3, _TALL + 1.5)
    ax.set_axis_off()
    ax.set_aspect("equal", adjustable="box")
    places = {
        (stage, str(node)): (column * _STEP, _TALL * (0.5 - (row + 0.5) / combinations[stage].nunique()))
        for column, stage in enumerate(stages)
        for row, node in enumerate(combinations[stage].unique())
    }
    for before, after in pairwise(stages):
        for source, target in combinations[[before, after]].drop_duplicates().itertuples(index=False):
            (x0, y0), (x1, y1) = places[before, source], places[after, target]
            ax.plot([x0 + _WIDTH / 2, x1 - _WIDTH / 2], [y0, y1], color=RULE, lw=0.8, zorder=1)
    for (stage, node), (x, y) in places.items():
        _draw_node(_NODES.get(node, node), x, y, TINTS[_KINDS[stage]], ax)
    for column, stage in enumerate(stages):
        ax.text(column * _STEP, _TALL / 2 + 0.1, _HEADS[stage], ha="center", va="bottom", weight="bold", fontsize=9.5)
    _draw_paths(named, places, ax)
    n_kinds = f"{len(combinations):,} combinations are legal, {len(named)} have a name; any part is a parameter"
    ax.set_title(n_kinds, fontsize=11, loc="left")
    ax.set_xlim(-_WIDTH / 2 - 1.4, _STEP * (len(stages) - 1) + _WIDTH / 2 + 0.1)
    ax.set_ylim(-_TALL / 2, _TALL / 2 + 0.6)
    return ax


def _draw_node(text: str, x: float, y: float, tint: tuple[str, str], ax: "Axes") -> None:
    from matplotlib.patches import FancyBboxPatch

    ax.add_patch(
        FancyBboxPatch(
            (x - _WIDTH / 2, y - _HEIGHT / 2), _WIDTH, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.07", fc=tint[0],
            ec=tint[1], lw=1.1, zorder=3,
        )
    )  # fmt: skip
    ax.text(x, y, text, ha="center", va="center", fontsize=9, color=INK, zorder=4, linespacing=1.1)


def _draw_paths(named: pd.DataFrame, places: dict[tuple[str, str], tuple[float, float]], ax: "Axes") -> None:
    """Draw a line through the nodes of each named decoder, its name before the first; no two on top of each other."""
    stages = list(_HEADS)
    order = sorted(
        range(len(named)), key=lambda at: [-places[stage, str(named[stage].iloc[at])][1] for stage in stages]
    )
    labels: dict[str, list[tuple[str, str]]] = {}
    for rank, at in enumerate(order):
        row = named.iloc[at]
        shift = ((len(order) - 1) / 2 - rank) * _APART
        colour = PALETTE[at % len(PALETTE)]
        xs: list[float] = []
        ys: list[float] = []
        for stage in stages:
            x, y = places[stage, row[stage]]
            xs += [x - _WIDTH / 2, x + _WIDTH / 2]
            ys += [y + shift] * 2
        xs[0], xs[-1] = xs[0] + _WIDTH / 2, xs[-1] - _WIDTH / 2  # they begin and end behind a node
        ax.plot(xs, ys, color=colour, lw=2.2, zorder=2, label=plain(row["decoder"]), solid_joinstyle="round")
        labels.setdefault(str(row["graph"]), []).append((str(row["decoder"]), colour))
    for graph, own in labels.items():
        x, y = places["graph", graph]
        for number, (name, colour) in enumerate(own):
            height = y + ((len(own) - 1) / 2 - number) * 0.19
            ax.text(
                x - _WIDTH / 2 - 0.28, height, plain(name), ha="right", va="center", fontsize=9, color=INK, zorder=4
            )
            ax.plot(
                [x - _WIDTH / 2 - 0.23, x - _WIDTH / 2 - 0.05], [height] * 2, color=colour, lw=2.6,
                solid_capstyle="butt", zorder=2,
            )  # fmt: skip
    ax.text(
        -_WIDTH / 2 - 0.28,
        _TALL / 2 + 0.1,
        "name",
        ha="right",
        va="bottom",
        weight="bold",
        fontsize=9.5,
        color=SOFT_INK,
    )

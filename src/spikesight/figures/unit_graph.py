"""Single units as nodes, the strongest edges between them as arrows."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import UnknownNameError
from spikesight.figures.strongest_edges import Strongest, line_widths, sign_colours, sign_handles, strongest_edges
from spikesight.figures.theme import axes_or_new, draw_to_scale, plain, write_instead
from spikesight.figures.unit_circle import chord, name_arcs, unit_angles
from spikesight.figures.unit_order import UnitOrder, area_looks, order_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAYOUTS: Final = ("circular", "force")
_SEED: Final = 0


def plot_unit_graph(
    edges: pd.DataFrame,
    units: pd.DataFrame,
    layout: str = "circular",
    n_strongest: int = 150,
    ax: "Axes | None" = None,
    *,
    q: float = 0.05,
) -> "Axes":
    """Draw units in the colours of their areas and the strongest significant edges between them.

    Excitatory edges end in an arrow head, inhibitory ones in a bar; edges without a direction in nothing.

    Parameters
    ----------
    edges
        The whole table of edges of an estimator: ``source_unit``, ``target_unit``, ``weight`` and ``q_value``.
    units
        One row per unit, index the unit ids; ``area`` and ``probe_vertical_position`` (um) where they are known.
    layout
        ``"circular"``: all units on a circle, sorted by area and depth. ``"force"``: units with an edge, those that
        are joined near each other (Fruchterman and Reingold 1991), always the same for the same edges.
    n_strongest
        How many edges to draw at most; those with the largest absolute weight.
    ax
        Where to draw; a new figure if None.
    q
        False discovery rate that an edge must survive. Where no pair was tested, all pairs count and the title says so.

    Returns
    -------
    Axes
        No scales; the title says how many of how many edges are drawn.

    Raises
    ------
    UnknownNameError
        If there is no such layout.
    ConfigError
        If ``n_strongest`` is below 1 or ``q`` is not in (0, 1].
    UnitIdsError
        If an edge to draw has a unit that is not in ``units``.
    """
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)
    chosen = strongest_edges(edges, n_strongest, q)
    order = order_units(units)
    ends = np.column_stack([order.places(chosen.edges["source_unit"]), order.places(chosen.edges["target_unit"])])
    ax = axes_or_new(ax, 7.6, 5.4)
    if layout == "circular":
        angles = unit_angles(order)
        places, drawn = np.column_stack([np.cos(angles), np.sin(angles)]), np.arange(len(order.ids))
        name_arcs(order, angles, ax)
        title = chosen.said
    else:
        drawn = np.unique(ends)
        places = force_places(len(order.ids), ends)
        alone = len(order.ids) - len(drawn)
        left_out = f"\n{alone:,} of {len(order.ids):,} units have no such edge and are not drawn" if alone else ""
        title = f"{chosen.said}{left_out}"
        if not drawn.size:
            ax.set_axis_off()
            write_instead(ax, title)
            return ax
    handles = _draw_units(order, drawn, places, ax)
    _draw_edges(chosen, ends, places, layout == "circular", ax)
    x_reach, y_reach = (1.6, 1.28) if layout == "circular" else 1.05 * np.nanmax(np.abs(places), axis=0)
    draw_to_scale(ax, x_reach, y_reach)
    ax.set_title(title, fontsize=10)
    shown = (handles if layout == "force" else []) + sign_handles(chosen.edges)
    if shown:
        corner = (
            {"loc": "lower left"} if layout == "circular" else {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
        )
        ax.legend(handles=shown, frameon=False, fontsize=8.5, **corner)
    return ax


def force_places(n_units: int, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lay out units that edges pull together, groups of joined units in rows.

    Parameters
    ----------
    n_units
        How many there are.
    ends
        The units of every edge, the strongest edge first, shape (n_edges, 2).

    Returns
    -------
    ndarray
        Shape (n_units, 2); NaN for units without an edge.
    """
    import networkx as nx

    graph: Any = nx.Graph()
    graph.add_edges_from(ends[::-1].tolist())
    places = np.full((n_units, 2), np.nan)
    groups = sorted((sorted(group) for group in nx.connected_components(graph)), key=len, reverse=True)
    width = 1.2 * np.sqrt(sum(_side(group) ** 2 for group in groups))
    x = y = height = 0.0
    for group in groups:
        side = _side(group)
        if x > 0 and x + side > width:
            x, y, height = 0.0, y - height, 0.0
        height = max(height, side)
        found = nx.spring_layout(graph.subgraph(group), iterations=200, seed=_SEED, method="force")
        own = np.array([found[unit] for unit in group])
        own -= (own.min(axis=0) + own.max(axis=0)) / 2
        places[group] = own / np.abs(own).max() * (side - 1) / 2 + [x + side / 2, y - side / 2]
        x += side
    if groups:
        places -= (np.nanmin(places, axis=0) + np.nanmax(places, axis=0)) / 2
    return places


def _side(group: list[int]) -> float:
    """Return the side of the square that a group of joined units is given; 1 of it stays empty."""
    return 1.0 + 1.5 * float(np.sqrt(len(group)))


def _draw_units(order: UnitOrder, drawn: NDArray[np.int64], places: NDArray[np.float64], ax: "Axes") -> list[Any]:
    """Draw the nodes; return one entry of a legend per area."""
    looks = area_looks(order.areas)
    size = float(np.clip(2400 / max(len(drawn), 1), 10, 70))
    areas = np.array(order.areas, dtype=object)
    handles = []
    for area, (colour, marker) in looks.items():
        own = drawn[areas[drawn] == area]
        if own.size:
            handles.append(
                ax.scatter(
                    places[own, 0], places[own, 1], s=size, color=colour, marker=marker, ec="white", lw=0.4, zorder=3,
                    label=f"{plain(area)} ({own.size:,})",
                )
            )  # fmt: skip
    return handles


def _draw_edges(
    chosen: Strongest, ends: NDArray[np.int64], places: NDArray[np.float64], bundled: bool, ax: "Axes"
) -> None:
    """Draw the edges, the strongest on top."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    colours = sign_colours(chosen.edges)
    for (source, target), width, colour, weight in zip(
        ends, line_widths(chosen.edges), colours, chosen.edges["weight"], strict=True
    ):
        head = "-" if not chosen.directed else "-|>" if weight > 0 else "|-|,widthA=0,widthB=0.35"
        look: dict[str, Any] = {
            "arrowstyle": head, "mutation_scale": 7, "lw": width, "color": colour, "alpha": 0.75, "zorder": 2,
        }  # fmt: skip
        start, stop = places[source], places[target]
        if bundled:
            path = Path(chord(start, stop), [Path.MOVETO, Path.CURVE3, Path.CURVE3])
            ax.add_artist(FancyArrowPatch(path=path, **look))
        else:
            ax.add_artist(
                FancyArrowPatch(tuple(start), tuple(stop), connectionstyle="arc3,rad=0.1", shrinkA=4, shrinkB=4, **look)
            )

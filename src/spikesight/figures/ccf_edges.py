"""Units at their places in the brain, with the strongest edges between them."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import ConfigError
from spikesight.figures.strongest_edges import line_widths, sign_colours, sign_handles, strongest_edges
from spikesight.figures.theme import RULE, axes_or_new, plain
from spikesight.figures.unit_order import UnitOrder, area_looks, order_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLACE: Final = ("left_right_ccf_coordinate", "anterior_posterior_ccf_coordinate", "dorsal_ventral_ccf_coordinate")
"""Columns of a unit's place in the common coordinate framework (um) along x, y and z of the figure."""


def plot_edges_in_ccf(
    edges: pd.DataFrame, units: pd.DataFrame, n_strongest: int = 100, ax: "Axes | None" = None, *, q: float = 0.05
) -> "Axes":
    """Draw units where they lie in the Allen common coordinate framework (CCFv3), and the strongest edges as lines.

    Dorsal is up and anterior is away from the reader, who looks from behind. A millimetre is as long on all axes.

    Parameters
    ----------
    edges
        The whole table of edges of an estimator: ``source_unit``, ``target_unit``, ``weight`` and ``q_value``.
    units
        One row per unit, index the unit ids; ``area``, and the three CCF coordinates (um; NaN, 0 or below where the
        place is not known).
    n_strongest
        How many edges to draw at most; those with the largest absolute weight among units with a known place.
    ax
        3-D axes to draw into; a new figure if None.
    q
        False discovery rate that an edge must survive. Where no pair was tested, all pairs count and the title says so.

    Returns
    -------
    Axes
        Left-right (ML), anterior-posterior (AP) and dorsal-ventral (DV) place in mm; the title counts what is drawn and
        the units that are left out. A sentence instead where no unit has a known place.

    Raises
    ------
    ConfigError
        If ``ax`` is not three-dimensional, ``n_strongest`` is below 1 or ``q`` is not in (0, 1].
    UnitIdsError
        If an edge has a unit that is not in ``units``.
    """
    if ax is not None and ax.name != "3d":
        raise ConfigError(f"expected 3-D axes, got axes with the projection {ax.name!r}. Use projection='3d'.")
    order = order_units(units)
    places = _places(units)[order.rows]
    known = np.asarray(np.isfinite(places).all(axis=1))
    inside = known[order.places(edges["source_unit"])] & known[order.places(edges["target_unit"])]
    chosen = strongest_edges(edges[inside], n_strongest, q)
    space: Any = axes_or_new(ax, 7.4, 5.4, projection="3d")
    left_out = f"{int((~known).sum()):,} of {len(known):,} units without a known place are left out"
    if not known.any():
        space.set_axis_off()
        space.text2D(
            0.5, 0.5, f"No unit has a known place in the CCF\n({len(known):,} units).", transform=space.transAxes,
            ha="center", va="center",
        )  # fmt: skip
        return space  # type: ignore[no-any-return]
    if ax is None:
        space.set_position((0.02, 0.08, 0.6, 0.8))  # the layout engine cuts off labels of 3-D axes
    handles = _draw_units(order, places, known, space)
    ends = np.column_stack([order.places(chosen.edges["source_unit"]), order.places(chosen.edges["target_unit"])])
    for (source, target), width, colour in zip(
        ends, line_widths(chosen.edges), sign_colours(chosen.edges), strict=True
    ):
        space.plot(*places[[source, target]].T, color=colour, lw=width, alpha=0.7)
    _frame(places[known], space)
    space.set_title(chosen.said if known.all() else f"{chosen.said}\n{left_out}", fontsize=10)
    space.legend(
        handles=handles + sign_handles(chosen.edges), loc="center left", bbox_to_anchor=(1.06, 0.5), frameon=False,
        fontsize=8.5,
    )  # fmt: skip
    return space  # type: ignore[no-any-return]


def _places(units: pd.DataFrame) -> NDArray[np.float64]:
    """Return places in mm, (n_units, 3); NaN where the place is not known (files have -1 or 0 there)."""
    if not set(_PLACE) <= set(units.columns):
        return np.full((len(units), 3), np.nan)
    places = units[list(_PLACE)].to_numpy(np.float64) / 1000
    places[~(places > 0).all(axis=1)] = np.nan
    return places


def _draw_units(order: UnitOrder, places: NDArray[np.float64], known: NDArray[np.bool_], space: Any) -> list[Any]:
    """Draw the units; return one entry of a legend per area."""
    areas = np.array(order.areas, dtype=object)
    size = float(np.clip(3000 / known.sum(), 16, 45))
    handles = []
    for area, (colour, marker) in area_looks(order.areas).items():
        own = known & (areas == area)
        if own.any():
            handles.append(
                space.scatter(
                    *places[own].T, s=size, color=colour, marker=marker, ec="white", lw=0.4, depthshade=False,
                    label=f"{plain(area)} ({int(own.sum()):,})",
                )
            )  # fmt: skip
    return handles


def _frame(places: NDArray[np.float64], space: Any) -> None:
    """Set limits, directions and names of the axes."""
    from matplotlib.ticker import MaxNLocator

    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    extent = np.ptp(places, axis=0)
    half = 0.55 * np.maximum(extent, max(0.4 * float(extent.max()), 0.2))  # a single probe is a line: leave it room
    low, high = middle - half, middle + half
    space.set_xlim(low[0], high[0])
    space.set_ylim(high[1], low[1])  # the framework counts from anterior to posterior and from dorsal to ventral
    space.set_zlim(high[2], low[2])
    space.set_box_aspect(half, zoom=0.92)
    space.view_init(elev=18, azim=-62)
    for axis, name, size in zip((space.xaxis, space.yaxis, space.zaxis), ("ML", "AP", "DV"), half, strict=True):
        axis.set_label_text(f"{name} (mm)")
        axis.labelpad = 7
        axis.set_major_locator(MaxNLocator(2 if size < 0.6 * half.max() else 4))
        axis.set_pane_color("white")
        axis._axinfo["grid"].update(color=RULE, linewidth=0.6)

"""The graph of each bin of a trial, one after the other, as an animated GIF.

It shows which units a decoder let hear each other while it decoded. That is no connectivity: weights are what helped
the decoder, and in simulations of known couplings they find them no better than chance.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.errors import ConfigError, DataError, OutputError
from spikesight.figures.theme import ACCENT, INK, RULE, SOFT_INK, axes_or_new, plain
from spikesight.figures.unit_circle import chord, name_arcs, unit_angles
from spikesight.figures.unit_order import area_looks, order_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIMS: Final = ("bin", "source_unit", "target_unit")
WHAT_IT_IS_NOT: Final = "the graph that the decoder passed messages over; not connectivity"


class _Edges(NamedTuple):
    """The strongest edges of one bin, weakest first."""

    sources: NDArray[np.intp]
    targets: NDArray[np.intp]
    weights: NDArray[np.float64]


def animate_graph(
    adjacency: xr.DataArray,
    path: str | Path,
    areas: Mapping[Any, str] | None = None,
    *,
    times: Sequence[float] | None = None,
    title: str = "",
    n_strongest: int = 60,
    frames_per_second: float = 1.5,
    dpi: float = 90,
) -> Path:
    """Write an animated GIF of a decoder's graph over the bins of a trial; it starts again when it is over.

    Units stand on a circle, sorted by area. An arrow leads from a source to the unit that hears it; its width grows
    with the weight, on one scale for all bins.

    Parameters
    ----------
    adjacency
        Weights of 0 or more, dims ``(bin, source_unit, target_unit)`` in any order: what a decoder whose graph is
        learned or given per bin has as ``adjacency_``, or ``adjacency.nc`` of a run.
    path
        The file, which appears only when it is complete.
    areas
        Area of each unit id; None: not given.
    times
        Bounds of the bins, s after the start of the presentation, shape (n_bins + 1,); None: bins are counted.
    title
        What is above it, such as the decoder and the session.
    n_strongest
        Edges of each bin to draw, at most.
    frames_per_second
        Bins shown in a second.
    dpi
        Pixels per inch; the picture is 6 x 6 inches.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    DataError
        If there is no graph per bin, a weight is negative or not finite, or ``times`` does not fit.
    ConfigError
        If an option is not positive.
    OutputError
        If the file cannot be written.
    """
    weights = _checked(adjacency)
    if n_strongest < 1 or frames_per_second <= 0 or dpi <= 0:
        raise ConfigError(
            f"expected n_strongest, frames_per_second and dpi above 0, got {n_strongest}, {frames_per_second}, {dpi}."
        )
    if times is not None and len(times) != len(weights) + 1:
        raise DataError(f"expected the {len(weights) + 1} bounds of {len(weights)} bins as times, got {len(times)}.")
    import matplotlib.pyplot as plt
    from matplotlib.animation import PillowWriter

    path = Path(path)
    ax, places, order = _circle(adjacency[DIMS[1]].to_numpy(), areas or {}, title, n_strongest)
    figure: Any = ax.figure
    weights = weights[:, order][:, :, order]
    chosen = [_strongest(of_bin, n_strongest) for of_bin in weights]
    widest = max((float(edges.weights.max(initial=0.0)) for edges in chosen), default=0.0)
    writer = PillowWriter(fps=frames_per_second)  # type: ignore[arg-type]  # it divides by it
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.tmp.gif")  # Pillow tells the format by the ending
    try:
        with writer.saving(figure, str(temporary), dpi):
            for number, edges in enumerate(chosen):
                drawn = [*_draw_edges(edges, places, widest, ax), *_draw_clock(number, len(chosen), times, ax)]
                writer.grab_frame()
                for artist in drawn:
                    artist.remove()
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write the animation {path}: {error.strerror or error}. Choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
        plt.close(figure)
    return path


def _checked(adjacency: xr.DataArray) -> NDArray[np.float64]:
    if set(adjacency.dims) != set(DIMS):
        raise DataError(
            f"expected a graph for each bin, with dimensions {', '.join(DIMS)}, got "
            f"{', '.join(map(str, adjacency.dims))}. A decoder with graph='learned-per-bin' has one."
        )
    weights = adjacency.transpose(*DIMS).to_numpy().astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("expected finite weights of 0 or more in the graph of a decoder, got others.")
    return weights


def _circle(
    ids: NDArray[Any], areas: Mapping[Any, str], title: str, n_strongest: int
) -> "tuple[Axes, NDArray[np.float64], NDArray[np.int64]]":
    """Draw what all frames share; return the axes, the place of each unit, and which unit stands there."""
    units = pd.DataFrame({"area": [areas.get(unit, "") for unit in ids.tolist()]}, index=pd.Index(ids))
    order = order_units(units)
    angles = unit_angles(order)
    places = np.column_stack([np.cos(angles), np.sin(angles)])
    ax = axes_or_new(None, 6.0, 6.0)
    looks = area_looks(order.areas)
    for area, first, last in order.blocks:
        colour, marker = looks[area]
        own = places[first : last + 1]
        size = float(np.clip(2400 / len(ids), 8, 60))
        ax.scatter(own[:, 0], own[:, 1], s=size, color=colour, marker=marker, ec="white", lw=0.4, zorder=3)
    name_arcs(order, angles, ax)
    ax.set_title(plain(title), fontsize=10.5)
    ax.text(
        0, -1.7, f"the {n_strongest} strongest edges of each bin of\n{WHAT_IT_IS_NOT}", ha="center", va="bottom",
        fontsize=8.5, color=SOFT_INK,
    )  # fmt: skip
    ax.set_axis_off()
    ax.set_aspect("equal")
    ax.set_xlim(-1.6, 1.6)
    ax.set_ylim(-1.72, 1.3)
    return ax, places, order.rows


def _strongest(weights: NDArray[np.float64], n: int) -> _Edges:
    """Return the edges of largest weight, self-edges and those of weight 0 left out."""
    others = np.where(np.eye(len(weights), dtype=bool), 0.0, weights)
    flat = np.argsort(-others, axis=None, kind="stable")[:n][::-1]
    sources, targets = np.unravel_index(flat, others.shape)
    there = others[sources, targets] > 0
    return _Edges(sources[there], targets[there], others[sources, targets][there])


def _draw_edges(edges: _Edges, places: NDArray[np.float64], widest: float, ax: "Axes") -> list[Any]:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Outline

    drawn = []
    for source, target, weight in zip(*edges, strict=True):
        outline = Outline(chord(places[source], places[target]), [Outline.MOVETO, Outline.CURVE3, Outline.CURVE3])
        share = weight / widest
        patch = FancyArrowPatch(
            path=outline, arrowstyle="-|>", mutation_scale=7, lw=0.4 + 1.8 * share, color=INK,
            alpha=0.2 + 0.5 * share, zorder=2,
        )  # fmt: skip
        drawn.append(ax.add_artist(patch))
    return drawn


def _draw_clock(number: int, n_bins: int, times: Sequence[float] | None, ax: "Axes") -> list[Any]:
    """Write which bin it is, and show it on a line from the first to the last."""
    said = f"bin {number + 1} of {n_bins}"
    if times is not None:
        said += f": {1000 * times[number]:g} to {1000 * times[number + 1]:g} ms after onset"
    bounds = np.linspace(-1, 1, n_bins + 1)
    whole = ax.plot([-1, 1], [-1.36, -1.36], color=RULE, lw=6, solid_capstyle="butt")
    own = ax.plot(bounds[number : number + 2], [-1.36, -1.36], color=ACCENT, lw=6, solid_capstyle="butt")
    return [*whole, *own, ax.text(0, -1.42, said, ha="center", va="top", fontsize=9.5, color=INK)]

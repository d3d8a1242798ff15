"""Units or trials as points in a plane."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.labels import short_labels, sort_labels
from spikesight.errors import ConfigError
from spikesight.figures.theme import PALETTE, SOFT_INK, axes_or_new, plain
from spikesight.figures.unit_order import area_looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OTHERS: Final = "#c4cad0"
_MOST_NAMED: Final = 2 * len(PALETTE)
_FEW: Final = len(PALETTE) - 1


def plot_embedding(table: pd.DataFrame, ax: "Axes | None" = None, *, colour: str | None = None) -> "Axes":
    """Draw every row as a point, coloured by one of the columns.

    Up to 16 labels have a colour or a marker each. Of more labels, 7 that are evenly spread over all have one, and the
    others are grey: numbers of scenes have no order that a scale of colours could show. Fractions, such as times, have:
    they share a continuous scale.

    Parameters
    ----------
    table
        Columns ``x``, ``y`` and the one that colours; ``attrs`` may hold ``x_label``, ``y_label`` and ``of`` ("units",
        "trials"), as from `spikesight.exploration.embed_units` and `embed_trials`.
    ax
        Where to draw; a new figure if None.
    colour
        Which column colours; ``target`` if there is one, else ``area``.

    Returns
    -------
    Axes
        The two dimensions of the embedding.

    Raises
    ------
    ConfigError
        If there is no such column.
    """
    colour = colour or ("target" if "target" in table else "area")
    if colour not in table:
        raise ConfigError(f"expected a column to colour by, got {colour!r}. There are: {', '.join(map(str, table))}.")
    ax = axes_or_new(ax, 6.4, 4.6)
    size = float(np.clip(3000 / max(len(table), 1), 6, 22))
    labels = table[colour]
    named = labels.astype(str)
    if named.nunique() <= _MOST_NAMED:
        _scatter_named(ax, table, named, sort_labels(named), size)
    elif pd.api.types.is_float_dtype(labels):
        points = ax.scatter(
            table["x"], table["y"], c=labels.to_numpy(float), cmap="viridis", s=size, lw=0, alpha=0.85, rasterized=True
        )
        n_distinct = named.nunique()
        ax.figure.colorbar(points, ax=ax, label=f"{_title(colour)} ({n_distinct:,} values)", shrink=0.8)
    else:
        every = sort_labels(named)
        chosen = np.unique(np.linspace(0, len(every) - 1, _FEW).astype(int))
        _scatter_named(ax, table, named, [every[place] for place in chosen], size)
    of = str(table.attrs.get("of", "points"))
    ax.set_xlabel(plain(table.attrs.get("x_label", "x")))
    ax.set_ylabel(plain(table.attrs.get("y_label", "y")))
    ax.tick_params(colors=SOFT_INK)
    n_all = int(table.attrs.get("n_all", len(table)))
    some = "" if n_all == len(table) else f"{len(table):,} of "
    ax.set_title(f"{some}{n_all:,} {of}", fontsize=9.5, color=SOFT_INK)
    return ax


def _scatter_named(ax: "Axes", table: pd.DataFrame, named: "pd.Series[Any]", shown: list[str], size: float) -> None:
    """Draw the points of each label in its colour, all others in grey below."""
    x, y = table["x"].to_numpy(float), table["y"].to_numpy(float)
    others: NDArray[np.bool_] = ~named.isin(shown).to_numpy(bool)
    if others.any():
        n_labels = named[others].nunique()
        ax.scatter(x[others], y[others], s=size, color=_OTHERS, lw=0, label=f"{n_labels} others ({others.sum():,})")
    short, columns = short_labels(shown)
    written = dict(zip(shown, short, strict=True))
    for label, (colour, marker) in area_looks(shown).items():
        own = (named == label).to_numpy(bool)
        ax.scatter(
            x[own],
            y[own],
            s=size * (2 if others.any() else 1),
            color=colour,
            marker=marker,
            lw=0,
            alpha=0.85,
            label=f"{plain(written[label])} ({own.sum():,})",
        )
    kind = str(table.attrs.get("of", "points"))
    handles, names = ax.get_legend_handles_labels()
    if others.any():
        handles, names = [*handles[1:], handles[0]], [*names[1:], names[0]]
    colour_by = f"{_title(str(named.name))}{columns and ': '}{plain(columns)}"
    ax.legend(
        handles, names, title=f"{colour_by} ({kind})", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False,
        fontsize=8.5, markerscale=float(np.sqrt(22 / size)),
    )  # fmt: skip


def _title(column: str) -> str:
    return {"target": "class", "start_time": "time in the recording (s)"}.get(column, column.replace("_", " "))

"""Images that were shown beside images made of responses, and how well the right one is found."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.figures.theme import PALETTE, SOFT_INK, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_IMAGES: Final = 8
_PAD: Final = 0.06
_BELOW: Final = 0.14
_QUERIES: Final = {"mean": "mean of all presentations", "trial": "single presentation"}


def plot_neural_images(
    images: xr.DataArray, ax: "Axes | None" = None, *, scores: pd.DataFrame | None = None, most: int = MOST_IMAGES
) -> "Axes":
    """Draw what was shown above what was made of the responses.

    Parameters
    ----------
    images
        Dims ``(kind, frame, y, x)`` with coordinates ``kind`` (the first: what was shown), ``frame`` and ``y``.
    ax
        Where to draw; a new figure if None.
    scores
        Columns ``method`` (a kind), ``frame``, ``pixel_r``: written under each image.
    most
        Number of images at most: evenly spaced among the frames there are.

    Returns
    -------
    Axes
        A row per kind, a column per image; each image from its own darkest to its own brightest pixel.
    """
    values = images.transpose("kind", "frame", "y", "x")
    kinds = [str(kind) for kind in values["kind"].to_numpy()]
    frames = values["frame"].to_numpy()
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    height = values.sizes["y"] / values.sizes["x"]
    upwards = float(values["y"][-1]) > float(values["y"][0])
    step = height + _BELOW + _PAD
    ax = axes_or_new(ax, 8.6, 0.2 + 0.92 * step * len(kinds))
    known: dict[tuple[str, int], float] = {}
    if scores is not None:
        methods, numbers = scores["method"].astype(str), scores["frame"].astype(int)
        known = dict(zip(zip(methods, numbers, strict=True), scores["pixel_r"].astype(float), strict=True))
    for row, kind in enumerate(kinds):
        bottom = (len(kinds) - 1 - row) * step + _BELOW
        ax.text(-0.08, bottom + height / 2, plain(kind), ha="right", va="center", fontsize=9)
        for column, place in enumerate(chosen):
            left = column * (1 + _PAD)
            ax.imshow(
                values[row, place],
                cmap="gray",
                origin="lower" if upwards else "upper",
                extent=(left, left + 1, bottom, bottom + height),
            )
            r = known.get((kind, int(frames[place])))
            text = f"frame {frames[place]}" if row == 0 else "" if r is None else f"r = {r:.2f}"
            ax.text(left + 0.5, bottom - 0.02, text, ha="center", va="top", fontsize=6.5, color=SOFT_INK)
    ax.set_xlim(-0.95, len(chosen) * (1 + _PAD) - _PAD)
    ax.set_ylim(0, len(kinds) * step)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def plot_retrieval(ranks: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw how often the right image is among the first k of the held-out candidates.

    Parameters
    ----------
    ranks
        Columns ``query``, ``rank`` and ``n_candidates``, as `spikesight.receptive_fields.retrieval` gives them.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        k on x, share of queries on y; a line per query, and that of a random order.
    """
    ax = axes_or_new(ax, 5.6, 4.0)
    n = ranks["n_candidates"].to_numpy(float)
    k = np.arange(1, int(n.max()) + 1)
    for number, (query, own) in enumerate(ranks.groupby("query", sort=True)):
        reached = (own["rank"].to_numpy(float)[:, None] <= k).mean(0)
        label = f"{_QUERIES.get(str(query), str(query))} (n = {len(own):,})"
        ax.step(k, reached, where="mid", color=PALETTE[number], lw=1.8, label=plain(label))
    chance = np.minimum(k[None, :] / n[:, None], 1.0).mean(0)
    ax.plot(k, chance, color=SOFT_INK, lw=1.0, ls="--", label="random order (chance)")
    ax.set_ylim(0, 1.02)
    ax.set_xlim(0.5, k[-1] + 0.5)
    write_percent(ax, "y")
    ax.set_xlabel(f"k (of {n.mean():.3g} images never seen in training, on average)")
    ax.set_ylabel("right image among the first k")
    ax.legend(loc="lower right", frameon=False, fontsize=8.5)
    return ax

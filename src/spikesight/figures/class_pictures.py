"""The easiest and the hardest classes, with the pictures that were shown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.images import upright
from spikesight.data.labels import short_labels
from spikesight.errors import ConfigError
from spikesight.figures.theme import ACCENT, INK, REFERENCE, RULE, SOFT_INK, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAME: Final = "frame"
_BLANK: Final = "-1"
"""Label of grey screens, in place of a picture."""
Pictures = Mapping[str, NDArray[Any]]


def plot_class_pictures(
    classes: pd.DataFrame,
    images: "xr.DataArray | Mapping[Any, Any]",
    n: int = 6,
    ax: "Axes | None" = None,
    *,
    chance: float | None = None,
) -> "Axes":
    """Draw the accuracy of the easiest and the hardest classes above the pictures that were shown.

    Parameters
    ----------
    classes
        As from `spikesight.decoding_results.class_accuracy`: ``label, accuracy, low, high, n``, and ``taken_for``
        (the wrong class it was decoded as most often) where it is known.
    images
        Pictures of the classes: dims ``(frame, row, column)``, where the coordinate ``frame`` is the label; or a
        mapping from labels to arrays (rows, columns).
    n
        How many of the easiest and of the hardest.
    ax
        Where to draw; a new figure if None.
    chance
        Accuracy of guessing, a fraction; drawn as a dashed line where given.

    Returns
    -------
    Axes
        Accuracy in % on y, bar: 95 % interval; a picture below each class, or what there is in its place.

    Raises
    ------
    ConfigError
        If ``n`` is below 1.
    """
    if n < 1:
        raise ConfigError(f"expected n of at least 1 class, got {n}.")
    pictures = _by_label(images)
    table = classes.sort_values("accuracy", ascending=False, kind="stable").reset_index(drop=True)
    n_easy = min(n, -(-len(table) // 2))
    n_hard = min(n, len(table) - n_easy)
    parts = (("easiest", table.head(n_easy), ACCENT), ("hardest", table.tail(n_hard), REFERENCE))
    size = 0.98
    ax = axes_or_new(ax, 1.1 + 1.06 * (n_easy + n_hard + 0.5), 4.2)
    start = 0.0
    limits = _brightness(pictures)
    for name, own, colour in parts:
        if own.empty:
            continue
        x = start + np.arange(len(own))
        y = own["accuracy"].to_numpy(np.float64)
        bars = np.vstack([y - own["low"].to_numpy(np.float64), own["high"].to_numpy(np.float64) - y])
        ax.errorbar(x, y, yerr=np.nan_to_num(bars).clip(0), fmt="o", color=colour, ms=6, elinewidth=1.5, zorder=3)
        ax.text(float(x.mean()), 1.06, f"the {len(own)} {name}", ha="center", va="bottom", color=colour, weight="bold")
        for place, row in zip(x, own.to_dict("records"), strict=True):
            below = ax.inset_axes((place - size / 2, -0.44, size, 0.38), transform=ax.transData, zorder=2)
            _show(str(row["label"]), pictures, limits, below)
            ax.annotate(
                _caption(row), (place, -0.44), xytext=(0, -3), textcoords="offset points", ha="center", va="top",
                fontsize=7.6, linespacing=1.15, color=INK,
            )  # fmt: skip
        start += len(own) + 0.5
    if chance is not None:
        ax.axhline(chance, color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
        ax.annotate(
            f"chance {chance:.1%}", (0, chance), xycoords=("axes fraction", "data"), xytext=(3, 2),
            textcoords="offset points", color=SOFT_INK, fontsize=8,
        )  # fmt: skip
    ax.set_xlim(-0.6, start - 0.9)
    ax.set_ylim(-0.72, 1.16)  # pictures and their captions are inside, so that they are laid out whatever the size
    ax.set_xticks([])
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.spines["left"].set_bounds(0, 1)
    ax.spines["bottom"].set_visible(False)
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_ylabel("test trials decoded\ncorrectly (%), bar: 95 % interval", y=(0.5 + 0.72) / (1.16 + 0.72))
    write_percent(ax, "y")
    return ax


def _by_label(images: "xr.DataArray | Mapping[Any, Any]") -> Pictures:
    if isinstance(images, xr.DataArray):
        stack = upright(images).transpose(FRAME, "row", "column")
        return dict(zip(map(str, stack[FRAME].to_numpy().tolist()), stack.to_numpy(), strict=True))
    return {str(label): np.asarray(picture) for label, picture in images.items()}


def _brightness(pictures: Pictures) -> tuple[float, float]:
    """Return what is black and what is white: the same for all pictures."""
    if not pictures:
        return 0.0, 1.0
    low = min(float(np.nanmin(picture)) for picture in pictures.values())
    high = max(float(np.nanmax(picture)) for picture in pictures.values())
    return low, high if high > low else low + 1.0


def _show(label: str, pictures: Pictures, limits: tuple[float, float], ax: "Axes") -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color(SOFT_INK)
    if label in pictures:
        ax.imshow(pictures[label], cmap="gray", vmin=limits[0], vmax=limits[1], aspect="equal", interpolation="nearest")
        return
    ax.set_facecolor("#b4b4b4" if label == _BLANK else "white")
    said = "grey screen" if label == _BLANK else "no picture"
    ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center", fontsize=7.5, color=INK)


def _caption(row: Mapping[Any, Any]) -> str:
    [label, *other], _ = short_labels([row["label"], *([row["taken_for"]] if row.get("taken_for") else [])])
    lines = [plain(label), f"{100 * row['accuracy']:.0f} % of {row['n']}"]
    return "\n".join([*lines, *(f"or taken for {plain(name)}" for name in other)])

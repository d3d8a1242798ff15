"""Trials as points in two dimensions, and what the wrong ones were taken for."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.labels import short_labels
from spikesight.errors import DataError
from spikesight.figures.theme import INK, PALETTE, REFERENCE, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS: Final = ("x", "y", "y_true", "y_pred", "correct")
_MOST_COLOURS: Final = len(PALETTE)
_RIGHT: Final = "#a8c9df"


def plot_misclassified_trials(
    trials: pd.DataFrame, ax: "Axes | None" = None, *, axes_are: tuple[str, str] = ("x", "y"), most_named: int = 8
) -> "Axes":
    """Draw test trials where an embedding puts them, and mark those that were decoded wrongly.

    With up to eight classes, the colour of a point is its class and the colour of the cross on a wrong one is the class
    it was taken for. With more, wrong trials are crosses, and lines lead from some of them to the middle of the class
    that they were taken for.

    Parameters
    ----------
    trials
        One row per test trial: ``x`` and ``y``, where it lies; ``y_true``, ``y_pred`` and ``correct``. An embedding has
        no units, and distances in it are those of what it was made of.
    ax
        Where to draw; a new figure if None.
    axes_are
        What the two dimensions are, for the axes.
    most_named
        With more than eight classes: of how many wrong trials, far from each other, it is said what they were taken
        for.

    Returns
    -------
    Axes
        The two dimensions; the title says how many trials are wrong.

    Raises
    ------
    DataError
        If a column is missing, or there is no trial.
    """
    missing = [name for name in _COLUMNS if name not in trials]
    if missing or trials.empty:
        raise DataError(f"expected trials with {', '.join(_COLUMNS)}; missing: {missing}, {len(trials)} rows.")
    shown, decoded = (list(trials[name].astype(str)) for name in ("y_true", "y_pred"))
    short, _ = short_labels([*shown, *decoded])
    table = trials.assign(y_true=short[: len(shown)], y_pred=short[len(shown) :])
    right = table["correct"].to_numpy(bool)
    labels = sorted({*table["y_true"], *table["y_pred"]})
    ax = axes_or_new(ax, 7.0, 5.2)
    size = float(np.clip(6000 / len(table), 6, 36))
    if len(labels) <= _MOST_COLOURS:
        _draw_in_colours(table, right, labels, size, ax)
    else:
        _draw_with_lines(table, right, size, most_named, ax)
    ax.set_title(f"{(~right).sum():,} of {len(table):,} test trials decoded wrongly", fontsize=10, loc="left")
    ax.set_xlabel(plain(axes_are[0]))
    ax.set_ylabel(plain(axes_are[1]))
    ax.set_xticks([])
    ax.set_yticks([])
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5, markerscale=1.6)
    return ax


def _draw_in_colours(table: pd.DataFrame, right: NDArray[np.bool_], labels: list[str], size: float, ax: "Axes") -> None:
    colour = {label: PALETTE[number] for number, label in enumerate(labels)}
    for label in labels:
        own = (table["y_true"] == label).to_numpy()
        ax.scatter(
            table["x"][own], table["y"][own], s=size, color=colour[label], alpha=0.55, lw=0, zorder=2,
            label=f"{plain(label)} ({own.sum():,})",
        )  # fmt: skip
    for label in labels:
        own = (table["y_pred"] == label).to_numpy() & ~right
        ax.scatter(table["x"][own], table["y"][own], s=2.2 * size, marker="x", color=colour[label], lw=1.5, zorder=3)
    ax.scatter([], [], marker="x", color=INK, s=30, label="wrong; colour: taken for")


def _draw_with_lines(table: pd.DataFrame, right: NDArray[np.bool_], size: float, most: int, ax: "Axes") -> None:
    ax.scatter(
        table["x"][right], table["y"][right], s=size, color=_RIGHT, lw=0, zorder=1, label=f"right ({right.sum():,})"
    )
    ax.scatter(
        table["x"][~right], table["y"][~right], s=1.3 * size, marker="x", color=REFERENCE, lw=1.0, alpha=0.8, zorder=2,
        label=f"wrong ({(~right).sum():,})",
    )  # fmt: skip
    middle = table.groupby("y_true")[["x", "y"]].median()
    wrong = table[~right]
    wrong = wrong[wrong["y_pred"].isin(middle.index)]
    chosen = wrong.iloc[_far_apart(wrong[["x", "y"]].to_numpy(np.float64), most)]
    if chosen.empty:
        return
    ax.plot([], [], "o-", color=INK, lw=0.8, ms=3.5, label="to the middle of the class\nthat it was taken for:")
    for number, row in enumerate(chosen.to_dict("records"), 1):
        end = middle.loc[row["y_pred"]]
        ax.plot([row["x"], end["x"]], [row["y"], end["y"]], color=INK, lw=0.8, zorder=3)
        ax.plot([end["x"]], [end["y"]], "o", ms=3.5, color=INK, zorder=4)
        ax.annotate(
            str(number), (row["x"], row["y"]), fontsize=7.5, color=INK, ha="center", va="center", zorder=5,
            bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": INK, "lw": 0.8},
        )  # fmt: skip
        ax.plot([], [], ls="", label=plain(f"{number}:  {row['y_true']}  taken for  {row['y_pred']}"))


def _far_apart(places: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Choose rows that lie far from each other: first the one farthest from the middle, then always the loneliest."""
    chosen: list[int] = []
    if len(places):
        distance = np.linalg.norm(places - np.median(places, axis=0), axis=1)
        while len(chosen) < min(most, len(places)):
            chosen.append(int(distance.argmax()))
            to_last = np.linalg.norm(places - places[chosen[-1]], axis=1)
            distance = to_last if len(chosen) == 1 else np.minimum(distance, to_last)
    return np.array(chosen, np.intp)

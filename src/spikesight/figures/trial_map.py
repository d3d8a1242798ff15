"""Trials as points in two dimensions, and what the wrong ones were taken for."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.errors import DataError
from spikesight.figures.confusion import short_labels
from spikesight.figures.theme import INK, PALETTE, REFERENCE, SOFT_INK, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS: Final = ("x", "y", "y_true", "y_pred", "correct")
_MOST_COLOURS: Final = len(PALETTE)
_RIGHT: Final = "#a8c9df"


def plot_misclassified_trials(
    trials: pd.DataFrame, ax: "Axes | None" = None, *, axes_are: str = "embedding", most_named: int = 12
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
        What the two dimensions are, for the axes: "t-SNE", "PCA".
    most_named
        With more than eight classes: of how many wrong trials, evenly spread over all of them, it is said what they
        were taken for.

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
    ax.set_title(f"{(~right).sum()} of {len(table)} test trials decoded wrongly", fontsize=10, loc="left")
    ax.set_xlabel(f"{plain(axes_are)}, first dimension (no units)")
    ax.set_ylabel(f"{plain(axes_are)}, second dimension (no units)")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5)
    return ax


def _draw_in_colours(table: pd.DataFrame, right: "np.ndarray", labels: list[str], size: float, ax: "Axes") -> None:
    colour = {label: PALETTE[number] for number, label in enumerate(labels)}
    for label in labels:
        own = (table["y_true"] == label).to_numpy()
        ax.scatter(
            table["x"][own], table["y"][own], s=size, color=colour[label], alpha=0.55, lw=0, zorder=2,
            label=f"{plain(label)} ({own.sum()})",
        )  # fmt: skip
    for label in labels:
        own = (table["y_pred"] == label).to_numpy() & ~right
        ax.scatter(table["x"][own], table["y"][own], s=2.2 * size, marker="x", color=colour[label], lw=1.5, zorder=3)
    ax.scatter([], [], marker="x", color=INK, s=30, label="wrong; colour: taken for")


def _draw_with_lines(table: pd.DataFrame, right: "np.ndarray", size: float, most: int, ax: "Axes") -> None:
    ax.scatter(
        table["x"][right], table["y"][right], s=size, color=_RIGHT, lw=0, zorder=1, label=f"right ({right.sum()})"
    )
    ax.scatter(
        table["x"][~right], table["y"][~right], s=1.3 * size, marker="x", color=REFERENCE, lw=1.0, alpha=0.8, zorder=2,
        label=f"wrong ({(~right).sum()})",
    )  # fmt: skip
    middle = table.groupby("y_true")[["x", "y"]].median()
    wrong = table[~right]
    wrong = wrong[wrong["y_pred"].isin(middle.index)]
    chosen = (
        wrong.iloc[np.unique(np.linspace(0, len(wrong) - 1, min(most, len(wrong))).astype(int))] if most else wrong[:0]
    )
    for row in chosen.to_dict("records"):
        end = middle.loc[row["y_pred"]]
        ax.plot([row["x"], end["x"]], [row["y"], end["y"]], color=SOFT_INK, lw=0.8, zorder=3)
        ax.plot([end["x"]], [end["y"]], "o", ms=3.5, color=INK, zorder=4)
        ax.annotate(
            plain(f"{row['y_true']}, taken for {row['y_pred']}"), (row["x"], row["y"]), xytext=(3, 3),
            textcoords="offset points", fontsize=7, color=INK, zorder=5,
        )  # fmt: skip
    if len(chosen):
        ax.plot(
            [],
            [],
            "o-",
            color=INK,
            lw=0.8,
            ms=3.5,
            label=f"to the middle of the class that\nit was taken for ({len(chosen)} shown)",
        )

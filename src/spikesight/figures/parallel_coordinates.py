"""Every candidate of a search as a line across its parameters to its accuracy."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import DataError
from spikesight.figures.theme import REFERENCE, SOFT_INK, axes_or_new, plain, sequential, write_instead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PALEST: Final = 0.15
"""Where on the scale from white to dark blue the lowest accuracy is: a white line is not seen."""
_NONE: Final = -0.14
"""Where a line passes an axis of a parameter that its candidate lacks."""
_KINDS: Final = ("winner of a search", "finished (dark: accurate)", "pruned", "failed")


def plot_parallel_coordinates(lines: pd.DataFrame, ticks: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw every candidate of a decoder as a line across its parameters to its inner accuracy.

    The darker a line, the higher its accuracy among the lines shown; pruned candidates are thin, those that failed
    before they had an accuracy are dotted; the winner of each search is orange. A line passes below an axis, at
    "none", where a candidate lacks the parameter. Inner accuracies are no test accuracies.

    Parameters
    ----------
    lines, ticks
        As from `spikesight.tuning_results.parallel_coordinates`, of one decoder.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        One upright axis a parameter, each with its own ticks; the last is the inner accuracy in %.

    Raises
    ------
    DataError
        If there are candidates of several decoders.
    """
    if lines["decoder"].nunique() > 1:
        raise DataError(
            f"expected one decoder, got {', '.join(map(str, lines['decoder'].unique()[:5]))}. Choose the rows of one."
        )
    names = list(dict.fromkeys(lines["parameter"]))
    ax = axes_or_new(ax, max(4.6, 1.8 + 1.3 * len(names)), 4.2)
    if not names:
        write_instead(ax, "no candidates")
        return ax
    shown: dict[str, Any] = {}
    shades = _shades(lines["accuracy"].to_numpy(np.float64))
    wide = lines.assign(shade=shades, order=lines["chosen"]).sort_values(["order", "accuracy"], na_position="first")
    for _, own in wide.groupby(["session", "fold", "seed", "candidate"], sort=False):
        first = own.iloc[0]
        kind, style = _look(str(first["state"]), bool(first["chosen"]), float(first["shade"]))
        y = own.set_index("parameter")["position"].reindex(names).to_numpy(np.float64)
        [line] = ax.plot(range(len(names)), np.nan_to_num(y, nan=_NONE), marker="o", ms=2.2, **style)
        shown[kind] = line
    _draw_axes(ax, names, ticks, set(lines["parameter"][lines["position"].isna()]))
    ax.legend(
        [shown[kind] for kind in _KINDS if kind in shown], [kind for kind in _KINDS if kind in shown], frameon=False,
        loc="lower left", bbox_to_anchor=(0.0, 1.02), ncols=len(_KINDS), fontsize=8.5, borderaxespad=0,
    )  # fmt: skip
    return ax


def _draw_axes(ax: "Axes", names: list[str], ticks: pd.DataFrame, lacking: set[str]) -> None:
    """Draw an upright axis for each parameter, with its ticks to the left; those of the last are to the right."""
    log = set(ticks["parameter"][ticks["scale"] == "log"])
    for at, name in enumerate(names):
        side = 1 if at == len(names) - 1 else -1
        ax.plot([at, at], [0, 1], color=SOFT_INK, lw=1, zorder=4)
        own = ticks[ticks["parameter"] == name]
        marked = list(zip(own["position"], own["label"], strict=True))
        for position, label in [*marked, *([(_NONE, "none")] if name in lacking else [])]:
            ax.plot([at + 0.03 * side, at], [position, position], color=SOFT_INK, lw=1, zorder=4)
            ax.annotate(
                _short(label, 14), (at, position), xytext=(5 * side, 0), textcoords="offset points",
                ha="left" if side > 0 else "right", va="center", fontsize=8, zorder=6,
                bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5},
            )  # fmt: skip
    labels = [_short(name, 24) + (" (log)" if name in log else "") for name in names]
    ax.set_xticks(range(len(names)), labels, rotation=20, ha="right")
    ax.set_xlim(-0.6, len(names) - 0.5)
    ax.set_ylim(-0.04 + (_NONE if lacking else 0), 1.04)
    ax.tick_params(bottom=False, left=False, labelleft=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel("parameters; last: mean accuracy on inner folds of training trials (%)")


def _shades(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place accuracies between the palest shade that is seen and the darkest."""
    low, high = (np.nanmin(accuracy), np.nanmax(accuracy)) if np.isfinite(accuracy).any() else (0.0, 0.0)
    share = (accuracy - low) / (high - low) if high > low else np.ones_like(accuracy)
    return np.asarray(_PALEST + (1 - _PALEST) * np.nan_to_num(share))


def _look(state: str, chosen: bool, shade: float) -> tuple[str, dict[str, Any]]:
    """Return which kind of line a candidate is, and how it is drawn; the better, the further in front."""
    if chosen:
        return "winner of a search", {"color": REFERENCE, "lw": 2.2, "zorder": 3.5}
    if state == "failed":
        return "failed", {"color": SOFT_INK, "lw": 0.9, "ls": ":", "zorder": 2}
    colour = sequential()(shade)
    if state == "pruned":
        return "pruned", {"color": colour, "lw": 0.7, "alpha": 0.55, "zorder": 2 + shade}
    return "finished (dark: accurate)", {"color": colour, "lw": 1.5, "zorder": 2 + shade}


def _short(text: str, length: int) -> str:
    return plain(text if len(text) <= length else text[: length - 1] + "…")

"""How the best of a search for constants rose, and which parameters went with it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from spikesight.errors import DataError
from spikesight.figures.theme import ACCENT, INK, PALETTE, RULE, SOFT_INK, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES: Final[tuple[Any, ...]] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
_MARKS: Final[dict[str, dict[str, Any]]] = {
    "finished": {"marker": "o", "ms": 4.5},
    "pruned": {"marker": "o", "ms": 3.6, "mfc": "white", "mew": 0.9},
    "failed": {"marker": "x", "ms": 6, "mew": 1.6},
}


def plot_optimisation_history(
    history: pd.DataFrame, x: Literal["candidate", "minutes"] = "candidate", ax: "Axes | None" = None
) -> "Axes":
    """Draw the inner accuracy of every candidate of a decoder and the best so far of each search.

    Filled points finished, hollow ones were pruned and show what they had when they were stopped, crosses at the bottom
    failed, a row a search. The best so far is of finished candidates. Inner accuracies are no test accuracies, and the
    best of many is optimistic.

    Parameters
    ----------
    history
        As from `spikesight.tuning_results.optimisation_history`, of one decoder.
    x
        "candidate": the order of proposal; "minutes": when a candidate ended, counted from the start of its search.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Candidates or minutes on x, accuracy in % on y, one colour an outer fold.

    Raises
    ------
    DataError
        If there are candidates of several decoders, or ``x`` is neither.
    """
    _one_decoder(history)
    if x not in ("candidate", "minutes"):
        raise DataError(f"expected x as 'candidate' or 'minutes', got {x!r}.")
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    ax = axes_or_new(ax, 6.4, 4.0)
    searches = list(history.groupby(["session", "fold", "seed"], sort=False))
    labels = _search_labels(history, [key for key, _ in searches])
    for number, ((_, own), label) in enumerate(zip(searches, labels, strict=True)):
        colour = PALETTE[number % len(PALETTE)]
        rows = own.sort_values("candidate" if x == "candidate" else "ended", kind="stable")
        at = (rows["candidate"] + 1 if x == "candidate" else rows["ended"] / 60).to_numpy(np.float64)
        height = {"failed": np.full(len(rows), 0.015 + 0.03 * (number % 8))}
        place: dict[str, dict[str, Any]] = {"failed": {"transform": ax.get_xaxis_transform(), "clip_on": False}}
        for state, mark in _MARKS.items():
            kind = (rows["state"] == state).to_numpy()
            y = height.get(state, rows["accuracy"].to_numpy(np.float64))
            ax.plot(at[kind], y[kind], ls="", color=colour, zorder=3, **mark, **place.get(state, {}))
        best = rows["best" if x == "candidate" else "best_when_ended"].to_numpy(np.float64)
        dash = _DASHES[number // len(PALETTE) % len(_DASHES)]
        ax.step(at, best, where="post", color=colour, lw=1.6, ls=dash, label=plain(label))
    ax.set_xlabel("candidate, in order of proposal" if x == "candidate" else "time since the search began (min)")
    ax.set_ylabel("mean accuracy on inner folds of\ntraining trials (%); line: best so far")
    write_percent(ax, "y")
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.margins(y=0.08)
    low, high = ax.get_ylim()
    if high - low < 0.06:  # whole percent would be written twice
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=1))
    if (history["state"] == "failed").any():  # crosses have a strip of their own below the lowest accuracy
        ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
        ax.axhline(low, color=SOFT_INK, lw=0.8)
        ax.set_ylim(low - (0.02 + 0.035 * min(len(searches), 8)) * (high - low), high)
    if x == "candidate":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(0.3, None)
    else:
        ax.set_xlim(left=0)
    for state, mark in _MARKS.items():
        if (history["state"] == state).any():
            ax.plot([], [], ls="", color=SOFT_INK, label=state, **mark)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5)
    return ax


def plot_parameter_importance(importance: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw how much of the variance of inner accuracy goes with each parameter of a decoder, with its interval.

    Parameters
    ----------
    importance
        As from `spikesight.tuning_results.parameter_importance`, of one decoder. Where the importance is NaN the reason
        stands in its place.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Share of the variance in % on x, the most important parameter on top.

    Raises
    ------
    DataError
        If there are parameters of several decoders.
    """
    _one_decoder(importance)
    rows = importance.reset_index(drop=True)
    ax = axes_or_new(ax, 6.4, 1.2 + 0.36 * max(len(rows), 2))
    value, low, high = (rows[name].to_numpy(np.float64) for name in ("importance", "low", "high"))
    known = np.isfinite(value)
    places = np.arange(len(rows))[::-1]
    ax.barh(places[known], value[known], height=0.55, color=ACCENT, alpha=0.85, zorder=2)
    for place, bounds in zip(places[known], np.column_stack([low, high])[known], strict=True):
        ax.plot(bounds, [place, place], color=INK, lw=1.6, solid_capstyle="butt", zorder=3)
    for place, reason in zip(places[~known], rows["reason"][~known], strict=True):
        ax.annotate(plain(reason), (0, place), xytext=(4, 0), textcoords="offset points", va="center", color=SOFT_INK)
    ax.axvline(0, color=INK, lw=1, zorder=3)
    ax.set_yticks(places, [plain(name) for name in rows["parameter"]])
    ax.set_ylim(-0.6, max(len(rows), 1) - 0.4)
    reach = np.nanmax([*high[known], *value[known], 0.1])
    ax.set_xlim(min(0.0, np.nanmin([*low[known], 0.0]) * 1.05), reach * 1.05)
    ax.grid(axis="x", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_xlabel("share of the variance of inner accuracy\namong candidates (%), line: 95 % interval")
    write_percent(ax, "x")
    return ax


def _one_decoder(table: pd.DataFrame) -> None:
    names = list(dict.fromkeys(table["decoder"]))
    if len(names) > 1:
        raise DataError(f"expected one decoder, got {', '.join(map(str, names[:5]))}. Choose the rows of one.")


def _search_labels(history: pd.DataFrame, keys: Sequence[tuple[Any, ...]]) -> list[str]:
    """Name searches by their outer fold, and by session and seed where there are several."""
    several = {name: history[name].nunique() > 1 for name in ("session", "seed")}
    return [
        ", ".join(
            [*([str(session)] if several["session"] else []), f"outer fold {fold}"]
            + ([f"seed {seed}"] if several["seed"] else [])
        )
        for session, fold, seed in keys
    ]

"""How late the effects of edges come."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.figures.strongest_edges import check_rate
from spikesight.figures.theme import PALETTE, RULE, SOFT_INK, axes_or_new, write_instead
from spikesight.figures.unit_order import NOT_GIVEN, area_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = {"within an area": PALETTE[0], "between areas": PALETTE[5], "area not given": SOFT_INK}
_MOST_BARS = 60
_PER_MS = 1000
"""Lags are told apart to a thousandth of a millisecond."""


def plot_lag_histogram(edges: pd.DataFrame, q: float = 0.05, ax: "Axes | None" = None) -> "Axes":
    """Draw how many of the edges that survive the false discovery rate ``q`` have which lag.

    Parameters
    ----------
    edges
        Columns ``source_area``, ``target_area``, ``q_value`` and ``lag`` (s); one row per pair of units.
    q
        False discovery rate.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Lag in ms on x, number of edges on y, edges within and between areas on top of each other; a sentence instead
        where no edge survives or none has a lag.

    Raises
    ------
    ConfigError
        If ``q`` is not in (0, 1].
    """
    from matplotlib.ticker import MaxNLocator

    check_rate(q)
    ax = axes_or_new(ax, 6.4, 3.6)
    ax.set_xlabel("lag from the source's spike to the effect (ms)")
    ax.set_ylabel("edges (number)")
    found = edges[edges["q_value"].to_numpy(np.float64) <= q]
    dated = found[found["lag"].notna()]
    if dated.empty:
        ax.set_xticks([])
        ax.set_yticks([])
        write_instead(ax, _why_empty(edges, found, q))
        return ax
    borders = _borders(edges["lag"].dropna().to_numpy(np.float64) * 1000)
    kinds = _kinds(dated)
    lag = dated["lag"].to_numpy(np.float64) * 1000
    below = np.zeros(len(borders) - 1)
    for kind, colour in _KINDS.items():
        own = lag[kinds == kind]
        if own.size:
            height = np.histogram(own, borders)[0]
            ax.bar(
                borders[:-1], height, np.diff(borders), bottom=below, align="edge", color=colour, ec="white", lw=0.6,
                label=f"{kind} ({own.size:,})",
            )  # fmt: skip
            below += height
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_ylim(0, 1.08 * below.max())
    ax.set_title(f"{len(dated):,} of {len(edges):,} pairs at q ≤ {q:g}", fontsize=10)
    ax.legend(title="edges", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax


def _why_empty(edges: pd.DataFrame, found: pd.DataFrame, q: float) -> str:
    if edges["q_value"].isna().all():
        return "This estimator has no p-values, so no edge can be said to survive a test."
    if found.empty:
        return f"No edge survives the false discovery rate of {q:g}\namong {len(edges):,} pairs of units."
    return f"{len(found):,} edges survive the false discovery rate of {q:g},\nbut this estimator gives them no lag."


def _kinds(edges: pd.DataFrame) -> NDArray[np.str_]:
    source = np.array(area_names(edges["source_area"]), dtype=str)
    target = np.array(area_names(edges["target_area"]), dtype=str)
    within, between, unknown = _KINDS
    known = (source != NOT_GIVEN) & (target != NOT_GIVEN)
    return np.where(known, np.where(source == target, within, between), unknown)


def _borders(lags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the borders of bars (ms): one bar per lag where lags are few, as whole bins are, else equal bars."""
    several = np.unique(np.round(lags * _PER_MS).astype(np.int64))
    step = int(np.gcd.reduce(several)) or _PER_MS
    n_bars = int(several[-1] - several[0]) // step + 1
    if n_bars > _MOST_BARS:
        return np.linspace(lags.min(), lags.max(), _MOST_BARS // 2 + 1)
    return np.asarray((several[0] + step * (np.arange(n_bars + 1) - 0.5)) / _PER_MS)

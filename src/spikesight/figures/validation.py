"""How well connectivity estimators find known couplings: scores, curves, calibration."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, PALETTE, REFERENCE, RULE, SOFT_INK, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCORE_NAMES: Final = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "tpr_at_1pct": "true edges found at 1 % false ones",
    "direction": "direction right",
}
CONDITION_NAMES: Final = {
    "duration": ("length of the recording (min)", 1 / 60),
    "fraction_observed": ("units observed (% of those that drive each other)", 100.0),
    "rate_asked": ("median rate (spikes/s)", 1.0),
}
_MARKERS: Final = "osD^vP*X"


def plot_validation_scores(means: pd.DataFrame, score: str = "auroc", ax: "Axes | None" = None) -> "Axes":
    """Draw one score of every method with its interval over networks, best on top.

    Parameters
    ----------
    means
        One row per method, as from `spikesight.connectivity_validation.validate.summary`: ``method``, the score, and
        its bounds ``<score>_low`` and ``<score>_high``.
    score
        One of ``SCORE_NAMES``.
    ax
        Where to draw; None: a new figure.
    """
    rows = means.dropna(subset=[score]).sort_values(score)
    ax = axes_or_new(ax, 6.4, 0.8 + 0.36 * len(rows))
    places = np.arange(len(rows))
    value = rows[score].to_numpy(np.float64)
    for low, high, place in zip(rows[f"{score}_low"], rows[f"{score}_high"], places, strict=True):
        if np.isfinite(low):
            ax.plot([max(low, 0), min(high, 1)], [place, place], color=PALETTE[0], lw=2, solid_capstyle="butt")
    ax.plot(value, places, "o", color=PALETTE[0], ms=7)
    for place, number in zip(places, value, strict=True):
        ax.annotate(f"{number:.3f}", (1.01, place), xycoords=("axes fraction", "data"), va="center", color=SOFT_INK)
    ax.axvline(0.5 if score in ("auroc", "direction") else 0.0, color=INK, lw=1, ls="--")
    ax.set_yticks(places, [plain(name) for name in rows["method"]])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(0 if score not in ("auroc", "direction") else min(0.45, value.min(initial=1) - 0.03), 1.0)
    ax.set_xlabel(f"{SCORE_NAMES[score]} (bar: 95 % interval over networks; dashed: chance)")
    ax.grid(axis="x", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    return ax


def plot_validation_curve(
    means: pd.DataFrame, condition: str = "duration", score: str = "auroc", ax: "Axes | None" = None
) -> "Axes":
    """Draw a score of every method against what was varied.

    Parameters
    ----------
    means
        One row per method and setting, as from `spikesight.connectivity_validation.validate.summary`.
    condition
        One of ``CONDITION_NAMES``.
    score
        One of ``SCORE_NAMES``.
    ax
        Where to draw; None: a new figure.
    """
    ax = axes_or_new(ax, 6.4, 4.0)
    label, factor = CONDITION_NAMES[condition]
    for number, (method, own) in enumerate(means.groupby("method")):  # sorted: a colour each in every figure
        rows = own.dropna(subset=[score]).sort_values(condition)
        ax.plot(
            rows[condition] * factor,
            rows[score],
            marker=_MARKERS[number % len(_MARKERS)],
            color=PALETTE[number % len(PALETTE)],
            lw=1.6,
            ms=5.5,
            label=plain(method),
        )
    ax.set_xlabel(label)
    ax.set_ylabel(SCORE_NAMES[score])
    ax.set_ylim(top=1.0)
    ax.grid(color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_calibration(means: pd.DataFrame, level: int = 5, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of pairs without an edge that come out at a level of 5 or 1 %, for every kind of network.

    Parameters
    ----------
    means
        One row per method and kind (``network``), with ``false_positives_<level>pct``; methods without p-values are
        left out.
    level
        5 or 1.
    ax
        Where to draw; None: a new figure.
    """
    from matplotlib.ticker import MaxNLocator

    column = f"false_positives_{level}pct"
    rows = means.dropna(subset=[column])
    methods, kinds = list(dict.fromkeys(rows["method"])), list(dict.fromkeys(rows["network"]))
    ax = axes_or_new(ax, 6.4, 1.2 + 0.42 * len(methods))
    for number, kind in enumerate(kinds):
        own = rows[rows["network"] == kind]
        ax.plot(
            own[column],
            [methods.index(name) for name in own["method"]],
            marker=_MARKERS[number % len(_MARKERS)],
            color=PALETTE[number % len(PALETTE)],
            ls="",
            ms=7,
            label=plain(kind),
        )
    ax.axvline(level / 100, color=REFERENCE, lw=1.2, ls="--")
    ax.set_yticks(range(len(methods)), [plain(name) for name in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))  # no ticks at 2.5 %, which would read 2 %
    write_percent(ax, "x")
    ax.set_xlabel(f"pairs without an edge with p below {level} % (dashed: what it promises)")
    ax.grid(axis="x", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax

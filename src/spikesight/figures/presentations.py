"""When which stimulus was shown."""

from typing import TYPE_CHECKING

import pandas as pd

from spikesight.figures.theme import REFERENCE, RULE, area_colours, axes_or_new, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INVALID = "invalid"


def plot_presentations(timeline: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw every block of presentations as a bar on the row of its stimulus, and invalid times across all rows.

    Parameters
    ----------
    timeline
        Columns ``stimulus``, ``start``, ``stop`` (min), ``n_presentations`` and ``kind`` ("presentations" or
        "invalid"), one row per block, as from `spikesight.exploration.presentation_timeline`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Minutes of the recording on x, stimuli on y in the order in which they were first shown.
    """
    shown = timeline[timeline["kind"] != INVALID]
    stimuli = shown["stimulus"].astype(str).drop_duplicates().tolist()
    colours = area_colours(stimuli)
    ax = axes_or_new(ax, 7.4, 1.3 + 0.32 * len(stimuli))
    reach = float(timeline["stop"].max() - timeline["start"].min())
    for row, stimulus in enumerate(stimuli):
        own = shown[shown["stimulus"].astype(str) == stimulus]
        bars = [
            (start, max(stop - start, reach / 500)) for start, stop in own[["start", "stop"]].itertuples(index=False)
        ]
        ax.broken_barh(bars, (row - 0.36, 0.72), facecolors=colours[stimulus], edgecolor="white", lw=0.4, zorder=2)
    invalid = timeline[timeline["kind"] == INVALID]
    for number, (start, stop) in enumerate(invalid[["start", "stop"]].itertuples(index=False)):
        ax.axvspan(
            start, max(stop, start + reach / 500), color=REFERENCE, alpha=0.6, lw=0, zorder=3,
            label="not to be trusted (invalid times)" if number == 0 else None,
        )  # fmt: skip
    totals = shown.groupby(shown["stimulus"].astype(str))["n_presentations"].sum()
    ax.set_yticks(range(len(stimuli)), [f"{plain(stimulus)} ({totals[stimulus]:,})" for stimulus in stimuli])
    ax.set_ylim(len(stimuli) - 0.4, -0.6)
    ax.grid(axis="x", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("time in the recording (min)")
    ax.set_ylabel("stimulus (presentations)")
    if len(invalid):
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5)
    return ax

"""The same decoders over several sessions."""

from typing import TYPE_CHECKING

import pandas as pd

from spikesight.figures.theme import PALETTE, RULE, SOFT_INK, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_accuracy_per_session(accuracy: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw each session as a line from decoder to decoder, and the mean over sessions as a bar.

    A line joins values measured on the same trials, so its slope is a paired difference. Up to eight sessions have a
    colour each; more are grey.

    Parameters
    ----------
    accuracy
        Columns ``session``, ``decoder`` and ``accuracy`` (fraction); one row per pair.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Decoders on x from the lowest to the highest mean, accuracy in % on y.
    """
    table = accuracy.pivot(index="session", columns="decoder", values="accuracy")
    mean = table.mean().sort_values(kind="stable")
    table = table[list(mean.index)]
    ax = axes_or_new(ax, 1.6 + 0.85 * len(mean), 4.0)
    x = list(range(len(mean)))
    named = len(table) <= len(PALETTE)
    for row, (session, values) in enumerate(table.iterrows()):
        colour, alpha = (PALETTE[row], 0.75) if named else (SOFT_INK, 0.45)
        label = plain(session) if named else f"one of {len(table)}" if row == 0 else None
        ax.plot(x, values.to_numpy(float), "o-", color=colour, lw=0.9, ms=3.5, alpha=alpha, label=label)
    ax.hlines(mean.to_numpy(float), [at - 0.22 for at in x], [at + 0.22 for at in x], lw=3, color="black", label="mean")
    ax.set_xticks(x, [plain(name) for name in mean.index], rotation=30, ha="right")
    ax.set_xlim(-0.5, len(x) - 0.5)
    ax.set_ylim(0, None)
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    write_percent(ax, "y")
    ax.set_ylabel("accuracy on test trials (%)")
    ax.set_xlabel("decoder")
    ax.legend(title="session", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return ax

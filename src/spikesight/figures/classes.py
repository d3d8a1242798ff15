"""How well each class is decoded."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spikesight.figures.confusion import short_labels
from spikesight.figures.theme import ACCENT, INK, RULE, axes_or_new, plain, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LABELS = 40


def plot_per_class_accuracy(classes: pd.DataFrame, ax: "Axes | None" = None, *, chance: float | None = None) -> "Axes":
    """Draw the accuracy of every class as a stem, best class first.

    Parameters
    ----------
    classes
        Columns ``label`` and ``accuracy`` (fraction of the class' test trials that were decoded correctly).
    ax
        Where to draw; a new figure if None.
    chance
        Accuracy of guessing, a fraction; drawn as a dashed line where given.

    Returns
    -------
    Axes
        Classes on x, accuracy in % on y.
    """
    table = classes.sort_values("accuracy", ascending=False, kind="stable")
    value = table["accuracy"].to_numpy(float)
    x = np.arange(len(table))
    ax = axes_or_new(ax, 7.2, 3.2)
    ax.vlines(x, 0, value, color=RULE, lw=1.2, zorder=1)
    ax.plot(x, value, "o", color=ACCENT, ms=3.5, zorder=2)
    if chance is not None:
        ax.axhline(chance, color=INK, lw=1, ls=(0, (4, 3)), label=f"chance {chance:.1%}")
        ax.legend(loc="upper right", frameon=False, fontsize=8.5)
    step = max(1, -(-len(table) // _MOST_LABELS))
    short, names = short_labels(table["label"])
    ax.set_xticks(x[::step], [plain(label) for label in short][::step], rotation=90, fontsize=7.5)
    ax.set_xlim(-0.8, len(table) - 0.2)
    ax.set_ylim(0, 1.03)
    write_percent(ax, "y")
    kind = f"class ({plain(names)})" if names else "class"
    ax.set_xlabel(f"{kind}, best first" if step == 1 else f"{kind}, best first (one in {step} named)")
    ax.set_ylabel("test trials decoded correctly (%)")
    return ax

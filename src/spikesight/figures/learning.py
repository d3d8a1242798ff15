"""Loss and accuracy of a network, epoch by epoch."""

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from spikesight.errors import DataError
from spikesight.figures.theme import ACCENT, REFERENCE, RULE, SOFT_INK, axes_or_new, write_instead, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIT: Final = ["session", "fold", "seed"]
_KINDS: Final = (("", "training trials, under dropout and noise", ACCENT, "-"),
                 ("valid_", "validation trials", REFERENCE, (0, (5, 1.5))))  # fmt: skip


def plot_learning_curves(
    curves: pd.DataFrame, measure: Literal["loss", "accuracy"] = "loss", ax: "Axes | None" = None
) -> "Axes":
    """Draw the loss or the accuracy of a decoder after each epoch: the mean over fits thick, each fit thin.

    Validation trials are training trials that were set aside to choose the epoch; they are no test trials. A diamond
    marks the epoch that a fit kept.

    Parameters
    ----------
    curves
        As from `spikesight.decoding_results.learning_curves`, of one decoder and selection.
    measure
        "loss": cross entropy; "accuracy".
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Epoch on x (from 1), loss in nats or accuracy in % on y.

    Raises
    ------
    DataError
        If there are fits of several decoders or selections, or ``measure`` is neither.
    """
    from matplotlib.ticker import MaxNLocator

    if measure not in ("loss", "accuracy"):
        raise DataError(f"expected measure as 'loss' or 'accuracy', got {measure!r}.")
    names = curves[["decoder", "selection"]].drop_duplicates()
    if len(names) > 1:
        found = ", ".join(f"{decoder} ({selection})" for decoder, selection in names.itertuples(index=False))
        raise DataError(f"expected epochs of one decoder and selection, got {found}. Choose the rows of one.")
    ax = axes_or_new(ax, 5.6, 3.9)
    if curves.empty:
        write_instead(ax, "no epochs")
        return ax
    fits = [own.sort_values("epoch", kind="stable") for _, own in curves.groupby(_FIT, sort=False)]
    for prefix, label, colour, dash in _KINDS:
        column = f"{prefix}{measure}"
        drawn = [own for own in fits if own[column].notna().any()]
        for own in drawn if len(drawn) > 1 else []:
            ax.plot(own["epoch"] + 1, own[column], color=colour, lw=0.7, ls=dash, alpha=0.5, zorder=2)
        if drawn:
            by_epoch = pd.concat(drawn).groupby("epoch")[column]
            mean = by_epoch.mean()[by_epoch.size() == len(drawn)]  # where all fits are still at it
            said = label if len(drawn) == 1 else f"{label}, mean of {len(drawn)} fits"
            ax.plot(mean.index + 1, mean, color=colour, lw=2.2, ls=dash, label=said, zorder=3)
    _mark_chosen(fits, measure, ax)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(0.5, max(float(own["epoch"].max()) for own in fits) + 1.5)
    ax.set_ylim(0, None)
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_xlabel("epoch (passes over the training trials)")
    ax.set_ylabel("loss: cross entropy (nats per trial)" if measure == "loss" else "accuracy (%)")
    if measure == "accuracy":
        write_percent(ax, "y")
    handles, _ = ax.get_legend_handles_labels()
    ax.legend(
        handles=handles, frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), borderaxespad=0,
    )  # fmt: skip
    return ax


def _mark_chosen(fits: list[pd.DataFrame], measure: str, ax: "Axes") -> None:
    """Put a diamond where each fit stopped, or went back to."""
    look: dict[str, Any] = {
        "ls": "",
        "marker": "D",
        "ms": 5,
        "mec": SOFT_INK,
        "mfc": "white",
        "mew": 1.2,
        "zorder": 4,
        "clip_on": False,
    }
    points = []
    for own in fits:
        row = own[own["chosen"]].iloc[0]
        column = f"valid_{measure}" if bool(row["validated"]) else measure
        points.append((float(row["epoch"]) + 1, float(row[column])))
    validated = any(bool(own["validated"].any()) for own in fits)
    at = np.array(points)
    label = "kept: lowest validation loss" if validated else "kept: the last epoch"
    ax.plot(at[:, 0], at[:, 1], label=label, **look)

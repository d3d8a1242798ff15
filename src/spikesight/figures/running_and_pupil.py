"""What the mouse did over the session."""

from typing import TYPE_CHECKING, Final

import pandas as pd

from spikesight.errors import DataError
from spikesight.figures.theme import ACCENT, REFERENCE, RULE, axes_or_new, inset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS: Final = {
    "running_speed": (ACCENT, "running speed\n(cm/s)"),
    "pupil_area": (REFERENCE, "area of the pupil\n(pixel$^2$)"),
}
_PART: Final = 0.47
"""How much of the height each of two measures has."""


def plot_running_and_pupil(behaviour: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw running speed and, above it, the size of the pupil over the session.

    Parameters
    ----------
    behaviour
        Columns ``measure`` ("running_speed", "pupil_area"), ``time`` (min) and ``value`` (cm/s, pixel^2), as from
        `spikesight.exploration.behaviour_over_session`. Stretches without a value stay empty.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Minutes of the recording on x. With both measures, running has the lower half of the axes; the pupil is drawn
        in an inset in the upper half, ``ax.child_axes[0]``, on the same x.

    Raises
    ------
    DataError
        If there is neither measure.
    """
    there = [name for name in _LOOKS if (behaviour["measure"] == name).any()]
    if not there:
        raise DataError(f"expected {' or '.join(_LOOKS)}, got {sorted(set(behaviour['measure']))}.")
    ax = axes_or_new(ax, 7.4, 2.2 + 1.2 * len(there))
    _draw(ax, behaviour, there[0])
    ax.set_xlabel("time in the recording (min)")
    if len(there) == 2:
        upper = inset(ax, (0, 1 - _PART, 1, _PART), sharex=ax)
        _draw(upper, behaviour, there[1])
        upper.tick_params(axis="x", labelbottom=False, length=0)
        upper.spines[["top", "right", "bottom"]].set_visible(False)
        _keep_below(ax)
    return ax


def _draw(ax: "Axes", behaviour: pd.DataFrame, measure: str) -> None:
    own = behaviour[behaviour["measure"] == measure].sort_values("time")
    colour, label = _LOOKS[measure]
    ax.plot(own["time"].to_numpy(float), own["value"].to_numpy(float), color=colour, lw=0.8)
    ax.margins(x=0)
    ax.grid(axis="y", color=RULE, lw=0.6)
    ax.set_axisbelow(True)
    ax.set_ylabel(label)


def _keep_below(ax: "Axes") -> None:
    """Make room above what is drawn, and tell of values only where they are."""
    from matplotlib.ticker import MaxNLocator

    low, high = ax.get_ylim()
    places = [place for place in MaxNLocator(4).tick_values(low, high) if low <= place <= high]
    ax.set_ylim(low, low + (high - low) / _PART)
    ax.set_yticks(places)
    ax.spines["left"].set_bounds(low, high)
    ax.yaxis.label.set_y(_PART / 2)

"""One look for every figure, on paper and in the report.

The colours are those of Okabe and Ito (2008), which readers with any common colour blindness tell apart; the
sequential scale runs from white through their blue to near black, so that it survives a grey printer, and darkens
fast at first, so that a rare confusion is seen beside a diagonal of 100 %. What has a sign runs from blue (inhibitory)
through a pale middle to red (excitatory), as dark on both sides.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

INK = "#1b1f24"
SOFT_INK = "#5b6570"
RULE = "#d9dee3"
ACCENT = "#0072b2"
REFERENCE = "#d55e00"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b6570", "#8c6d1f")
EXCITATORY = "#b2182b"
INHIBITORY = "#2166ac"
DIVERGING = ((0.0, INHIBITORY), (0.25, "#92c5de"), (0.5, "#ffffff"), (0.75, "#f4a582"), (1.0, EXCITATORY))
SEQUENTIAL = ((0.0, "#ffffff"), (0.04, "#cfe3f1"), (0.2, "#7db8dd"), (0.6, "#0072b2"), (1.0, "#06304d"))

_RC: dict[Any, Any] = {
    "axes.edgecolor": SOFT_INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "font.size": 9.5,
    "text.color": INK,
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
}


def axes_or_new(ax: "Axes | None", width: float = 6.4, height: float = 4.0, *, projection: str | None = None) -> "Axes":
    """Return ``ax``, or the axes of a new figure of ``width`` x ``height`` inches in the shared look."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    with plt.rc_context(_RC):
        return plt.figure(figsize=(width, height)).add_subplot(projection=projection)


def inset(ax: "Axes", bounds: tuple[float, float, float, float], **sharing: Any) -> "Axes":
    """Return new axes in the shared look, a child of ``ax``.

    ``bounds`` are its left, bottom, width and height as parts of ``ax``; ``sharing`` may hold ``sharex``, ``sharey``.
    """
    import matplotlib.pyplot as plt

    with plt.rc_context(_RC):
        return ax.inset_axes(bounds, **sharing)


def new_pair(width: float, height: float) -> "tuple[Axes, Axes]":
    """Return two axes side by side in a new figure of ``width`` x ``height`` inches in the shared look."""
    import matplotlib.pyplot as plt

    with plt.rc_context(_RC):
        left, right = plt.subplots(1, 2, figsize=(width, height))[1]
    return left, right


def area_colours(areas: Iterable[str]) -> dict[str, str]:
    """One colour per area, in order of first appearance; they repeat after the eighth."""
    names = dict.fromkeys(areas)
    return {area: PALETTE[index % len(PALETTE)] for index, area in enumerate(names)}


def sequential() -> "Colormap":
    """White to dark blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("spikesight", list(SEQUENTIAL))


def diverging(middle: str = "#ffffff") -> "Colormap":
    """Blue through ``middle`` to red, for values with a sign; what is not known is grey."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = [(at, middle if at == 0.5 else colour) for at, colour in DIVERGING]
    return LinearSegmentedColormap.from_list("spikesight-signed", stops).with_extremes(bad="#bcc2c8")


def draw_to_scale(ax: "Axes", x_reach: float, y_reach: float) -> None:
    """Hide the axes and show at least ``x_reach`` and ``y_reach`` around 0, a step in x as long as one in y."""
    ax.set_axis_off()
    ax.set_aspect("equal", adjustable="datalim")  # axes that change their shape are not laid out well with a legend
    ax.margins(0)
    ax.update_datalim([(-x_reach, -y_reach), (x_reach, y_reach)])
    ax.autoscale_view()


def write_instead(ax: "Axes", sentence: str) -> None:
    """Write a sentence into axes that have nothing to show."""
    ax.text(
        0.5, 0.5, plain(sentence), transform=ax.transAxes, ha="center", va="center", color=SOFT_INK, wrap=True,
    )  # fmt: skip


def spread_labels(centres: NDArray[np.float64], least: float, low: float, high: float) -> NDArray[np.float64]:
    """Move labels apart until neighbours are ``least`` apart, or as far as there is room.

    Parameters
    ----------
    centres
        Where labels belong, ascending, shape (n_labels,).
    least
        Wanted distance between neighbours.
    low, high
        Where the first and the last may be at most.
    """
    at = np.array(centres, np.float64)
    least = min(least, (high - low) / max(len(at) - 1, 1))
    for label in range(1, len(at)):
        at[label] = max(at[label], at[label - 1] + least)
    for label in reversed(range(len(at))):
        at[label] = min(at[label], high - least * (len(at) - 1 - label))
    return at


def plain(text: object) -> str:
    """Write ``text`` so that matplotlib takes a dollar sign for a dollar sign, not for mathematics."""
    return str(text).replace("$", r"\$")


def counted(number: int, noun: str) -> str:
    """Write how many: "1 unit", "1,428 units"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def write_percent(ax: "Axes", which: str) -> None:
    """Write the ticks of the ``which`` ("x" or "y") axis, fractions, as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis: Any = getattr(ax, f"{which}axis")
    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))

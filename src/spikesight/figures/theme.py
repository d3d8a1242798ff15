"""One look for every figure, on paper and in the report.

The colours are those of Okabe and Ito (2008), which readers with any common colour blindness tell apart; the
sequential scale runs from white through their blue to near black, so that it survives a grey printer, and darkens
fast at first, so that a rare confusion is seen beside a diagonal of 100 %.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

INK = "#1b1f24"
SOFT_INK = "#5b6570"
RULE = "#d9dee3"
ACCENT = "#0072b2"
REFERENCE = "#d55e00"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b6570", "#8c6d1f")
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


def axes_or_new(ax: "Axes | None", width: float = 6.4, height: float = 4.0) -> "Axes":
    """Return ``ax``, or the axes of a new figure of ``width`` x ``height`` inches in the shared look."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    with plt.rc_context(_RC):
        return plt.subplots(figsize=(width, height))[1]


def area_colours(areas: Iterable[str]) -> dict[str, str]:
    """One colour per area, in order of first appearance; they repeat after the eighth."""
    names = dict.fromkeys(areas)
    return {area: PALETTE[index % len(PALETTE)] for index, area in enumerate(names)}


def sequential() -> "Colormap":
    """White to dark blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("spikesight", list(SEQUENTIAL))


def plain(text: object) -> str:
    """Write ``text`` so that matplotlib takes a dollar sign for a dollar sign, not for mathematics."""
    return str(text).replace("$", r"\$")


def write_percent(ax: "Axes", which: str) -> None:
    """Write the ticks of the ``which`` ("x" or "y") axis, fractions, as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis: Any = getattr(ax, f"{which}axis")
    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))

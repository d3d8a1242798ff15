"""Where units sit in the brain, seen from one side."""

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from spikesight.errors import ConfigError
from spikesight.figures.theme import RULE, axes_or_new, plain
from spikesight.figures.unit_order import area_looks, area_names, sort_areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Plane = Literal["sagittal", "coronal", "horizontal"]
_AXES: Final = {
    "sagittal": ("anterior_posterior", "dorsal_ventral"),
    "coronal": ("left_right", "dorsal_ventral"),
    "horizontal": ("left_right", "anterior_posterior"),
}
_NAMES: Final = {
    "anterior_posterior": "anterior to posterior (um)",
    "dorsal_ventral": "dorsal to ventral (um)",
    "left_right": "left to right (um)",
}


def plot_units_in_ccf(units: pd.DataFrame, ax: "Axes | None" = None, *, plane: Plane = "sagittal") -> "Axes":
    """Draw units at their places in the Allen Common Coordinate Framework, to scale.

    Parameters
    ----------
    units
        Columns ``anterior_posterior``, ``dorsal_ventral``, ``left_right`` (um) and ``area``, as from
        `spikesight.exploration.probe_map` with ``ccf=True``.
    ax
        Where to draw; a new figure if None.
    plane
        From which side the brain is seen: sagittal (the side), coronal (the front) or horizontal (above).

    Returns
    -------
    Axes
        Two of the three coordinates in um; what is dorsal, or anterior, is on top.

    Raises
    ------
    ConfigError
        If ``plane`` is none of the three.
    """
    if plane not in _AXES:
        raise ConfigError(f"expected plane='sagittal', 'coronal' or 'horizontal', got {plane!r}.")
    across, down = _AXES[plane]
    wide, high = (float(np.ptp(units[name].to_numpy(float))) for name in (across, down))
    ax = axes_or_new(ax, 2.6 + 4.0 * float(np.clip((wide + 300) / (high + 300), 0.4, 1.6)), 4.6)
    areas = np.array(area_names(units["area"]))
    for area, (colour, marker) in area_looks(sort_areas(areas.tolist())).items():
        own = units[areas == area]
        ax.scatter(
            own[across], own[down], s=18, color=colour, marker=marker, lw=0, alpha=0.8,
            label=f"{plain(area)} ({len(own):,})",
        )  # fmt: skip
    ax.set_aspect("equal", adjustable="datalim")
    ax.invert_yaxis()
    ax.grid(color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"CCF, {_NAMES[across]}")
    ax.set_ylabel(f"CCF, {_NAMES[down]}")
    ax.legend(title="area (units)", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax

"""Which unit sits where on which probe."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.figures.theme import RULE, SOFT_INK, axes_or_new, counted, plain
from spikesight.figures.unit_order import NOT_GIVEN, area_looks, area_names, sort_areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HALF_WIDTH = 0.32
_BAR = 0.07


def plot_probe_map(units: pd.DataFrame, ax: "Axes | None" = None, *, sites: pd.DataFrame | None = None) -> "Axes":
    """Draw each probe as a column and each unit as a point at its height above the tip, coloured by area.

    Parameters
    ----------
    units
        Columns ``probe``, ``depth`` (um above the tip) and ``area``, as from `spikesight.exploration.probe_map`.
    ax
        Where to draw; a new figure if None.
    sites
        Columns ``probe``, ``area``, ``bottom`` and ``top`` (um), as from `spikesight.exploration.probe_sites`: which
        area the probe passes through, drawn as a bar beside its units.

    Returns
    -------
    Axes
        Probes on x, height above the tip in um on y; units of one height stand side by side.
    """
    probes = sorted({str(probe) for probe in units["probe"]})
    areas = area_names(units["area"])
    passed = [] if sites is None else area_names(sites.loc[sites["probe"].astype(str).isin(probes), "area"])
    looks = area_looks(sort_areas(areas))
    ax = axes_or_new(ax, max(4.2, 1.8 + 0.95 * len(probes)), 5.2)
    place = {probe: column for column, probe in enumerate(probes)}
    if sites is not None and passed:
        for probe, area, bottom, top in sites[["probe", "area", "bottom", "top"]].itertuples(index=False):
            if str(probe) in place and str(area) in looks and str(area) != NOT_GIVEN:
                left = place[str(probe)] - _HALF_WIDTH - 2 * _BAR
                ax.bar(left, top - bottom, _BAR, bottom, color=looks[str(area)][0], align="edge", lw=0, zorder=1)
    x = _side_by_side(units, place)
    named = np.array(areas)
    depth = units["depth"].to_numpy(float)
    for area, (colour, marker) in looks.items():
        own = named == area
        ax.scatter(
            x[own], depth[own], s=16, color=colour, marker=marker, lw=0, alpha=0.85, zorder=2,
            label=f"{plain(area)} ({own.sum():,})",
        )  # fmt: skip
    counts = units["probe"].astype(str).value_counts()
    ax.set_xticks(range(len(probes)), [f"{plain(probe)}\n{counted(counts[probe], 'unit')}" for probe in probes])
    lowest, highest = ax.dataLim.intervaly
    ax.set_ylim(lowest - 0.03 * (highest - lowest), highest + 0.03 * (highest - lowest))
    ax.set_xlim(-0.6, len(probes) - 0.4)
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(axis="x", length=0)
    ax.tick_params(axis="y", colors=SOFT_INK)
    ax.set_xlabel("probe; bar: area of the recording sites" if passed else "probe")
    ax.set_ylabel("height above the tip of the probe (um)")
    ax.legend(title="area (units)", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax


def _side_by_side(units: pd.DataFrame, place: dict[str, int]) -> NDArray[np.float64]:
    """Place of each unit on x: units within 1/60 of the height of a probe spread around its column."""
    depth = units["depth"].to_numpy(float)
    reach = float(np.nanmax(depth) - np.nanmin(depth)) if len(depth) else 0.0
    level = np.floor(depth / max(reach / 60, 1e-9))
    table = pd.DataFrame({"probe": units["probe"].astype(str).to_numpy(), "level": level})
    same = table.groupby(["probe", "level"])
    number, size = same.cumcount().to_numpy(float), same["level"].transform("size").to_numpy(float)
    step = min(0.075, 2 * _HALF_WIDTH / max(float(size.max(initial=1.0)) - 1, 1.0))
    return np.asarray(table["probe"].map(place).to_numpy(float) + (number - (size - 1) / 2) * step, np.float64)

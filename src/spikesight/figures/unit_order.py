"""In which order units stand in a figure, and how each area looks."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import UnitIdsError
from spikesight.figures.theme import PALETTE, area_colours

NOT_GIVEN: Final = "not given"
"""How a figure calls the area of a unit whose area is not known."""
DEPTH: Final = "probe_vertical_position"
"""Column of a unit's height above the tip of its probe, um: the higher, the nearer to the surface of the brain."""
_MARKERS: Final = "os^Dv*P<X>"


class UnitOrder(NamedTuple):
    """Units sorted by area, and within an area from the surface down where the depth is known.

    Attributes
    ----------
    ids
        Unit ids in this order, shape (n_units,).
    rows
        Where each of them stood in what was sorted, shape (n_units,).
    areas
        Area of each, "not given" where it is not known.
    by_depth
        Whether the depth of any unit is known.
    """

    ids: NDArray[Any]
    rows: NDArray[np.int64]
    areas: list[str]
    by_depth: bool

    @property
    def blocks(self) -> list[tuple[str, int, int]]:
        """Name, first and last place of each area."""
        found = []
        for area, members in groupby(range(len(self.areas)), key=self.areas.__getitem__):
            places = list(members)
            found.append((area, places[0], places[-1]))
        return found

    def places(self, units: Iterable[object]) -> NDArray[np.int64]:
        """Return where each of these units stands.

        Raises
        ------
        UnitIdsError
            If one of them is not among the units.
        """
        place = {unit: at for at, unit in enumerate(self.ids.tolist())}
        wanted = list(units)
        unknown = [unit for unit in wanted if unit not in place]
        if unknown:
            raise UnitIdsError(
                f"expected edges between the {len(place)} units of the table of units; not among them: "
                f"{list(dict.fromkeys(unknown))[:10]}. Give the table of the units that the edges are between."
            )
        return np.array([place[unit] for unit in wanted], np.int64)


def order_units(units: pd.DataFrame, ids: Sequence[Any] | NDArray[Any] | None = None) -> UnitOrder:
    """Sort units by area and depth.

    Parameters
    ----------
    units
        One row per unit, index the unit ids; ``area`` and ``probe_vertical_position`` (um) are used where they are
        there.
    ids
        Which of them to sort, shape (n_units,); all if None.

    Raises
    ------
    UnitIdsError
        If one of ``ids`` is not in the table.
    """
    wanted = units.index if ids is None else pd.Index(ids)
    missing = wanted.difference(units.index)
    if len(missing):
        raise UnitIdsError(
            f"expected a row for every unit in the table of units ({len(units)} rows, index the unit ids); missing: "
            f"{missing.tolist()[:10]}."
        )
    table = units.loc[wanted]
    areas = area_names(table["area"] if "area" in table else [""] * len(table))
    depth = table[DEPTH].to_numpy(np.float64) if DEPTH in table else np.full(len(table), np.nan)
    rows = np.array(
        sorted(
            range(len(table)), key=lambda row: (*_unknown_last(areas[row]), -np.nan_to_num(depth[row], nan=-np.inf))
        ),
        np.int64,
    )
    return UnitOrder(wanted.to_numpy()[rows], rows, [areas[row] for row in rows], bool(np.isfinite(depth).any()))


def area_names(areas: Iterable[object]) -> list[str]:
    """Return areas as text, "not given" for those that are missing or empty."""
    return [NOT_GIVEN if pd.isna(area) or str(area) == "" else str(area) for area in areas]  # type: ignore[call-overload]


def sort_areas(areas: Iterable[str]) -> list[str]:
    """Return each area once, in alphabetical order, "not given" last."""
    return sorted(set(areas), key=_unknown_last)


def area_looks(areas: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each area; areas that share a colour differ by their marker."""
    colours = area_colours(areas)
    return {
        area: (colour, _MARKERS[number // len(PALETTE) % len(_MARKERS)])
        for number, (area, colour) in enumerate(colours.items())
    }


def area_tints(areas: Iterable[str]) -> dict[str, str]:
    """Return a colour for each area where a marker has no room: lighter from the ninth on, darker from the 17th."""
    from matplotlib.colors import to_hex, to_rgb

    found = {}
    for number, (area, colour) in enumerate(area_colours(areas).items()):
        towards = (None, 1.0, 0.0)[number // len(PALETTE) % 3]
        red, green, blue = (part if towards is None else 0.5 * part + 0.5 * towards for part in to_rgb(colour))
        found[area] = to_hex((red, green, blue))
    return found


def _unknown_last(area: str) -> tuple[bool, str]:
    return area == NOT_GIVEN, area

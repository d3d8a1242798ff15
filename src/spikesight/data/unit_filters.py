"""Which sorted units are good enough to decode from."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

import pandas as pd

from spikesight.errors import NoUnitsError

_Keep = Callable[[pd.Series, float], pd.Series]


def _number(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce")


_RULES: Final[dict[str, tuple[str, _Keep]]] = {
    "quality": ("quality", lambda values, wanted: values == wanted),
    "in_brain": ("area", lambda values, _: values != ""),
    "valid_channel": ("valid_data", lambda values, _: values.astype(bool)),
    "amplitude_cutoff_maximum": ("amplitude_cutoff", lambda values, bound: _number(values) <= bound),
    "presence_ratio_minimum": ("presence_ratio", lambda values, bound: _number(values) >= bound),
    "isi_violations_maximum": ("isi_violations", lambda values, bound: _number(values) <= bound),
}
"""Filter -> (column it looks at, which of the values to keep). NaN is never kept, as in AllenSDK."""


@dataclass(frozen=True)
class UnitFilters:
    """Quality filters on units; the defaults are those of AllenSDK's ``EcephysSession``.

    A filter that is ``None`` or ``False`` is off. A filter whose column the file does not have cannot be applied, and
    is left out of what :meth:`apply` returns. A unit whose value is NaN fails.

    Attributes
    ----------
    quality
        Label that the column ``quality`` must have.
    in_brain
        Drop units whose peak channel lies in no structure (``area`` is ""). ``"grey"``, grey matter of no finer
        name, is a structure and stays, as in AllenSDK.
    valid_channel
        Drop units whose peak channel is marked as not ``valid_data``.
    amplitude_cutoff_maximum
        Largest fraction of spikes missed below the threshold.
    presence_ratio_minimum
        Smallest fraction of the session in which the unit fires.
    isi_violations_maximum
        Largest rate of refractory violations, relative to the unit's rate.
    """

    quality: str | None = "good"
    in_brain: bool = True
    valid_channel: bool = True
    amplitude_cutoff_maximum: float | None = 0.1
    presence_ratio_minimum: float | None = 0.95
    isi_violations_maximum: float | None = 0.5

    def active(self) -> dict[str, object]:
        """Return the filters that are on, by name, in the order in which they are applied."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None and value is not False}

    def apply(self, units: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
        """Keep the units that pass every filter that can be applied.

        Parameters
        ----------
        units
            One row per unit, with any of the columns ``quality``, ``area``, ``valid_data``, ``amplitude_cutoff``,
            ``presence_ratio`` and ``isi_violations``.

        Returns
        -------
        units
            The rows that pass, in their order.
        dropped
            Filter name -> how many of the units that had passed the filters before it this one removed.

        Raises
        ------
        NoUnitsError
            If no unit is left; says which filter removed how many.
        """
        left = units
        dropped: dict[str, int] = {}
        for name, wanted in self.active().items():
            column, keep = _RULES[name]
            if column in left:
                passed = left[keep(left[column], wanted)]  # type: ignore[arg-type]
                dropped[name] = len(left) - len(passed)
                left = passed
        if left.empty:
            removed = ", ".join(f"{name}={getattr(self, name)!r} removed {n}" for name, n in dropped.items())
            raise NoUnitsError(
                f"expected at least one unit; none of {len(units)} is left: {removed or 'there were none'}. "
                "Relax a filter, or switch it off with None or False."
            )
        return left, dropped

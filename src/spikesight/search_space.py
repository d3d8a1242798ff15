"""Where a search may look: ranges and choices of constructor parameters, as plain data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikesight.errors import ConfigError

HOW = (
    "{low: 0.001, high: 1} with log: true and whole: true where they are meant, or {values: [64, 128, 256]}, or null "
    "to leave the parameter at its default"
)
"""How a dimension is written in YAML."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    Parameters
    ----------
    low, high
        Ends of the range.
    log
        Even on a logarithmic scale, not on a linear one.
    whole
        Whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        """Refuse an empty range, a logarithm of zero, and ends that are not whole where whole numbers are meant."""
        ends = (self.low, self.high)
        if not all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in ends):
            raise ConfigError(f"expected numbers as low and high of a range, got {self.low!r} and {self.high!r}.")
        if self.low >= self.high:
            raise ConfigError(f"expected low below high in a range, got {self.low!r} and {self.high!r}.")
        if self.log and self.low <= 0:
            raise ConfigError(f"expected low above 0 in a logarithmic range, got {self.low!r}.")
        if self.whole and any(end != int(end) for end in ends):
            raise ConfigError(f"expected whole numbers as low and high, got {self.low!r} and {self.high!r}.")

    def holds(self, value: Any) -> bool:
        """Tell if ``value`` lies in the range."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high and (not self.whole or value == int(value))


@dataclass(frozen=True)
class Choice:
    """One of some values: numbers, texts, truth values or None.

    Parameters
    ----------
    values
        Two or more, all different.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Refuse fewer than two values, repeats, and values that no YAML file could hold."""
        odd = [value for value in self.values if not isinstance(value, int | float | str | bool | None)]
        if odd:
            raise ConfigError(f"expected numbers, texts, true, false or null to choose from, got {odd[0]!r}.")
        if len({repr(value) for value in self.values}) < max(2, len(self.values)):
            raise ConfigError(f"expected two or more different values to choose from, got {list(self.values)!r}.")

    def holds(self, value: Any) -> bool:
        """Tell if ``value`` is one of the values."""
        return any(type(value) is type(own) and value == own for own in self.values)


Dimension = Range | Choice
Space = Mapping[str, Dimension]
"""What a search may vary: dimensions by the name of the constructor parameter; ``graph__rank`` is one of a graph's."""


def as_dimension(name: str, written: Any) -> Dimension:
    """Read one dimension from plain data, as it is written in YAML.

    Raises
    ------
    ConfigError
        Says how it is written.
    """
    if isinstance(written, Range | Choice):
        return written
    if isinstance(written, Mapping):
        keys = set(written)
        if keys == {"values"} and isinstance(written["values"], list | tuple):
            return Choice(tuple(written["values"]))
        if {"low", "high"} <= keys <= {"low", "high", "log", "whole"}:
            return Range(**written)
    raise ConfigError(f"expected a search range for {name} such as {HOW}; got {written!r}.")


def with_changes(space: Space, changes: Mapping[str, Any]) -> dict[str, Dimension]:
    """Lay a user's dimensions over those of a decoder.

    Parameters
    ----------
    space
        The decoder's own.
    changes
        Dimensions in plain data by parameter; None takes a dimension out.
    """
    changed = {
        **space,
        **{name: as_dimension(name, written) for name, written in changes.items() if written is not None},
    }
    return {name: dimension for name, dimension in changed.items() if changes.get(name, dimension) is not None}


def as_plain(space: Space) -> dict[str, dict[str, Any]]:
    """Write a space as plain data, the form that `as_dimension` reads."""
    return {
        name: {"values": list(dimension.values)}
        if isinstance(dimension, Choice)
        else {"low": dimension.low, "high": dimension.high, "log": dimension.log, "whole": dimension.whole}
        for name, dimension in space.items()
    }

"""How a page writes numbers: one way for each kind, in all panels."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pandas as pd

from spikesight.records.run_record import REFERENCE


def percent(value: float | None) -> str:
    """Write a fraction as a percentage without its sign."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def points(value: float | None) -> str:
    """Write a difference of fractions in percent points, with its sign; what rounds to nothing has none."""
    if value is None or math.isnan(value):
        return "-"
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def seconds(value: float) -> str:
    """Write a duration: milliseconds, seconds or minutes."""
    return f"{value / 60:.1f} min" if value >= 120 else f"{value:.1f} s" if value >= 0.95 else f"{1000 * value:.0f} ms"


def count(value: float) -> str:
    """Write a whole number with commas between thousands."""
    return f"{int(value):,}"


def brief(value: float | None) -> str:
    """Write a number with three digits."""
    return "-" if value is None or math.isnan(value) else f"{value:.3g}".replace("-", "\u2212")


def rounded(values: Iterable[float]) -> list[float | None]:
    """Keep four digits of numbers that a page draws; None where one is not finite, which JSON cannot say."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]


FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "percent": percent, "points": points, "seconds": seconds, "count": count, "brief": brief,
}  # fmt: skip
"""Filters of the templates."""


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a leaderboard; NaN, which JSON does not have, becomes None."""
    records = table.to_dict("records")
    rows = [{str(key): None if _is_nan(value) else value for key, value in record.items()} for record in records]
    return [{**row, "is_reference": row["selection"] == REFERENCE} for row in rows]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)

"""Axes through the parameters of candidates, and every candidate as a line across them."""

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.tuning_results.table import SEARCH, checked_candidates, parameters_of

INNER_ACCURACY: Final = "inner accuracy"
"""Name of the last axis of parallel coordinates."""
LINEAR: Final = "linear"
LOG: Final = "log"
LEVELS: Final = "levels"

_LOG_RATIO: Final = 100.0
"""Largest over smallest value beyond which an axis is logarithmic: two decades."""
_ZERO_GAP: Final = 0.12
"""Room that a logarithmic axis leaves for zero, which has no place on it."""
_MOST_DECADES: Final = 5
"""Ticks of a logarithmic axis."""
_LEAST_RANGE: Final = 1e-300
"""Floats have no round numbers in a smaller range."""


class ParallelCoordinates(NamedTuple):
    """Data of a picture in which every candidate is a line across its parameters.

    Attributes
    ----------
    lines
        One row per candidate and axis: ``session, decoder, fold, seed, candidate, state, accuracy, chosen``,
        ``parameter`` (the axis; the last one is ``INNER_ACCURACY``), ``value`` (text, "" where there is none) and
        ``position`` (0 to 1; NaN where a candidate lacks the parameter, or failed before it had an accuracy).
    ticks
        One row per tick: ``decoder, parameter, scale`` ("linear", "log" or "levels"), ``position`` and ``label``; axes
        in their order.
    """

    lines: pd.DataFrame
    ticks: pd.DataFrame


class Axis(NamedTuple):
    """Positions (n_candidates,) of values on one axis, NaN where there is no value; the axis' scale and its ticks."""

    scale: str
    position: NDArray[np.float64]
    at: list[float]
    labels: list[str]


def parallel_coordinates(table: pd.DataFrame) -> ParallelCoordinates:
    """Place every candidate's parameters on axes from 0 to 1, for each decoder.

    An axis is logarithmic where no value is negative and the positive ones span more than two decades (zero stands
    apart at its foot), linear where all others are numbers, and has evenly spaced levels otherwise. Folds and sessions
    share the axes of a decoder. A parameter that no candidate of a decoder has is no axis of it.

    The last axis is the inner accuracy: not a test accuracy, and the best of N is optimistic.

    Parameters
    ----------
    table
        Candidates, with the columns ``CANDIDATE_COLUMNS``.
    """
    checked = checked_candidates(table)
    kept = [*SEARCH, "candidate", "state", "accuracy", "chosen"]
    lines: list[pd.DataFrame] = []
    ticks: list[dict[str, Any]] = []
    for decoder, own in checked.groupby("decoder", sort=False):
        values = parameters_of(own)
        values[INNER_ACCURACY] = own["accuracy"].to_numpy(np.float64)
        for parameter in map(str, values):
            percent = parameter == INNER_ACCURACY
            axis = axis_through(values[parameter], percent=percent)
            text = [_label(value, percent=percent) for value in values[parameter]]
            lines.append(own[kept].assign(parameter=parameter, value=text, position=axis.position))
            ticks.extend(
                {"decoder": decoder, "parameter": parameter, "scale": axis.scale, "position": at, "label": label}
                for at, label in zip(axis.at, axis.labels, strict=True)
            )
    columns = [*kept, "parameter", "value", "position"]
    return ParallelCoordinates(
        pd.concat(lines, ignore_index=True) if lines else pd.DataFrame(columns=columns),
        pd.DataFrame(ticks, columns=["decoder", "parameter", "scale", "position", "label"]),
    )


def axis_through(values: "pd.Series[Any]", *, percent: bool = False) -> Axis:
    """Lay an axis through the values of one parameter, from the least (0) to the greatest (1).

    Parameters
    ----------
    values
        One per candidate; NaN where it has none.
    percent
        The values are fractions to be written in percent, on a linear axis.
    """
    known = [value for value in values if not _is_missing(value)]
    if not all(_is_number(value) for value in known):
        return _levels(values, known)
    numbers = pd.to_numeric(values).to_numpy(np.float64)
    there = numbers[np.isfinite(numbers)]
    low, high = (float(there.min()), float(there.max())) if len(there) else (0.0, 0.0)
    positive = there[there > 0]
    if not percent and low >= 0 and len(positive) and high > _LOG_RATIO * positive.min():
        return _logarithmic(numbers, positive)
    if low == high:
        ticks = [low] if len(there) else []
        return Axis(LINEAR, np.where(np.isfinite(numbers), 0.5, np.nan), [0.5] * len(ticks), _labels(ticks, percent))
    if not _LEAST_RANGE < high - low < math.inf:
        return _levels(values, known)
    ticks = _round_numbers(low, high)
    position = (np.where(np.isfinite(numbers), numbers, np.nan) - low) / (high - low)
    return Axis(LINEAR, position, [(tick - low) / (high - low) for tick in ticks], _labels(ticks, percent))


def _logarithmic(numbers: NDArray[np.float64], positive: NDArray[np.float64]) -> Axis:
    """Decades; zero, if there is one, stands apart at the foot."""
    low, high = (float(np.log10(bound)) for bound in (positive.min(), positive.max()))
    has_zero = bool((numbers == 0).any())
    foot = _ZERO_GAP if has_zero else 0.0
    logs = np.log10(np.where(numbers > 0, numbers, np.nan))
    position = np.where(numbers == 0, 0.0, foot + (1 - foot) * (logs - low) / (high - low))
    decades = np.arange(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    decades = decades[:: math.ceil(len(decades) / _MOST_DECADES)].astype(np.float64)
    at = (foot + (1 - foot) * (decades - low) / (high - low)).tolist()
    labels = _labels(10**decades, False)
    return Axis(LOG, position, [0.0, *at] if has_zero else at, ["0", *labels] if has_zero else labels)


def _levels(values: "pd.Series[Any]", known: list[Any]) -> Axis:
    """Evenly spaced levels: numbers in their order, then texts in theirs."""
    numbers = [_label(number) for number in sorted(value for value in known if _is_number(value))]
    names = list(dict.fromkeys([*numbers, *sorted(_label(value) for value in known)]))
    at = [0.5] if len(names) == 1 else [place / (len(names) - 1) for place in range(len(names))]
    where = dict(zip(names, at, strict=True))
    position = np.array([np.nan if _is_missing(value) else where[_label(value)] for value in values])
    return Axis(LEVELS, position, at, names)


def _round_numbers(low: float, high: float) -> list[float]:
    """Round numbers between two bounds, two to seven of them: a step of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next((factor * power for factor in (5, 2) if (high - low) / (factor * power) >= 2.5), power)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [min(max(float(f"{number * step:.12g}"), low), high) for number in range(first, last + 1)]


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _label(value: Any, *, percent: bool = False) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if percent:
        return f"{100 * value:.1f} %"
    return f"{value:.6g}" if _is_number(value) else str(value)


def _labels(ticks: Iterable[float], percent: bool) -> list[str]:
    return [f"{100 * tick:.6g} %" if percent else f"{tick:.12g}" for tick in ticks]

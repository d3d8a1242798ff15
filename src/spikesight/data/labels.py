"""In which order labels stand, and how they are written where there is little room."""

import re
from collections.abc import Iterable
from typing import Any


def sort_labels(labels: Iterable[object]) -> list[str]:
    """Sort labels as a reader counts: ``-1, 2, 10``, also for numbers inside text such as ``"x=-20, y=5"``."""
    return sorted({str(label) for label in labels}, key=_counting_key)


def distinct_labels(labels: Iterable[Any]) -> list[Any]:
    """Give each label once, numbers as numbers, in the order of `sort_labels`."""
    return sorted(set(labels), key=lambda label: _counting_key(str(label)))


def short_labels(labels: Iterable[object]) -> tuple[list[str], str]:
    """Write labels briefly where all name the same columns: ``"x=-20, y=5"`` is ``"-20, 5"`` of ``"x, y"``.

    Returns
    -------
    list of str
        The labels, without the names if all share them.
    str
        The names, or "".
    """
    written = [str(label) for label in labels]
    parts = [[part.partition("=") for part in label.split(", ")] for label in written]
    names = {tuple(name for name, _, _ in part) for part in parts}
    if len(names) != 1 or not all(equals for part in parts for _, equals, _ in part):
        return written, ""
    return [", ".join(value for _, _, value in part) for part in parts], ", ".join(names.pop())


def _counting_key(label: str) -> list[tuple[int, float, str]]:
    """Split a label into numbers and the text between, numbers first."""
    parts = re.split(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", label)
    return [(1, 0.0, part) if index % 2 == 0 else (0, float(part), "") for index, part in enumerate(parts) if part]

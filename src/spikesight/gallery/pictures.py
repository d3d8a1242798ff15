"""A picture that can be drawn when it is wanted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


def _nothing() -> Any:
    return None


class Picture(NamedTuple):
    """One file to be.

    Attributes
    ----------
    of
        What it is of, such as a session and a decoder; nothing if there is one of the kind.
    draw
        Returns a figure, or axes of one. A DataError says why it cannot be drawn.
    animate
        Writes an animation to a path in place of a figure.
    """

    of: tuple[str, ...] = ()
    draw: Callable[[], Any] = _nothing
    animate: Callable[[Path], Path] | None = None

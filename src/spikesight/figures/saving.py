"""A figure as a file, which is there whole or not at all."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spikesight.errors import OutputError, UnknownNameError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FORMATS: Final = ("pdf", "png", "svg")
_UNDATED: Final[dict[str, dict[str, Any]]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
"""What keeps the time of writing out of a file: the same figure is the same file."""


def save_figure(drawn: "Axes | Figure | SubFigure", path: str | Path, *, dpi: float = 150) -> Path:
    """Write a figure and close it; text in an SVG stays text.

    Parameters
    ----------
    drawn
        A figure, or axes in it.
    path
        The file; its ending (.png, .svg, .pdf) is the format.
    dpi
        Pixels per inch of a PNG.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    UnknownNameError
        If the ending is none of the formats.
    OutputError
        If the file cannot be written.
    """
    import matplotlib.pyplot as plt

    path = Path(path)
    kind = check_format(path.suffix.removeprefix(".").lower())
    figure: Any = drawn.figure if hasattr(drawn, "get_figure") else drawn
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spikesight"}):
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=_UNDATED[kind])
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write the figure {path}: {error.strerror or error}. Choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
        plt.close(figure)
    return path


def draw_png(draw: Callable[[], Any], file: Path, *, dpi: float = 120) -> None:
    """Draw, write the figure as a PNG whatever ``file`` is called, and close it; for writers that rename it."""
    import matplotlib.pyplot as plt

    figure: Any = draw().figure
    try:
        figure.savefig(file, format="png", dpi=dpi)
    finally:
        plt.close(figure)


def check_format(name: str) -> str:
    """Return ``name``. Raises UnknownNameError, which offers the nearest, unless it is one of ``FORMATS``."""
    if name not in FORMATS:
        raise UnknownNameError("format of figures", name, FORMATS)
    return name

"""Pictures of figures, compared with those that are kept in ``baselines``.

After a figure was changed on purpose, write its baseline anew, look at it, and commit it::

    SPIKESIGHT_WRITE_BASELINES=1 python -m pytest tests/figures/test_pictures.py
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.testing.compare import compare_images

BASELINES = Path(__file__).parent / "baselines"
WRITE = "SPIKESIGHT_WRITE_BASELINES"
"""Set to 1, pictures are written instead of compared."""
KEPT = Path(os.environ.get("SPIKESIGHT_PICTURES", Path(__file__).parents[2] / "build" / "pictures"))
"""Folder of the pictures that differ, and of the differences."""
TOLERANCE = 1.0
"""Root of the mean squared difference over all pixels and colours (0 to 255) that passes."""
DPI = 72

_LOOK = {
    "backend": "Agg", "figure.dpi": DPI, "savefig.dpi": DPI, "font.family": "DejaVu Sans", "text.hinting": "none",
    "mathtext.fontset": "dejavusans",
}  # fmt: skip

Compare = Callable[..., None]


@pytest.fixture
def fixed_look() -> Iterator[None]:
    """Draw as on every other machine: matplotlib's own font and defaults, no settings of the user."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK)
        yield
        plt.close("all")


@pytest.fixture
def same_picture(fixed_look: None) -> Compare:
    """Compare the figure of some axes with a baseline, or write it (see above)."""

    def compare(ax: Any, name: str, *, baselines: Path = BASELINES, kept: Path = KEPT) -> None:
        baseline = baselines / f"{name}.png"
        if os.environ.get(WRITE) == "1":
            _save(ax, baseline)
            return
        assert baseline.is_file(), f"there is no baseline {baseline}. Write it: {WRITE}=1 python -m pytest {__file__}"
        kept.mkdir(parents=True, exist_ok=True)
        actual, expected = kept / f"{name}.png", kept / f"{name}-expected.png"
        difference = kept / f"{name}-failed-diff.png"
        _save(ax, actual)
        expected.write_bytes(baseline.read_bytes())
        found = compare_images(str(expected), str(actual), TOLERANCE)
        if found is None:
            for picture in (actual, expected, difference):
                picture.unlink(missing_ok=True)
            return
        pytest.fail(
            f"{name} does not look as it did. Look at {actual} beside {expected}; {difference} shows where they "
            f"differ. If it was changed on purpose, write it anew: {WRITE}=1 python -m pytest "
            f"tests/figures/test_pictures.py\n{found}"
        )

    return compare


def _save(ax: Any, path: Path) -> None:
    ax.figure.savefig(path, dpi=DPI, metadata={"Software": None})

"""The gallery shows every figure; it is drawn, and fails, when the site is built."""

import re
from pathlib import Path

from spikesight import figures

GALLERY = Path(__file__).parents[2] / "docs" / "gallery_src"


def drawn_in(text: str) -> set[str]:
    """Names of figures that a script calls."""
    return set(re.findall(r"\bfigures\.((?:plot|animate)_\w+)\(", text))


def test_every_figure_is_in_the_gallery():
    scripts = {file.name: file.read_text(encoding="utf-8") for file in GALLERY.glob("plot_*.py")}
    shown = set().union(*(drawn_in(text) for text in scripts.values()))
    assert sorted(set(figures.__all__) - shown) == []
    assert sorted(shown - set(figures.__all__)) == []


def test_every_script_of_the_gallery_has_a_title_and_draws_something():
    for file in GALLERY.glob("plot_*.py"):
        text = file.read_text(encoding="utf-8")
        assert re.match(r'"""\n[A-Z].+\n={5,}\n', text), file.name
        assert drawn_in(text), file.name


def test_a_call_of_a_figure_is_recognised():
    assert drawn_in("figures.plot_raster(spikes)\n# figures.plot_x\nax = figures.plot_unit_graph(a, b)") == {
        "plot_raster",
        "plot_unit_graph",
    }

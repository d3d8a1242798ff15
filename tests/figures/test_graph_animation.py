"""The animated graph of each bin: frames that can be counted and told apart."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from spikesight.errors import ConfigError, DataError, OutputError
from spikesight.figures import animate_graph
from spikesight.figures.graph_animation import WHAT_IT_IS_NOT


@pytest.fixture
def graph() -> xr.DataArray:
    weights = np.random.default_rng(0).random((4, 6, 6))
    units = [10, 11, 12, 20, 21, 22]
    return xr.DataArray(
        weights, {"bin": range(4), "source_unit": units, "target_unit": units}, ("bin", "source_unit", "target_unit")
    )


def _frames(file: Path) -> list[np.ndarray]:
    with Image.open(file) as picture:
        found = []
        for number in range(picture.n_frames):
            picture.seek(number)
            found.append(np.asarray(picture.convert("RGB")))
        return found


def test_there_is_a_frame_for_each_bin_and_no_two_are_alike(graph: xr.DataArray, tmp_path: Path) -> None:
    areas = dict.fromkeys([10, 11, 12], "VISp") | dict.fromkeys([20, 21, 22], "LGd")
    file = animate_graph(graph, tmp_path / "g.gif", areas, times=[0, 0.05, 0.1, 0.15, 0.2], title="st-gat", dpi=40)
    frames = _frames(file)
    assert [frame.shape for frame in frames] == [(240, 240, 3)] * 4
    ring = [frame[20:170, 20:220] for frame in frames]  # without the clock
    assert all((one != other).any() for at, one in enumerate(ring) for other in ring[at + 1 :])
    with Image.open(file) as picture:
        assert picture.info["loop"] == 0  # again and again
        assert picture.info["duration"] == pytest.approx(1000 / 1.5, abs=10)
    assert list(tmp_path.iterdir()) == [file]


def test_a_graph_that_stays_the_same_still_has_a_frame_for_each_bin(graph: xr.DataArray, tmp_path: Path) -> None:
    same = graph.copy(data=np.repeat(graph.to_numpy()[:1], 4, axis=0))
    assert len(_frames(animate_graph(same, tmp_path / "g.gif", dpi=40))) == 4
    none = graph * 0
    assert len(_frames(animate_graph(none, tmp_path / "none.gif", dpi=40))) == 4


def test_the_order_of_dimensions_does_not_matter(graph: xr.DataArray, tmp_path: Path) -> None:
    one = animate_graph(graph, tmp_path / "one.gif", dpi=40)
    other = animate_graph(graph.transpose("target_unit", "bin", "source_unit"), tmp_path / "other.gif", dpi=40)
    assert one.read_bytes() == other.read_bytes()


def test_it_is_said_that_it_is_not_connectivity() -> None:
    assert "not connectivity" in WHAT_IT_IS_NOT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda graph: graph.mean("bin"), "a graph for each bin.*learned-per-bin"),
        (lambda graph: -graph, "0 or more"),
        (lambda graph: graph * np.nan, "finite"),
    ],
)
def test_what_is_no_graph_per_bin_is_refused(graph: xr.DataArray, change, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        animate_graph(change(graph), tmp_path / "g.gif")
    assert list(tmp_path.iterdir()) == []


def test_options_that_cannot_be_honoured_and_places_that_are_none_are_refused(
    graph: xr.DataArray, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="the 5 bounds of 4 bins"):
        animate_graph(graph, tmp_path / "g.gif", times=[0, 1])
    with pytest.raises(ConfigError, match="n_strongest"):
        animate_graph(graph, tmp_path / "g.gif", n_strongest=0)
    with pytest.raises(OutputError, match="nodir"):
        animate_graph(graph, tmp_path / "nodir" / "g.gif", dpi=40)
    assert list(tmp_path.iterdir()) == []

"""What comes out of files of images, and what is refused."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from spikesight.data import images as images_module
from spikesight.data.images import images_of_simulation, read_images, upright
from spikesight.data.simulation import simulate_session, truth_path
from spikesight.errors import FileFormatError, StimulusNotFoundError
from spikesight.figures import plot_class_pictures, plot_scene_grid
from spikesight.reports.pictures import thumbnails

mpl.use("Agg")

import matplotlib.pyplot as plt

STACK = np.random.default_rng(0).random((5, 6, 8)).astype(np.float32)


def write_pictures(folder: Path, numbers: tuple[int, ...] = (0, 1, 2, 10), mode: str = "L") -> Path:
    folder.mkdir()
    for number in numbers:
        Image.new(mode, (8, 6), number if mode == "L" else (number, number, number)).save(
            folder / f"scene_{number}.png"
        )
    return folder


def test_a_stack_in_npy_is_numbered_from_0(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", STACK)
    images = read_images(tmp_path / "stack.npy")
    assert images.dims == ("frame", "row", "column")
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images.to_numpy(), STACK)
    assert images["frame"].to_numpy().tolist() == [0, 1, 2, 3, 4]
    assert images.attrs["is_numbered"] is False


def test_an_npz_gives_its_numbers_and_images_come_in_their_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "stack.npz", images=STACK, frame=np.array([4, 2, 9, 7, 0]), other=np.zeros((2, 2, 2)))
    images = read_images(tmp_path / "stack.npz")
    assert images["frame"].to_numpy().tolist() == [0, 2, 4, 7, 9]
    np.testing.assert_array_equal(images.sel(frame=9), STACK[2])
    assert images.attrs["is_numbered"] is True


def test_whole_numbers_are_scaled_and_colour_is_made_grey(tmp_path: Path) -> None:
    colour = np.zeros((2, 4, 4, 3), np.uint8)
    colour[0], colour[1, ..., 1] = 255, 255
    np.save(tmp_path / "colour.npy", colour)
    images = read_images(tmp_path / "colour.npy").to_numpy()
    np.testing.assert_allclose(images[0], 1.0, atol=1e-6)
    np.testing.assert_allclose(images[1], 0.7154, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_folder_is_read_in_the_order_of_the_numbers_in_its_names(tmp_path: Path, mode: str) -> None:
    images = read_images(write_pictures(tmp_path / "scenes", mode=mode))
    assert images["frame"].to_numpy().tolist() == [0, 1, 2, 10]
    np.testing.assert_allclose(images.to_numpy()[:, 0, 0] * 255, [0, 1, 2, 10], atol=1e-3)


def test_a_16_bit_tif_keeps_its_range(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    for number in (0, 1):
        values = np.full((6, 8), 65535 * number, np.uint16)
        Image.fromarray(values).save(tmp_path / "scenes" / f"{number}.tif")
    np.testing.assert_allclose(read_images(tmp_path / "scenes").to_numpy()[:, 0, 0], [0, 1])


def test_the_scenes_of_a_simulated_session_are_those_that_drove_it(tmp_path: Path) -> None:
    truth = simulate_session("tiny", seed=3).truth
    session = tmp_path / "tiny.nwb"
    truth.save(truth_path(session))
    for images in (images_of_simulation(session), read_images(truth_path(session))):
        np.testing.assert_array_equal(images.to_numpy(), truth.scenes)
        assert images["frame"].to_numpy().tolist() == list(range(8))
        assert float(images["azimuth"][0]) == -59.375
        assert float(images["elevation"][-1]) == 46.875


def test_a_session_without_scenes_or_without_truth_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="there is none at"):
        images_of_simulation(tmp_path / "real.nwb")
    session = tmp_path / "connectivity.nwb"
    truth = simulate_session("tiny").truth
    replace(truth, frames=truth.frames[:0], scenes=truth.scenes[:0]).save(truth_path(session))
    with pytest.raises(StimulusNotFoundError, match="has no natural scenes"):
        images_of_simulation(session)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((6, 8)), r"a stack of images.*shape \(6, 8\)"),
        (np.zeros((3, 6, 8), complex), "complex128"),
        (np.zeros((0, 6, 8)), r"shape \(0, 6, 8\)"),
        (np.zeros((3, 6, 1)), "at least 2 x 2 pixels"),
        (np.full((3, 6, 8), np.nan), "expected finite values; 144 are NaN"),
        (np.zeros((3, 6, 8, 5)), r"shape \(3, 6, 8, 5\)"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    np.save(tmp_path / "stack.npy", values)
    with pytest.raises(FileFormatError, match=message):
        read_images(tmp_path / "stack.npy")


def test_a_file_that_claims_more_than_it_has_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "claim.npy", STACK)
    whole = (tmp_path / "claim.npy").read_bytes()
    (tmp_path / "claim.npy").write_bytes(whole.replace(b"(5, 6, 8)", b"(500,6,8)"))
    with pytest.raises(FileFormatError, match="claims 96000 bytes"):
        read_images(tmp_path / "claim.npy")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([[["a", None]]], object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="never read: they could run code"):
        read_images(tmp_path / "objects.npy")
    np.savez(tmp_path / "objects.npz", images=np.array([[["a", None]]], object))
    with pytest.raises(FileFormatError, match="never read: they could run code"):
        read_images(tmp_path / "objects.npz")


def test_damaged_files_and_wrong_paths_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "cut.npy", STACK)
    whole = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-40])
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "scenes.txt").write_text("no array")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    expected = {
        "cut.npy": "could not read",
        "text.npy": "could not read",
        "scenes.txt": "got 'scenes.txt'",
        "missing.npy": "there is nothing at",
        "empty": "holds no file ending in .png",
        "broken": "could not read",
    }
    for name, message in expected.items():
        with pytest.raises(FileFormatError, match=message):
            read_images(tmp_path / name)


def test_pictures_of_other_sizes_and_shared_or_missing_numbers_are_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "sizes")
    Image.new("L", (9, 6)).save(folder / "scene_11.png")
    with pytest.raises(FileFormatError, match=r"scene_0.png has \(6, 8\).*scene_11.png has \(6, 9\)"):
        read_images(folder)
    folder = write_pictures(tmp_path / "shared")
    Image.new("L", (8, 6)).save(folder / "again_2.png")
    with pytest.raises(FileFormatError, match="must be its own"):
        read_images(folder)
    Image.new("L", (8, 6)).save(folder / "cover.png")
    with pytest.raises(FileFormatError, match=r"expected a number in the name of each image, got 'cover.png'"):
        read_images(folder)


def test_a_stack_that_memory_does_not_hold_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "stack.npy", STACK)
    monkeypatch.setattr(images_module, "available_memory", lambda: 1000)
    for place in (tmp_path / "stack.npy", write_pictures(tmp_path / "scenes")):
        with pytest.raises(FileFormatError, match="more than there is"):
            read_images(place)


def test_an_npz_of_several_stacks_without_a_known_name_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", first=STACK, second=STACK)
    with pytest.raises(FileFormatError, match="expected an array 'images'"):
        read_images(tmp_path / "two.npz")


@pytest.mark.parametrize("kind", ["EPS", "BMP", "JPEG", "GIF"])
def test_what_is_no_png_or_tiff_is_not_opened_whatever_it_is_called(tmp_path: Path, kind: str) -> None:
    Image.new("L", (8, 6)).save(tmp_path / "scene_0.png", format=kind)
    with pytest.raises(FileFormatError, match="expected an image"):
        read_images(tmp_path)


def test_colours_for_the_printer_are_as_bright_as_on_a_screen(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), (200, 30, 30)).convert("CMYK").save(tmp_path / "scene_0.tif")
    expected = (0.2125 * 200 + 0.7154 * 30 + 0.0721 * 30) / 255
    np.testing.assert_allclose(read_images(tmp_path), expected, atol=0.02)


def test_pictures_of_a_screen_that_is_stored_from_below_are_drawn_with_their_upper_edge_on_top() -> None:
    stack = np.zeros((1, 12, 16), np.float32)
    stack[:, 6:] = 1.0  # the sky is bright, and stored last
    elevation = ("row", np.linspace(-40, 40, 12))
    images = xr.DataArray(stack, dims=("frame", "row", "column"), coords={"frame": [3], "elevation": elevation})
    grid = plot_scene_grid(images)
    classes = pd.DataFrame({"label": ["3"], "accuracy": 0.5, "low": 0.4, "high": 0.6, "n": 9})
    [below] = plot_class_pictures(classes, images).child_axes
    for drawn in (grid.images[0].get_array(), below.images[0].get_array()):
        assert drawn[0, 0] > drawn[-1, 0]
    address = thumbnails(images, ["3"])["3"]
    small = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    assert small[0].mean() > 200 > 50 > small[-1].mean()
    plt.close("all")
    assert upright(images.drop_vars("elevation")).equals(images.drop_vars("elevation"))

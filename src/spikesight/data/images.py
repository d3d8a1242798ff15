"""The images that were shown: stacks in ``.npy`` and ``.npz``, folders of numbered picture files, simulated scenes.

The published sessions name the natural scene of a presentation by its number (``frame``) and do not hold the picture.
Whoever has the pictures gives them here. Nothing is ever unpickled, and sizes are checked before memory is taken.
"""

import os
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.lib import format as npy
from numpy.typing import NDArray

from spikesight.data.memory import available_memory
from spikesight.data.npz_file import read_npz
from spikesight.data.simulation.scenes import screen
from spikesight.data.simulation.truth import SUFFIX, GroundTruth, truth_path
from spikesight.errors import DataError, FileFormatError, StimulusNotFoundError, brief

FRAME: Final = "frame"
DIMS: Final = (FRAME, "row", "column")
AZIMUTH: Final = "azimuth"
ELEVATION: Final = "elevation"
"""Coordinates along column and row, degrees, where it is known how the screen was seen."""
PICTURES: Final = (".png", ".tif", ".tiff")
PICTURE_FORMATS: Final = ("PNG", "TIFF")
"""What is read whatever a file is called: readers of other formats start programs (PostScript) or are seldom tested."""
IS_NUMBERED: Final = "is_numbered"
"""Attribute of images: whether their numbers were in the file or its names; else they are 0, 1, ..."""
STACKS: Final = ("images", "scenes", "frames")
"""Arrays of an ``.npz`` that are looked for before any other one of three dimensions."""
WHAT_IS_ONE: Final = (
    "a stack of images (n, height, width) in an .npy or .npz file, or a folder of numbered .png or .tif files"
)
_OTHER_COLOURS: Final = ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
"""Modes of Pillow whose channels are not red, green and blue."""
_LUMA: Final = np.array([0.2125, 0.7154, 0.0721], np.float32)
"""Weights of red, green and blue in grey, ITU-R BT.709."""
_COPIES: Final = 3
"""How often a stack is in memory at worst: as it was stored, in float32, and once in between."""
_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_images(path: str | os.PathLike[str]) -> xr.DataArray:
    """Read the images of a stimulus.

    Parameters
    ----------
    path
        An ``.npy`` file of an array (n, height, width); an ``.npz`` file with one (called ``images``, ``scenes`` or
        ``frames``, or the only one of three dimensions) and perhaps ``frame``, the number of each; the truth of a
        simulated session; or a folder of ``.png`` or ``.tif`` files with a number in each name. A last axis of 3 or 4
        is colour, and made grey.

    Returns
    -------
    xarray.DataArray
        float32, dims ``(frame, row, column)``, ascending coordinate ``frame``: the number by which presentations name
        an image, as in the file or in the names of files, else 0, 1, ... Whole numbers are scaled to 0 (black) to 1
        (white) by the range of their type; fractions stay as they are. The attribute ``is_numbered`` says whether the
        numbers were there.

    Raises
    ------
    FileFormatError
        If there is no such file or folder, it holds no image stack, is damaged, holds Python objects, or is too large
        for this machine's memory; if images differ in size, have no number or share one, or are not finite.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _from_folder(path)
    if not path.is_file():
        raise FileFormatError(f"expected {WHAT_IS_ONE}, there is nothing at {path}. Check the path.")
    if path.name.endswith(SUFFIX):
        return images_of_simulation(path)
    if path.suffix == ".npz":
        return _from_npz(path)
    if path.suffix == ".npy":
        return _as_images(_read_npy(path), None, path)
    raise FileFormatError(f"expected {WHAT_IS_ONE}, got {path.name!r}.")


def images_of_simulation(path: str | os.PathLike[str]) -> xr.DataArray:
    """Return the natural scenes of a simulated session.

    Parameters
    ----------
    path
        The truth file (``<session>.truth.npz``), or the session file beside which it lies.

    Returns
    -------
    xarray.DataArray
        As from `read_images`, in contrast around grey: 0 is grey, about +-1 black and white. The coordinates
        ``elevation`` (along row) and ``azimuth`` (along column) are degrees from the screen's middle.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is damaged.
    StimulusNotFoundError
        If the session has no natural scenes.
    """
    path = Path(path).expanduser()
    path = path if path.name.endswith(SUFFIX) else truth_path(path)
    if not path.is_file():
        raise FileFormatError(f"expected the truth of a simulated session, there is none at {path}. Check the path.")
    truth = GroundTruth.load(path)
    if not len(truth.scenes):
        raise StimulusNotFoundError(f"the simulated session {truth.preset!r} has no natural scenes.")
    azimuth, elevation = screen()
    images = _as_images(truth.scenes, truth.frames[truth.frames >= 0], path)
    return images.assign_coords({ELEVATION: ("row", elevation), AZIMUTH: ("column", azimuth)})


def upright(images: xr.DataArray) -> xr.DataArray:
    """Return images with their uppermost row first, as pictures are drawn.

    Images of a simulation are stored from the lowest elevation up; those without the coordinate ``elevation`` stay as
    they are.
    """
    if ELEVATION not in images.coords or images[ELEVATION].dims != ("row",):
        return images
    return images.sortby(ELEVATION, ascending=False)


def _from_npz(path: Path) -> xr.DataArray:
    arrays = read_npz(path)
    solid = [name for name, values in arrays.items() if values.ndim in (3, 4) and values.dtype.kind in "buif"]
    named = [name for name in STACKS if name in solid]
    if not named and len(solid) != 1:
        shapes = {name: values.shape for name, values in arrays.items()}
        raise FileFormatError(f"expected an array {STACKS[0]!r} (n, height, width) in {path}, got {shapes}.")
    return _as_images(arrays[(named or solid)[0]], arrays.get(FRAME), path)


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            if version not in _HEADERS:
                raise FileFormatError(f"{path}: the .npy version {version} is unknown.")
            shape, _, dtype = _HEADERS[version](file)
            if dtype.hasobject:
                raise FileFormatError(f"{path} holds Python objects, which are never read: they could run code.")
            claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if claimed > path.stat().st_size:
                raise FileFormatError(
                    f"{path} claims {claimed} bytes (shape {shape}, {dtype}), more than it has. Copy it again."
                )
            _check_room(shape, path)
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise FileFormatError(f"expected a whole .npy file, could not read {path}: {brief(error)}.") from error


def _from_folder(folder: Path) -> xr.DataArray:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    if not files:
        raise FileFormatError(f"expected {WHAT_IS_ONE}; {folder} holds no file ending in {', '.join(PICTURES)}.")
    numbers = [_number_of(file) for file in files]
    order = np.argsort(numbers, kind="stable")
    pictures: list[NDArray[np.float32]] = []
    for index in order:
        picture = _read_picture(files[index], len(files))
        if pictures and picture.shape != pictures[0].shape:
            raise FileFormatError(
                f"expected images of one size, {files[order[0]].name} has {pictures[0].shape} (height, width) and "
                f"{files[index].name} has {picture.shape}. Resize them."
            )
        pictures.append(picture)
    return _as_images(np.stack(pictures), np.array(numbers)[order], folder)


def _number_of(file: Path) -> int:
    """Take the last number in a file's name: ``scene_007.png`` is frame 7."""
    found = re.findall(r"\d{1,9}", file.stem)
    if not found:
        raise FileFormatError(f"expected a number in the name of each image, got {file.name!r}. Name it scene_0.png.")
    return int(found[-1])


def _read_picture(file: Path, n_pictures: int) -> NDArray[np.float32]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=PICTURE_FORMATS) as picture:
            _check_room((n_pictures, picture.height, picture.width, len(picture.getbands())), file)
            n_frames = int(getattr(picture, "n_frames", 1))
            if n_frames != 1:
                raise FileFormatError(f"expected one image in {file}, got {n_frames}. Save a file of each.")
            values = np.asarray(picture.convert("RGB") if picture.mode in _OTHER_COLOURS else picture)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise FileFormatError(f"expected an image, could not read {file}: {brief(error)}.") from error
    return _grey(
        values if values.ndim == 3 and values.shape[-1] != 2 else values.reshape(*values.shape[:2], -1)[..., 0]
    )


def _as_images(values: NDArray[Any], frames: NDArray[Any] | None, path: Path) -> xr.DataArray:
    """Check a stack and name its axes."""
    shape = values.shape
    is_colour = values.ndim == 4 and shape[-1] in (3, 4)
    if values.dtype.kind not in "buif" or not (values.ndim == 3 or is_colour) or 0 in shape:
        raise FileFormatError(
            f"expected {WHAT_IS_ONE}; {path} holds an array of shape {shape} and type {values.dtype}."
        )
    if values.ndim == 3 and min(shape[1:]) < 2:
        raise FileFormatError(f"expected images of at least 2 x 2 pixels in {path}, got {shape} (n, height, width).")
    _check_room(shape, path)
    numbers = np.arange(len(values)) if frames is None else frames
    if numbers.shape != (len(values),) or numbers.dtype.kind not in "iu":
        raise FileFormatError(
            f"{path}: expected a whole number for each of {len(values)} images in {FRAME!r}, got {numbers.dtype} of "
            f"shape {numbers.shape}."
        )
    unique, times = np.unique(numbers, return_counts=True)
    if (times > 1).any():
        raise FileFormatError(
            f"{path}: the number of an image must be its own; twice or more: {unique[times > 1][:10]}."
        )
    grey = _grey(values)
    if not np.isfinite(grey).all():
        raise FileFormatError(f"{path}: expected finite values; {int((~np.isfinite(grey)).sum())} are NaN or infinite.")
    order = np.argsort(numbers, kind="stable")
    ordered = grey if (order == np.arange(len(order))).all() else grey[order]
    attrs = {"source": str(path), IS_NUMBERED: frames is not None}
    return xr.DataArray(ordered, dims=DIMS, coords={FRAME: unique.astype(np.int64)}, name="image", attrs=attrs)


def _grey(values: NDArray[Any]) -> NDArray[np.float32]:
    """Scale whole numbers to 0 ... 1, and mix colours."""
    top = float(np.iinfo(values.dtype).max) if values.dtype.kind in "iu" else 1.0
    grey = values.astype(np.float32)
    if values.ndim == 4 or (values.ndim == 3 and values.shape[-1] in (3, 4) and values.dtype == np.uint8):
        grey = grey[..., :3] @ _LUMA
    return np.asarray(grey / np.float32(top), np.float32)


def _check_room(shape: tuple[int, ...], path: Path) -> None:
    needed = 4 * _COPIES * int(np.prod(shape, dtype=object))
    if needed > available_memory():
        raise FileFormatError(
            f"{path}: images of shape {shape} take {needed / 1e9:.1f} GB of memory, more than there is. "
            "Make them smaller first; receptive fields need no more than about 100 pixels a side."
        )

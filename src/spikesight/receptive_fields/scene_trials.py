"""Presentations of images beside the images: what receptive fields, reconstruction and retrieval start from."""

from hashlib import sha256
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.images import AZIMUTH, ELEVATION, FRAME, IS_NUMBERED
from spikesight.errors import DataError, StimulusNotFoundError, TooFewRepeatsError
from spikesight.schema import BLOCK, SPIKE_COUNTS, TARGET, TRIAL, UNIT

Floats = NDArray[np.float64]

LONGEST_SIDE: Final = 48
"""Pixels that images are made smaller to: 2.5 degrees a pixel on a screen of 120 degrees."""


class SceneTrials(NamedTuple):
    """Trials of images.

    Attributes
    ----------
    counts
        Shape (n_trials, n_bins, n_units).
    code
        Row in ``images`` of the image of each trial, shape (n_trials,).
    images
        Every image that was shown, made smaller, shape (n_images, rows, columns).
    frames
        Their numbers, shape (n_images,).
    x, y
        Degrees of columns and rows, or their numbers where the images do not say.
    in_degrees
        Whether they are degrees.
    blocks
        Stimulus block of each trial, shape (n_trials,).
    """

    counts: Floats
    code: NDArray[np.intp]
    images: Floats
    frames: NDArray[np.int64]
    x: Floats
    y: Floats
    in_degrees: bool
    blocks: NDArray[np.int64]

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.images)

    def mean_counts(self) -> Floats:
        """Mean summed count of each unit over the presentations of each image, shape (n_images, n_units)."""
        return average_rows(self.counts.sum(1), self.code, self.n_images)


def scene_trials(dataset: xr.Dataset, images: xr.DataArray, longest_side: int = LONGEST_SIDE) -> SceneTrials:
    """Bring presentations and images together; blank presentations are left out.

    Parameters
    ----------
    dataset
        Binned trials with the coordinate ``frame`` along trial, or whose target is the frame.
    images
        As from `spikesight.data.images.read_images`.
    longest_side
        Images are averaged over areas down to this many pixels, at most.

    Raises
    ------
    StimulusNotFoundError
        If the trials do not name an image, or name one that ``images`` lack.
    TooFewRepeatsError
        If an image was shown less than twice.
    DataError
        If there are fewer than four images, or two are the same: one would train, and the other be held out.
    """
    frames = frames_of(dataset)
    shown = frames >= 0
    numbers, code = np.unique(frames[shown], return_inverse=True)
    missing = np.setdiff1d(numbers, images[FRAME].to_numpy())
    if len(missing):
        raise StimulusNotFoundError(
            f"expected an image for each of the {len(numbers)} frames that were shown; {len(missing)} are not among "
            f"the {images.sizes[FRAME]} images: {missing[:10].tolist()}. Give all of them with --images."
        )
    if len(numbers) < 4:
        raise DataError(f"expected at least four images, the trials show {len(numbers)}.")
    times = np.bincount(code)
    if times.min() < 2:
        raise TooFewRepeatsError(
            f"expected at least two presentations of every image, frame {numbers[times.argmin()]} has {times.min()} "
            f"({int((times < 2).sum())} of {len(times)} images have too few)."
        )
    chosen = images.sel({FRAME: numbers})
    _check_distinct(chosen)
    small, x, y = _smaller(chosen, longest_side)
    counts = dataset[SPIKE_COUNTS].transpose(TRIAL, "time", UNIT).to_numpy()[shown].astype(float)
    in_degrees = AZIMUTH in images.coords and ELEVATION in images.coords
    blocks = dataset[BLOCK].to_numpy()[shown]
    return SceneTrials(counts, code.astype(np.intp), small, numbers.astype(np.int64), x, y, in_degrees, blocks)


def average_rows(values: Floats, code: NDArray[np.integer], n_codes: int) -> Floats:
    """Average the rows of each code, shape (n_codes, n_columns); rows of a code that does not occur are 0."""
    sums = np.zeros((n_codes, values.shape[1]))
    np.add.at(sums, code, values)
    return sums / np.maximum(np.bincount(code, minlength=n_codes), 1)[:, None]


def frames_of(dataset: xr.Dataset) -> NDArray[np.int64]:
    """Return the number of the image of each trial, -1 for none.

    Raises
    ------
    StimulusNotFoundError
        If the trials do not name images.
    """
    stimulus = str(dataset.attrs.get("stimulus_name", "") or "another stimulus")
    if FRAME in dataset.coords and dataset[FRAME].dims == (TRIAL,):
        values = pd.to_numeric(pd.Series(dataset[FRAME].to_numpy()), errors="coerce").to_numpy(float)
    elif dataset.attrs.get("target") == FRAME and dataset[TARGET].dtype.kind in "iu":
        values = dataset[TARGET].to_numpy().astype(float)
    else:
        raise StimulusNotFoundError(
            f"expected trials that name an image ({FRAME!r}), these are of {stimulus} and do not. "
            "Choose --stimulus natural_scenes."
        )
    return np.where(np.isfinite(values), values, -1).astype(np.int64)


def doubt_of_numbers(dataset: xr.Dataset, images: xr.DataArray) -> str:
    """Say how images that have no numbers were counted, where they are not just the frames that are shown; else "".

    Parameters
    ----------
    dataset, images
        As for `scene_trials`.
    """
    if images.attrs.get(IS_NUMBERED, True):
        return ""
    shown, counted = np.unique(frames_of(dataset)), images[FRAME].to_numpy()
    shown = shown[shown >= 0]
    if np.array_equal(shown, counted) or not len(shown):
        return ""
    unseen = np.setdiff1d(counted, shown)
    listed = ", ".join(str(number) for number in unseen[:5]) + (" ..." if len(unseen) > 5 else "")
    which = f" (not {listed})" if len(unseen) else ""
    return (
        f"the images have no frame numbers and are taken as frames 0 to {len(counted) - 1}: "
        f"{len(counted) - len(unseen)} of {len(counted)} images are shown{which}, the trials show "
        f"{len(shown)} frames from {shown[0]} to {shown[-1]}. If they are numbered otherwise, give an .npz stack with "
        f"their numbers as {FRAME!r}"
    )


def _check_distinct(images: xr.DataArray) -> None:
    """Refuse two frames with one picture: it would not be held out when one of them is."""
    first: dict[bytes, int] = {}
    for frame, image in zip(images[FRAME].to_numpy().tolist(), images.to_numpy(), strict=True):
        known = first.setdefault(sha256(image.tobytes()).digest(), frame)
        if known != frame:
            raise DataError(
                f"expected another image for each frame, {known} and {frame} are the same, so that neither can be held "
                "out. Check the files that --images names."
            )


def _smaller(images: xr.DataArray, longest_side: int) -> tuple[Floats, Floats, Floats]:
    """Average images over areas, and the degrees of their pixels with them."""
    values = images.to_numpy().astype(float)
    shape = np.array(values.shape[1:])
    wanted = np.maximum(2, np.round(shape * min(1.0, longest_side / shape.max()))).astype(int)
    x, y = (images[name].to_numpy().astype(float) if name in images.coords else np.arange(n, dtype=float)
            for name, n in ((AZIMUTH, shape[1]), (ELEVATION, shape[0])))  # fmt: skip
    if (wanted == shape).all():
        return values, x, y
    from skimage import transform

    average: Any = transform.resize_local_mean
    small = np.stack([average(image, tuple(wanted)) for image in values])
    return small, average(x, (wanted[1],)), average(y, (wanted[0],))

"""Maps of units over images: a signed filter on pixels, and a map of where contrast matters.

A simple cell answers to pixels, with a sign at each place; a complex cell answers to contrast of either sign, and has
no signed filter (its spike-triggered average is nothing). So each unit gets two maps by the same regression, one on
pixels, one on local contrast. Natural images are alike at neighbouring pixels, and there are few of them: 118 images
span 118 dimensions of some thousand pixels, so that no method finds a filter's part outside of those.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from spikesight.receptive_fields.centres import centres_of_maps
from spikesight.receptive_fields.cosine_prior import cosine_prior
from spikesight.receptive_fields.image_folds import ImageKFold, inner_image_folds
from spikesight.receptive_fields.regression import FittedRegression, correlate_columns, fit_regression
from spikesight.receptive_fields.scene_trials import SceneTrials
from spikesight.receptive_fields.significance import N_SHUFFLES, permutation_p_values
from spikesight.tracking.progress import Progress, Silent

Floats = NDArray[np.float64]

KINDS: Final = ("pixels", "contrast")
CONTRAST_WIDTH: Final = 1 / 24
"""Standard deviation of the Gaussian in which contrast is local, in parts of an image's longer side."""
TASK: Final = "receptive fields"


def local_contrast(images: Floats) -> Floats:
    """Return the standard deviation of each pixel's neighbourhood, shape (n, rows, columns)."""
    width = CONTRAST_WIDTH * max(images.shape[1:])
    along = (0.0, width, width)
    detail = images - gaussian_filter(images, along)
    return np.asarray(np.sqrt(gaussian_filter(detail**2, along)))


def predictors_of(images: Floats, kind: str) -> Floats:
    """Return what a map of that kind is multiplied by: the images, or their local contrast."""
    return images if kind == "pixels" else local_contrast(images)


def fit_maps(images: Floats, responses: Floats, prior: str, seed: int) -> tuple[Floats, FittedRegression]:
    """Fit a map for every unit on training images, the strength of the prior chosen on folds over them.

    Parameters
    ----------
    images
        Predictors, shape (n_images, rows, columns).
    responses
        Mean response to each, shape (n_images, n_units).
    prior, seed
        See `cosine_prior`; seed of the inner folds.

    Returns
    -------
    maps, regression
        Shape (n_units, rows, columns); the regression on cosines that they came from.
    """
    belief = cosine_prior((images.shape[1], images.shape[2]), prior)
    predictors = belief.to_cosines(images)
    fitted = fit_regression(predictors, responses, inner_image_folds(np.arange(len(images)), seed))
    return belief.to_maps(fitted.weights.T), fitted


def scene_maps(
    trials: SceneTrials,
    *,
    prior: str = "smooth",
    n_splits: int = 5,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Map every unit over the images it was shown.

    Parameters
    ----------
    trials
        From `scene_trials`.
    prior
        ``"smooth"`` or ``"ridge"``.
    n_splits, seed
        Folds over images on which predictions are scored; seed of their order and of the shuffles.
    n_shuffles
        Of the test of whether a unit's counts depend on the image, see `spikesight.receptive_fields.significance`.
    progress
        Hears how many fits are finished.

    Returns
    -------
    xarray.Dataset
        ``receptive_field`` (unit, y, x) on pixels, spikes per presentation and unit of contrast, and ``contrast_map``
        (unit, y, x), both from all images; along unit ``held_out_r`` and ``contrast_held_out_r`` (correlation of the
        predicted with the mean response over images, each image predicted from folds without it), ``centre_x``,
        ``centre_y`` and ``size`` of the map that predicts better, ``by`` (which one it is), ``strength``,
        ``contrast_strength``, ``p_value``.

    Raises
    ------
    DataError
        If there are fewer images than folds.
    """
    progress = progress or Silent()
    responses = trials.mean_counts()
    rows = np.arange(trials.n_images)
    folds = list(ImageKFold(n_splits, seed).split(None, groups=rows))
    found: dict[str, Any] = {}
    n_steps = len(KINDS) * (n_splits + 1)
    for number, kind in enumerate(KINDS):
        predictors, predicted = predictors_of(trials.images, kind), np.zeros_like(responses)
        for fold, (train, test) in enumerate(folds):
            maps, _ = fit_maps(predictors[train], responses[train], prior, seed)
            change = predictors[test] - predictors[train].mean(0)
            predicted[test] = np.einsum("iyx,uyx->iu", change, maps, optimize=True)
            progress.advance(TASK, number * (n_splits + 1) + fold + 1, n_steps)
        maps, fitted = fit_maps(predictors, responses, prior, seed)
        progress.advance(TASK, (number + 1) * (n_splits + 1), n_steps)
        found[kind] = (maps, fitted.strength, correlate_columns(predicted, responses))
    p_values = permutation_p_values(trials.counts.sum(1), trials.code, trials.blocks, n_shuffles=n_shuffles, seed=seed)
    attrs = {"prior": prior, "n_splits": n_splits, "n_shuffles": n_shuffles, "seed": seed}
    return _as_dataset(found, trials, attrs).assign({"p_value": ("unit", p_values)})


def _as_dataset(
    found: Mapping[str, tuple[Floats, Floats, Floats]], trials: SceneTrials, attrs: dict[str, Any]
) -> xr.Dataset:
    pixels, contrast = found["pixels"], found["contrast"]
    by_pixels = pixels[2] >= contrast[2]
    better = np.where(by_pixels[:, None, None], np.abs(pixels[0]), contrast[0])
    centres = centres_of_maps(better, trials.x, trials.y, smoothing=max(better.shape[1:]) / 24)
    measure = {"units": "degrees" if trials.in_degrees else "pixels"}
    return xr.Dataset(
        {
            "receptive_field": (("unit", "y", "x"), pixels[0]),
            "contrast_map": (("unit", "y", "x"), contrast[0]),
            "centre_x": ("unit", centres["x"].to_numpy()),
            "centre_y": ("unit", centres["y"].to_numpy()),
            "size": ("unit", centres["size"].to_numpy()),
            "by": ("unit", np.where(by_pixels, *KINDS)),
            "held_out_r": ("unit", pixels[2]),
            "contrast_held_out_r": ("unit", contrast[2]),
            "strength": ("unit", pixels[1]),
            "contrast_strength": ("unit", contrast[1]),
        },
        coords={"x": ("x", trials.x, measure), "y": ("y", trials.y, measure)},
        attrs={"stimulus_name": "natural_scenes", "n_images": trials.n_images, "n_trials": len(trials.code), **attrs},
    )

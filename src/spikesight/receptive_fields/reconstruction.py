"""How near reconstructions of images never seen in training come to them, beside a shuffled baseline."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import DataError, UnknownNameError
from spikesight.receptive_fields.image_folds import ImageKFold
from spikesight.receptive_fields.neural_images import METHODS, fit_reconstruction, fit_scaling
from spikesight.receptive_fields.regression import correlate_rows
from spikesight.receptive_fields.scene_trials import SceneTrials, average_rows
from spikesight.statistics import block_bootstrap
from spikesight.tracking.progress import Progress, Silent

Floats = NDArray[np.float64]

TASK: Final = "reconstruction"
MEASURES: Final = ("pixel_r", "ssim")
_WINDOW: Final = 7
"""Side of the window of SSIM, pixels."""


class Reconstructions(NamedTuple):
    """Held-out reconstructions and their scores.

    Attributes
    ----------
    images
        Method -> reconstruction of every image, each by a fit that never saw it, shape (n_images, rows, columns).
    scores
        One row per method and image: ``method``, ``frame``, ``fold``, ``n_candidates``, ``pixel_r``, ``ssim``, and
        ``pixel_r_shuffled``, ``ssim_shuffled``: the same against each other test image of the fold, averaged.
        The mean training image is taken away before pixels are correlated: what images have in common earns nothing.
    """

    images: dict[str, Floats]
    scores: pd.DataFrame


def reconstruct_images(
    trials: SceneTrials,
    methods: Sequence[str] = METHODS,
    *,
    n_splits: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reconstructions:
    """Reconstruct every image from the mean response to it, fitted on the other folds' images.

    Parameters
    ----------
    trials
        From `scene_trials`.
    methods
        Some of ``METHODS``.
    n_splits, seed
        Folds over images; seed of their order, inner folds and networks.
    progress
        Hears how many fits are finished.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    DataError
        If there are fewer than two test images in a fold, or images are smaller than SSIM's window.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise UnknownNameError("method of reconstruction", unknown[0], METHODS)
    if min(trials.images.shape[1:]) < _WINDOW:
        raise DataError(f"expected images of {_WINDOW} pixels a side or more, got {trials.images.shape[1:]}.")
    if trials.n_images < 2 * n_splits:
        raise DataError(f"expected at least two images in each of {n_splits} folds, got {trials.n_images} images.")
    progress = progress or Silent()
    counts = trials.counts.sum(1)
    images = {method: np.zeros_like(trials.images) for method in methods}
    parts = []
    for fold, (train, test) in enumerate(ImageKFold(n_splits, seed).split(None, groups=trials.code)):
        shown, code = np.unique(trials.code[train], return_inverse=True)
        asked, test_code = np.unique(trials.code[test], return_inverse=True)
        scaling = fit_scaling(counts[train])
        answers = average_rows(scaling(counts[test]), test_code, len(asked))
        for number, method in enumerate(methods):
            known = trials.images[shown]
            fitted = fit_reconstruction(method, scaling(counts[train]), code, known, seed)
            images[method][asked] = add_to_mean(fitted(answers), known)
            table = _scores(images[method][asked], trials.images[asked], known)
            parts.append(table.assign(method=method, frame=trials.frames[asked], fold=fold, n_candidates=len(asked)))
            progress.advance(TASK, fold * len(methods) + number + 1, n_splits * len(methods))
    return Reconstructions(images, pd.concat(parts, ignore_index=True))


def add_to_mean(change: Floats, known: Floats) -> Floats:
    """Add reconstructed changes to the mean training image, as large as those of training images are on average.

    Ridge shrinks towards the mean and a neural image has no scale of its own; SSIM sees contrast.
    """
    average = known.mean(0)
    spread = np.sqrt((change**2).mean((1, 2), keepdims=True))
    unit = np.divide(change, spread, out=np.zeros_like(change), where=spread > 1e-12)
    return np.asarray(average + (known - average).std((1, 2)).mean() * unit)


def summarise_reconstruction(scores: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Mean scores of each method with 95 % bootstrap intervals over images.

    Returns
    -------
    DataFrame
        One row per method and measure: ``mean``, ``low``, ``high``, ``shuffled`` (the baseline's mean), ``gain``,
        ``gain_low``, ``gain_high`` (paired difference from the baseline), ``n_images``.
    """
    rows = []
    for method, own in scores.groupby("method", sort=False):
        for measure in MEASURES:
            values = own[measure].to_numpy(float)
            gain = values - own[f"{measure}_shuffled"].to_numpy(float)
            low, high = block_bootstrap(values, run_length=1, seed=seed, extremes=(-1.0, 1.0))
            gain_low, gain_high = block_bootstrap(gain, run_length=1, seed=seed, extremes=(-2.0, 2.0))
            rows.append(
                {
                    **{"method": method, "measure": measure, "mean": values.mean(), "low": low, "high": high},
                    **{"shuffled": own[f"{measure}_shuffled"].mean(), "gain": gain.mean()},
                    **{"gain_low": gain_low, "gain_high": gain_high, "n_images": len(own)},
                }
            )
    return pd.DataFrame(rows)


def _scores(reconstructed: Floats, images: Floats, known: Floats) -> pd.DataFrame:
    """Score each reconstruction against its own image and against each other one of the fold."""
    from skimage import metrics

    structural_similarity: Any = metrics.structural_similarity
    n, average, data_range = len(images), known.mean(0), float(np.ptp(known))
    correlation = correlate_rows(*((stack - average).reshape(n, -1) for stack in (reconstructed, images)))
    similarity = np.zeros((n, n))
    for guess in range(n):
        for image in range(n):
            pair = reconstructed[guess], images[image]
            similarity[guess, image] = structural_similarity(*pair, win_size=_WINDOW, data_range=data_range)
    others = ~np.eye(n, dtype=bool)
    return pd.DataFrame(
        {
            "pixel_r": np.diag(correlation),
            "ssim": np.diag(similarity),
            "pixel_r_shuffled": correlation.mean(1, where=others),
            "ssim_shuffled": similarity.mean(1, where=others),
        }
    )

"""Which of the images that were never seen in training was it? Ranks of the right one among all held-out ones.

Either features are predicted from the responses and compared with each candidate's, or responses are predicted from
each candidate's features and compared with those that came (identification, Kay et al. 2008, Nature 452:352).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import DataError, UnknownNameError
from spikesight.receptive_fields.gabor_pyramid import GaborPyramid
from spikesight.receptive_fields.image_folds import ImageKFold, inner_image_folds
from spikesight.receptive_fields.neural_images import fit_scaling
from spikesight.receptive_fields.regression import correlate_rows, fit_regression
from spikesight.receptive_fields.scene_trials import SceneTrials, average_rows
from spikesight.statistics import block_bootstrap
from spikesight.tracking.progress import Progress, Silent

Floats = NDArray[np.float64]

DIRECTIONS: Final = ("responses", "features")
TOP: Final = (1, 5)
TASK: Final = "retrieval"
_FLOOR: Final = 0.05
"""Least standard deviation that a unit's or a feature's mean response is divided by, in parts of the median."""


def retrieve_images(
    trials: SceneTrials,
    features: Floats | None = None,
    *,
    direction: str = "responses",
    n_splits: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Rank the right image among those held out together with it.

    Parameters
    ----------
    trials
        From `scene_trials`.
    features
        Of the images, in the order of ``trials.images``, shape (n_images, n_features); by default the energies of a
        `GaborPyramid`.
    direction
        ``"responses"``: predict the responses to every candidate from its features. ``"features"``: predict features
        from responses.
    n_splits, seed
        Folds over images; seed of their order.
    progress
        Hears how many folds are finished.

    Returns
    -------
    DataFrame
        Rows by ``query``: ``"mean"``, one per image, from its mean response; and ``"trial"``, one per presentation.
        Columns ``frame``, ``fold``, ``n_candidates``, ``rank`` (1 = the right image is the most similar; ties
        share their mean rank).

    Raises
    ------
    DataError
        If features do not fit the images, or there are fewer than two images in each fold.
    UnknownNameError
        If there is no such direction.
    """
    if direction not in DIRECTIONS:
        raise UnknownNameError("direction", direction, DIRECTIONS)
    features = GaborPyramid().transform(trials.images) if features is None else np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) != trials.n_images or not np.isfinite(features).all():
        raise DataError(
            f"expected finite features ({trials.n_images} images, features), got an array of shape {features.shape}."
        )
    if trials.n_images < 2 * n_splits:
        raise DataError(f"expected at least two images in each of {n_splits} folds, got {trials.n_images} images.")
    progress = progress or Silent()
    counts, parts = trials.counts.sum(1), []
    for fold, (train, test) in enumerate(ImageKFold(n_splits, seed).split(None, groups=trials.code)):
        asked, test_code = np.unique(trials.code[test], return_inverse=True)
        shown, code = np.unique(trials.code[train], return_inverse=True)
        scaling = fit_scaling(counts[train])
        means = average_rows(scaling(counts[train]), code, len(shown))
        answers = scaling(counts[test])
        queries = {"mean": (average_rows(answers, test_code, len(asked)), np.arange(len(asked))),
                   "trial": (answers, test_code)}  # fmt: skip
        compare = _fit_comparison(direction, features[shown], means, features[asked], seed)
        for query, (rows, own) in queries.items():
            ranks = _ranks(compare(rows), own)
            table = pd.DataFrame({"query": query, "frame": trials.frames[asked[own]], "fold": fold, "rank": ranks})
            parts.append(table.assign(n_candidates=len(asked)))
        progress.advance(TASK, fold + 1, n_splits)
    return pd.concat(parts, ignore_index=True)


def summarise_retrieval(ranks: pd.DataFrame, *, n_resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Top-1, top-5 and median rank with 95 % bootstrap intervals over images, and exact chance.

    Returns
    -------
    DataFrame
        One row per query and measure (``top-1``, ``top-5``, ``median rank``): ``value``, ``low``, ``high``, ``chance``
        (of a uniformly random order of the candidates), ``n_images``, ``n_queries``, ``n_candidates`` (mean).
    """
    rows = []
    for query, own in ranks.groupby("query", sort=False):
        n = own["n_candidates"].to_numpy(float)
        shared = {"query": query, "n_images": own["frame"].nunique(), "n_queries": len(own), "n_candidates": n.mean()}
        for top in TOP:
            hit = own["rank"] <= top
            by_image = hit.groupby(own["frame"]).mean().to_numpy(float)
            low, high = block_bootstrap(by_image, run_length=1, n_resamples=n_resamples, seed=seed)
            rows.append({**shared, "measure": f"top-{top}", "value": hit.mean(), "low": low, "high": high,
                         "chance": float(np.minimum(top / n, 1.0).mean())})  # fmt: skip
        low, high = _median_interval(own, n_resamples, seed)
        rows.append({**shared, "measure": "median rank", "value": own["rank"].median(), "low": low, "high": high,
                     "chance": float(_median_of_uniform(n.astype(int)))})  # fmt: skip
    return pd.DataFrame(rows)


def _fit_comparison(
    direction: str, features: Floats, responses: Floats, candidates: Floats, seed: int
) -> Callable[[Floats], Floats]:
    """Return what compares responses (n, n_units) with candidates: similarities (n, n_candidates)."""
    folds = inner_image_folds(np.arange(len(features)), seed)
    mean, scale = features.mean(0), _floored(features.std(0))
    known, others = (features - mean) / scale, (candidates - mean) / scale
    if direction == "features":
        to_features = fit_regression(responses, known, folds, shared=True)
        return lambda rows: correlate_rows(to_features.predict(rows), others)
    to_responses = fit_regression(known, responses, folds)
    # Units count by how well they were predicted on inner folds, in standard deviations of their mean responses.
    weight = np.maximum(to_responses.inner_r, 0.0) / _floored(responses.std(0))
    average = responses.mean(0)
    expected = (to_responses.predict(others) - average) * weight
    return lambda rows: correlate_rows((rows - average) * weight, expected)


def _floored(scale: Floats) -> Floats:
    return np.maximum(scale, max(_FLOOR * float(np.median(scale)), 1e-12))


def _ranks(similarity: Floats, own: NDArray[np.intp]) -> Floats:
    right = similarity[np.arange(len(own)), own][:, None]
    return np.asarray(1 + (similarity > right).sum(1) + ((similarity == right).sum(1) - 1) / 2)


def _median_interval(ranks: pd.DataFrame, n_resamples: int, seed: int) -> tuple[float, float]:
    """Percentile interval of the median rank, images drawn with all of their queries."""
    by_image = [own.to_numpy(float) for _, own in ranks["rank"].groupby(ranks["frame"])]
    rng = np.random.default_rng(seed)
    medians = [
        np.median(np.concatenate([by_image[image] for image in rng.integers(0, len(by_image), len(by_image))]))
        for _ in range(n_resamples)
    ]
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)


def _median_of_uniform(n_candidates: NDArray[np.integer]) -> float:
    """Return the median of ranks each drawn from 1 ... n; where two ranks share it, what lies between them."""
    ranks = np.arange(1, n_candidates.max() + 1)
    reached = np.minimum(ranks[:, None] / n_candidates[None, :], 1.0).mean(1)
    return float(ranks[np.searchsorted(reached, [0.5 - 1e-12, 0.5 + 1e-12])].mean())

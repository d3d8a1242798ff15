"""Folds over images: a test image is never seen in training, in none of its presentations.

Folds over trials would not do here. With them the decoder has seen the very image, with other noise, and reconstruction
or retrieval is no more than recognising it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight.errors import ConfigError, DataError
from spikesight.splits import Fold

INNER_SPLITS = 4
"""Folds over the training images, on which strengths are chosen."""


@dataclass(frozen=True)
class ImageKFold:
    """Split rows by the image shown; images are shared out among the folds in a random order.

    Parameters
    ----------
    n_splits
        Number of folds, at least 2.
    seed
        Of the order of the images.
    """

    n_splits: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse fewer than two folds (``ConfigError``)."""
        if self.n_splits < 2:
            raise ConfigError(f"expected at least 2 folds over images, got {self.n_splits}.")

    def split(self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Iterator[Fold]:
        """Yield the training rows and the test rows of each fold.

        Parameters
        ----------
        X, y
            Not used.
        groups
            Number of the image of each row, shape (n_rows,).

        Raises
        ------
        DataError
            If images are not given, or there are fewer than folds.
        """
        if groups is None:
            raise DataError("folds over images need the number of the image of each row as groups, got None.")
        frames = np.asarray(groups)
        fold_of_row = self._fold_of_rows(frames)
        for fold in range(self.n_splits):
            yield np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)

    def get_n_splits(self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> int:
        """Count the folds."""
        return self.n_splits

    def _fold_of_rows(self, frames: NDArray[Any]) -> NDArray[np.intp]:
        images, code = np.unique(frames, return_inverse=True)
        if len(images) < self.n_splits:
            raise DataError(f"expected at least as many images as folds ({self.n_splits}), got {len(images)}.")
        order = np.random.default_rng(self.seed).permutation(len(images))
        folds = np.empty(len(images), np.intp)
        folds[order] = np.arange(len(images)) * self.n_splits // len(images)
        return np.asarray(folds[code])


def inner_image_folds(frames: ArrayLike, seed: int) -> list[Fold]:
    """Folds among training rows, over their images, on which strengths are chosen.

    Parameters
    ----------
    frames
        Number of the image of each training row.
    seed
        Of the order of the images.
    """
    n_images = len(np.unique(np.asarray(frames)))
    return list(ImageKFold(min(INNER_SPLITS, n_images), seed).split(None, groups=frames))

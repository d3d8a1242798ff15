"""The reference that every decoder must beat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesight.decoders.base import Codes, Floats, ProbabilisticDecoder


class Chance(ProbabilisticDecoder):
    """Answer with the most frequent class of the training trials, and with class frequencies as probabilities.

    Attributes
    ----------
    frequencies_ : ndarray of shape (n_classes,)
        Share of each class in the training trials.
    """

    def __sklearn_tags__(self):  # type: ignore[no-untyped-def]
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _fit(self, trials: NDArray[Any], codes: Codes) -> None:
        self.frequencies_ = np.bincount(codes) / len(codes)

    def _scores(self, trials: NDArray[Any]) -> Floats:
        return np.tile(np.log(self.frequencies_), (len(trials), 1))

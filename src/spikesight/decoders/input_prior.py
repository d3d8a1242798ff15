"""What class means and residuals of the training trials tell a network before it is trained.

Decoding a hundred stimuli from a thousand neurons with forty repeats each, a network that starts from nothing learns
the noise. ``fa-lda`` does not, for three reasons, which serve a network as well: it sees the inputs in coordinates in
which what neurons share from trial to trial is whitened; it trusts units by how strongly stimuli drive them; and it
learns which classes are alike.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from spikesight.decoders.base import Codes, Floats
from spikesight.decoders.class_means import learn_signal
from spikesight.decoders.factor_noise import FactorNoise

_LEAST_STRENGTH = 0.02
"""Floor of a unit's signal, as a share of the mean over units: a network may find what a class mean does not show."""
_LEAST_PATTERN = 1e-3
"""Floor of a pattern's variance over classes, as a share of the largest."""


@dataclass(frozen=True)
class InputPrior:
    """A linear map of inputs and one of scores; both are fixed while the network between them is trained.

    Parameters
    ----------
    noise
        Noise of the standardised counts.
    gain
        Signal of each column in whitened coordinates, as a standard deviation; its mean square is 1. (n_columns,).
    patterns
        Symmetric root of the covariance over classes, (n_classes, n_classes).
    """

    noise: FactorNoise
    gain: Floats
    patterns: Floats

    @classmethod
    def none(cls, n_columns: int, n_classes: int) -> Self:
        """Return the prior that knows nothing and leaves everything as it is."""
        return cls(
            FactorNoise(np.ones(n_columns), np.zeros((n_columns, 0)), np.zeros(0)),
            np.ones(n_columns),
            np.eye(n_classes),
        )

    @classmethod
    def fit(cls, rows: NDArray[np.floating], codes: Codes, n_classes: int, q: int, seed: int) -> Self:
        """Learn from standardised training trials.

        Parameters
        ----------
        rows
            ``(n_trials, n_columns)``.
        codes
            Class of each trial.
        n_classes
            Number of classes; one without a trial counts as one that drives no unit.
        q
            Number of noise factors.
        seed
            Of the randomised SVD.
        """
        counted = np.bincount(codes, minlength=n_classes)
        members = csr_array((np.ones(len(rows), rows.dtype), (codes, np.arange(len(rows)))), (n_classes, len(rows)))
        sums, n_trials = np.asarray(members @ rows, np.float64), np.maximum(counted, 1.0)
        centre = sums.sum(axis=0) / len(rows)
        means = np.where(counted[:, None] > 0, sums / n_trials[:, None], centre)
        residuals = rows - means.astype(rows.dtype)[codes]
        noise = FactorNoise.fit(residuals, max(len(rows) - n_classes, 1), q, seed)
        signal = learn_signal(noise.whiten(means - centre), n_trials)
        gain = np.sqrt(np.maximum(signal.strength, _LEAST_STRENGTH * signal.strength.mean()))
        variances, axes = np.linalg.eigh(signal.covariance)
        patterns = (axes * np.sqrt(np.maximum(variances, _LEAST_PATTERN * variances.max()))) @ axes.T
        scale = np.sqrt((patterns**2).sum(axis=0).mean())
        return cls(noise, gain / np.sqrt((gain**2).mean()), patterns / scale)

    def apply(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return ``rows`` (n_trials, n_columns) whitened and weighted, in their precision."""
        noise = FactorNoise(
            *(part.astype(rows.dtype) for part in (self.noise.private, self.noise.axes, self.noise.shared))
        )
        white = noise.whiten(rows)
        white *= self.gain.astype(rows.dtype)
        return white

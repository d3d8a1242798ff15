"""What all encoders share: square roots, z-scores, one row a bin, and their input and output of three dimensions."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from spikesight.preprocessing import anscombe, restore_shape, standardise, validate_trials

Floats = NDArray[np.float64]

N_COMPONENTS = 64
"""Default number of components, of every encoder alike; at most as many as there are units are made."""


class Encoder(TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A transformer of trials of spike counts: ``(n_trials, n_bins, n_units)`` to ``(n_trials, n_bins, n_components)``.

    Every bin of every trial is a row of its own, and all bins are encoded alike. Rows are square-root counts, z-scored
    with the training rows' means and standard deviations. Subclasses write ``_learn`` and ``_encode``. Everything that
    ``_learn`` leaves is an array, a plain value or ``network_``, so that an encoder can be stored without pickle.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_units,)
        Mean of the square-root counts of the training rows and standard deviation, the latter at least ``floor``.
    n_components_ : int
        Components that are made.
    n_bins_, n_units_ : int
        Shape of a trial.
    """

    floor: float

    needs_labels: ClassVar[bool] = False
    """Whether ``fit`` asks for labels. They are then those of training trials, as everything that ``fit`` is given."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn from training trials.

        Parameters
        ----------
        X
            Spike counts, ``(n_trials, n_bins, n_units)`` or ``(n_trials, n_units)``.
        y
            Labels, ``(n_trials,)``; looked at by encoders that need them and by no others.

        Raises
        ------
        ValueError
            If a value is not finite or negative, or shapes disagree.
        ConfigError
            If a parameter makes no sense.
        """
        trials = validate_trials(self, X, reset=True, non_negative=True)
        rows = anscombe(trials).reshape(-1, self.n_units_)
        self.mean_, self.scale_ = standardise(rows, self.floor)
        self._learn(rows, trials, y)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Return the components of trials, ``(n_trials, n_bins, n_components)``; flat if ``X`` was."""
        check_is_fitted(self)
        trials = validate_trials(self, X, reset=False, non_negative=True)
        rows = anscombe(trials).reshape(-1, self.n_units_)
        rows -= self.mean_
        rows /= self.scale_
        components = np.asarray(self._encode(rows), np.float64)
        return restore_shape(components.reshape(len(trials), self.n_bins_, -1), X)

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    @abstractmethod
    def _learn(self, rows: Floats, trials: NDArray[Any], y: ArrayLike | None) -> None:
        """Learn from standardised rows (n_trials * n_bins, n_units) and the counts behind them; set n_components_."""

    @abstractmethod
    def _encode(self, rows: Floats) -> NDArray[Any]:
        """Return the components of standardised rows, (n_rows, n_components_)."""

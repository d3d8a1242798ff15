"""The reference on simulated data: a decoder that knows the tuning and the gain model, and learns nothing."""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from spikesight.data.simulation.behaviour import STATE_BIN
from spikesight.data.simulation.schedule import EVENT_SECONDS
from spikesight.data.simulation.truth import GroundTruth
from spikesight.decoders.base import Codes, Floats, ProbabilisticDecoder

REFINED: Final = 10
"""So many of the best classes of each trial get a gain estimate of their own."""
STEPS: Final = 6
"""Newton steps of an estimate of the gain."""
LARGEST_STEP: Final = 2.0
SMALLEST_DISPERSION: Final = 1e-6


class Oracle(ProbabilisticDecoder):
    """Likelihood of the counts under known expected counts, with the shared gain marginalised.

    The count of unit ``u`` in a trial of class ``c`` is Poisson with mean ``expected[c, :, u] * gain[u]``; the log gain
    is ``gain_mean[u] + gain_loadings[u] @ z`` with ``z`` standard normal, shared by all units and bins of the trial,
    and integrated out by Laplace's method (with half a dozen factors, a grid fine enough for hundreds of units would
    need millions of points). Each unit's own fluctuation of gain is Gamma-distributed with variance ``dispersion[u]``,
    which makes its counts negative binomial. Nothing is fitted: ``fit`` only notes which classes there are.

    It is a reference, not an upper bound. Not known to it are: which scene was shown before (its late response enters
    by its mean), where slow drift stands (counted as dispersion), refractoriness (counts vary a little less than
    Poisson) and couplings beyond mean rates; running is taken to be Gaussian. A decoder that learns these may come
    close to it or, near 100 %, pass it by a little.

    Several bins: expected counts of each bin, one gain for all bins of a trial.

    Parameters
    ----------
    expected_counts
        Spikes expected at gain 1, shape (n_classes, n_bins, n_units).
    classes
        Label of each row of ``expected_counts``, ascending.
    gain_loadings
        Shape (n_units, n_factors); None = the gain is 1.
    gain_mean
        Shape (n_units,); None = 0.
    dispersion
        Variance of each unit's own gain, shape (n_units,); None = 0, plain Poisson.
    """

    def __init__(
        self,
        expected_counts: Floats,
        classes: NDArray[np.generic],
        gain_loadings: Floats | None = None,
        gain_mean: Floats | None = None,
        dispersion: Floats | None = None,
    ) -> None:
        self.expected_counts = expected_counts
        self.classes = classes
        self.gain_loadings = gain_loadings
        self.gain_mean = gain_mean
        self.dispersion = dispersion

    @classmethod
    def from_truth(cls, truth: GroundTruth, unit_ids: NDArray[np.integer] | None = None, n_bins: int = 1) -> Self:
        """Build the oracle of a simulated session for these units (all if None), for natural scenes in ``n_bins`` bins.

        Raises
        ------
        StimulusNotFoundError
            If the session has no natural scenes.
        UnitIdsError
            If a unit was not simulated.
        """
        rows = truth.rows(unit_ids)
        # Over a presentation, the slow variables count by their mean.
        window = round(EVENT_SECONDS / STATE_BIN)
        summed = np.cumsum(truth.gain_states, axis=0)
        states = (summed[window:] - summed[:-window]) / window
        spread = np.linalg.cholesky(np.cov(states.T) + 1e-9 * np.eye(states.shape[1]))
        ratio = EVENT_SECONDS / truth.private_seconds
        averaged = 2 / ratio**2 * (ratio - 1 + np.exp(-ratio))
        log_variance = averaged * truth.gain_private[rows] ** 2 + np.log(truth.drift[:, rows]).var(0)
        return cls(
            truth.expected_counts(unit_ids, n_bins),
            truth.frames,
            truth.gain_loadings[rows] @ spread,
            truth.gain_loadings[rows] @ states.mean(0) + truth.gain_offset[rows],
            np.expm1(log_variance),
        )

    def _fit(self, trials: Floats, codes: Codes) -> None:
        expected, known = np.asarray(self.expected_counts, np.float64), np.asarray(self.classes)
        if trials.shape[1:] != expected.shape[1:]:
            raise ValueError(
                f"expected trials of {expected.shape[1]} bins x {expected.shape[2]} units, as the expected counts "
                f"have, got {trials.shape[1]} x {trials.shape[2]}."
            )
        strangers = np.setdiff1d(self.classes_, known)
        if strangers.size:
            raise ValueError(f"expected only classes that the truth knows; it does not know {strangers[:10].tolist()}.")
        rows = np.searchsorted(known, self.classes_)
        self.expected_ = np.maximum(expected[rows], 1e-9)
        n_units = expected.shape[2]
        loadings = np.zeros((n_units, 1)) if self.gain_loadings is None else np.asarray(self.gain_loadings, np.float64)
        mean = np.zeros(n_units) if self.gain_mean is None else np.asarray(self.gain_mean, np.float64)
        dispersion = np.zeros(n_units) if self.dispersion is None else np.asarray(self.dispersion, np.float64)
        self.loadings_, self.log_gain_ = loadings, mean
        self.dispersion_ = np.maximum(dispersion, SMALLEST_DISPERSION)

    def _scores(self, trials: Floats) -> Floats:
        counts, totals = trials.sum(1), self.expected_.sum(1)
        by_bin = np.tensordot(trials, np.log(self.expected_), axes=((1, 2), (1, 2)))
        common = np.broadcast_to(totals.mean(0), counts.shape)
        start, penalty = self._estimate(counts, common, np.zeros((len(counts), self.loadings_.shape[1])))
        gain = self.log_gain_ + start @ self.loadings_.T
        scores = np.empty((len(counts), len(totals)))
        for code, expected in enumerate(totals):
            scores[:, code] = by_bin[:, code] + self._given_gain(counts, np.log(expected), gain) + penalty
        every = np.arange(len(counts))
        best = np.argsort(-scores, axis=1)[:, :REFINED]
        for code in best.T:
            at, penalty = self._estimate(counts, totals[code], start)
            gain = self.log_gain_ + at @ self.loadings_.T
            scores[every, code] = by_bin[every, code] + self._given_gain(counts, np.log(totals[code]), gain) + penalty
        return scores

    def _given_gain(self, counts: Floats, log_expected: Floats, gain: Floats) -> Floats:
        """Log-likelihood of each trial's counts at these log gains, without what is the same for all classes.

        The counts' part on the expected counts is added by the caller, who knows the bins.
        """
        spent = np.log1p(self.dispersion_ * np.exp(log_expected + gain)) / self.dispersion_
        return np.asarray((counts * gain - (1 + self.dispersion_ * counts) * spent).sum(1), np.float64)

    def _estimate(self, counts: Floats, expected: Floats, start: Floats) -> tuple[Floats, Floats]:
        """Find each trial's most probable factors, (n_trials, n_factors), and Laplace's term for their uncertainty."""
        n_factors = start.shape[1]
        pairs = (self.loadings_[:, :, None] * self.loadings_[:, None, :]).reshape(len(self.loadings_), -1)
        factors, curvature = start, np.eye(n_factors)
        for _ in range(STEPS):
            mean = expected * np.exp(self.log_gain_ + factors @ self.loadings_.T)
            shrunk = 1 + self.dispersion_ * mean
            slope = ((counts - mean) / shrunk) @ self.loadings_ - factors
            bend = mean * (1 + self.dispersion_ * counts) / shrunk**2
            curvature = (bend @ pairs).reshape(-1, n_factors, n_factors) + np.eye(n_factors)
            step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
            length = np.linalg.norm(step, axis=1, keepdims=True)
            factors = factors + step * np.minimum(1.0, LARGEST_STEP / np.maximum(length, 1e-12))
        _, log_determinant = np.linalg.slogdet(curvature)
        return factors, -0.5 * (factors**2).sum(1) - 0.5 * log_determinant

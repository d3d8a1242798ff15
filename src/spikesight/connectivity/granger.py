"""Conditional Granger causality between all units at once, in closed form.

The count of every unit is regressed on the past of all units. A source matters if its past improves the forecast of the
target beyond the past of all others (Granger 1969; Geweke 1984, conditional form). Products of lagged counts are summed
spike by spike, so that the length of the recording costs little; one solution serves all targets.
"""

from typing import Any, Final

import numpy as np
from scipy import linalg

from spikesight.connectivity.base import (
    ConnectivityEstimator,
    Cost,
    Estimate,
    Floats,
    Running,
    lag_bins,
    peak_over_lags,
)
from spikesight.connectivity.regression_rows import Rows
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.connectivity.stimulus import mean_responses
from spikesight.errors import ConfigError, DataError

_CHUNK: Final = 16_384
"""Bins whose residuals are computed at a time."""
_TINY: Final = 1e-12
"""Variance of a bin's count below which a unit does not vary."""
_FLOPS: Final = 6e10
"""Multiplications and additions a second of products in single precision, on two cores."""


class Granger(ConnectivityEstimator):
    """Conditional Granger causality by vector autoregression of spike counts.

    ``connectivity_`` is Geweke's measure: the logarithm of the target's residual variance without the source's past,
    over that with it (0 or more), with the sign of the coefficient at ``lag_``. ``z_`` is that coefficient over its
    standard error, with the variance of a count in proportion to its expected rate, which changes with the stimulus and
    with slow drifts: rates that change together make the usual standard error too small (as White 1980, but with the
    expected squares of residuals in place of the squares, which are worthless where few spikes coincide).
    Few coincidences are also skewed, as Poisson counts are; the cube root of Wilson and
    Hilferty (1931) makes ``z_`` normal. ``p_values_`` are of the largest ``|z|`` over lags, by Sidak's formula.

    It is conditional: common input from units that were recorded is accounted for, that from hidden ones is not.

    Parameters
    ----------
    max_lag
        Longest lag, s. All lags from one bin to this enter. An effect within the same bin is not seen: choose bins
        shorter than the delays that matter.
    drift
        The mean of every unit in blocks of this length, s, is removed (a baseline of its own for every block): gain
        that units share passes for couplings otherwise. None: one mean for all of the recording. The default was chosen
        on simulated networks under shared gain with time constants of 1 to 10 s.
    stimulus
        As in `ConnectivityEstimator`. The mean response is removed first, then the mean of each block.
    min_spikes
        Units with fewer spikes are left out: their z would not be normal.
    n_shuffles, random_state
        As in `ConnectivityEstimator`.

    Attributes
    ----------
    coefficients_
        Shape (n_lags, n_units, n_units), ``[lag, source, target]``: extra spikes of the target per spike of the source.

    References
    ----------
    Geweke (1984), "Measures of conditional linear dependence and feedback between time series", JASA 79:907.
    Wilson and Hilferty (1931), "The distribution of chi-square", PNAS 17:684.
    White (1980), "A heteroskedasticity-consistent covariance matrix estimator", Econometrica 48:817.
    """

    measure = "Granger causality, ln variance ratio, signed"

    def __init__(
        self,
        max_lag: float = 0.006,
        drift: float | None = 1.0,
        stimulus: str = "auto",
        min_spikes: int = 300,
        n_shuffles: int = 100,
        random_state: int = 0,
    ) -> None:
        self.max_lag = max_lag
        self.drift = drift
        self.stimulus = stimulus
        self.min_spikes = min_spikes
        self.n_shuffles = n_shuffles
        self.random_state = random_state

    def _check(self, trains: SpikeTrains) -> None:
        lag_bins(self.max_lag, trains.bin_size)
        if self.drift is not None and not (np.isfinite(self.drift) and self.drift > 0):
            raise ConfigError(f"expected drift in seconds, above 0, or None, got {self.drift}.")

    def _shortest(self, trains: SpikeTrains) -> int:
        return len(lag_bins(self.max_lag, trains.bin_size)) + 1

    def _cost(self, trains: SpikeTrains) -> Cost:
        n_lags = len(lag_bins(self.max_lag, trains.bin_size))
        width = n_lags * trains.n_units
        pairs = trains.n_spikes.sum() ** 2 / trains.n_bins * (n_lags + 1)
        seconds = 2 * trains.n_bins * width * (width + 2 * trains.n_units) / _FLOPS + 3e-9 * float(pairs)
        matrices = 8 * (3 * (width + trains.n_units) ** 2 + 2 * width * trains.n_units)
        return Cost(seconds, matrices + 4 * _CHUNK * 4 * width + trains.counts.nbytes)

    def _estimate(self, trains: SpikeTrains, running: Running) -> Estimate:
        n_lags, n_units = self._shortest(trains) - 1, trains.n_units
        rows = Rows.of(trains, n_lags, self.drift, mean_responses(trains) if running.remove_psth else None)
        products = rows.products()
        past = products[1:, 1:].transpose(0, 2, 1, 3).reshape(n_lags * n_units, n_lags * n_units)
        onto = products[1:, 0].reshape(n_lags * n_units, n_units)
        inverse = _inverse(past, trains)
        slopes = inverse @ onto
        residual = products[0, 0].diagonal() - (slopes * onto).sum(axis=0)
        variance = _variances(rows, inverse, residual, running)
        z = _without_skewness(slopes / np.sqrt(variance), inverse.diagonal()[:, None] / np.sqrt(variance))
        self.coefficients_ = slopes.reshape(n_lags, n_units, n_units)
        at, peak, p_value = peak_over_lags(z.reshape(n_lags, n_units, n_units))
        weight = np.sign(peak) * _gain(self.coefficients_, inverse, residual)
        return Estimate(weight, peak, p_value, np.asarray((at + 1) * trains.bin_size, np.float64))


def _inverse(past: Floats, trains: SpikeTrains) -> Floats:
    """Return the inverse of the products of the past with itself."""
    ids = trains.units.index.to_numpy()
    one_lag = past[: len(ids), : len(ids)]
    size = np.sqrt(one_lag.diagonal())
    still = ids[size**2 <= _TINY * trains.n_bins]
    if still.size:
        raise DataError(
            f"expected counts that vary about their means; those of units {still[:10].tolist()} do not. Drop them."
        )
    try:
        factor = linalg.cholesky(past, lower=True)
    except linalg.LinAlgError as error:
        likeness = np.abs(one_lag / np.outer(size, size)) - np.eye(len(ids))
        first, second = np.unravel_index(likeness.argmax(), likeness.shape)
        raise DataError(
            "expected units whose pasts differ, and more bins than units times lags; the pasts cannot be told apart. "
            f"Most alike are units {ids[first]} and {ids[second]} (correlation {likeness.max():.3f}): one unit sorted "
            "twice? Drop one, or choose longer periods."
        ) from error
    inverse, failed = linalg.lapack.dpotri(factor, lower=1)
    if failed:
        raise DataError("the products of the units' pasts cannot be inverted; drop units that fire alike.")
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(lower, -1).T, np.float64)


def _variances(rows: Rows, inverse: Floats, residual: Floats, running: Running) -> Floats:
    """Return the variance of every coefficient, (n_lags * n_units, n_units): the variance of a count follows its rate.

    It is the sum over bins of (source's past less what other pasts tell of it)^2 times the variance of the target's
    count, which is its expected rate times what the counts as a whole vary more or less than that.
    """
    partial = inverse.astype(np.float32)
    total, expected_sum = np.zeros((len(inverse), len(residual))), np.zeros(len(residual))
    for done, chunk in enumerate(chunks := np.array_split(rows.bins, max(1, -(-len(rows.bins) // _CHUNK)))):
        past = np.concatenate(rows.values(chunk)[1:], axis=1)
        expected = rows.expected(chunk)
        total += ((past @ partial) ** 2).T @ expected
        expected_sum += expected.sum(axis=0, dtype=np.float64)
        running.progress.advance("granger", done + 1, len(chunks))
    dispersion = residual / (rows.n_free - len(inverse)) * len(rows.bins) / expected_sum
    return np.asarray(total * dispersion, np.float64)


def _without_skewness(z: Floats, skewness: Floats) -> Floats:
    """Turn a standardised Poisson-like sum (a gamma variable of this skewness) into a normal deviate."""
    root = np.cbrt(np.maximum(1 + skewness * z / 2, 0))
    return np.asarray(6 / skewness * (root - 1) + skewness / 6, np.float64)


def _gain(coefficients: Floats, inverse: Floats, residual: Floats) -> Floats:
    """Return ln(residual variance without a source / with it), (source, target), without fitting again.

    Leaving a block of coefficients ``b`` out raises the sum of squares by ``b' (block of the inverse)^-1 b``.
    """
    n_lags, n_units = coefficients.shape[:2]
    blocks = inverse.reshape(n_lags, n_units, n_lags, n_units)
    own: Any = np.einsum("aibi->iab", blocks)
    solved = np.linalg.solve(own, coefficients.transpose(1, 0, 2))
    extra = np.einsum("aij,iaj->ij", coefficients, solved)
    return np.asarray(np.log1p(extra / residual), np.float64)

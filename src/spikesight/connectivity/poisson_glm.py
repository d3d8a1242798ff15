"""Coupled Poisson regression: the rate of each unit given its own past, that of all others, and the stimulus."""

from typing import Final

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from spikesight.connectivity.base import (
    SINK,
    SOURCE,
    ConnectivityEstimator,
    Cost,
    Estimate,
    Floats,
    Running,
    lag_bins,
    peak_over_lags,
)
from spikesight.connectivity.finished import Arrays
from spikesight.connectivity.glm_design import Design, make_design, make_regression
from spikesight.connectivity.glm_solvers import coincidence_z, fit_group_lasso, fit_ridge, standard_errors
from spikesight.connectivity.shares import in_shares
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.data.count_kernels import n_threads
from spikesight.errors import ConfigError

PENALTIES: Final = ("ridge", "group-lasso")
_EVALUATIONS: Final = 6
"""How often the likelihood is evaluated for one target, about."""
_DETAILS: Final = ("weights_", "standard_errors_", "baseline_", "history_", "converged_")


class PoissonGLM(ConnectivityEstimator):
    """Coupled Poisson regression (Truccolo et al. 2005; Pillow et al. 2008).

    The log rate of a target is a baseline, plus a weight for each of its own recent spikes by how long ago they were
    (steps over the bins 1, 2, 3-4, 5-8, 9-16 and so on), plus a weight for each spike of each source at each lag, plus
    what the stimulus explains. ``connectivity_`` is the log-rate weight at ``lag_``, the lag of the strongest evidence
    (group lasso: of the largest weight): a spike of the source multiplies the target's rate by its exponential.

    It is conditional: common input from units that were recorded is accounted for, that from hidden ones is not.
    A row of the regression is a bin whose couplings' lags all lie in its segment; spikes before a segment are unknown
    to history terms, and taken as none.

    ``z_`` and ``p_values_`` of the ridge compare the coincidences of source and target with what is expected when the
    weight is left out, as a Poisson count: at low rates a weight over its standard error is far from normal. They are
    corrected for the choice among lags by Sidak's formula. The group lasso has none (NaN): it chooses sources by the
    same data, which no simple test allows for. Targets whose fit did not converge, or that have fewer spikes than
    couplings into them (sources times lags), have none either: record longer, or fewer units.

    Parameters
    ----------
    min_lag, max_lag
        Shortest and longest lag of the couplings, s. One weight per bin.
    history
        Longest lag of a target's own spikes, s; 0 for no history terms.
    penalty
        ``"ridge"``: a normal prior of mean 0 on each weight. ``"group-lasso"``: all lags of a source are one group,
        which is kept or removed as a whole; weights of removed sources are exactly 0.
    strength
        Ridge: precision (1 / variance) of the prior of a coupling. Group lasso: in units of how far the coincidences of
        a source without influence are from expectation once in a hundred; so 1.0 keeps about one such source in a
        hundred. History terms always have a normal prior of precision 1.
    drift
        Length of the blocks (s) that have a baseline each, so that slow changes of rate are not taken for couplings;
        None for one baseline. Blocks are counted through all segments, laid end to end. Changes within a block remain.
        The default was chosen on simulated networks under shared gain with time constants of 1 to 10 s.
    max_iter
        Largest number of Newton steps for a target.
    tol
        A fit has converged when a step is expected to gain no more log likelihood than this.
    stimulus
        As in `ConnectivityEstimator`. ``"psth"``: the logarithm of the target's mean response enters as it is,
        smoothed and shrunk towards that of all conditions so that its expected squared error is least.
    min_spikes, n_shuffles, random_state
        As in `ConnectivityEstimator`.

    Attributes
    ----------
    weights_
        Log-rate weights, dims (``source_unit``, ``target_unit``, ``lag``), lag in s; 0 from a unit to itself.
    standard_errors_
        Of ``weights_``, by the sandwich formula; NaN for the group lasso, and from a unit to itself.
    baseline_
        Log of spikes per bin without recent spikes at the mean response, dims (``target_unit``, ``block``), where
        ``block`` is the beginning of the block, s.
    history_
        Log-rate weights of a target's own spikes, dims (``target_unit``, ``term``), where ``term`` is the term's
        shortest lag, s.
    converged_
        Whether each target's fit converged, dims (``target_unit``,).

    References
    ----------
    Truccolo et al. (2005), "A point process framework for relating neural spiking activity to spiking history, neural
    ensemble, and extrinsic covariate effects", J. Neurophysiol. 93:1074.
    Pillow et al. (2008), "Spatio-temporal correlations and visual signalling in a complete neuronal population", Nature
    454:995.
    Yuan and Lin (2006), "Model selection and estimation in regression with grouped variables", JRSS B 68:49.
    """

    measure = "log-rate weight per spike of the source, at the lag of the strongest evidence"

    def __init__(
        self,
        min_lag: float = 0.001,
        max_lag: float = 0.006,
        history: float = 0.064,
        penalty: str = "ridge",
        strength: float = 1.0,
        drift: float | None = 2.0,
        max_iter: int = 50,
        tol: float = 1e-10,
        stimulus: str = "auto",
        min_spikes: int = 100,
        n_shuffles: int = 100,
        random_state: int = 0,
    ) -> None:
        self.min_lag = min_lag
        self.max_lag = max_lag
        self.history = history
        self.penalty = penalty
        self.strength = strength
        self.drift = drift
        self.max_iter = max_iter
        self.tol = tol
        self.stimulus = stimulus
        self.min_spikes = min_spikes
        self.n_shuffles = n_shuffles
        self.random_state = random_state

    def _check(self, trains: SpikeTrains) -> None:
        lag_bins(self.max_lag, trains.bin_size, self.min_lag)
        if self.penalty not in PENALTIES:
            raise ConfigError(f"expected penalty to be one of {', '.join(PENALTIES)}, got {self.penalty!r}.")
        if not (np.isfinite(self.history) and self.history >= 0):
            raise ConfigError(f"expected history of 0 s or more, got {self.history}.")
        if self.drift is not None and not (np.isfinite(self.drift) and self.drift > 0):
            raise ConfigError(f"expected drift to be None or a positive number of seconds, got {self.drift}.")
        for name in ("strength", "tol", "max_iter"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ConfigError(f"expected {name} above 0, got {value}.")

    def _shortest(self, trains: SpikeTrains) -> int:
        return int(lag_bins(self.max_lag, trains.bin_size, self.min_lag)[-1]) + 1

    def _cost(self, trains: SpikeTrains) -> Cost:
        lags = lag_bins(self.max_lag, trains.bin_size, self.min_lag)
        n_history = int(self.history / trains.bin_size)
        per_bin = trains.n_spikes / trains.n_bins
        entries = per_bin.sum() * lags.size + per_bin * n_history
        n_parameters = (trains.n_units - 1) * lags.size + 8 + (trains.duration / self.drift if self.drift else 0)
        building = trains.n_bins * (1e-8 + 1.1e-8 * entries)
        evaluating = trains.n_bins * (1e-8 + 4e-9 * entries + 1e-9 * entries**2)
        seconds = building + _EVALUATIONS * evaluating + (_EVALUATIONS * 4e-11 + 1e-10) * n_parameters**3
        held = trains.n_bins * (24 + 4 * entries.max()) + 5 * 8 * n_parameters**2
        return Cost(float(seconds.sum()) / 2, float(held) * n_threads() + trains.counts.nbytes)

    def _estimate(self, trains: SpikeTrains, running: Running) -> Estimate:
        lags = lag_bins(self.max_lag, trains.bin_size, self.min_lag)
        design = make_design(trains, lags, self.history, self.drift, running.remove_psth)
        with threadpool_limits(1, user_api="blas"):  # every thread has a target of its own
            parts = in_shares(
                lambda target, _: self._fit_target(design, target), trains.n_units, running, "poisson-glm", size=1
            )
        self._keep(parts, design)
        return _peaks(_with_diagonal(parts, "weights", 0.0), _with_diagonal(parts, "z", np.nan), design)

    def _fit_target(self, design: Design, target: int) -> Arrays:
        """Fit one target; couplings come out as (n_sources, n_lags), without the target itself."""
        ridge = self.penalty == "ridge"
        problem = make_regression(design, target, self.strength if ridge else 0.0)
        n_lags, n_coupled = design.lags.size, design.n_coupled
        errors = z = np.full(problem.centre.size, np.nan)
        if ridge:
            solution = fit_ridge(problem, self.max_iter, self.tol)
            errors, inverse = standard_errors(solution.hessian, problem.precision)
            if solution.converged and design.trains.n_spikes[target] >= n_coupled:
                z = coincidence_z(problem, solution, errors, inverse)
        else:
            solution = fit_group_lasso(problem, n_lags, self.strength, self.max_iter, self.tol)
        return {
            "weights": solution.theta[:n_coupled].reshape(-1, n_lags),
            "errors": errors[:n_coupled].reshape(-1, n_lags),
            "z": z[:n_coupled].reshape(-1, n_lags),
            "history": solution.theta[n_coupled : n_coupled + design.n_terms],
            "baseline": solution.theta[n_coupled + design.n_terms :],
            "converged": np.array(solution.converged),
        }

    def _keep(self, parts: list[Arrays], design: Design) -> None:
        """Label what is known beyond the matrices."""
        ids = design.trains.units.index.to_numpy()
        bin_size = design.trains.bin_size
        pairs = {SOURCE: ids, SINK: ids, "lag": design.lags * bin_size}
        self.weights_ = xr.DataArray(_with_diagonal(parts, "weights", 0.0), pairs, tuple(pairs), name="weight")
        self.standard_errors_ = self.weights_.copy(data=_with_diagonal(parts, "errors", np.nan)).rename(
            "standard_error"
        )
        terms = {SINK: ids, "term": design.term_starts * bin_size}
        blocks = {SINK: ids, "block": design.block_bounds[:-1] * bin_size}
        history, baseline = (np.stack([part[key] for part in parts]) for key in ("history", "baseline"))
        self.history_ = xr.DataArray(history, terms, tuple(terms), name="history")
        self.baseline_ = xr.DataArray(baseline, blocks, tuple(blocks), name="baseline")
        converged = np.array([bool(part["converged"]) for part in parts])
        self.converged_ = xr.DataArray(converged, {SINK: ids}, (SINK,), name="converged")

    def _less_shuffled(self, found: Estimate, trains: SpikeTrains, running: Running) -> Estimate:
        details = {name: getattr(self, name) for name in _DETAILS}
        lessened = super()._less_shuffled(found, trains, running)
        for name, value in details.items():
            setattr(self, name, value)  # of the spikes as they were, not of the last shuffle
        return lessened


def _with_diagonal(parts: list[Arrays], key: str, diagonal: float) -> Floats:
    """Put the couplings of all targets into one array, (source, target, lag)."""
    columns = [np.insert(part[key], target, diagonal, axis=0) for target, part in enumerate(parts)]
    return np.stack(columns, axis=1).astype(np.float64)


def _peaks(weights: Floats, z: Floats, design: Design) -> Estimate:
    """Choose the lag of the strongest evidence; of the largest weight, where there is no evidence."""
    _, peak, p_value = peak_over_lags(np.moveaxis(z, 2, 0))
    at = np.abs(np.where(np.isnan(z), weights, z)).argmax(axis=2)
    weight = np.take_along_axis(weights, at[:, :, None], axis=2)[:, :, 0]
    lag = np.where(weight == 0, np.nan, design.lags[at] * design.trains.bin_size)
    return Estimate(weight, peak, p_value, lag)

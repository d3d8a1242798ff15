"""Solve a penalised Poisson regression on sparse rows, and say how sure its weights are.

Parameters come in this order: couplings, one group of lags after the other; history terms; blocks of the baseline.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import gammainc, gammaincc, xlogy
from scipy.stats import gamma, norm, poisson

from spikesight.connectivity.glm_kernels import expected_spikes, group_descent

KEPT_BY_CHANCE: Final = 0.01
"""How often the group lasso of strength 1 keeps a source without influence, about."""
_HALVINGS: Final = 30
_ROUNDING: Final = 1e-11
"""Of the objective: what the sum over a million bins is exact to."""
_DEEPEST: Final = -0.9
"""The first step takes no rate below a tenth of what it was: a count of zero says no more than that."""
_SWEEPS: Final = 2000
_SWEEP_TOL: Final = 1e-9
_NO_CURVATURE: Final = 1e-12
"""Of the largest curvature: below, a group was never seen in action."""
_NEGLIGIBLE: Final = 1e-12
"""A tail so unlikely that the opposite one is left out."""
_TINY: Final = 1e-290
"""Near the smallest number that a float holds."""
Floats = NDArray[np.float64]


class Regression(NamedTuple):
    """A Poisson regression of one target.

    Attributes
    ----------
    first, column
        Sparse rows, see `spikesight.connectivity.glm_kernels.target_rows`.
    exposure
        Rate of each row relative to the others by what the stimulus explains, shape (n_rows,).
    block_first
        First row of each block of the baseline, shape (n_blocks + 1,).
    observed
        Sum of each parameter's column over the target's spikes, shape (n_parameters,).
    precision, centre
        Of the normal prior of each parameter, shape (n_parameters,). The solution is searched from ``centre``.
    n_coupled
        Number of couplings.
    """

    first: NDArray[np.int64]
    column: NDArray[np.uint32]
    exposure: Floats
    block_first: NDArray[np.int64]
    observed: Floats
    precision: Floats
    centre: Floats
    n_coupled: int


class Point(NamedTuple):
    """A regression at one value of its parameters.

    Attributes
    ----------
    theta
        The parameters.
    objective
        Negative log likelihood and log prior, but for constants.
    gradient
        First derivative of ``objective``.
    hessian
        Second derivative of the negative log likelihood, without the prior.
    """

    theta: Floats
    objective: float
    gradient: Floats
    hessian: Floats


class Solution(NamedTuple):
    """Where a search ended: the parameters, and the last Hessian (without the prior)."""

    theta: Floats
    hessian: Floats
    converged: bool


class Penalty(Protocol):
    """What is added to a regression's objective, and the step that lowers the sum."""

    def value(self, theta: Floats) -> float:
        """Return what is added at ``theta``."""

    def step(self, here: Point, precision: Floats) -> Floats:
        """Return the step to the minimum of the sum's quadratic model around ``here``."""


class NoPenalty:
    """Nothing but the normal prior: the ridge. Its step is Newton's."""

    def value(self, theta: Floats) -> float:
        """Return 0."""
        return 0.0

    def step(self, here: Point, precision: Floats) -> Floats:
        """Return Newton's step."""
        return -_solved(here.hessian + np.diag(precision), here.gradient)


@dataclass(frozen=True)
class GroupLasso:
    """The norm of each group of couplings, times its threshold (Yuan and Lin 2006).

    Parameters
    ----------
    threshold
        Shape (n_groups,).
    group_size
        Number of couplings of each group.
    """

    threshold: Floats
    group_size: int

    def value(self, theta: Floats) -> float:
        """Return the sum of weighted norms."""
        return float(self.threshold @ np.linalg.norm(self._groups(theta), axis=1))

    def step(self, here: Point, precision: Floats) -> Floats:
        """Return the step of proximal Newton: all parameters without a norm are solved for, groups descend by turns."""
        n_coupled = self.threshold.size * self.group_size
        full = here.hessian + np.diag(precision)
        across, rest = full[:n_coupled, n_coupled:], full[n_coupled:, n_coupled:]
        solved = _solved(rest, np.column_stack([across.T, here.gradient[n_coupled:]]))
        reduced = np.ascontiguousarray(full[:n_coupled, :n_coupled] - across @ solved[:, :-1])
        slope = here.gradient[:n_coupled] - across @ solved[:, -1]
        curvature = self._curvature(reduced)
        start = here.theta[:n_coupled]
        end = group_descent(reduced, slope, start, curvature, self.threshold, _SWEEPS, _SWEEP_TOL)
        return np.concatenate([end - start, -solved[:, -1] - solved[:, :-1] @ (end - start)])

    def _groups(self, theta: Floats) -> Floats:
        return theta[: self.threshold.size * self.group_size].reshape(-1, self.group_size)

    def _curvature(self, reduced: Floats) -> Floats:
        """Return the largest eigenvalue of each group's block."""
        size, groups = self.group_size, np.arange(self.threshold.size)
        blocks = reduced.reshape(groups.size, size, groups.size, size)[groups, :, groups]
        largest = np.linalg.eigvalsh(blocks)[:, -1]
        return np.where(largest > _NO_CURVATURE * largest.max(), largest, 0.0)


def evaluate(problem: Regression, theta: Floats) -> Point:
    """Return objective and derivatives at ``theta``, (n_parameters,)."""
    hessian = np.empty((theta.size, theta.size))
    expected = expected_spikes(problem.first, problem.column, problem.exposure, problem.block_first, theta, hessian)
    away = theta - problem.centre
    n_blocks = problem.block_first.size - 1
    gradient = hessian[-n_blocks:].sum(axis=0) - problem.observed + problem.precision * away
    objective = expected - problem.observed @ theta + 0.5 * problem.precision @ away**2
    return Point(theta, float(objective), gradient, hessian)


def fit_ridge(problem: Regression, max_iter: int, tol: float) -> Solution:
    """Find the most probable parameters under the normal prior by Newton's method.

    Parameters
    ----------
    problem
        The regression.
    max_iter
        Largest number of steps.
    tol
        Stop when a step is expected to gain no more log likelihood than this (that step is still taken).
    """
    return _minimise(problem, evaluate(problem, problem.centre), NoPenalty(), max_iter, tol)


def fit_group_lasso(problem: Regression, group_size: int, strength: float, max_iter: int, tol: float) -> Solution:
    """Find the minimum with a threshold for each group of couplings, by proximal Newton (Lee, Sun and Saunders 2014).

    Parameters
    ----------
    problem
        The regression; couplings have no prior of their own.
    group_size
        Number of lags.
    strength
        Times `null_thresholds`.
    max_iter, tol
        As in `fit_ridge`.
    """
    start = evaluate(problem, problem.centre)
    expected = start.hessian.diagonal()[: problem.n_coupled].reshape(-1, group_size)
    penalty = GroupLasso(strength * null_thresholds(expected), group_size)
    return _minimise(problem, start, penalty, max_iter, tol)


def null_thresholds(expected: Floats) -> Floats:
    """Return how far the coincidences of a source without influence are from expectation, once in a hundred.

    Parameters
    ----------
    expected
        Expected coincidences of each source at each lag, shape (n_sources, n_lags).

    Returns
    -------
    numpy.ndarray
        Shape (n_sources,): the norm over lags of (observed - expected) that is surpassed with about the probability
        `KEPT_BY_CHANCE`. The square of the norm is taken as gamma distributed, with the mean and the variance that it
        has for Poisson counts.
    """
    mean = expected.sum(axis=1)
    variance = (2 * expected**2 + expected).sum(axis=1)
    seen = mean > 0
    square = gamma.isf(KEPT_BY_CHANCE, mean[seen] ** 2 / variance[seen], scale=variance[seen] / mean[seen])
    thresholds: Floats = np.zeros(mean.shape)
    thresholds[seen] = np.sqrt(square)
    return thresholds


def standard_errors(hessian: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Return the standard errors of ridge estimates, and the inverse of their curvature.

    The estimate is ``(H + L)^-1 score`` to first order, so its covariance is the sandwich
    ``(H + L)^-1 H (H + L)^-1`` (H the Hessian, L the precision of the prior).

    Returns
    -------
    errors
        Shape (n_parameters,).
    inverse
        Diagonal of ``(H + L)^-1``, shape (n_parameters,).
    """
    factor = linalg.cholesky(hessian + np.diag(precision), lower=True)
    inverse, _ = linalg.lapack.dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    diagonal = inverse.diagonal().copy()
    variance = diagonal - inverse**2 @ precision
    return np.sqrt(np.maximum(variance, 0.0)), diagonal


def coincidence_z(problem: Regression, solution: Solution, errors: Floats, inverse: Floats) -> Floats:
    """Test every weight of a ridge estimate by its coincidences, as a standard normal deviate.

    The coincidences of a source and a target are a Poisson count, and at low rates a small one: a weight over its
    standard error is then far from normal. So the count is compared with what is expected of it without the weight
    while all other parameters are fitted: the fitted count without that part of the weight's effect which the others do
    not take over. Its p-value becomes a normal deviate; that is stretched as far as the other parameters, being
    fitted too, make the difference smaller than a Poisson count's.

    Parameters
    ----------
    problem, solution
        A regression and its ridge estimate.
    errors, inverse
        See `standard_errors`.

    Returns
    -------
    numpy.ndarray
        Shape (n_parameters,), with the signs of the weights; 0 where nothing was seen.
    """
    n_blocks = problem.block_first.size - 1
    weight = solution.theta
    bend = solution.hessian.diagonal()
    fitted = solution.hessian[-n_blocks:].sum(axis=0)
    seen = (fitted > 0) & (errors > 0)
    per_count = np.divide(bend, fitted, out=np.ones_like(bend), where=seen)  # above 1 where bins hold several spikes
    alone = 1.0 / inverse - problem.precision
    own = np.divide(alone, bend, out=np.zeros_like(bend), where=seen)  # the share that no other parameter takes over
    expected = fitted * np.exp(-weight * per_count * own)
    deviate = poisson_deviate(problem.observed / per_count, np.maximum(expected, 0.0) / per_count)
    stretch = np.divide(inverse * np.sqrt(bend), errors, out=np.ones_like(bend), where=seen)
    return np.where(seen, np.copysign(np.abs(deviate) * stretch, weight), 0.0)


def poisson_deviate(observed: Floats, expected: Floats) -> Floats:
    """Return Poisson counts as normal deviates of the same two-sided p-value.

    The p-value is the mid-p value of the tail that the count is in, plus the probability of the other tail as far as it
    is no likelier (Blaker 2000): where fewer than nothing cannot be seen, one tail is all there is. Counts between
    whole numbers are interpolated.

    Parameters
    ----------
    observed, expected
        Of one shape; 0 or more.
    """
    above = observed > expected
    not_zero = np.maximum(observed, _TINY)  # the functions below have no limit at 0
    upper = np.where(observed > 0, gammainc(not_zero, expected), 1.0) + gammainc(observed + 1, expected)
    lower = np.where(observed > 0, gammaincc(not_zero, expected), 0.0) + gammaincc(observed + 1, expected)
    tail = 0.5 * np.where(above, upper, lower)
    told = np.maximum(tail, _NEGLIGIBLE)
    below = poisson.cdf(poisson.ppf(told, expected) - 1, expected)
    beyond = poisson.sf(poisson.isf(told, expected), expected)
    other = np.where(tail > _NEGLIGIBLE, np.where(above, below, beyond), 0.0)
    p_value = np.minimum(np.maximum(tail, _TINY) + other, 1.0)
    # Beyond what a float holds: the signed root of the likelihood ratio.
    ratio = xlogy(observed, observed / np.maximum(expected, _TINY)) - observed + expected
    size = np.where(tail > _TINY, norm.isf(p_value / 2), np.sqrt(2 * np.maximum(ratio, 0.0)))
    return np.asarray(np.where(above, size, -size), np.float64)


def _minimise(problem: Regression, start: Point, penalty: Penalty, max_iter: int, tol: float) -> Solution:
    here = start
    total = here.objective + penalty.value(here.theta)
    for iteration in range(max_iter):
        step = penalty.step(here, problem.precision)
        bent = step @ (here.hessian @ step) + problem.precision @ step**2
        after = penalty.value(here.theta + step) - penalty.value(here.theta)
        if -(here.gradient @ step + 0.5 * bent + after) <= tol:
            return Solution(here.theta + step, here.hessian, True)
        for tried in _shorter_and_shorter(step, iteration == 0):
            there = evaluate(problem, here.theta + tried)
            lowered = there.objective + penalty.value(there.theta)
            if lowered <= total + _ROUNDING * (1 + abs(total)):
                here, total = there, lowered
                break
        else:
            break
    return Solution(here.theta, here.hessian, False)


def _shorter_and_shorter(step: Floats, first: bool) -> Iterator[Floats]:
    """Offer the step, then half of it, and so on.

    From equal rates the first step is (observed / expected - 1) for a column that meets no other, and the solution is
    the logarithm of that ratio: it is offered before the step itself, which overshoots where a weight is large.
    """
    if first:
        yield np.log1p(np.maximum(step, _DEEPEST))
    for halved in range(_HALVINGS):
        yield step * 0.5**halved


def _solved(matrix: Floats, right: Floats) -> Floats:
    solution: Any = linalg.cho_solve(linalg.cho_factor(matrix, lower=True), right)
    return np.asarray(solution, np.float64)

import numpy as np
import pytest
from dense_glm import BIN, dense_design, dense_fit, driven_by_stimulus, regression
from scipy.stats import norm, poisson

from coupled_units import driven, independent, recording
from spikesight.connectivity.glm_solvers import (
    coincidence_z,
    evaluate,
    fit_group_lasso,
    fit_ridge,
    null_thresholds,
    poisson_deviate,
    standard_errors,
)
from spikesight.connectivity.spike_trains import read_trains


@pytest.mark.parametrize("mean", [0.1, 1.0])
def test_objective_and_derivatives_are_those_of_dense_matrices(mean):
    counts = recording(independent(300, 3, mean), BIN, [120, 180])
    problem, _ = regression(counts, 2, 0.7, drift=0.1)
    theta = np.random.default_rng(1).normal(0, 0.3, problem.centre.size)
    X, bins = dense_design(read_trains(counts), 2, range(1, 4), 8)
    block = np.searchsorted([0, 100, 200], bins, side="right") - 1
    X = np.column_stack([X[:, :-1], np.eye(3)[block]])
    y, rate = counts.to_numpy()[bins, 2], np.exp(X @ theta)

    here = evaluate(problem, theta)

    prior = problem.precision * (theta - problem.centre)
    np.testing.assert_allclose(here.gradient, X.T @ (rate - y) + prior, atol=1e-9)
    np.testing.assert_allclose(here.hessian, X.T @ (rate[:, None] * X), atol=1e-9)
    assert here.objective == pytest.approx(rate.sum() - y @ X @ theta + 0.5 * prior @ (theta - problem.centre))


def test_gradient_at_the_optimum_is_zero():
    problem, _ = regression(recording(driven(5000, 4, mean=0.1), BIN), 1, 1.0)

    solution = fit_ridge(problem, 50, 1e-10)

    assert solution.converged
    assert np.abs(evaluate(problem, solution.theta).gradient).max() < 1e-7


def lasso_conditions(problem, theta, strength):
    """Norms of all groups' scores over their thresholds, what is left of the active ones' equations, who is active."""
    start = evaluate(problem, problem.centre).hessian.diagonal()[: problem.n_coupled].reshape(-1, 3)
    threshold = strength * null_thresholds(start)
    score = evaluate(problem, theta).gradient
    groups, weights = score[: problem.n_coupled].reshape(-1, 3), theta[: problem.n_coupled].reshape(-1, 3)
    size = np.linalg.norm(weights, axis=1)
    active = size > 0
    left = groups[active] + threshold[active, None] * weights[active] / size[active, None]
    return np.linalg.norm(groups, axis=1) / threshold, np.r_[left.ravel(), score[problem.n_coupled :]], active


@pytest.mark.parametrize(("strength", "drift"), [(0.3, None), (1.0, 2.0)])
def test_group_lasso_satisfies_its_conditions(strength, drift):
    problem, _ = regression(recording(driven(8000, 8, weight=0.3), BIN), 1, 0.0, drift=drift)

    solution = fit_group_lasso(problem, 3, strength, 50, 1e-10)
    relative, left, active = lasso_conditions(problem, solution.theta, strength)

    assert solution.converged
    assert active[0]
    assert not active.all()
    assert (relative[~active] <= 1).all()
    assert np.abs(left).max() < 1e-5


def test_thresholds_are_passed_by_chance_once_in_a_hundred():
    rng = np.random.default_rng(6)
    for expected in (0.02, 0.3, 3.0, 50.0):
        means = np.full((1, 6), expected)
        distance = np.linalg.norm(rng.poisson(expected, (40_000, 6)) - expected, axis=1)
        assert (distance > null_thresholds(means)[0]).mean() <= 0.02


def brute_force_p(observed, expected):
    """Mid-p value of the observed tail, and all of the other tail that is no likelier."""
    counts = np.arange(400)
    each = poisson.pmf(counts, expected)
    half = 0.5 * each[observed]
    up, low = each[counts > observed].sum() + half, each[counts < observed].sum() + half
    if observed > expected:
        return up + max((s for n in counts if (s := each[: n + 1].sum()) <= up), default=0.0)
    return low + max((s for n in counts if (s := each[n:].sum()) <= low), default=0.0)


@pytest.mark.parametrize(("observed", "expected"), [(0, 0.2), (1, 0.2), (3, 0.7), (0, 6.0), (5, 5.5), (30, 12.0)])
def test_deviate_of_a_count_has_its_p_value(observed, expected):
    deviate = float(poisson_deviate(np.array([observed]), np.array([expected]))[0])

    assert 2 * norm.sf(abs(deviate)) == pytest.approx(min(1, brute_force_p(observed, expected)), rel=1e-6)
    assert (deviate > 0) == (observed > expected)


def test_deviate_of_a_huge_surprise_is_finite():
    found = poisson_deviate(np.array([3000.0, 0.0]), np.array([3.0, 2000.0]))

    assert found[0] > 100
    assert found[1] == pytest.approx(-np.sqrt(4000), rel=0.02)


def test_test_is_that_of_the_count_where_nothing_else_is_fitted_much():
    problem, _ = regression(recording(independent(100_000, 2, 0.01, seed=8), BIN), 1, 1.0, history=0.0)
    solution = fit_ridge(problem, 50, 1e-10)

    z = coincidence_z(problem, solution, *standard_errors(solution.hessian, problem.precision))

    expected = np.exp(problem.centre[-1]) * np.bincount(problem.column, minlength=3)
    alone = poisson_deviate(problem.observed[:3], expected)
    np.testing.assert_allclose(z[:3], alone, atol=0.06)


def test_fit_with_a_stimulus_is_that_of_a_dense_newton_with_an_offset():
    counts = driven_by_stimulus(11, n_units=2, n_trials=24, n_bins=60)
    problem, design = regression(counts, 1, 1.0, remove_psth=True)
    X, bins = dense_design(design.trains, 1, range(1, 4), 8)
    y = design.trains.counts[1, bins]

    theta, _ = dense_fit(X, y, problem.precision, problem.centre, problem.exposure)

    assert problem.exposure.std() > 0.1
    np.testing.assert_allclose(fit_ridge(problem, 50, 1e-10).theta, theta, atol=1e-7)

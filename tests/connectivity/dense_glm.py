"""The coupled Poisson regression written out with dense matrices, and spikes to fit it to."""

import numpy as np

from coupled_units import presentations
from spikesight.connectivity.glm_design import make_design, make_regression
from spikesight.connectivity.spike_trains import read_trains

BIN = 0.001
FREE = 1e-9
"""Precision of a prior that says nothing."""


def regression(counts, target, precision, **options):
    """The regression of one target on counts, see `recording`."""
    options = {"lags": np.arange(1, 4), "history": 0.008, "drift": None, "remove_psth": False, **options}
    design = make_design(read_trains(counts), **options)
    return make_regression(design, target, precision), design


def dense_design(trains, target, lags, n_history):
    """All columns of every usable bin, by a loop over bins: couplings, history terms, one column of ones."""
    counts = trains.counts.astype(float)
    term = [0, *(int(np.ceil(np.log2(lag))) for lag in range(1, n_history + 1))]
    rows, bins = [], []
    for begin, end in zip(trains.offsets[:-1], trains.offsets[1:], strict=True):
        for now in range(begin + lags[-1], end):
            coupled = [counts[i, now - lag] for i in range(len(counts)) if i != target for lag in lags]
            history = np.zeros(max(term) + 1 if n_history else 0)
            for lag in range(1, min(n_history, now - begin) + 1):
                history[term[lag]] += counts[target, now - lag]
            rows.append([*coupled, *history, 1.0])
            bins.append(now)
    return np.array(rows), np.array(bins)


def dense_fit(X, y, precision, centre, exposure=1.0):
    """Newton's method, written out."""
    theta = centre.copy()
    for _ in range(100):
        rate = exposure * np.exp(X @ theta)
        hessian = X.T @ (rate[:, None] * X) + np.diag(precision)
        theta = theta - np.linalg.solve(hessian, X.T @ (rate - y) + precision * (theta - centre))
    rate = exposure * np.exp(X @ theta)
    information = X.T @ (rate[:, None] * X)
    inverse = np.linalg.inv(information + np.diag(precision))
    return theta, np.sqrt(np.diag(inverse @ information @ inverse))


def driven_by_stimulus(seed, n_units=6, n_trials=600, n_bins=250):
    """Units of 20 Hz that do not see each other, but the same four stimuli, with a hundred milliseconds of response."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n_trials) % 4
    time = np.arange(n_bins)
    bumps = 1 + 6 * np.exp(-0.5 * ((time - rng.uniform(60, 180, (4, n_units, 1))) / 30) ** 2)
    rates = 0.02 * np.moveaxis(bumps, 1, 2) / 2
    return presentations(rng.poisson(rates[targets]).astype(np.uint8), targets, BIN)

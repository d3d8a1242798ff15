"""Trials for the tests of graph decoders."""

import numpy as np

N_BINS, N_UNITS, N_CLASSES = 3, 8, 3


def tuned(n_trials=150, seed=0, n_bins=N_BINS, n_units=N_UNITS, n_classes=N_CLASSES):
    """Counts of units that are tuned to the class, and the classes."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_trials) % n_classes)
    rates = rng.gamma(1.0, 3.0, size=(n_classes, n_bins, n_units))
    return rng.poisson(rates[y]), y


def given(seed=1, n_units=N_UNITS):
    """Half of all possible edges, at random, with random weights."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((n_units, n_units)) * (rng.random((n_units, n_units)) < 0.5)
    np.fill_diagonal(matrix, 0)
    return matrix

"""Integrated gradients of the units of a decoder that is a network."""

import copy
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight.attribution.true_class import known_trials
from spikesight.decoders.base import Floats
from spikesight.errors import ConfigError, DecoderError

FIRST_STEPS: Final = 16
MOST_STEPS: Final = 256
TOLERANCE: Final = 0.01
"""Share of the differences in scores that values may miss."""
_CHUNK: Final = 512
"""Points of paths that are differentiated at once."""


class GradientAttribution(NamedTuple):
    """What every bin of every unit adds to the score of the class that was shown.

    Attributes
    ----------
    values
        (n_trials, n_bins, n_units).
    rows
        Rows of ``X`` that they are of: those whose class the decoder learned.
    difference
        Score of each trial less that of the mean training trial, (n_trials,): what the values should add up to.
    error
        Largest absolute difference of that from the sum, as a share of the differences' root mean square.
    n_steps
        Points of each path.
    """

    values: Floats
    rows: NDArray[np.intp]
    difference: Floats
    error: float
    n_steps: int


def check_network(decoder: Any) -> Any:
    """Return the decoder, fitted or not, if it is a network.

    Raises
    ------
    DecoderError
        If it has no gradient; says which methods it can be asked for.
    """
    if hasattr(decoder, "white"):
        return decoder
    raise DecoderError(
        f"expected a decoder that is a network (mlp, lstm, gru, transformer, cnn, gcn, st-gat ...), got "
        f"{type(decoder).__name__}, which has no gradient. Use shap for a linear decoder (fa-lda, lda, logistic, "
        "ridge), permutation for any."
    )


def integrated_gradients(
    decoder: Any, X: NDArray[Any], y: ArrayLike, *, tolerance: float = TOLERANCE, most_steps: int = MOST_STEPS
) -> GradientAttribution:
    """Integrate the gradient of the score along the straight line from the mean training trial to each trial.

    The score is that of the class that was shown less the mean over classes. The line is straight in standardised
    square-root counts, in which the mean training trial is 0. The integral is a Gauss-Legendre sum whose number of
    points is doubled until the values add up to the difference in scores (completeness) within ``tolerance``.

    Parameters
    ----------
    decoder
        Fitted decoder that is a network.
    X, y
        Trials as the decoder takes them (n_trials, n_bins, n_units), and their labels.
    tolerance
        Largest ``error`` that is taken.
    most_steps
        Points of a path at most; the error is then what it is, and ``error`` says it.

    Raises
    ------
    DecoderError
        If the decoder is no network.
    ConfigError
        If a parameter makes no sense.

    References
    ----------
    Sundararajan, Taly and Yan (2017), "Axiomatic attribution for deep networks", ICML.
    """
    check_network(decoder)
    if not hasattr(decoder, "network_"):
        raise DecoderError(f"expected a fitted decoder, this {type(decoder).__name__} is not. Call fit first.")
    if not tolerance > 0 or most_steps < 1:
        raise ConfigError(f"expected tolerance above 0 and most_steps of 1 or more, got {tolerance!r}, {most_steps!r}.")
    rows, codes = known_trials(decoder, y)
    trials = decoder.standardised(np.asarray(X)[rows])
    n_trials, n_bins, n_units = trials.shape
    towards_columns = decoder.white(np.eye(n_bins * n_units).reshape(-1, n_bins, n_units)).reshape(n_bins * n_units, -1)
    seen = decoder.white(trials)
    network = copy.deepcopy(decoder.network_).cpu().eval().double()
    ends = _scores(network, decoder, seen, codes) - _scores(network, decoder, 0 * seen[:1], codes, every=True)
    n_steps = min(FIRST_STEPS, most_steps)
    while True:
        gradient = _mean_gradient(network, decoder, seen, codes, n_steps)
        values = trials * (gradient.reshape(n_trials, -1) @ towards_columns.T).reshape(trials.shape)
        error = float(np.abs(values.sum(axis=(1, 2)) - ends).max() / max(np.sqrt((ends**2).mean()), 1e-12))
        if error <= tolerance or 2 * n_steps > most_steps:
            return GradientAttribution(values, rows, ends, error, n_steps)
        n_steps *= 2


def _patterns(decoder: Any) -> Floats:
    """Return the matrix from the network's outputs to centred scores of classes."""
    patterns = decoder.class_patterns_
    return np.asarray(patterns - patterns.mean(axis=1, keepdims=True))


def _scores(network: Any, decoder: Any, seen: Floats, codes: NDArray[np.intp], *, every: bool = False) -> Floats:
    """Return the centred score of each trial's class; with ``every``, that of one trial for each of the classes."""
    import torch

    from spikesight.networks.devices import one_thread

    with one_thread(), torch.no_grad():
        parts = [network(part).numpy() for part in torch.split(torch.from_numpy(np.ascontiguousarray(seen)), _CHUNK)]
    scores = np.concatenate(parts) @ _patterns(decoder)
    return np.asarray(scores[0, codes] if every else scores[np.arange(len(scores)), codes])


def _mean_gradient(network: Any, decoder: Any, seen: Floats, codes: NDArray[np.intp], n_steps: int) -> Floats:
    """Return the mean gradient along each path with respect to what the network sees, in the shape of ``seen``."""
    import torch

    from spikesight.networks.devices import one_thread

    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    towards = torch.from_numpy(_patterns(decoder)[:, codes].T.copy())
    made = np.zeros(seen.shape)
    at_once = max(1, _CHUNK // n_steps)
    with one_thread():
        for first in range(0, len(seen), at_once):
            own = slice(first, first + at_once)
            points = torch.from_numpy(np.multiply.outer(nodes, seen[own]).reshape(-1, *seen.shape[1:]))
            points.requires_grad_(True)
            total = (network(points) * towards[own].repeat(n_steps, 1)).sum()
            (gradient,) = torch.autograd.grad(total, points)
            by_node = gradient.numpy().reshape(n_steps, -1, *seen.shape[1:])
            made[own] = np.tensordot(weights, by_node, axes=1)
    return made

"""Weights of log-likelihoods, chosen on inner folds of the training trials so that probabilities mean what they say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from spikesight.decoders.base import Codes, Floats

_FOLDS = 5
"""With fewer, the models behind the choice would know much less than the final one and be trusted too little."""
_GAP = 10
"""Trials left out on either side of a held-out run, where there are enough of them."""
_LEAST_KNOWN = 0.9
"""Share of trials whose class must occur outside their fold."""
_WORTHLESS = 1e-3
"""Sum of the weights of models that held-out trials contradict: they rank classes, but are hardly believed."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class HeldOut:
    """What models say of trials that they were not fitted to.

    Parameters
    ----------
    log_likelihoods
        ``(n_models, n_trials, n_classes)``.
    log_prior
        ``(n_classes,)``.
    codes
        Position of the true class of each trial, ``(n_trials,)``.
    """

    log_likelihoods: Floats
    log_prior: Floats
    codes: Codes


def inner_folds(codes: Codes) -> Iterator[tuple[Rows, Rows]]:
    """Yield training and held-out rows: five contiguous runs, each trained on the others but for a gap.

    Where that keeps too many classes out of training, as with trials sorted by class, each class is cut into its own
    early to late fifths instead. Held-out trials of a class that is not trained on are left out.
    """
    n_trials = len(codes)
    position = np.arange(n_trials)
    runs = position * _FOLDS // n_trials
    gap = min(_GAP, n_trials // 50)
    folds = [
        _known(np.flatnonzero(_outside(runs == fold, gap)), np.flatnonzero(runs == fold), codes)
        for fold in range(_FOLDS)
    ]
    if sum(len(held_out) for _, held_out in folds) < _LEAST_KNOWN * n_trials:
        fifths = np.empty(n_trials, np.intp)
        for rows in (np.flatnonzero(codes == code) for code in np.unique(codes)):
            fifths[rows] = np.arange(len(rows)) * _FOLDS // len(rows)
        folds = [
            _known(np.flatnonzero(fifths != fold), np.flatnonzero(fifths == fold), codes) for fold in range(_FOLDS)
        ]
    for train, held_out in folds:
        if len(held_out) and len(np.unique(codes[train])) > 1:
            yield train, held_out


def choose_weights(parts: Sequence[HeldOut], n_models: int) -> Floats:
    """Return the non-negative weights, one per model, under which held-out trials are most probable.

    The probability of a class is the softmax of the log-prior plus the weighted log-likelihoods; its log-loss is
    convex in the weights. Without held-out trials the weights are equal and sum to 1; models that held-out trials
    contradict get next to none.
    """
    start = np.full(n_models, 1.0 / n_models)
    n_trials = sum(len(part.codes) for part in parts)
    if n_trials == 0:
        return start

    def log_loss(weights: Floats) -> tuple[float, Floats]:
        loss, slope = 0.0, np.zeros(n_models)
        for part in parts:
            truth = part.log_likelihoods[:, np.arange(len(part.codes)), part.codes]
            scores = part.log_prior + np.tensordot(weights, part.log_likelihoods, axes=1)
            normaliser = logsumexp(scores, axis=1, keepdims=True)
            expected = np.einsum("mtc,tc->mt", part.log_likelihoods, np.exp(scores - normaliser))
            loss += float((normaliser[:, 0] - part.log_prior[part.codes] - weights @ truth).sum())
            slope += (expected - truth).sum(axis=1)
        return loss / n_trials, slope / n_trials

    found: Any = minimize(log_loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * n_models)
    return np.asarray(found.x) if np.any(found.x > 0) else _WORTHLESS * start


def _outside(held_out: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Return the rows that are not held out and not within ``gap`` rows of one that is."""
    near = np.convolve(held_out, np.ones(2 * gap + 1), mode="same") > 0 if gap else held_out
    return ~near


def _known(train: Rows, held_out: Rows, codes: Codes) -> tuple[Rows, Rows]:
    return train, held_out[np.isin(codes[held_out], codes[train])]

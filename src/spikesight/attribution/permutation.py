"""Permutation importance: what a decoder loses when one unit's values are dealt out anew among the test trials."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight.attribution.true_class import known_trials, log_scores, measure_of, of_true_class
from spikesight.decoders.base import Floats, LinearDecoder
from spikesight.errors import ConfigError


class PermutationImportance(NamedTuple):
    """What was lost in each permutation of each unit.

    Attributes
    ----------
    measure
        ``"log_likelihood"`` (nats a trial) or ``"margin"``.
    lost
        Loss of the measure, mean over test trials, (n_permutations, n_units).
    lost_accuracy
        Loss of accuracy, (n_permutations, n_units).
    n_trials
        Test trials.
    """

    measure: str
    lost: Floats
    lost_accuracy: Floats
    n_trials: int


def permutation_importance(
    decoder: Any, X: NDArray[Any], y: ArrayLike, blocks: NDArray[Any], *, n_permutations: int = 4, seed: int = 0
) -> PermutationImportance:
    """Permute the values of one unit at a time among test trials of the same block, all bins of a trial together.

    The decoder is not fitted again, and the other units stay. What two units both tell is not missed where only one of
    them is permuted: importance is of a unit given all others.

    Parameters
    ----------
    decoder
        Fitted decoder.
    X, y
        Test trials as the decoder takes them (n_trials, n_bins, n_units), and their labels.
    blocks
        Values are exchanged within a block only, (n_trials,).
    n_permutations
        Permutations of each unit.
    seed
        Of the permutations.

    Raises
    ------
    ConfigError
        If there is no permutation.
    DataError
        If the decoder knows none of the labels.

    References
    ----------
    Breiman (2001), "Random forests", Machine Learning 45; Fisher, Rudin and Dominici (2019), JMLR 20.
    """
    if n_permutations < 1:
        raise ConfigError(f"expected one permutation or more, got {n_permutations}.")
    rows, codes = known_trials(decoder, y)
    trials, blocks = np.asarray(X)[rows], np.asarray(blocks)[rows]
    rng = np.random.default_rng(seed)
    measure = measure_of(decoder)
    scores = _base_scores(decoder, trials)
    whole, right = of_true_class(scores, codes, measure).mean(), (scores.argmax(axis=1) == codes).mean()
    n_units = trials.shape[2]
    lost, lost_accuracy = np.empty((2, n_permutations, n_units))
    rescore = _linear(decoder, trials, scores) if isinstance(decoder, LinearDecoder) else _any(decoder, trials)
    for unit in range(n_units):
        made = rescore(unit)
        for turn in range(n_permutations):
            changed = made(within_blocks(blocks, rng))
            lost[turn, unit] = whole - of_true_class(changed, codes, measure).mean()
            lost_accuracy[turn, unit] = right - (changed.argmax(axis=1) == codes).mean()
    return PermutationImportance(measure, lost, lost_accuracy, len(rows))


def within_blocks(blocks: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a random order of trials in which each stays in its block."""
    order = np.arange(len(blocks))
    for block in np.unique(blocks):
        own = np.flatnonzero(blocks == block)
        order[own] = rng.permutation(own)
    return order


def _base_scores(decoder: Any, trials: NDArray[Any]) -> Floats:
    if isinstance(decoder, LinearDecoder):
        return np.asarray(decoder.standardised(trials) @ decoder.coef_.T + decoder.intercept_)
    return log_scores(decoder, trials)


def _linear(decoder: LinearDecoder, trials: NDArray[Any], scores: Floats) -> Any:
    """Exchange a unit's summand of the scores: no other unit has to be looked at again."""
    columns = decoder.standardised(trials)

    def of_unit(unit: int) -> Any:
        own = columns[:, unit :: decoder.n_units_] @ decoder.coef_[:, unit :: decoder.n_units_].T
        others = scores - own
        return lambda order: others + own[order]

    return of_unit


def _any(decoder: Any, trials: NDArray[Any]) -> Any:
    def of_unit(unit: int) -> Any:
        def changed(order: NDArray[np.intp]) -> Floats:
            moved = trials.copy()
            moved[:, :, unit] = trials[order, :, unit]
            return log_scores(decoder, moved)

        return changed

    return of_unit

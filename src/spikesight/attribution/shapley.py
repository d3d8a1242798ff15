"""Exact Shapley values of the units of a linear decoder."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesight.attribution.true_class import known_trials
from spikesight.decoders.base import Floats, LinearDecoder
from spikesight.errors import DecoderError


class ShapImportance(NamedTuple):
    """Shapley values of every unit, summed up over test trials.

    Attributes
    ----------
    toward_true
        Mean over trials of the value for the class that was shown, (n_units,).
    magnitude
        Mean over trials and classes of the absolute value, (n_units,).
    expected, deviation
        Mean and standard deviation of ``toward_true`` if the unit's values were dealt out at random among the trials of
        each block: exact, over all orders, (n_units,).
    n_trials
        Test trials.
    """

    toward_true: Floats
    magnitude: Floats
    expected: Floats
    deviation: Floats
    n_trials: int


def check_linear(decoder: Any) -> LinearDecoder:
    """Return the decoder, fitted or not, if its scores are linear.

    Raises
    ------
    DecoderError
        If they are not.
    """
    if not isinstance(decoder, LinearDecoder):
        raise DecoderError(
            "expected a decoder whose scores are linear in the units (fa-lda, lda, logistic, pca-logistic, ridge), got "
            f"{type(decoder).__name__}: exact Shapley values have a closed form for these alone. Use "
            "integrated-gradients for a network, permutation for any decoder."
        )
    return decoder


def shap_values(decoder: Any, X: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the Shapley value of every unit in every trial for every class.

    The value that is shared out is the score of a class less the mean over classes (scores are known up to a constant
    of the trial). A unit that is absent has its mean over the training trials. The scores are sums over units, so the
    value of a unit is, whatever the order in which units come: ``sum over its columns of coef * (x - mean)``.

    Returns
    -------
    values
        (n_trials, n_units, n_classes).
    base
        The score of the mean training trial, (n_classes,): values of all units and this make the score.

    Raises
    ------
    DecoderError
        If the decoder is not linear.

    References
    ----------
    Lundberg and Lee (2017), "A unified approach to interpreting model predictions", NeurIPS (linear SHAP with
    independent features); Strumbelj and Kononenko (2014), Knowledge and Information Systems 41.
    """
    linear = check_linear(decoder)
    columns = linear.standardised(X)
    values = np.stack([_of_unit(linear, columns, unit) for unit in range(linear.n_units_)], axis=1)
    return values, linear.intercept_ - linear.intercept_.mean()


def shap_importance(decoder: Any, X: NDArray[Any], y: ArrayLike, blocks: NDArray[Any]) -> ShapImportance:
    """Sum the Shapley values of every unit up over test trials.

    Parameters
    ----------
    decoder
        Fitted linear decoder.
    X, y, blocks
        Test trials as the decoder takes them (n_trials, n_bins, n_units), their labels and blocks.

    Raises
    ------
    DecoderError
        If the decoder is not linear.
    """
    linear = check_linear(decoder)
    rows, codes = known_trials(linear, y)
    columns, blocks = linear.standardised(np.asarray(X)[rows]), np.asarray(blocks)[rows]
    found = np.empty((4, linear.n_units_))
    for unit in range(linear.n_units_):
        values = _of_unit(linear, columns, unit)
        expected, variance = _of_random_orders(values, codes, blocks)
        toward_true = values[np.arange(len(rows)), codes].mean()
        found[:, unit] = toward_true, np.abs(values).mean(), expected, np.sqrt(variance)
    return ShapImportance(found[0], found[1], found[2], found[3], len(rows))


def _of_unit(decoder: LinearDecoder, columns: Floats, unit: int) -> Floats:
    """Return the values of one unit, (n_trials, n_classes); columns are 0 at the mean of the training trials."""
    own = columns[:, unit :: decoder.n_units_] @ decoder.coef_[:, unit :: decoder.n_units_].T
    return np.asarray(own - own.mean(axis=1, keepdims=True))


def _of_random_orders(values: Floats, codes: NDArray[np.intp], blocks: NDArray[Any]) -> tuple[float, float]:
    """Return mean and variance of the mean value for the true class over all orders of trials within blocks.

    A sum of one entry per row and column of a table, drawn by a random order, has the variance of the doubly centred
    table (Hoeffding 1951, "A combinatorial central limit theorem"). Columns of trials of one class are alike.
    """
    mean, variance = 0.0, 0.0
    for block in np.unique(blocks):
        own = blocks == block
        n_own = int(own.sum())
        shown = np.bincount(codes[own], minlength=values.shape[1])
        table = values[own]
        by_trial = table @ shown / n_own
        by_class = table.mean(axis=0)
        whole = float(by_trial.mean())
        mean += whole * n_own
        if n_own > 1:
            variance += float((((table - by_trial[:, None] - by_class + whole) ** 2) @ shown).sum()) / (n_own - 1)
    return mean / len(values), variance / len(values) ** 2

"""One method on one fitted decoder: a row per unit."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.attribution.integrated_gradients import integrated_gradients
from spikesight.attribution.permutation import permutation_importance
from spikesight.attribution.shapley import shap_importance
from spikesight.statistics import MINIMUM_RUNS, RUN_LENGTH

PERMUTATION: Final = "permutation"
SHAP: Final = "shap"
GRADIENTS: Final = "integrated-gradients"
ABLATION: Final = "ablation"
METHODS: Final = (PERMUTATION, SHAP, GRADIENTS, ABLATION)
SCORE: Final = "score of the true class"
_NO_PATH: Final = {"completeness_error": np.nan, "n_steps": 0}
"""What a method other than integrated gradients has of these."""


def unit_rows(
    method: str, decoder: Any, X: NDArray[Any], y: NDArray[Any], blocks: NDArray[Any], *, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Attribute the prediction of test trials to units.

    Parameters
    ----------
    method
        ``"permutation"``, ``"shap"`` or ``"integrated-gradients"``.
    decoder
        Fitted decoder.
    X, y, blocks
        Test trials as the decoder takes them (n_trials, n_bins, n_units), their labels and blocks.
    n_permutations, seed
        Of permutation importance.

    Returns
    -------
    pandas.DataFrame
        One row per unit, in the order of ``X``: ``measure, importance, accuracy_lost, magnitude, expected, deviation,
        n_draws, n_test, completeness_error, n_steps`` (see `spikesight.attribution.unit_table`).

    Raises
    ------
    DecoderError
        If the decoder does not allow the method.
    """
    if method == PERMUTATION:
        lost = permutation_importance(decoder, X, y, blocks, n_permutations=n_permutations, seed=seed)
        spread = lost.lost.std(axis=0, ddof=1) if n_permutations > 1 else np.nan
        found = {"measure": lost.measure, "importance": lost.lost.mean(axis=0), "deviation": spread}
        found |= {"accuracy_lost": lost.lost_accuracy.mean(axis=0), "magnitude": np.nan, "expected": 0.0}
        return pd.DataFrame({**found, "n_draws": n_permutations, "n_test": lost.n_trials, **_NO_PATH})
    if method == SHAP:
        shap = shap_importance(decoder, X, y, blocks)
        found = {"measure": SCORE, "importance": shap.toward_true, "magnitude": shap.magnitude}
        found |= {"expected": shap.expected, "deviation": shap.deviation, "accuracy_lost": np.nan}
        return pd.DataFrame({**found, "n_draws": 0, "n_test": shap.n_trials, **_NO_PATH})
    gradients = integrated_gradients(decoder, X, y)
    values = gradients.values.sum(axis=1)
    # Values of a unit that tells nothing add up to 0 over classes, not over trials: one that speaks for the frequent
    # class in every trial would seem to know the label.
    balanced = values * _class_weights(y[gradients.rows])[:, None]
    runs = np.array_split(balanced, max(len(values) // RUN_LENGTH, min(MINIMUM_RUNS, len(values))))
    means = np.array([run.mean(axis=0) for run in runs])
    importance = values.mean(axis=0)
    found = {"measure": SCORE, "importance": importance, "magnitude": np.abs(values).mean(axis=0)}
    found |= {"expected": importance - balanced.mean(axis=0), "accuracy_lost": np.nan}
    found["deviation"] = means.std(axis=0, ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.nan
    path = {"completeness_error": gradients.error, "n_steps": gradients.n_steps}
    return pd.DataFrame({**found, "n_draws": len(means), "n_test": len(values), **path})


def _class_weights(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Weight trials, 1 on average, so that every class counts alike."""
    _, code, times = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(len(labels) / (len(times) * times[code]))

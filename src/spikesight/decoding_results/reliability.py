"""Whether a decoder is right as often as it claims."""

from typing import Final

import numpy as np
import pandas as pd

from spikesight.decoding_results.proportions import wilson_interval
from spikesight.errors import ConfigError, DataError

COLUMNS: Final = (
    "decoder", "selection", "bin_low", "bin_high", "confidence", "accuracy", "low", "high", "n",
)  # fmt: skip


def reliability(predictions: pd.DataFrame, n_bins: int = 10) -> pd.DataFrame:
    """Sort test trials by the probability that a decoder gave to its answer, and count how often it was right.

    Parameters
    ----------
    predictions
        One row per test trial: ``decoder``, ``selection``, ``correct`` and ``confidence`` (NaN where the decoder has no
        probabilities; such decoders are left out).
    n_bins
        Bins of confidence, of equal width from 0 to 1.

    Returns
    -------
    pandas.DataFrame
        One row per decoder, selection and bin that holds a trial, columns ``COLUMNS``: the bin's bounds, mean
        ``confidence``, ``accuracy`` with the bounds ``low`` and ``high`` of Wilson's 95 % interval, and ``n`` trials.

    Raises
    ------
    ConfigError
        If there is no bin.
    DataError
        If a confidence is not from 0 to 1.
    """
    if n_bins < 1:
        raise ConfigError(f"expected n_bins of at least 1, got {n_bins}.")
    known = predictions[predictions["confidence"].notna()]
    confidence = known["confidence"].to_numpy(np.float64)
    if ((confidence < 0) | (confidence > 1 + 1e-9)).any():
        raise DataError(f"expected confidences from 0 to 1, got {confidence.min():g} to {confidence.max():g}.")
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    grouped = known.assign(place=place, correct=known["correct"].astype(float)).groupby(
        ["decoder", "selection", "place"], sort=False
    )
    table = grouped.agg(confidence=("confidence", "mean"), n_right=("correct", "sum"), n=("correct", "size"))
    table = table.reset_index().sort_values("place", kind="stable")
    low, high = wilson_interval(table["n_right"], table["n"])
    table = table.assign(
        bin_low=table["place"] / n_bins, bin_high=(table["place"] + 1) / n_bins, accuracy=table["n_right"] / table["n"],
        low=low, high=high,
    )  # fmt: skip
    return table[list(COLUMNS)].reset_index(drop=True)

"""How well each class is decoded, and what it is most often taken for."""

import numpy as np
import pandas as pd

from spikesight.decoding_results.proportions import wilson_interval


def class_accuracy(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count right and wrong test trials of each class.

    Parameters
    ----------
    predictions
        One row per test trial of one decoder: ``y_true``, ``y_pred`` and ``correct``.

    Returns
    -------
    pandas.DataFrame
        One row per class, the easiest first: ``label`` (text), ``accuracy`` with the bounds ``low`` and ``high`` of
        Wilson's 95 % interval, ``n`` (test trials), ``taken_for`` (the wrong class it was decoded as most often; ""
        without any) and ``n_taken`` (how often).
    """
    trials = predictions.assign(y_true=predictions["y_true"].astype(str), y_pred=predictions["y_pred"].astype(str))
    rows = []
    for label, own in trials.groupby("y_true", sort=False):
        wrong = own.loc[~own["correct"].astype(bool), "y_pred"].value_counts()
        most = wrong.index[0] if len(wrong) else ""
        rows.append((label, int(own["correct"].sum()), len(own), most, int(wrong.iloc[0]) if len(wrong) else 0))
    table = pd.DataFrame(rows, columns=["label", "n_right", "n", "taken_for", "n_taken"])
    low, high = wilson_interval(table["n_right"], table["n"])
    table = table.assign(accuracy=table.pop("n_right") / table["n"], low=low, high=high)
    order = np.argsort(-table["accuracy"].to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True)[["label", "accuracy", "low", "high", "n", "taken_for", "n_taken"]]

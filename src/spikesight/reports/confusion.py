"""Which class was taken for which: the matrices of a session that fit into a page, and which classes are alike."""

from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight.data.labels import sort_labels
from spikesight.figures.confusion import similar_order
from spikesight.records.leaderboard import is_competing
from spikesight.records.run_record import REFERENCE

MOST_CELLS: Final = 120_000
"""Non-zero cells of confusion matrices in one page, shared by its sessions: about 1 MB."""


def confusion_panel(predictions: pd.DataFrame, table: pd.DataFrame, n_sessions: int) -> dict[str, Any]:
    """Count confusions for the best rows that fit the budget of cells.

    Parameters
    ----------
    predictions
        One row per test trial of the session.
    table
        The session's leaderboard, best first.
    n_sessions
        Sessions that share the page.

    Returns
    -------
    dict
        ``labels``; ``rows``: decoder, selection and ``cells``, (shown, decoded, trials) one after the other; ``first``:
        the row to show first; ``left_out``: rows that did not fit (the first matrix is always there); ``similar``: the
        labels' numbers in an order that puts those together which decoders in competition take for each other.
    """
    budget = MOST_CELLS // max(1, n_sessions)
    by_row = dict(iter(predictions.groupby(["decoder", "selection"], sort=False)[["y_true", "y_pred"]]))
    labels = sort_labels([*predictions["y_true"].unique(), *predictions["y_pred"].unique()])
    place = {label: at for at, label in enumerate(labels)}
    competing = is_competing(table)
    together = np.zeros((len(labels), len(labels)))
    rows: list[dict[str, Any]] = []
    for at, (decoder, selection) in enumerate(table[["decoder", "selection"]].itertuples(index=False)):
        trials = by_row[decoder, selection]
        pairs = trials.groupby(["y_true", "y_pred"], sort=False).size().reset_index(name="n")
        budget -= len(pairs)
        if rows and budget < 0:
            break
        shown, decoded = pairs["y_true"].astype(str).map(place), pairs["y_pred"].astype(str).map(place)
        if competing.iloc[at]:
            together[shown, decoded] += pairs["n"]
        cells = [int(number) for triple in zip(shown, decoded, pairs["n"], strict=True) for number in triple]
        rows.append({"decoder": str(decoder), "selection": str(selection), "cells": cells})
    first = next((at for at, row in enumerate(rows) if row["selection"] != REFERENCE), 0)
    left_out = len(table) - len(rows)
    return {"labels": labels, "rows": rows, "first": first, "left_out": left_out, "similar": similar_order(together)}

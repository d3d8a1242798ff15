"""Which class was taken for which: the matrices of a session that fit into a page."""

from typing import Any, Final

import pandas as pd

from spikesight.figures.confusion import count_confusions
from spikesight.run_record import REFERENCE

MOST_CELLS: Final = 120_000
"""Non-zero cells of confusion matrices in one page, shared by its sessions: about 1 MB."""


def confusion_panel(predictions: pd.DataFrame, session: str, table: pd.DataFrame, n_sessions: int) -> dict[str, Any]:
    """Confusion matrices as (shown, decoded, trials) triples, for the best rows that fit the budget of cells.

    The first matrix is always there.
    """
    budget = MOST_CELLS // max(1, n_sessions)
    own = predictions[predictions["session"].astype(str) == session]
    by_row = dict(iter(own.groupby(["decoder", "selection"], sort=False)))
    labels = [str(label) for label in count_confusions(own["y_true"], own["y_pred"])["y_true"].to_numpy()]
    place = {label: at for at, label in enumerate(labels)}
    rows: list[dict[str, Any]] = []
    for decoder, selection in table[["decoder", "selection"]].itertuples(index=False):
        trials = by_row[decoder, selection]
        pairs = trials.groupby(["y_true", "y_pred"], sort=False).size().reset_index(name="n")
        budget -= len(pairs)
        if rows and budget < 0:
            break
        triples = zip(pairs["y_true"].map(place), pairs["y_pred"].map(place), pairs["n"], strict=True)
        cells = [int(number) for triple in triples for number in triple]
        rows.append({"decoder": str(decoder), "selection": str(selection), "cells": cells})
    first = next((at for at, row in enumerate(rows) if row["selection"] != REFERENCE), 0)
    return {"labels": labels, "rows": rows, "first": first, "left_out": len(table) - len(rows)}

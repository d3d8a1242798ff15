"""The table of candidates: its columns, its parameters, and how the best of each search rose."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight.errors import DataError

CANDIDATES: Final = "candidates.parquet"
"""The table of candidates in a run directory."""
SEARCH: Final = ("session", "decoder", "fold", "seed")
"""What names a search: one decoder's, on the training trials of one outer fold."""
CANDIDATE_COLUMNS: Final = (
    *SEARCH, "candidate", "state", "accuracy", "progress", "started", "seconds", "error", "params", "chosen",
)  # fmt: skip
_TYPES: Final = {
    **dict.fromkeys(("session", "decoder", "state", "error", "params"), "str"),
    **dict.fromkeys(("fold", "seed", "candidate"), "int64"),
    **dict.fromkeys(("accuracy", "progress", "started", "seconds"), "float64"),
    "chosen": "bool",
}
FINISHED: Final = "finished"
PRUNED: Final = "pruned"
FAILED: Final = "failed"
CUT_OFF: Final = ("stopped", "unfinished")
"""States of candidates that the end of the budget, or of their whole search, cut off: as pruned ones, they show what
they had by then."""
STATES: Final = (FINISHED, PRUNED, FAILED, *CUT_OFF)


def checked_candidates(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of candidates with a fresh index and the types of its columns, if it is one.

    Candidates that were cut off count as pruned.

    Raises
    ------
    DataError
        If a column is missing or holds something else, or a state is none of ``STATES``.
    """
    missing = [name for name in CANDIDATE_COLUMNS if name not in table]
    if missing:
        raise DataError(
            f"expected a table of candidates with the columns {', '.join(CANDIDATE_COLUMNS)}; missing: "
            f"{', '.join(missing)}. Read {CANDIDATES} of a run directory."
        )
    unknown = sorted({str(state) for state in table["state"]} - set(STATES))
    if unknown:
        raise DataError(f"expected the states {', '.join(STATES)} of candidates, got {', '.join(unknown[:5])}.")
    try:
        state = table["state"].replace(dict.fromkeys(CUT_OFF, PRUNED))
        known = table.assign(state=state, error=table["error"].fillna(""))
        return known.reset_index(drop=True).astype(_TYPES)
    except (TypeError, ValueError) as error:
        raise DataError(f"expected other values in a table of candidates: {error}. Search again.") from error


def parameters_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return the parameters of candidates, one column each, in the order in which they first appear.

    Parameters
    ----------
    table
        Candidates, with the columns ``CANDIDATE_COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        As many rows as ``table``. Numbers, texts and truth values stay what they are, everything else (lists, null) is
        its JSON text; NaN where a candidate lacks a parameter.

    Raises
    ------
    DataError
        If ``params`` of a row is not the JSON text of an object.
    """
    checked = checked_candidates(table)
    rows = [_parsed(text, row) for row, text in enumerate(checked["params"])]
    names = list(dict.fromkeys(name for values in rows for name in values))
    return pd.DataFrame({name: [values.get(name, np.nan) for values in rows] for name in names}, index=checked.index)


def optimisation_history(table: pd.DataFrame) -> pd.DataFrame:
    """Say how the best inner accuracy of every search rose, candidate by candidate.

    These accuracies are means over inner folds of training trials, not test accuracies; the best of N is optimistic.

    Parameters
    ----------
    table
        Candidates, with the columns ``CANDIDATE_COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        One row per candidate, in the order of proposal within each search: ``session, decoder, fold, seed, candidate,
        state, pruned, chosen, accuracy`` (of a pruned one what it had when it was stopped; NaN of one that failed
        before any), ``started, ended`` (s since the search began), ``best`` (among finished candidates up to this one)
        and ``best_when_ended`` (among those that had finished when this one ended); NaN before the first.
    """
    checked = checked_candidates(table)
    search = checked.groupby(list(SEARCH), sort=False).ngroup().rename("search")
    history = checked[[*SEARCH, "candidate", "state", "accuracy", "started", "chosen"]].assign(
        pruned=checked["state"] == PRUNED, ended=checked["started"] + checked["seconds"]
    )
    finished = history["accuracy"].where(history["state"] == FINISHED)
    for name, order in (("best", "candidate"), ("best_when_ended", "ended")):
        rows = history.sort_values(order, kind="stable").index
        highest = finished.loc[rows].groupby(search.loc[rows]).cummax()
        history[name] = highest.groupby(search.loc[rows]).ffill().reindex(history.index)
    columns = [
        *SEARCH, "candidate", "state", "pruned", "chosen", "accuracy", "started", "ended", "best", "best_when_ended",
    ]  # fmt: skip
    ordered = history.assign(search=search).sort_values(["search", "candidate"], kind="stable")
    return ordered[columns].reset_index(drop=True)


def _parsed(text: Any, row: int) -> dict[str, Any]:
    """Parameters of one candidate."""
    try:
        values = json.loads(text)
    except (TypeError, ValueError):
        values = None
    if not isinstance(values, Mapping):
        raise DataError(f"expected params as the JSON text of an object, row {row} has {str(text)[:80]!r}.")
    return {str(name): value if _is_plain(value) else json.dumps(value) for name, value in values.items()}


def _is_plain(value: Any) -> bool:
    """Whether a value is a text, a truth value or a finite number of a size that columns have."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool) or (isinstance(value, int) and abs(value) < 2**63)

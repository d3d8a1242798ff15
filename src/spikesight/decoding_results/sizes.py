"""Accuracy against a number that differs between runs or rows: bins of a trial, width of a hidden layer."""

import json
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight.decoders import registry
from spikesight.errors import DataError, UnknownNameError
from spikesight.statistics import block_bootstrap

COLUMNS: Final = (
    "decoder", "selection", "value", "accuracy", "low", "high", "chance", "n_trials", "n_sessions",
)  # fmt: skip
_POINT: Final = ["decoder", "selection"]


def accuracy_against(
    runs: Iterable[tuple[pd.DataFrame, pd.DataFrame]], what: str = "n_bins", *, seed: int = 0
) -> pd.DataFrame:
    """Gather the accuracy of each decoder for each value of a number.

    Parameters
    ----------
    runs
        Results (one row per fold) and predictions (one row per test trial) of each run. Runs that are to be compared
        should have the same sessions and folds.
    what
        A column of the results, such as ``"n_bins"`` or ``"n_units"``, or a parameter of decoders, such as
        ``"hidden_size"``; where a row does not tell it, it is the decoder's default.
    seed
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS``, in order of ``value``. ``accuracy`` and ``chance`` are means over sessions, the former with
        the interval that `spikesight.statistics.WHAT_INTERVALS_COVER` describes. Left out are decoders without such a
        number; rows whose folds have different ones (a search may choose so), since folds with one value are other
        test trials than those with another; and, as in a leaderboard, decoders of which a fold or a session failed.

    Raises
    ------
    DataError
        If a decoder has the same value in two runs: it cannot be told which to take.
    """
    rows: list[dict[str, Any]] = []
    for results, predictions in runs:
        trials = dict(iter(predictions.groupby(_POINT, sort=False)))
        most = max(map(len, trials.values()), default=0)
        for (decoder, selection), own in results.groupby(_POINT, sort=False):
            value = _value(str(decoder), own, what)
            if value is not None and len(trials[decoder, selection]) == most:
                key = {"decoder": str(decoder), "selection": str(selection), "value": value}
                rows.append({**key, **_accuracy(own, trials[decoder, selection], seed)})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    twice = table[table.duplicated([*_POINT, "value"])]
    if len(twice):
        first = twice.iloc[0]
        raise DataError(
            f"expected one run for each value of {what}, got several with {what} = {first['value']:g} of "
            f"{first['decoder']} ({first['selection']}). Give one of them."
        )
    return table.sort_values([*_POINT, "value"], kind="stable").reset_index(drop=True)


def _value(decoder: str, folds: pd.DataFrame, what: str) -> float | None:
    """Return the one value of all folds; None if there is none, or several."""
    if what in folds:
        values = set(folds[what].dropna())
    else:
        told = [json.loads(text).get(what) for text in folds["params"]]
        values = {_default(decoder, what) if value is None else value for value in told}
    if len(values) != 1:
        return None
    value = values.pop()
    return float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else None


def _default(decoder: str, what: str) -> Any:
    try:
        return registry.make(decoder).get_params(deep=False).get(what)
    except UnknownNameError:  # a reference, which is no decoder of the table
        return None


def _accuracy(folds: pd.DataFrame, trials: pd.DataFrame, seed: int) -> dict[str, Any]:
    ordered = trials.sort_values(["session", "seed", "row"], kind="stable")
    correct = ordered["correct"].to_numpy(bool)
    sessions = ordered["session"].astype(str)
    low, high = block_bootstrap(correct, seed=seed, sessions=sessions.to_numpy())
    by_session = folds.groupby("session", sort=False)
    return {
        "accuracy": float(ordered.groupby("session")["correct"].mean().mean()),
        "low": low,
        "high": high,
        "chance": float(np.mean([np.average(own["chance"], weights=own["n_test"]) for _, own in by_session])),
        "n_trials": len(ordered),
        "n_sessions": sessions.nunique(),
    }

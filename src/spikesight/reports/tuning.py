"""What a report says of searches for constants: how they went about it, what they tried, what their winners reached."""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight.records.run_record import RunRecord
from spikesight.reports.numbers import rounded
from spikesight.tuning_results import optimisation_history, parallel_coordinates, parameter_importance

SEARCHED: Final = "searched"
MOST_DRAWN: Final = 6000
"""Candidates in the pictures of one page, shared by its sessions: about 1.5 MB."""

_MOST_FAILURES: Final = 10
_STATES: Final = ("finished", "pruned", "failed")
_SAMPLERS: Final = {
    "optuna-gp": "Optuna's GPSampler, a Gaussian process of what earlier candidates reached, chose",
    "optuna-tpe": "Optuna's TPESampler, a tree-structured Parzen estimator (Bergstra et al. 2011), chose",
    "random": "random search (Bergstra and Bengio 2012) drew",
    "hebo": "HEBO, a Gaussian process of transformed accuracies (Cowen-Rivers et al. 2022), chose",
}


def describe_search(record: RunRecord) -> str:
    """Say how constants were searched, as far as the run's config and candidates tell; "" without a search."""
    if SEARCHED not in set(record.results["selection"]) and record.candidates is None:
        return ""
    settings = record.config.get("tuning")
    asked: Mapping[str, Any] = settings if isinstance(settings, Mapping) else {}
    search, number, budget = asked.get("search"), asked.get("candidates"), asked.get("budget")
    how = _SAMPLERS.get(str(search), f"the search {search!s} chose" if search else "a search chose")
    limit = f", within {budget:g} minutes a fold" if isinstance(budget, int | float) else ""
    sentences = [
        f"Rows marked searched: on the training trials of each outer fold {how} "
        f"{f'up to {number}' if number else ''} candidates{limit}. A candidate's inner accuracy is the mean over "
        "contiguous inner folds of these trials.".replace("  ", " "),
        _halving(asked),
        "The best candidate was then fitted to all training trials of the fold, and its test trials were read once.",
    ]
    if record.candidates is not None:
        counts = record.candidates["state"].value_counts()
        told = [
            f"{counts.get('finished', 0):,} finished",
            f"{counts.get('pruned', 0):,} were pruned or cut off by the end of the time",
        ]
        sentences.append(f"Of {len(record.candidates):,} candidates in all {', '.join(told)}, and "
                         f"{counts.get('failed', 0):,} failed.")  # fmt: skip
    return " ".join(sentence for sentence in sentences if sentence)


def _halving(asked: Mapping[str, Any]) -> str:
    """Say which candidates were stopped early."""
    scheduler = asked.get("scheduler")
    if not scheduler:
        return ""
    if str(scheduler) != "asha":
        return "None was stopped early." if str(scheduler) in ("none", "fifo") else f"Scheduler: {scheduler}."
    reduction, grace = asked.get("reduction"), asked.get("grace")
    share = f"the best 1/{reduction:g} of those" if isinstance(reduction, int | float) else "the best of those"
    settings = [f"first after {grace:.0%} of their training"] if isinstance(grace, int | float) else []
    return (
        f"Pruned: candidates that on the inner folds were not among {share} that had been trained as far were stopped "
        f"(asynchronous successive halving, ASHA, Li et al. 2020{'; ' if settings else ''}{', '.join(settings)})."
    )


def importances(record: RunRecord) -> dict[str, list[dict[str, Any]]]:
    """Give the importance of parameters by decoder, pooled over sessions, folds and seeds; {} without a search."""
    if record.candidates is None:
        return {}
    table = parameter_importance(record.candidates)
    return {
        str(decoder): _records(own.drop(columns="decoder")) for decoder, own in table.groupby("decoder", sort=False)
    }


def tuning_section(record: RunRecord, session: str) -> dict[str, Any] | None:
    """Collect everything that the page shows of one session's searches; None if it has none.

    Returns
    -------
    dict
        ``rows``: one per decoder, best test accuracy first, with ``inner`` (the mean over outer folds of the winners'
        inner accuracies), ``test`` with its interval, ``n_<state>`` and the time taken. ``winners``: one per search.
        ``failures``: reasons and how often. ``drawn``: data of the pictures. ``left_out``: decoders without.
    """
    if record.candidates is None:
        return None
    own = record.candidates[record.candidates["session"] == session]
    if own.empty:
        return None
    own = own.sort_values(["decoder", "fold", "seed", "candidate"], kind="stable").reset_index(drop=True)
    results = record.results.reindex(columns=list({*record.results.columns, "inner_accuracy"}))
    results = results[(results["session"].astype(str) == session) & (results["selection"] == SEARCHED)]
    board = record.per_session[record.per_session["session"].astype(str) == session]
    board = board[board["selection"] == SEARCHED].set_index("decoder")
    winners = [winner for _, table in own.groupby("decoder", sort=False) for winner in _winners(table, results)]
    rows = [_row(str(name), table, winners, board) for name, table in own.groupby("decoder", sort=False)]
    rows.sort(key=lambda row: -1.0 if row["test"] is None else row["test"], reverse=True)
    order = [row["decoder"] for row in rows]
    drawn = _within_budget(own, order, MOST_DRAWN // max(1, record.candidates["session"].nunique()))
    return {
        "rows": rows,
        "winners": sorted(winners, key=lambda winner: (order.index(winner["decoder"]), winner["fold"], winner["seed"])),
        "several_seeds": own["seed"].nunique() > 1,
        "failures": _failures(own),
        "drawn": [_drawn(own[own["decoder"] == name]) for name in drawn],
        "left_out": len(order) - len(drawn),
    }


def _winners(table: pd.DataFrame, results: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the winner of every search of a decoder, and what it reached on the test trials of its outer fold."""
    found = []
    for _, own in table.groupby(["fold", "seed"], sort=False):
        first = own.iloc[0]
        decoder, fold, seed = str(first["decoder"]), int(first["fold"]), int(first["seed"])
        tested = results[(results["decoder"] == decoder) & (results["fold"] == fold) & (results["seed"] == seed)]
        chosen = own[own["chosen"]]
        inner = _known(chosen["accuracy"].iloc[0]) if len(chosen) else None
        if inner is None and len(tested):
            inner = _known(tested["inner_accuracy"].iloc[0])
        constants = json.loads(chosen["params"].iloc[0]) if len(chosen) else {}
        found.append(
            {
                "decoder": decoder, "fold": fold, "seed": seed, "inner": inner,
                "test": _known(tested["accuracy"].iloc[0]) if len(tested) else None,
                "constants": ", ".join(f"{name} = {_plain(value)}" for name, value in constants.items()),
            }
        )  # fmt: skip
    return found


def _row(decoder: str, table: pd.DataFrame, winners: list[dict[str, Any]], board: pd.DataFrame) -> dict[str, Any]:
    """One line of the section's table."""
    inner = [winner["inner"] for winner in winners if winner["decoder"] == decoder and winner["inner"] is not None]
    tested: Mapping[Any, Any] = board.loc[decoder].to_dict() if decoder in board.index else {}
    took = (table["started"] + table["seconds"]).groupby([table["fold"], table["seed"]]).max().sum()
    mean = float(np.mean(inner)) if inner else None
    test = _known(tested.get("accuracy"))
    return {
        "decoder": decoder, "inner": mean, "test": test, "low": _known(tested.get("low")),
        "high": _known(tested.get("high")), "minus": None if mean is None or test is None else mean - test,
        "n_searches": len(table[["fold", "seed"]].drop_duplicates()), "n_candidates": len(table),
        **{f"n_{state}": int((table["state"] == state).sum()) for state in _STATES}, "seconds": float(took),
    }  # fmt: skip


def _failures(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Why candidates failed, and how many of each decoder for that reason; the most frequent first."""
    failed = table[table["state"] == "failed"]
    counts = failed.groupby(["decoder", "error"], sort=False).size().reset_index(name="n")
    return _records(counts.sort_values("n", ascending=False, kind="stable").head(_MOST_FAILURES))


def _within_budget(table: pd.DataFrame, order: list[str], budget: int) -> list[str]:
    """Choose the decoders that are drawn: the best ones whose candidates fit; the first in any case."""
    sizes = table["decoder"].value_counts()
    total = np.cumsum([int(sizes[name]) for name in order])
    return [name for at, name in enumerate(order) if at == 0 or total[at] <= budget]


def _drawn(table: pd.DataFrame) -> dict[str, Any]:
    """Collect the data of one decoder's pictures; candidates are in the same order in all of it."""
    history = optimisation_history(table)
    lines, ticks = parallel_coordinates(table)
    searches = history[["fold", "seed"]].apply(tuple, axis=1)
    names = list(dict.fromkeys(searches))
    seeds = history["seed"].nunique() > 1
    axes = []
    for parameter, own in lines.groupby("parameter", sort=False):
        marked = ticks[ticks["parameter"] == parameter]
        axes.append(
            {
                "name": str(parameter), "log": bool((marked["scale"] == "log").any()),
                "at": rounded(marked["position"]), "labels": [str(label) for label in marked["label"]],
                "position": rounded(own["position"]), "value": [str(value) for value in own["value"]],
            }
        )  # fmt: skip
    return {
        "decoder": str(table["decoder"].iloc[0]),
        "searches": [f"outer fold {fold}" + (f", seed {seed}" if seeds else "") for fold, seed in names],
        "search": [names.index(key) for key in searches],
        "candidate": [int(number) for number in history["candidate"]],
        "state": [_STATES.index(state) for state in history["state"]],
        "chosen": [int(flag) for flag in history["chosen"]],
        "accuracy": rounded(history["accuracy"]),
        "minutes": rounded(history["ended"] / 60),
        "best": rounded(history["best"]),
        "bestWhenEnded": rounded(history["best_when_ended"]),
        "error": [text[:120] for text in table["error"]],
        "axes": axes,
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _known(value) if isinstance(value, float) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _known(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _plain(value: Any) -> str:
    """Write the value of a parameter: a fraction briefly, a text as it is, everything else as JSON."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)

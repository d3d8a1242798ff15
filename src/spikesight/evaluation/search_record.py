"""What searches found, in a run directory: one table of all candidates, and who won."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from spikesight.evaluation.candidates import candidate_table
from spikesight.evaluation.fitting import SEARCH
from spikesight.evaluation.search_folder import SearchFolder
from spikesight.tracking.run_directory import CHECKPOINTS, RunDirectory
from spikesight.tuning_results.table import CANDIDATE_COLUMNS, CANDIDATES, FINISHED


class SearchCell(NamedTuple):
    """A search: its part in the run directory, and whose it is."""

    part: str
    session: str
    decoder: str
    fold: int
    seed: int


def stack_candidates(searches: Iterable[tuple[SearchCell, pd.DataFrame]]) -> pd.DataFrame:
    """Put tables of candidates together.

    Returns
    -------
    DataFrame
        ``session``, ``decoder``, ``fold`` (the outer one), ``seed``; the columns of
        `spikesight.evaluation.candidates.candidate_table`; ``chosen``, true for the best finished candidate of each
        search.
    """
    tables = []
    for cell, table in searches:
        if table.empty:
            continue
        key = pd.DataFrame([cell._asdict()] * len(table)).drop(columns="part")
        tables.append(pd.concat([key, table, _is_best(table).rename("chosen")], axis=1))
    return (
        pd.concat(tables, ignore_index=True)[list(CANDIDATE_COLUMNS)]
        if tables
        else pd.DataFrame(columns=list(CANDIDATE_COLUMNS))
    )


def write_candidates(run: RunDirectory, cells: Sequence[SearchCell]) -> pd.DataFrame:
    """Write ``candidates.parquet``: every candidate of every search, those of unfinished ones too; none, no file.

    Parameters
    ----------
    run
        An open run directory.
    cells
        Its searches, in the order of the table.

    Returns
    -------
    DataFrame
        What was written, as of `stack_candidates`.
    """
    finished = run.finished_parts()
    table = stack_candidates(
        (
            cell,
            run.read_candidates(cell.part)
            if cell.part in finished
            else candidate_table(SearchFolder(run.path / CHECKPOINTS / cell.part / SEARCH).records()),
        )
        for cell in cells
    )
    if len(table):
        run.write_table(CANDIDATES, table)
    return table


def winners(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return one row per decoder: of the winners of all sessions and folds, the one that gained most.

    Folds and sessions differ in how hard they are, so that winners are compared by what they have more, on the inner
    folds, than the first candidate of the same search, which has the decoder's defaults. It is the best of several on
    trials some of which other folds test on: a config made of it is for other sessions, or for later trials.
    """
    search = ["session", "decoder", "fold", "seed"]
    first = candidates[(candidates["candidate"] == 0) & (candidates["state"] == FINISHED)]
    best = candidates[candidates["chosen"]].merge(first[[*search, "accuracy"]], "left", search, suffixes=("", "_first"))
    gained = (best["accuracy"] - best["accuracy_first"]).rename("gained")
    order = best.assign(gained=gained).sort_values("gained", ascending=False, kind="stable")  # unknown gains last
    return order.drop_duplicates("decoder")[list(candidates.columns)].reset_index(drop=True)


def _is_best(table: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the finished candidate with the highest accuracy, the first of equal ones."""
    finished = table.loc[table["state"] == FINISHED, "accuracy"]
    best = int(finished.to_numpy().argmax()) if len(finished) else 0
    return pd.Series(table.index.isin(finished.index[best : best + 1]), index=table.index)

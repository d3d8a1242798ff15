"""What searches found, in a run directory: one table of all candidates, and who won."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import pandas as pd

from spikesight.candidates import CANDIDATE_COLUMNS, FINISHED, candidate_table
from spikesight.fitting import SEARCH
from spikesight.search_folder import SearchFolder
from spikesight.tracking import CHECKPOINTS, RunDirectory

CANDIDATES: Final = "candidates.parquet"
RUN_COLUMNS: Final = ("session", "decoder", "fold", "seed", *CANDIDATE_COLUMNS, "chosen")


class SearchCell(NamedTuple):
    """A search: its part in the run directory, and whose it is."""

    part: str
    session: str
    decoder: str
    fold: int
    seed: int


def write_candidates(run: RunDirectory, cells: Sequence[SearchCell]) -> None:
    """Write ``candidates.parquet``: every candidate of every search, those of unfinished ones too; none, no file.

    Columns: ``session``, ``decoder``, ``fold`` (the outer one), ``seed``; those of
    `spikesight.candidates.candidate_table`; ``chosen``, true for the best finished candidate of each search.

    Parameters
    ----------
    run
        An open run directory.
    cells
        Its searches, in the order of the table.
    """
    finished = run.finished_parts()
    tables = []
    for cell in cells:
        if cell.part in finished:
            table = run.read_candidates(cell.part)
        else:
            table = candidate_table(SearchFolder(run.path / CHECKPOINTS / cell.part / SEARCH).records())
        key = pd.DataFrame([cell._asdict()] * len(table)).drop(columns="part", errors="ignore")
        tables.append(pd.concat([key, table, _is_best(table).rename("chosen")], axis=1))
    if any(len(table) for table in tables):
        run.write_table(CANDIDATES, pd.concat(tables, ignore_index=True)[list(RUN_COLUMNS)])


def winners(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return one row per session and decoder: of the winners of all folds, the one with the highest accuracy.

    It is the best of several on trials some of which other folds test on: a config made of it is for other sessions, or
    for trials that come later.
    """
    best = candidates[candidates["chosen"]].sort_values("accuracy", ascending=False, kind="stable")
    return best.drop_duplicates(["session", "decoder"]).reset_index(drop=True)


def _is_best(table: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the finished candidate with the highest accuracy, the first of equal ones."""
    finished = table.loc[table["state"] == FINISHED, "accuracy"]
    best = int(finished.to_numpy().argmax()) if len(finished) else 0
    return pd.Series(table.index.isin(finished.index[best : best + 1]), index=table.index)

"""The cells of a run: which there are, which are begun, and what became of them, written as soon as it is known."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from spikesight.evaluation.cells import Cell, Outcome, row_of
from spikesight.evaluation.entrants import has_graph
from spikesight.evaluation.fitting import REFERENCE, TUNED, Contender
from spikesight.evaluation.search_record import SearchCell
from spikesight.tracking.graph_records import GraphCell
from spikesight.tracking.run_directory import RunDirectory

FAILURE_COLUMNS: Final = ("session", "decoder", "selection", "fold", "seed", "error")

NOT_RUN: Final = "not run: the time limit was over; start the same command again to go on"

OnCell = Callable[[int, int, Mapping[str, Any]], object]


class RunPlan:
    """What a run does, session by session.

    Parameters
    ----------
    run
        An open run directory.
    total
        Number of cells in all sessions.
    seed
        Value of every ``random_state``; failures say it.
    on_cell
        Called after each cell with the number done, the number in all, and the cell's row.
    time_limit
        Seconds from now after which no further cell is given out; None means no limit.

    Attributes
    ----------
    parts
        Names of the cells of the sessions so far, in the order of the tables.
    graphs, areas
        Those that keep a graph, and the area of each unit in their sessions.
    searches
        Those whose constants are searched.
    failures
        Row of every cell that failed, or was not begun in time, by the name of its part.
    """

    def __init__(
        self, run: RunDirectory, total: int, seed: int, *, on_cell: OnCell | None, time_limit: float | None
    ) -> None:
        self.parts: list[str] = []
        self.graphs: list[GraphCell] = []
        self.searches: list[SearchCell] = []
        self.areas: dict[str, Mapping[Any, str]] = {}
        self.failures: dict[str, dict[str, Any]] = {}
        self._run = run
        self._total = total
        self._done = 0
        self._seed = seed
        self._on_cell = on_cell
        self._deadline = time.monotonic() + (math.inf if time_limit is None else time_limit)
        self._session: dict[str, str] = {}
        self._too_late: list[tuple[str, Cell]] = []

    def expect(self, n_cells: int, n_sessions: int) -> None:
        """Hear of the cells of the next session; ``n_sessions`` that follow are taken to have as many."""
        self._total = len(self.parts) + n_cells * (1 + n_sessions)
        self._run.log("cells expected", cells=self._total)

    def is_over(self) -> bool:
        """Tell if it is too late to begin anything."""
        return time.monotonic() >= self._deadline

    def missing(self, session: str, cells: list[Cell], areas: Mapping[Any, str]) -> Iterator[Cell]:
        """Give the cells of a session that are not finished, slow ones first, until it is too late to begin another."""
        self.parts += [cell.part for cell in cells]
        graphs = _graph_cells(cells, session)
        self.graphs += graphs
        self.searches += _search_cells(cells, session, self._seed)
        if graphs:
            self.areas[session] = areas
        finished = self._run.finished_parts()
        for cell in cells:
            if cell.part in finished:
                self._tell(row_of(self._run.read_part(cell.part)[0]))
        left = [cell for cell in cells if cell.part not in finished]
        # The slow ones first: the last minutes are then filled by quick ones.
        return self._in_time(session, sorted(left, key=lambda cell: _turn(cell.contender)))

    def record(self, cell: Cell, outcome: Outcome) -> None:
        """Write what became of a cell that was given out."""
        self._record(cell, self._session.pop(cell.part), outcome)

    def record_not_run(self) -> None:
        """Write which cells were not begun in time."""
        for session, cell in self._too_late:
            self._record(cell, session, Outcome(None, None, NOT_RUN))

    def _in_time(self, session: str, cells: list[Cell]) -> Iterator[Cell]:
        for place, cell in enumerate(cells):
            if self.is_over():
                self._too_late += [(session, late) for late in cells[place:]]
                return
            self._session[cell.part] = session
            yield cell

    def _record(self, cell: Cell, session: str, outcome: Outcome) -> None:
        row = _write(self._run, cell, session, self._seed, outcome)
        if outcome.error:
            self.failures[cell.part] = row
        self._tell(row)

    def _tell(self, row: Mapping[str, Any]) -> None:
        self._done += 1
        if self._on_cell is not None:
            self._on_cell(self._done, self._total, row)


def failure_row(cell: Cell, session: str, seed: int, outcome: Outcome) -> dict[str, Any]:
    """Say which cell failed, and why: ``FAILURE_COLUMNS``."""
    values = (session, cell.contender.name, cell.contender.selection, cell.fold, seed, outcome.error)
    return dict(zip(FAILURE_COLUMNS, values, strict=True))


def lost_session_row(session: str, seed: int, error: Exception) -> dict[str, Any]:
    """Say which session could not be decoded at all, and why: no decoder, no fold."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return dict(zip(FAILURE_COLUMNS, (session, None, None, None, seed, reason), strict=True))


def _write(run: RunDirectory, cell: Cell, session: str, seed: int, outcome: Outcome) -> dict[str, Any]:
    """Write a cell's part and its line in the log; return its row."""
    key = {"part": cell.part}
    for warning in outcome.warnings:
        run.log("warning", **key, warning=warning)
    if outcome.result is None or outcome.predictions is None:
        row = failure_row(cell, session, seed, outcome)
        run.log("cell failed", **key, error=outcome.error, traceback=outcome.traceback)
        return row
    run.write_part(cell.part, outcome.result, outcome.predictions, outcome.candidates)
    row = row_of(outcome.result)
    run.log("cell finished", **key, accuracy=row["accuracy"], fit_seconds=row["fit_seconds"])
    return row


def _graph_cells(cells: list[Cell], session: str) -> list[GraphCell]:
    """Cells that keep a graph."""
    return [
        GraphCell(cell.part, session, cell.contender.name, cell.contender.selection, cell.fold)
        for cell in cells
        if cell.contender.selection != REFERENCE and has_graph(type(cell.contender.estimator))
    ]


def _search_cells(cells: list[Cell], session: str, seed: int) -> list[SearchCell]:
    """Cells whose constants are searched."""
    return [
        SearchCell(cell.part, session, cell.contender.name, cell.fold, seed)
        for cell in cells
        if cell.contender.search is not None
    ]


def _turn(contender: Contender) -> int:
    """Order contenders: searches, which take all cores, then choices among candidates, then single fits."""
    return 0 if contender.search is not None else 1 if contender.selection == TUNED else 2

"""Sessions x decoders x folds: on equal terms, in parallel, resumable."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import joblib
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from spikesight import schema
from spikesight.cells import Cell, Keep, Outcome, attempt, attempt_named, attempt_quietly, name_cells, row_of
from spikesight.detrending import Detrending
from spikesight.entrants import entrants, has_graph
from spikesight.epochs import write_epochs
from spikesight.errors import ConfigError, WorkerError
from spikesight.evaluation import PREDICTION_COLUMNS, RESULT_COLUMNS, Problem, as_problem, contender, gap_of
from spikesight.fitting import DEFAULT, FEWEST_CANDIDATES, REFERENCE, TUNED, Contender
from spikesight.graph_records import GraphCell, write_graphs
from spikesight.splits import BlockKFold, Fold, Splitter, inner_folds
from spikesight.tracking import FAILURES, PREDICTIONS, RESULTS, RunDirectory
from spikesight.wandb_tracking.process import WRITER_BYTES
from spikesight.wandb_tracking.runs import WandbSettings, catch_up

FAILURE_COLUMNS: Final = ("session", "decoder", "selection", "fold", "seed", "error")

BYTES_PER_PROCESS: Final = 250 * 1024**2
"""An interpreter with the libraries that decoders need."""
WORKING_COPIES: Final = 6
"""Float64 copies of a session's trials that a decoder holds while fitted: measured were 5 (fa-lda) to 6 (ridge)."""

NOT_RUN: Final = "not run: the time limit was over; start the same command again to go on"

OnCell = Callable[[int, int, Mapping[str, Any]], object]


class Evaluation(NamedTuple):
    """What came out.

    Attributes
    ----------
    results
        One row per session, decoder, selection and fold: ``RESULT_COLUMNS``.
    predictions
        One row per test trial of each of these: ``PREDICTION_COLUMNS``.
    failures
        One row per fold in which a decoder raised, with the reason: ``FAILURE_COLUMNS``. Empty when all went well.
    """

    results: pd.DataFrame
    predictions: pd.DataFrame
    failures: pd.DataFrame


def evaluate(
    decoder: Any,
    dataset: xr.Dataset,
    splitter: Splitter | None = None,
    *,
    selection: str = DEFAULT,
    candidates: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
    detrending: Detrending | None = None,
) -> Evaluation:
    """Score one decoder on one session, fold by fold, in this process.

    Parameters
    ----------
    decoder
        Registered name, or an unfitted scikit-learn classifier.
    dataset
        Binned trials in time order.
    splitter
        How test trials are set aside; None means ``BlockKFold()``.
    selection
        ``"default"``, or ``"tuned"``: constants are chosen on training trials among the candidates.
    candidates
        Parameters to choose from, for a ``decoder`` that is not a name.
    seed
        Value of every ``random_state`` in the decoder.
    detrending
        How slow drift is taken away inside each fold; None leaves it.

    Returns
    -------
    Evaluation
        A fold in which the decoder raises is a row of ``failures``; the other folds go on.

    Raises
    ------
    DataError
        If the dataset is not fit for these folds (too few repeats, a gap that leaves no training trials, ...).
    ConfigError
        If a decoder that has fewer than two candidates is to be tuned.
    """
    if isinstance(decoder, str):
        entrant = contender(decoder, selection)
    else:
        entrant = Contender(type(decoder).__name__, selection, decoder, tuple(candidates) or ({},))
    if selection == TUNED and entrant.n_compared < FEWEST_CANDIDATES:
        raise ConfigError(
            f"to tune {entrant.name}, expected candidates to choose from, {FEWEST_CANDIDATES} or more, got "
            f"{len(candidates)}. Ask for {DEFAULT!r}."
        )
    splitter = BlockKFold() if splitter is None else splitter
    problem = as_problem(dataset, detrending=detrending)
    folds = _checked_folds(problem, splitter, tuned=selection == TUNED)
    cells = [Cell(entrant, fold, rows, "") for fold, rows in enumerate(folds)]
    with threadpool_limits(1):  # as in a run: small products take many times longer on several busy cores
        outcomes = [attempt(cell, problem, splitter, seed) for cell in cells]
    failures = [
        _failure(cell, problem.session, seed, outcome)
        for cell, outcome in zip(cells, outcomes, strict=True)
        if outcome.error
    ]
    return Evaluation(
        _stack([outcome.result for outcome in outcomes if outcome.result is not None], RESULT_COLUMNS),
        _stack([outcome.predictions for outcome in outcomes if outcome.predictions is not None], PREDICTION_COLUMNS),
        pd.DataFrame(failures, columns=list(FAILURE_COLUMNS)),
    )


@dataclass(frozen=True)
class Benchmark:
    """Decoders on sessions, every one with the same trials, bins, folds and number of candidates.

    Parameters
    ----------
    datasets
        Binned trials per session id. A mapping that loads on access is asked for each session twice: first to check
        that its trials suffice for the folds, then to decode it.
    decoders
        Registered names. ``chance`` is always there, as a reference.
    splitter
        How test trials are set aside.
    selections
        ``"tuned"``, ``"default"`` or both. A decoder with fewer than two candidates has a default row in any case and
        never a tuned one.
    references
        More reference rows: per session id, unfitted estimators by name (the oracle of a simulation).
    seed
        Value of every ``random_state``.
    jobs
        Processes at a time, each with one BLAS thread.
    save_decoders
        Keep every fitted decoder in the run directory, as ``decoders/<part>``.
    time_limit
        Seconds after which no further cell is begun; those are failures that say so, and a later run goes on with
        them. None means no limit.
    detrending
        How slow drift is taken away inside each fold; None leaves it.
    wandb
        Where W&B runs are written, one a cell; None: there are none.
    """

    datasets: Mapping[str, xr.Dataset]
    decoders: Sequence[str]
    splitter: Splitter = field(default_factory=BlockKFold)
    selections: Sequence[str] = (TUNED, DEFAULT)
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    jobs: int = 1
    save_decoders: bool = False
    time_limit: float | None = None
    detrending: Detrending | None = None
    wandb: WandbSettings | None = None

    def memory_estimate(self) -> int:
        """Bytes of memory that a run needs, roughly: trials, their shared copy, and what each process works on."""
        shapes = [
            (trials[schema.SPIKE_COUNTS].size, trials[schema.SPIKE_COUNTS].nbytes) for trials in self.datasets.values()
        ]
        largest, stored = (max(values, default=0) for values in zip(*shapes, strict=True))
        everything = sum(n_bytes for _, n_bytes in shapes)
        shared = stored if self.jobs > 1 else 0
        copies = WORKING_COPIES + (self.detrending is not None)
        process = BYTES_PER_PROCESS + (0 if self.wandb is None else WRITER_BYTES)
        return int(everything + shared + self.jobs * (process + copies * 8 * largest))

    def run(self, run: RunDirectory, on_cell: OnCell | None = None) -> Evaluation:
        """Decode what the run directory does not hold yet, then assemble the tables.

        Every decoder of a graph gets a reference row beside it, the same decoder with the identity graph and default
        constants: what the default row has more is what the graph adds.

        Each finished cell (one decoder on one fold of one session) is written at once: after Ctrl-C, a killed worker
        or a full disk, a run with the same config continues where this one stopped. A cell counts as the same if
        trials, rows, decoder, constants, seed and the code that decides numbers are. Cells that failed are tried
        again.

        Parameters
        ----------
        run
            An open run directory.
        on_cell
            Called after each cell with the number done, the number in all, and the cell's row of results (or of
            failures, which has ``error``).

        Returns
        -------
        Evaluation
            Also written: ``results.parquet``, ``predictions.parquet``, ``failures.json``; for graph decoders
            ``adjacency.nc`` and ``edges.parquet``; for networks ``epochs.parquet``.

        Raises
        ------
        UnknownNameError
            If a decoder is not registered.
        DataError
            If a session is not fit for the folds. Nothing has been fitted then.
        WorkerError
            If a worker process died, most likely for lack of memory.
        """
        tuned = TUNED in self.selections
        folds: dict[str, list[Fold]] = {}
        contenders: dict[str, list[Contender]] = {}
        for session in self.datasets:
            problem = self._problem(session)
            folds[session] = _checked_folds(problem, self.splitter, tuned=tuned)
            references = self.references.get(session, {})
            contenders[session] = entrants(self.decoders, self.selections, references, problem)
        total = sum(len(folds[session]) * len(contenders[session]) for session in self.datasets)
        run.log("benchmark started", cells=total, jobs=self.jobs)
        tell = _Progress(total, on_cell)
        deadline = time.monotonic() + (math.inf if self.time_limit is None else self.time_limit)
        parts: list[str] = []
        graphs: list[GraphCell] = []
        failures: list[dict[str, Any]] = []
        for session in self.datasets:
            problem = self._problem(session)
            cells = name_cells(contenders[session], problem, folds[session], self.splitter, self.seed)
            parts += [cell.part for cell in cells]
            finished = run.finished_parts()
            for cell in cells:
                if cell.part in finished:
                    tell(row_of(run.read_part(cell.part)[0]))
            missing = [cell for cell in cells if cell.part not in finished]
            for cell, outcome in self._outcomes(missing, problem, run.path, deadline):
                row = _record(run, cell, session, self.seed, outcome)
                if outcome.error:
                    failures.append(row)
                tell(row)
            graphs += _graph_cells(cells, session)
        finished = run.finished_parts()
        areas = {session: _areas(dataset) for session, dataset in self.datasets.items()} if graphs else {}
        write_graphs(run, [cell for cell in graphs if cell.part in finished], areas)
        done = [part for part in parts if part in finished]
        write_epochs(run, done)
        if self.wandb is not None:
            catch_up(self.wandb, run, done)
        return _assemble(run, parts, failures)

    def _problem(self, session: str) -> Problem:
        return as_problem(self.datasets[session], session, self.detrending)

    def _outcomes(
        self, cells: list[Cell], problem: Problem, folder: Path, deadline: float
    ) -> Iterator[tuple[Cell, Outcome]]:
        """Attempt cells in this process or in others, in the order in which they end; then those that were too late."""
        # The slow ones first: the last minutes are then filled by quick ones.
        order = sorted(cells, key=lambda cell: cell.contender.selection != TUNED)
        keep = Keep(folder, self.save_decoders, self.wandb)
        begun: set[str] = set()

        def in_time() -> Iterator[Cell]:
            for cell in order:
                if time.monotonic() >= deadline:
                    return
                begun.add(cell.part)
                yield cell

        if self.jobs == 1:
            with threadpool_limits(1):
                for cell in in_time():
                    yield cell, attempt_quietly(cell, problem, self.splitter, self.seed, keep)
        else:
            yield from self._in_processes(in_time(), problem, keep)
        for cell in order:
            if cell.part not in begun:
                yield cell, Outcome(None, None, NOT_RUN)

    def _in_processes(self, cells: Iterator[Cell], problem: Problem, keep: Keep) -> Iterator[tuple[Cell, Outcome]]:
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            # Arrays over a megabyte reach the workers as one memory-mapped file, not as a copy per cell.
            parallel = joblib.Parallel(n_jobs=self.jobs, return_as="generator_unordered")
        place: dict[str, Cell] = {}

        def tasks() -> Iterator[Any]:
            for cell in cells:
                place[cell.part] = cell
                yield joblib.delayed(attempt_named)(cell, problem, self.splitter, self.seed, keep)

        try:
            for part, outcome in parallel(tasks()):
                yield place[part], outcome
        except BrokenProcessPool as error:
            raise WorkerError(
                f"a worker process died while decoding session {problem.session!r}, most likely because memory ran "
                f"out ({self.jobs} at a time). Finished cells are kept: run again, with fewer jobs, to continue."
            ) from error


class _Progress:
    """Counts cells for the caller's callback."""

    def __init__(self, total: int, on_cell: OnCell | None) -> None:
        self._done = 0
        self._total = total
        self._on_cell = on_cell

    def __call__(self, row: Mapping[str, Any]) -> None:
        self._done += 1
        if self._on_cell is not None:
            self._on_cell(self._done, self._total, row)


def _graph_cells(cells: Sequence[Cell], session: str) -> list[GraphCell]:
    """Cells that keep a graph."""
    return [
        GraphCell(cell.part, session, cell.contender.name, cell.contender.selection, cell.fold)
        for cell in cells
        if cell.contender.selection != REFERENCE and has_graph(type(cell.contender.estimator))
    ]


def _areas(dataset: xr.Dataset) -> dict[Any, str]:
    if schema.AREA not in dataset.coords:
        return {}
    return dict(zip(dataset[schema.UNIT].to_numpy().tolist(), dataset[schema.AREA].to_numpy().tolist(), strict=True))


def _checked_folds(problem: Problem, splitter: Splitter, *, tuned: bool) -> list[Fold]:
    """Make the folds, the inner ones too: a session that is not fit for them should fail before hours of work."""
    folds = problem.folds(splitter)
    if tuned:
        stretches = problem.stretches(gap_of(splitter))
        for train, _ in folds:
            inner_folds(train, stretches, gap_of(splitter))
    return folds


def _record(run: RunDirectory, cell: Cell, session: str, seed: int, outcome: Outcome) -> dict[str, Any]:
    """Write a cell's part and its line in the log; return its row."""
    key = {"part": cell.part}
    for warning in outcome.warnings:
        run.log("warning", **key, warning=warning)
    if outcome.result is None or outcome.predictions is None:
        row = _failure(cell, session, seed, outcome)
        run.log("cell failed", **key, error=outcome.error, traceback=outcome.traceback)
        return row
    run.write_part(cell.part, outcome.result, outcome.predictions)
    row = row_of(outcome.result)
    run.log("cell finished", **key, accuracy=row["accuracy"], fit_seconds=row["fit_seconds"])
    return row


def _failure(cell: Cell, session: str, seed: int, outcome: Outcome) -> dict[str, Any]:
    values = (session, cell.contender.name, cell.contender.selection, cell.fold, seed, outcome.error)
    return dict(zip(FAILURE_COLUMNS, values, strict=True))


def _assemble(run: RunDirectory, parts: Sequence[str], failures: Sequence[Mapping[str, Any]]) -> Evaluation:
    """Put the parts together in the order of the plan, whatever the order in which they ended."""
    finished = run.finished_parts()
    pairs = [run.read_part(part) for part in parts if part in finished]
    results = _stack([result for result, _ in pairs], RESULT_COLUMNS)
    predictions = _stack([prediction for _, prediction in pairs], PREDICTION_COLUMNS)
    run.write_table(PREDICTIONS, predictions)
    run.write_json(FAILURES, list(failures))
    run.write_table(RESULTS, results)  # the last: a directory that has it is complete
    if not failures:
        run.remove_checkpoints()
    run.log("benchmark finished", cells=len(pairs), failed=len(failures))
    return Evaluation(results, predictions, pd.DataFrame(failures, columns=list(FAILURE_COLUMNS)))


def _stack(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(tables, ignore_index=True)[list(columns)]

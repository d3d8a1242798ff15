"""Sessions x decoders x folds: on equal terms, in parallel, resumable."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from spikesight import schema
from spikesight.cluster import LOCAL
from spikesight.detrending import Detrending
from spikesight.errors import ConfigError, DataError, SpikesightError
from spikesight.evaluation.cells import Cell, Keep, attempt, name_cells
from spikesight.evaluation.contenders import contender
from spikesight.evaluation.entrants import Searches, entrants
from spikesight.evaluation.executors import (
    Attempts,
    Batch,
    Terms,
    processes,
    searches_here,
    this_process,
    working_memory,
)
from spikesight.evaluation.fitting import DEFAULT, FEWEST_CANDIDATES, SEARCHED, TUNED, Contender, Search
from spikesight.evaluation.folds import PREDICTION_COLUMNS, RESULT_COLUMNS, Problem, as_problem, gap_of
from spikesight.evaluation.ray_executor import on_ray
from spikesight.evaluation.run_plan import FAILURE_COLUMNS, NOT_RUN, OnCell, RunPlan, failure_row, lost_session_row
from spikesight.evaluation.search_record import SearchCell, stack_candidates, write_candidates
from spikesight.splits import BlockKFold, Fold, Splitter, inner_folds
from spikesight.tracking.epochs import write_epochs
from spikesight.tracking.graph_records import write_graphs
from spikesight.tracking.run_directory import FAILURES, PREDICTIONS, RESULTS, RunDirectory
from spikesight.tracking.wandb_tracking.process import WRITER_BYTES
from spikesight.tracking.wandb_tracking.runs import WandbSettings, catch_up


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
    candidates
        One row per candidate of every search (columns: `spikesight.tuning_results`). Empty without searches.
    """

    results: pd.DataFrame
    predictions: pd.DataFrame
    failures: pd.DataFrame
    candidates: pd.DataFrame


def evaluate(
    decoder: Any,
    dataset: xr.Dataset,
    splitter: Splitter | None = None,
    *,
    selection: str = DEFAULT,
    candidates: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
    detrending: Detrending | None = None,
    search: Search | None = None,
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
        ``"default"``; ``"tuned"``: constants are chosen on training trials among the candidates; ``"searched"``: what
        ``search`` finds there.
    candidates
        Parameters to choose from, for a ``decoder`` that is not a name.
    seed
        Value of every ``random_state`` in the decoder.
    detrending
        How slow drift is taken away inside each fold; None leaves it.
    search
        What looks for constants.

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
        entrant = contender(decoder, selection, search=search)
    else:
        entrant = Contender(type(decoder).__name__, selection, decoder, tuple(candidates) or ({},), search)
        if search is not None:
            search.check(decoder)
    if selection == TUNED and entrant.n_compared < FEWEST_CANDIDATES:
        raise ConfigError(
            f"to tune {entrant.name}, expected candidates to choose from, {FEWEST_CANDIDATES} or more, got "
            f"{len(candidates)}. Ask for {DEFAULT!r}."
        )
    splitter = BlockKFold() if splitter is None else splitter
    problem = as_problem(dataset, detrending=detrending)
    folds = _checked_folds(problem, splitter, tuned=selection in (TUNED, SEARCHED))
    cells = [Cell(entrant, fold, rows, "") for fold, rows in enumerate(folds)]
    with threadpool_limits(1):  # as in a run: small products take many times longer on several busy cores
        outcomes = [attempt(cell, problem, splitter, seed) for cell in cells]
    failures = [
        failure_row(cell, problem.session, seed, outcome)
        for cell, outcome in zip(cells, outcomes, strict=True)
        if outcome.error
    ]
    return Evaluation(
        _stack([outcome.result for outcome in outcomes if outcome.result is not None], RESULT_COLUMNS),
        _stack([outcome.predictions for outcome in outcomes if outcome.predictions is not None], PREDICTION_COLUMNS),
        pd.DataFrame(failures, columns=list(FAILURE_COLUMNS)),
        stack_candidates(
            (SearchCell("", problem.session, entrant.name, cell.fold, seed), outcome.candidates)
            for cell, outcome in zip(cells, outcomes, strict=True)
            if outcome.candidates is not None
        ),
    )


@runtime_checkable
class Feed(Protocol):
    """Sessions that come one by one: `spikesight.session_feed`."""

    lost: list[tuple[str, Exception]]

    def lose(self, name: str, error: Exception) -> None:
        """Hear that a session cannot be decoded."""

    def give_up(self, error: Exception) -> None:
        """Read no more sessions: those that have not come are lost."""

    def __getitem__(self, session_id: str, /) -> xr.Dataset: ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Benchmark:
    """Decoders on sessions, every one with the same trials, bins, folds and number of candidates.

    Parameters
    ----------
    datasets
        Binned trials per session id. A mapping that loads on access is asked for each session twice: first to check
        that its trials suffice for the folds, then to decode it. A ``SessionFeed`` is gone through once, and a session
        that does not suffice is left out.
    decoders
        Registered names. ``chance`` is always there, as a reference.
    splitter
        How test trials are set aside.
    selections
        ``"tuned"``, ``"searched"``, ``"default"``, or several. A decoder with nothing to choose from has a default row
        in their place.
    references
        More reference rows: per session id, unfitted estimators by name (the oracle of a simulation).
    seed
        Value of every ``random_state``.
    jobs
        Processes at a time, each with one BLAS thread. A Ray cluster that is joined has as many as it has cores.
    ray
        Attempt cells as tasks of Ray: ``"local"``, or the address of a cluster that is joined, whose nodes see the run
        directory. None does without.
    save_decoders
        Keep every fitted decoder in the run directory, as ``decoders/<part>``.
    time_limit
        Seconds after which no further cell is begun; those are failures that say so, and a later run goes on with
        them. None means no limit.
    detrending
        How slow drift is taken away inside each fold; None leaves it.
    params
        Constants in place of defaults, by decoder.
    searches
        Makes what looks for constants, where ``"searched"`` is asked. Searches are done one after the other, and share
        the machines out among their candidates.
    wandb
        Where W&B runs are written, one a cell; None: there are none.
    controls
        Reference rows that see what the mouse did and no spike: ``"running"``, ``"pupil"``, ``"behaviour"`` (both).
    encoders
        Constants of encoders by name; behind each stand the decoders, beside themselves alone.
    """

    datasets: Mapping[str, xr.Dataset] | Feed
    decoders: Sequence[str]
    splitter: Splitter = field(default_factory=BlockKFold)
    selections: Sequence[str] = (TUNED, DEFAULT)
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    jobs: int = 1
    ray: str | None = None
    save_decoders: bool = False
    time_limit: float | None = None
    detrending: Detrending | None = None
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    searches: Searches | None = None
    wandb: WandbSettings | None = None
    controls: Sequence[str] = ()
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def memory_estimate(self) -> int:
        """Bytes of memory that a run needs here, roughly: trials, their shared copy, and what each process works on."""
        shapes = [
            (counts.size, counts.nbytes)
            for counts in (self.datasets[session][schema.SPIKE_COUNTS] for session in self.datasets)
        ]
        largest, stored = (max(values, default=0) for values in zip(*shapes, strict=True))
        everything = sum(n_bytes for _, n_bytes in shapes)
        shared = stored if self.jobs > 1 or self.ray is not None else 0
        here = 0 if self.ray not in (None, LOCAL) else self.jobs
        process = working_memory(largest, detrended=self.detrending is not None)
        follower = 0 if self.wandb is None else WRITER_BYTES
        return int(everything + shared + here * (process + follower))

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
        ClusterError
            If the Ray cluster does not answer, refuses, or has no node that a cell fits on.
        WorkerError
            If a worker process died, most likely for lack of memory; with Ray, several times.
        """
        feed = self.datasets if isinstance(self.datasets, Feed) else None
        with self._executor() as attempts:
            total = 0 if feed else sum(self._count_cells(session) for session in self.datasets)
            run.log("benchmark started", cells=total or None, jobs=self.jobs, ray=self.ray)
            plan = RunPlan(run, total, self.seed, on_cell=on_cell, time_limit=self.time_limit)
            terms = Terms(self.splitter, self.seed, Keep(run.path.resolve(), self.save_decoders, self.wandb))
            batches = self._fed(feed, plan) if feed else (self._batch(session, plan) for session in self.datasets)
            attempts = attempts if self.searches is None else searches_here(attempts)
            try:
                with closing(attempts(batches, terms)) as outcomes:
                    for cell, outcome in outcomes:
                        plan.record(cell, outcome)
            finally:  # Ctrl-C too leaves the best so far
                candidates = write_candidates(run, plan.searches)
            plan.record_not_run()
            for name, error in feed.lost if feed else ():
                plan.failures[f"session {name}"] = lost_session_row(name, self.seed, error)
        finished = run.finished_parts()
        write_graphs(run, [cell for cell in plan.graphs if cell.part in finished], plan.areas)
        done = [part for part in plan.parts if part in finished]
        write_epochs(run, done)
        if self.wandb is not None:
            catch_up(self.wandb, run, done)
        return _assemble(run, plan, candidates)

    def _executor(self) -> AbstractContextManager[Attempts]:
        if self.ray is not None:
            return on_ray(self.ray, self.jobs)
        return this_process() if self.jobs == 1 else processes(self.jobs)

    def _count_cells(self, session: str) -> int:
        """Check a session before hours of work; count what there is to do."""
        _, folds, contenders = self._terms_of(session, self.datasets[session])
        return len(folds) * len(contenders)

    def _fed(self, feed: Feed, plan: RunPlan) -> Iterator[Batch]:
        """Make batches of sessions as they come; one that is not fit for the folds costs the others nothing."""
        for place, session in enumerate(feed, 1):
            try:
                n_cells = self._count_cells(session)
            except DataError as error:
                feed.lose(session, error)
                continue
            plan.expect(n_cells, len(feed) - place)
            yield self._batch(session, plan)
            if plan.is_over():
                feed.give_up(SpikesightError(NOT_RUN))
                return

    def _batch(self, session: str, plan: RunPlan) -> Batch:
        dataset = self.datasets[session]
        problem, folds, contenders = self._terms_of(session, dataset)
        cells = name_cells(contenders, problem, folds, self.splitter, self.seed)
        return Batch(problem, plan.missing(session, cells, _areas(dataset)))

    def _terms_of(self, session: str, dataset: xr.Dataset) -> tuple[Problem, list[Fold], list[Contender]]:
        problem = as_problem(dataset, session, self.detrending)
        folds = _checked_folds(problem, self.splitter, tuned=not {TUNED, SEARCHED}.isdisjoint(self.selections))
        references = self.references.get(session, {})
        contenders = entrants(
            self.decoders,
            self.selections,
            references,
            problem,
            params=self.params,
            searches=self.searches,
            controls=self.controls,
            encoders=self.encoders,
        )
        return problem, folds, contenders


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


def _assemble(run: RunDirectory, plan: RunPlan, candidates: pd.DataFrame) -> Evaluation:
    """Put the parts together in the order of the plan, whatever the order in which they ended."""
    finished = run.finished_parts()
    pairs = [run.read_part(part) for part in plan.parts if part in finished]
    lost = [row for part, row in plan.failures.items() if part not in plan.parts]
    failures = lost + [plan.failures[part] for part in plan.parts if part in plan.failures]
    results = _stack([result for result, _ in pairs], RESULT_COLUMNS)
    predictions = _stack([prediction for _, prediction in pairs], PREDICTION_COLUMNS)
    run.write_table(PREDICTIONS, predictions)
    run.write_json(FAILURES, failures)
    run.write_table(RESULTS, results)  # the last: a directory that has it is complete
    if not failures:
        run.remove_checkpoints()
    run.log("benchmark finished", cells=len(pairs), failed=len(failures))
    return Evaluation(results, predictions, pd.DataFrame(failures, columns=list(FAILURE_COLUMNS)), candidates)


def _stack(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(tables, ignore_index=True)[list(columns)]

"""Ways to attempt the cells of a run: in this process, or in processes of this machine (Ray has a file of its own)."""

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import joblib
from threadpoolctl import threadpool_limits

from spikesight.errors import WorkerError
from spikesight.evaluation.cells import Cell, Keep, Outcome, attempt_named, attempt_quietly
from spikesight.evaluation.folds import Problem
from spikesight.splits import Splitter

BYTES_PER_PROCESS: Final = 250 * 1024**2
"""An interpreter with the libraries that decoders need."""
WORKING_COPIES: Final = 6
"""Float64 copies of a session's trials that a decoder holds while fitted: measured were 5 (fa-lda) to 6 (ridge)."""


class Batch(NamedTuple):
    """Cells of one session, drawn one by one: whoever attempts them asks for the next when there is room for it."""

    problem: Problem
    cells: Iterator[Cell]


class Terms(NamedTuple):
    """What all cells of a run share."""

    splitter: Splitter
    seed: int
    keep: Keep


Outcomes = Generator[tuple[Cell, Outcome], None, None]
Attempts = Callable[[Iterable[Batch], Terms], Outcomes]
"""Takes batches, drawn when they are needed, and gives every cell that was drawn with its outcome, in any order."""


def working_memory(n_counts: int, *, detrended: bool) -> int:
    """Bytes that a process needs to attempt a cell of a session with so many counts, roughly."""
    return BYTES_PER_PROCESS + (WORKING_COPIES + detrended) * 8 * n_counts


@contextmanager
def this_process() -> Iterator[Attempts]:
    """Attempt cells here, one after the other."""
    yield _one_by_one


@contextmanager
def processes(jobs: int) -> Iterator[Attempts]:
    """Attempt cells in so many processes of this machine; sessions one after the other."""

    def attempts(batches: Iterable[Batch], terms: Terms) -> Outcomes:
        for batch in batches:
            yield from _in_processes(jobs, batch, terms)

    yield attempts


def searches_here(attempts: Attempts) -> Attempts:
    """Attempt cells whose constants are searched in this process; leave the others of a session to ``attempts``.

    A search divides all cores among its candidates itself.
    """

    def both(batches: Iterable[Batch], terms: Terms) -> Outcomes:
        for problem, cells in batches:
            others: Iterator[Cell] = iter(())
            for cell in cells:
                if cell.contender.search is None:
                    others = itertools.chain([cell], cells)
                    break
                with threadpool_limits(1):
                    outcome = attempt_quietly(cell, problem, *terms)
                yield cell, outcome
            yield from attempts([Batch(problem, others)], terms)

    return both


def _one_by_one(batches: Iterable[Batch], terms: Terms) -> Outcomes:
    for problem, cells in batches:
        for cell in cells:
            with threadpool_limits(1):
                outcome = attempt_quietly(cell, problem, *terms)
            yield cell, outcome


def _in_processes(jobs: int, batch: Batch, terms: Terms) -> Outcomes:
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        # Arrays over a megabyte reach the workers as one memory-mapped file, not as a copy per cell.
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    place: dict[str, Cell] = {}

    def tasks() -> Iterator[Any]:
        for cell in batch.cells:
            place[cell.part] = cell
            yield joblib.delayed(attempt_named)(cell, batch.problem, *terms)

    try:
        for part, outcome in parallel(tasks()):
            yield place[part], outcome
    except BrokenProcessPool as error:
        raise WorkerError(
            f"a worker process died while decoding session {batch.problem.session!r}, most likely because memory ran "
            f"out ({jobs} at a time). Finished fits are kept: run again, with fewer jobs, to continue."
        ) from error

"""Cells as tasks of Ray, on this machine or a cluster: with their memory, few at a time, retried when a node dies."""

import platform
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from threadpoolctl import threadpool_limits

from spikesight.cluster import connected, import_ray
from spikesight.errors import ClusterError, WorkerError
from spikesight.evaluation.cells import Cell, Keep, Outcome, attempt_quietly
from spikesight.evaluation.executors import Attempts, Batch, Outcomes, Terms, working_memory
from spikesight.evaluation.folds import Problem
from spikesight.evaluation.likeness import Likeness, marked
from spikesight.splits import Splitter

RETRIES: Final = 3
"""How often a task whose process or node died is tried again, on any node."""
LOOK_SECONDS: Final = 10.0
"""How long no task may end before it is asked if the nodes are still there."""
NODE_SECONDS: Final = 60.0
"""How long a node that is large enough is waited for."""
GRACE_SECONDS: Final = 3.0
"""How long tasks that are told to stop may take to tidy up before their processes end with the driver's."""
WATCH_SECONDS: Final = 0.5
"""How often a task looks if its driver still wants it."""
WORKER_BYTES: Final = 100 * 1024**2
"""What a worker of Ray takes beyond a process without Ray."""


class _Task(NamedTuple):
    cell: Cell
    session: str
    memory: int


@contextmanager
def on_ray(address: str, jobs: int) -> Iterator[Attempts]:
    """Attempt cells on Ray: started here with so many cores (``"local"``), or the cluster at the address.

    Every cell is a task with one core and the memory that it needs. A session's trials are put in the object store
    once, and leave it with its last cell; as many tasks as there are cores, and a few more that wait for one, are under
    way, whatever the number of sessions. A task whose process or node died is tried again ``RETRIES`` times.

    Raises
    ------
    ConfigError, ClusterError
        As `spikesight.cluster.connected`; or if no node is large enough for a cell, runs other code or does not see
        the run directory.
    WorkerError
        If a task died more often than it is retried.
    """
    with connected(address, jobs=jobs):
        yield _attempts


def _attempts(batches: Iterable[Batch], terms: Terms) -> Outcomes:
    ray = import_ray()
    with marked(terms.keep.run) as mark:
        tasks = _begin(batches, terms, Likeness.of_this_process(mark))
        under_way: dict[Any, _Task] = {}
        try:
            while _fill(under_way, tasks):
                ended, _ = ray.wait(list(under_way), timeout=LOOK_SECONDS)
                if not ended:
                    _await_room(max(task.memory for task in under_way.values()), NODE_SECONDS)
                while ended:
                    task = under_way.pop(ended[0])
                    yield task.cell, _outcome(ended.pop(0), task)
        finally:
            _stop(list(under_way), mark)


def _fill(under_way: dict[Any, _Task], tasks: Iterator[tuple[Any, _Task]]) -> bool:
    """Begin tasks until enough are under way; tell if any is."""
    while len(under_way) < _most_under_way():
        begun = next(tasks, None)
        if begun is None:
            break
        under_way[begun[0]] = begun[1]
    return bool(under_way)


def _begin(batches: Iterable[Batch], terms: Terms, like: Likeness) -> Iterator[tuple[Any, _Task]]:
    """Make every cell a task when it is asked for."""
    ray = import_ray()
    attempt = ray.remote(_attempt_there)
    patience = 0.0  # a cluster that is too small from the start is told of at once; later, a node may come back
    for problem, cells in batches:
        need = WORKER_BYTES + working_memory(problem.X.size, detrended=problem.detrending is not None)
        options = {"num_cpus": 1, "memory": need, "max_retries": RETRIES, "retry_exceptions": False}
        shared = None
        for cell in cells:
            if shared is None:
                _await_room(need, patience)
                patience = NODE_SECONDS
                shared = ray.put(problem)
            reference = attempt.options(name=cell.part, **options).remote(like, cell, shared, *terms)
            yield reference, _Task(cell, problem.session, need)
            del reference
        del problem, cells, shared  # before the next session is read


def _attempt_there(
    like: Likeness, cell: Cell, problem: Problem, splitter: Splitter, seed: int, keep: Keep
) -> Outcome | str:
    """Attempt a cell in a worker, or say why this is no place for it."""
    trouble = like.trouble()
    if trouble:
        return trouble
    try:
        with threadpool_limits(1), _stopping_without(like.mark):
            return attempt_quietly(cell, problem, splitter, seed, keep)
    except KeyboardInterrupt:
        return f"stopped on node {platform.node()!r} because its driver has ended"


@contextmanager
def _stopping_without(mark: Path) -> Iterator[None]:
    """Interrupt this process as Ctrl-C would when the driver's mark is gone, so that temporary files go."""
    worker = threading.get_ident()
    over = threading.Event()
    last_look = threading.Lock()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            with last_look:
                if not over.is_set() and not _is_there(mark):
                    signal.pthread_kill(worker, signal.SIGINT)
                    return

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process ignores it
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with last_look:
            over.set()
        watcher.join()
        signal.signal(signal.SIGINT, before)


def _is_there(mark: Path) -> bool:
    """Open it: on a shared disk, the kept answer of an older look may be told otherwise."""
    try:
        mark.open("rb").close()
    except FileNotFoundError:
        return False
    except OSError:  # a disk that has trouble is no reason to stop
        return True
    return True


def _outcome(reference: Any, task: _Task) -> Outcome:
    ray = import_ray()
    try:
        answer = ray.get(reference)
    except (ray.exceptions.RayTaskError, ray.exceptions.RuntimeEnvSetupError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ClusterError(
            f"a node of the Ray cluster cannot run spikesight: {lines[-1] if lines else type(error).__name__}. "
            "Expected the same environment, under the same path, on every node."
        ) from error
    except ray.exceptions.RayError as error:
        raise WorkerError(
            f"a worker process or its node died while decoding session {task.session!r} ({task.cell.contender.name}, "
            f"fold {task.cell.fold}), and {RETRIES} times again, most likely because memory ran out. Finished fits "
            "are kept: run again to continue."
        ) from error
    if isinstance(answer, str):
        raise ClusterError(answer)
    return Outcome(*answer)


def _most_under_way() -> int:
    """As many tasks as there are cores, and a few beyond, so that no core waits while the driver writes or reads."""
    ray = import_ray()
    cores = int(ray.cluster_resources().get("CPU", 1))
    return cores + max(2, cores // 4)


def _await_room(memory: int, seconds: float) -> None:
    """Wait for a node that has a core and so much memory in all, so long; Ray would let the task wait for ever."""
    ray = import_ray()
    deadline = time.monotonic() + seconds
    while True:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        largest = max((node.get("memory", 0) for node in nodes if node.get("CPU", 0) >= 1), default=None)
        if largest is not None and largest >= memory:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    has = "no node has a core" if largest is None else f"the largest has {largest / 1e6:,.0f} MB"
    raise ClusterError(
        f"a fit needs a core and about {memory / 1e6:,.0f} MB of memory; of the nodes of the Ray cluster, {has}. Use "
        "larger nodes (or `ray start --memory`), fewer units or fewer bins. Finished fits are kept: run again to "
        "continue."
    )


def _stop(references: list[Any], mark: Path) -> None:
    """Tell what is under way to stop, and wait a little; what has not stopped then ends with this driver.

    Tasks look for the mark. Ray's own cancelling ends the driver's process when a task ends in the same moment.
    """
    ray = import_ray()
    mark.unlink(missing_ok=True)
    if references and ray.is_initialized():
        ray.wait(references, num_returns=len(references), timeout=GRACE_SECONDS)

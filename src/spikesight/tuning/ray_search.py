"""Search for a decoder's constants with Ray Tune, on inner folds of the training trials and on nothing else."""

import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import pandas as pd

from spikesight.errors import ConfigError, RunDirectoryError, TrainingError
from spikesight.evaluation.candidates import STOPPED, best_record, candidate_table
from spikesight.evaluation.executors import working_memory
from spikesight.evaluation.fitting import Chosen, InnerFold
from spikesight.evaluation.likeness import Likeness, marked
from spikesight.evaluation.ray_executor import WORKER_BYTES
from spikesight.evaluation.search_folder import EXPERIMENT, SearchFolder
from spikesight.search_space import Space, as_plain
from spikesight.tracking.progress import Progress, Silent
from spikesight.tuning_config import TuningConfig
from spikesight.tuning_results.table import FAILED, FINISHED

RETRIES: Final = 3
"""Times that a candidate whose process died is tried again."""
PER_GPU: Final = 4
"""Candidates that share a GPU."""
_LOOK_EVERY: Final = 1.0
_QUIET: Final = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "5",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
"""Ray Tune neither prints nor writes tables of its own, leaves Ctrl-C to us, and keeps its state every five seconds."""


@dataclass(frozen=True, eq=False)
class RaySearch:
    """A search by Ray Tune, in a Ray that this process has joined.

    The first candidate has the decoder's own constants. Every candidate is fitted with the same seed. A candidate whose
    process dies is tried again from where it was; one that raises is recorded as failed, and the search goes on.

    Parameters
    ----------
    space
        What is varied.
    settings
        How.
    seed
        Of what proposes candidates.
    label
        What is searched, in messages.
    jobs
        Candidates at a time; None: as many as the machines have cores and memory for.
    resume
        Go on with a search that was stopped. Ray's state is unpickled then.
    progress
        Hears how far it is.
    """

    space: Space
    settings: TuningConfig
    seed: int = 0
    label: str = ""
    jobs: int | None = None
    resume: bool = False
    progress: Progress = field(default_factory=Silent)

    @property
    def n_candidates(self) -> int:
        """Number of settings that are tried at most."""
        return self.settings.candidates

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the constructor parameters that are varied."""
        return tuple(self.space)

    def terms(self) -> Mapping[str, Any]:
        """Describe all that decides the outcome, but for the order in which candidates end."""
        return {**self.settings.model_dump(mode="json"), "space": as_plain(self.space), "seed": self.seed}

    def check(self, estimator: Any) -> None:
        """Refuse what cannot be searched.

        Raises
        ------
        ConfigError
            If the decoder does not have a parameter of the space, or what proposes candidates is not installed.
        """
        unknown = sorted({name.partition("__")[0] for name in self.space} - set(estimator.get_params()))
        if unknown:
            raise ConfigError(
                f"{type(estimator).__name__} has no parameter {', '.join(unknown)} to search. It has: "
                f"{', '.join(sorted(estimator.get_params(deep=False)))}."
            )
        check_installed(self.settings.search)

    def __call__(self, estimator: Any, folds: Sequence[InnerFold], folder: Path | None) -> Chosen:
        """Search.

        Parameters
        ----------
        estimator
            Unfitted decoder.
        folds
            Inner folds.
        folder
            Keeps what is unfinished; None: a temporary one.

        Raises
        ------
        ConfigError
            If the decoder does not have a parameter of the space.
        RunDirectoryError
            If the folder holds an unfinished search that is not to be resumed, or that somebody else may have written.
        TrainingError
            If no candidate finished, with the reasons.
        KeyboardInterrupt
            After Ctrl-C or a request to terminate. Records of all candidates are in the folder.
        """
        self.check(estimator)
        if folder is None:
            with tempfile.TemporaryDirectory() as temporary:
                return self._search(estimator, folds, SearchFolder(Path(temporary) / EXPERIMENT))
        return self._search(estimator, folds, SearchFolder(folder.resolve()))

    def _search(self, estimator: Any, folds: Sequence[InnerFold], folder: SearchFolder) -> Chosen:
        earlier = folder.spent()
        if not folder.is_over():
            self._try_candidates(estimator, folds, folder)
        records = folder.records()
        table = candidate_table(records)
        best = best_record(records)
        if best is None:
            folder.forget()
            raise TrainingError(_none_finished(table, self.settings))
        folder.close()
        return Chosen(best.params, float(best.accuracy or 0.0), table, earlier_seconds=earlier)

    def _try_candidates(self, estimator: Any, folds: Sequence[InnerFold], folder: SearchFolder) -> None:
        """Let Ray Tune try candidates, to the end of their number or of the budget."""
        folder.path.mkdir(parents=True, exist_ok=True)
        with (
            marked(folder.path) as mark,
            _environment(_QUIET),
            warnings.catch_warnings(),
            self._told(folder),
            _graceful() as was_stopped,
        ):
            # A candidate that is tried again repeats its first steps.
            warnings.filterwarnings("ignore", "The reported value is ignored", UserWarning)
            self._tuner(estimator, folds, folder, Likeness.of_this_process(mark)).fit()
        if was_stopped():
            raise KeyboardInterrupt
        folder.end_unfinished(STOPPED)  # by the end of the budget, of which Ray tells nobody

    def _tuner(self, estimator: Any, folds: Sequence[InnerFold], folder: SearchFolder, like: Likeness) -> Any:
        """Make Ray's tuner, or take up the one that was stopped."""
        from ray import tune

        from spikesight.tuning.ray_tune import run_candidate

        share, at_a_time = resources(folds, self.jobs)
        given = {"estimator": estimator, "folds": list(folds), "folder": str(folder.path), "like": like}
        trainable = tune.with_resources(tune.with_parameters(run_candidate, **given), share)
        if folder.holds_state():
            if not self.resume:
                raise RunDirectoryError(
                    f"{folder.path} holds an unfinished search of {len(folder.records())} candidates. Start the same "
                    "command with --resume to go on with it, or choose another output directory (--out)."
                )
            folder.check_own()
            if folder.is_whole():
                return tune.Tuner.restore(str(folder.ray / EXPERIMENT), trainable)
            self.progress.note(
                f"the search of {self.label} begins anew, its state was cut off as it was written; finished candidates "
                "that are proposed again are not fitted again"
            )
        folder.begin()
        return self._new_tuner(trainable, estimator, folder, at_a_time)

    def _new_tuner(self, trainable: Any, estimator: Any, folder: SearchFolder, at_a_time: int) -> Any:
        from ray import tune

        from spikesight.tuning.ray_tune import METRIC, Budget, Ends, make_scheduler, make_search, number_of, ray_space

        own = {name: estimator.get_params().get(name) for name in self.space}
        outside = [name for name, dimension in self.space.items() if not dimension.holds(own[name])]
        if outside:
            self.progress.note(
                f"the default of {', '.join(outside)} is outside of its range: the defaults of {self.label} are no "
                "candidate"
            )
        return tune.Tuner(
            trainable,
            param_space=ray_space(self.space),
            tune_config=tune.TuneConfig(
                metric=METRIC,
                mode="max",
                search_alg=make_search(self.settings, self.seed, [] if outside else [own], at_a_time),
                scheduler=make_scheduler(self.settings),
                num_samples=self.settings.candidates,
                max_concurrent_trials=at_a_time,
                reuse_actors=True,
                trial_name_creator=number_of,
                trial_dirname_creator=number_of,
            ),
            run_config=tune.RunConfig(
                name=EXPERIMENT,
                storage_path=str(folder.ray),
                verbose=0,
                stop=Budget(folder.path, self.settings.budget),
                callbacks=[Ends(folder.path)],
                failure_config=tune.FailureConfig(max_failures=RETRIES),
            ),
        )

    @contextmanager
    def _told(self, folder: SearchFolder) -> Iterator[None]:
        """Tell the listener every second how far the candidates are."""
        over = threading.Event()
        budget = self.settings.budget

        def tell() -> None:
            left = None if budget is None else max(0.0, 60 * budget - folder.spent())
            self.progress.search(self.label, candidate_table(folder.records()), self.n_candidates, left)

        def watch() -> None:
            while not over.wait(_LOOK_EVERY):
                tell()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
        tell()


def check_installed(search: str) -> None:
    """Refuse a search whose library is not installed (``ConfigError``)."""
    if search == "hebo" and not _is_distributed("HEBO"):
        raise ConfigError(
            "expected HEBO to be installed. It needs Python 3.11, numpy below 1.25 and pyarrow below 22, so an "
            "environment of its own: pip install 'spikesight[tune,hebo]' there (`make test-hebo` builds one). Or use "
            "--search optuna-gp, which also fits a Gaussian process."
        )
    if not (_is_distributed("ray") and _is_distributed("optuna")):
        raise ConfigError("this needs Ray Tune and Optuna, which are not installed: pip install 'spikesight[tune]'.")


def _is_distributed(name: str) -> bool:
    """Tell if a package is installed; a folder of its name does not count."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def resources(folds: Sequence[InnerFold], jobs: int | None = None) -> tuple[dict[str, float], int]:
    """Divide what the machines have among candidates.

    Parameters
    ----------
    folds
        Inner folds: their size decides the memory of a candidate.
    jobs
        Candidates at a time at most.

    Returns
    -------
    share
        ``cpu`` (1), ``memory`` (bytes) and ``gpu`` (a fraction: up to ``PER_GPU`` candidates share one) of a candidate.
    at_a_time
        Number of candidates at work at once.

    Raises
    ------
    ConfigError
        If no machine has memory for a candidate.
    """
    import ray

    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus, gpus, memory = (there.get(name, 0.0) for name in ("CPU", "GPU", "memory"))
    largest_machine = max((node["Resources"].get("memory", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)  # type: ignore[no-untyped-call]
    largest = max(fold.counts.size + fold.held_out.size for fold in folds)
    need = WORKER_BYTES + working_memory(largest, detrended=False)
    if need > largest_machine:
        raise ConfigError(
            f"expected {need / 1e9:.1f} GB of memory for a candidate, the largest machine of Ray has "
            f"{largest_machine / 1e9:.1f} GB. Use fewer bins or areas, or a larger machine."
        )
    at_a_time = int(max(1, min(cpus, memory // need, jobs or cpus)))
    if not gpus:
        return {"cpu": 1.0, "memory": float(need)}, at_a_time
    at_a_time = int(max(1, min(at_a_time, gpus * PER_GPU)))
    return {"cpu": 1.0, "gpu": min(1.0, gpus / at_a_time), "memory": float(need)}, at_a_time


def _none_finished(table: pd.DataFrame, settings: TuningConfig) -> str:
    """Say why there is no winner."""
    failed = table[table["state"] == FAILED]
    if len(failed) == len(table) and len(table):
        return f"all {len(table)} candidates failed, the first with {failed['error'].iloc[0]}"
    n_finished = int((table["state"] == FINISHED).sum())
    return (
        f"expected at least one candidate to finish, {n_finished} of {len(table)} did"
        + (f" in {settings.budget:g} minutes" if settings.budget is not None else "")
        + (f"; {len(failed)} failed, the first with {failed['error'].iloc[0]}" if len(failed) else "")
        + ". Give it more time (--budget), or ranges of faster settings (--space)."
    )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while, and put the caller's back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _graceful() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C or a request to terminate end a search with its state kept; a second one ends it at once.

    Ray Tune ends so on SIGUSR1. What is yielded tells whether it was asked to.
    """
    stopped = False
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def stop(number: int, frame: Any) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True
        signal.raise_signal(signal.SIGUSR1)

    # Until Ray listens to SIGUSR1, it interrupts.
    handlers = {signal.SIGUSR1: signal.default_int_handler, signal.SIGINT: stop, signal.SIGTERM: stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield lambda: stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

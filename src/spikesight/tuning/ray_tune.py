"""What Ray Tune is given: a space, what proposes candidates, what gives them up, and the work of one candidate."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper
from threadpoolctl import threadpool_limits

from spikesight.errors import ClusterError
from spikesight.evaluation.candidates import Record, score_candidate
from spikesight.evaluation.fitting import InnerFold
from spikesight.evaluation.likeness import Likeness
from spikesight.evaluation.search_folder import SearchFolder
from spikesight.search_space import Choice, Range, Space
from spikesight.tuning_config import TuningConfig
from spikesight.tuning_results.table import FAILED, FINISHED, PRUNED

METRIC: Final = "accuracy"
PROGRESS: Final = "progress"
_WHOLE: Final = 100
"""Progress of a candidate that is finished: ASHA counts in percent."""
_WRITE_EVERY: Final = 1.0


def ray_space(space: Space) -> dict[str, Any]:
    """Write a space in Ray Tune's terms."""
    return {name: _domain(dimension) for name, dimension in space.items()}


def _domain(dimension: Range | Choice) -> Any:
    if isinstance(dimension, Choice):
        return tune.choice(list(dimension.values))
    if dimension.whole:  # Ray's upper end is left out
        whole = tune.lograndint if dimension.log else tune.randint
        return whole(int(dimension.low), int(dimension.high) + 1)
    return (tune.loguniform if dimension.log else tune.uniform)(dimension.low, dimension.high)


def make_search(settings: TuningConfig, seed: int, first: Sequence[Mapping[str, Any]], at_a_time: int) -> Searcher:
    """Make what proposes candidates.

    Parameters
    ----------
    settings
        Names it.
    seed
        Of its random numbers.
    first
        Candidates to begin with.
    at_a_time
        Candidates at work at once.
    """
    if settings.search == "hebo":
        from spikesight.tuning.hebo_search import HeboSearch

        return HeboSearch(METRIC, seed, first, at_a_time)
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers: dict[str, Any] = {
        "optuna-gp": lambda: optuna.samplers.GPSampler(seed=seed),
        "optuna-tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    begin_with = [dict(values) for values in first] or None
    return OptunaSearch(metric=METRIC, mode="max", sampler=samplers[settings.search](), points_to_evaluate=begin_with)


def make_scheduler(settings: TuningConfig) -> TrialScheduler:
    """Make what gives candidates up: ASHA by share of the training that is done, or nothing."""
    if settings.scheduler == "none":
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    grace = max(1, round(_WHOLE * settings.grace))
    return ASHAScheduler(time_attr=PROGRESS, max_t=_WHOLE, grace_period=grace, reduction_factor=settings.reduction)


def number_of(trial: Trial) -> str:
    """Name Ray's trial after its place in the order of proposals, from 1."""
    return str(trial.experiment_tag).partition("_")[0]


def candidate_of(trial: Trial) -> int:
    """Give the candidate's number of Ray's trial, from 0."""
    return int(number_of(trial)) - 1


class Budget(Stopper):
    """Ends a search when it was at work for so long, restarts included; the start of processes does not count.

    Parameters
    ----------
    folder
        Keeps the time spent.
    minutes
        The budget; None: there is no end.
    """

    def __init__(self, folder: Path, minutes: float | None) -> None:
        self._folder = folder
        self._minutes = minutes
        self._begin()

    def _begin(self) -> None:
        self._before = SearchFolder(self._folder).spent()
        self._begun = self._written = time.monotonic()
        self._is_at_work = False
        self._since = time.time()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self._folder, "minutes": self._minutes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._folder, self._minutes = state["folder"], state["minutes"]
        self._begin()

    def is_over(self) -> bool:
        """Tell if the budget is spent."""
        spent = self._before + time.monotonic() - self._begun
        return self._minutes is not None and spent >= 60 * self._minutes

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Leave the end of a single candidate to others."""
        return False

    def stop_all(self) -> bool:
        """Tell Ray to end all candidates when the budget is spent; write the time down now and then."""
        now, folder = time.monotonic(), SearchFolder(self._folder)
        if not self._is_at_work:
            self._is_at_work = any(file.stat().st_mtime >= self._since for file in folder.candidates.glob("*.json"))
            self._begun = now
        if now - self._written >= _WRITE_EVERY:
            folder.spend(self._before + now - self._begun)
            self._written = now
        return self.is_over()


class Ends(tune.Callback):
    """Writes down how a candidate ended that did not say so itself.

    Parameters
    ----------
    folder
        Of the search.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Hear that a candidate is over: it was given up, unless its record says that it finished or failed."""
        SearchFolder(self._folder).end(candidate_of(trial), PRUNED)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Hear that a candidate's process died for the last time, or could not even begin."""
        folder, number = SearchFolder(self._folder), candidate_of(trial)
        told = [line for line in str(trial.get_error() or "").splitlines() if line.strip()]
        last = told[-1] if told else "nothing is known of why"
        died = any("actor" in line.lower() and "died" in line.lower() for line in told)
        reason = f"its process died {trial.num_failures} times, most likely for lack of memory" if died else last
        if not any(record.candidate == number for record in folder.records()):
            Record(number, dict(trial.config)).write(folder.candidates)
        folder.end(number, FAILED, reason)


def run_candidate(
    config: Mapping[str, Any], estimator: Any, folds: Sequence[InnerFold], folder: str, like: Likeness
) -> None:
    """Score one candidate in a process of Ray's, and report every step to it.

    A candidate that failed is reported with an accuracy of 0, so that what proposes candidates learns to keep away.

    Raises
    ------
    ClusterError
        If this is no place for it: another release, or a machine that does not see the folder.
    """
    trouble = like.trouble()
    if trouble:
        raise ClusterError(trouble)
    place = SearchFolder(Path(folder))
    record = Record.resumed(place.candidates, int(tune.get_context().get_trial_name()) - 1, config)

    def report(progress: float, accuracy: float) -> None:
        tune.report({METRIC: accuracy, PROGRESS: _WHOLE * progress})

    if record.state not in (FINISHED, FAILED):
        record.write(place.candidates)
        with threadpool_limits(1):
            record = score_candidate(estimator, folds, record, place.candidates, report, place.fits)
        if record.state == FINISHED:  # its last step was reported
            return
    report(1.0, 0.0 if record.state == FAILED else record.accuracy or 0.0)

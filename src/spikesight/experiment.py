"""Where a config becomes objects: files, trials, decoders, a run directory and its report."""

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import joblib
import xarray as xr

from spikesight.cluster import LOCAL, connected, describe_cluster
from spikesight.config import BenchmarkConfig
from spikesight.data.location import check_public, find, is_streamed
from spikesight.decoders import registry
from spikesight.detrending import Detrending
from spikesight.encoders import registry as encoders
from spikesight.errors import ConfigError, FileFormatError, RunDirectoryError
from spikesight.evaluation.benchmark import Benchmark
from spikesight.evaluation.entrants import CHANCE, Searches, why_not_behind
from spikesight.evaluation.fitting import FEWEST_CANDIDATES, SEARCH, SEARCHED, TUNED
from spikesight.evaluation.folds import Problem
from spikesight.evaluation.search_folder import SearchFolder
from spikesight.evaluation.search_record import winners
from spikesight.evaluation.sources import LoadedSource, load_source
from spikesight.places import Place, is_session_id, resolved, without_secrets
from spikesight.records.run_record import SESSIONS
from spikesight.reports.report import REPORT, write_report
from spikesight.search_space import with_changes
from spikesight.session_feed import READING, SessionFeed, describe_session, write_panels
from spikesight.splits import make_splitter
from spikesight.tracked_run import require_wandb, tracked
from spikesight.tracking.epochs import EPOCHS_TABLE
from spikesight.tracking.progress import Progress, Silent
from spikesight.tracking.provenance import describe_run
from spikesight.tracking.run_directory import CHECKPOINTS, FAILURES, PREDICTIONS, RESULTS, RunDirectory
from spikesight.tuning_config import TuningConfig
from spikesight.tuning_results import CANDIDATES

KEPT_BYTES: Final = 2 * 1024**3
"""Binned sessions stay in memory up to this size together; the others are read again when they are needed."""

BEST: Final = "best.yaml"
BEST_HEADER: Final = (
    "# The best constants that searches found, for: spikesight benchmark --config best.yaml\n"
    "# (of the winners of all folds and sessions, the one that gained most over the defaults on its inner folds)\n"
    "# On the sessions of the search itself this is no fair test: the winner of one fold was chosen on trials that\n"
    "# other folds test on. results.parquet has the fair scores. On other sessions it is fair.\n"
)


def run_benchmark(config: BenchmarkConfig, progress: Progress | None = None, *, resume: bool = False) -> Path:
    """Run a benchmark, or what is missing of it, and write its report.

    Parameters
    ----------
    config
        What to do.
    progress
        Hears how far it is.
    resume
        Go on with searches that were stopped: Ray's state is unpickled then. Everything else is resumed in any case.

    Returns
    -------
    Path
        The run directory: config, provenance, session cards, results, predictions, report; with searches,
        ``candidates.parquet`` and ``best.yaml``.

    Raises
    ------
    SpikesightError
        With what was expected, what came and what to do.
    """
    tell = progress if progress is not None else Silent()
    require_wandb(config.wandb)
    for name in config.decoders:
        registry.spec(name)
    _check_encoders(config)
    sources = _sources(config)
    asked = config.model_copy(update={"sources": sources, "out": config.run_directory().expanduser().resolve()})
    searching = SEARCHED in config.selection
    address = config.ray or (LOCAL if searching else None)
    on_ray = nullcontext() if address is None else connected(address, jobs=config.jobs)
    with (
        on_ray,
        RunDirectory(config.run_directory(), _recorded(asked), unasked=_unasked()) as run,
        tracked(asked, run, tell) as wandb,
    ):
        n_finished = len(run.finished_parts())
        if n_finished:
            tell.note(
                f"resuming: {run.path} holds {n_finished} finished fits; those of the same data and code are not run "
                "again"
            )
        # Stopped from here on, the directory must not show an earlier run's results under this one's provenance. They
        # are put together again from the finished fits.
        run.remove(RESULTS, PREDICTIONS, EPOCHS_TABLE, CANDIDATES, FAILURES, REPORT)
        (run.path / BEST).unlink(missing_ok=True)
        if searching and not resume:
            _refuse_unfinished_searches(run)
        if config.ray is not None:
            tell.note(describe_cluster())
        for text in (*_uneven_terms(config), *_bare_only(config)):
            tell.note(text)
        datasets, references = _sessions(run, asked, sources, tell)
        benchmark = Benchmark(
            datasets,
            config.decoders,
            make_splitter(config.splitter, config.n_splits, config.gap),
            config.selection,
            references=references,
            seed=config.seed,
            jobs=config.jobs or joblib.cpu_count(),
            ray=config.ray,
            time_limit=None if config.time_limit is None else 60 * config.time_limit,
            save_decoders=config.save_decoders,
            detrending=None if config.detrend is None else Detrending(**config.detrend.model_dump()),
            params=config.params,
            searches=_searches(config, tell, resume=resume) if searching else None,
            wandb=wandb,
            controls=config.controls,
            encoders=_encoders(config),
        )
        if not isinstance(datasets, SessionFeed):
            tell.note(f"needs about {max(1, round(benchmark.memory_estimate() / 1e6)):,} MB of memory")
        try:
            benchmark.run(run, lambda done, total, row: tell.advance("decoding", done, total))
        finally:  # Ctrl-C too leaves the best so far
            _write_best(run, asked)
        if isinstance(datasets, SessionFeed):
            datasets.refuse_nothing()
        write_report(run.path)
    return run.path


def _encoders(config: BenchmarkConfig) -> dict[str, dict[str, Any]]:
    """Give the constants of every encoder that is asked for."""
    return {name: config.encoder_params.get(name, {}) for name in config.encoders}


def _check_encoders(config: BenchmarkConfig) -> None:
    """Refuse encoders that cannot be made, stored, told apart, or have no decoder to stand in front of.

    Raises
    ------
    ConfigError
        Before anything is read or fitted.
    """
    if not config.encoders:
        return
    labels: dict[str, str] = {}
    for name, constants in _encoders(config).items():
        made = encoders.make(name, constants)
        if config.save_decoders:
            encoders.name_of(made)
        other = labels.setdefault(encoders.label_of(name), name)
        if other != name:
            raise ConfigError(
                f"{other} and {name} would both be called {encoders.label_of(name)} in tables; choose one."
            )
    reasons = {name: why_not_behind(name, config.params.get(name, {})) for name in config.decoders}
    if all(reasons.values()):
        told = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        raise ConfigError(
            f"no decoder that was asked for can stand behind an encoder. {told}. Add one, such as fa-lda."
        )


def _bare_only(config: BenchmarkConfig) -> Iterator[str]:
    """Name what does not stand behind the encoders."""
    for name in config.decoders if config.encoders else ():
        why = why_not_behind(name, config.params.get(name, {}))
        if why and name != CHANCE:
            yield f"{name} stands alone, without an encoder: {why}"
    if config.encoders and SEARCHED in config.selection:
        yield "constants behind an encoder are not searched: a decoder there gets a default row, no searched one"


def _recorded(config: BenchmarkConfig) -> dict[str, Any]:
    """Write a config as a run directory keeps it: without signatures, which run out and are to be shown to nobody."""
    written = config.model_dump(mode="json")
    return {**written, "sources": [without_secrets(place) for place in written["sources"]]}


def _unasked() -> dict[str, Any]:
    """Give each option that has a default as it is where nobody asked for it, JSON-able."""
    return BenchmarkConfig(sources=("none",)).model_dump(mode="json", exclude={"sources"})


def _sources(config: BenchmarkConfig) -> tuple[Place, ...]:
    """Make paths absolute. Raises FileFormatError if a file is missing, or an id is that of no public session."""
    sources = tuple(resolved(place) for place in config.sources)
    for place in sources:
        if isinstance(place, str) and is_session_id(place) and is_streamed(place):
            check_public(int(place))
    missing = [str(place) for place in sources if isinstance(place, Path) and not place.is_file()]
    if len(missing) == 1:
        find(missing[0])
    if missing:
        raise FileFormatError(f"expected session files, there is none at {', '.join(missing)}. Check the paths.")
    return sources


def _refuse_unfinished_searches(run: RunDirectory) -> None:
    """Say at once that a search was stopped here, and not after hours of other work. Raises RunDirectoryError."""
    for folder in sorted((run.path / CHECKPOINTS).glob(f"*/{SEARCH}")):
        search = SearchFolder(folder)
        if search.holds_state():
            raise RunDirectoryError(
                f"{run.path} holds an unfinished search of {len(search.records())} candidates ({folder.parent.name}). "
                "Start the same command with --resume to go on with it, or choose another output directory (--out)."
            )


def _searches(config: BenchmarkConfig, tell: Progress, *, resume: bool) -> Searches:
    """Make what searches constants: the same terms for every decoder."""
    from spikesight.tuning.ray_search import RaySearch

    settings = config.tuning or TuningConfig()

    def search(name: str, problem: Problem) -> RaySearch:
        space = with_changes(registry.spec(name).search_space, settings.space.get(name, {}))
        label = f"{name}, session {problem.session}"
        return RaySearch(space, settings, config.seed, label, config.jobs, resume, tell)

    return search


def _write_best(run: RunDirectory, config: BenchmarkConfig) -> None:
    """Write the winners of all searches as a config that benchmarks them, on these or on other sessions."""
    if not (run.path / CANDIDATES).exists():
        return
    best = winners(run.read_table(CANDIDATES))
    if best.empty:
        return
    found = {name: json.loads(params) for name, params in zip(best["decoder"], best["params"], strict=True)}
    decoders = tuple(name for name in config.decoders if name in found)
    params = {name: {**config.params.get(name, {}), **found[name]} for name in decoders}
    changes = {
        "sources": tuple(without_secrets(place) if isinstance(place, str) else place for place in config.sources),
        **{"decoders": decoders, "selection": ("default",), "params": params, "tuning": None, "out": None},
    }
    text = BEST_HEADER + config.model_copy(update=changes).to_yaml()
    run.write_file(BEST, lambda file: file.write_text(text, encoding="utf-8"))


def _uneven_terms(config: BenchmarkConfig) -> Iterator[str]:
    """Name the decoders that do not choose among as many candidates as the others, or whose constants were given."""
    for name in config.params:
        yield f"constants of {name} were given: a fair test on trials that they were not chosen on, and on no others"
    for name in config.decoders if SEARCHED in config.selection else ():
        if not registry.spec(name).search_space and name != CHANCE:
            yield f"{name} has no search space: it gets a default row, no searched one"
    for name in config.decoders if TUNED in config.selection else ():
        number = len(registry.spec(name).candidates)
        if name == CHANCE or number == registry.N_CANDIDATES:
            continue
        if number < FEWEST_CANDIDATES:
            yield f"{name} has no constants to choose: it gets a default row, no tuned one"
        else:
            usual = registry.N_CANDIDATES
            yield f"unequal terms: {name} chooses among {number} candidates, built-in decoders among {usual}"


class _Datasets(Mapping[str, xr.Dataset]):
    """Binned sessions by id; those that fit are kept in memory."""

    def __init__(self, config: BenchmarkConfig, sources: tuple[Place, ...]) -> None:
        self._config = config
        self._path: dict[str, Place] = {}
        self._kept: dict[str, xr.Dataset] = {}
        self._sources = sources
        self.n_sources = len(sources)

    def load_all(self) -> Iterator[LoadedSource]:
        """Load one source after the other and remember its id.

        Raises
        ------
        ConfigError
            If two sources are the same session.
        """
        for path in self._sources:
            loaded = load_source(path, self._config)
            if self._path.setdefault(loaded.session_id, path) != path:
                raise ConfigError(
                    f"expected each session once; {path} and {self._path[loaded.session_id]} are both session "
                    f"{loaded.session_id}."
                )
            self._keep(loaded.session_id, loaded.dataset)
            yield loaded

    def _keep(self, session_id: str, dataset: xr.Dataset) -> None:
        if sum(kept.nbytes for kept in self._kept.values()) + dataset.nbytes <= KEPT_BYTES:
            self._kept[session_id] = dataset

    def __getitem__(self, session_id: str) -> xr.Dataset:
        if session_id in self._kept:
            return self._kept[session_id]
        return load_source(self._path[session_id], self._config).dataset

    def __iter__(self) -> Iterator[str]:
        return iter(self._path)

    def __len__(self) -> int:
        return len(self._path)


def _sessions(
    run: RunDirectory, config: BenchmarkConfig, sources: tuple[Place, ...], tell: Progress
) -> tuple[_Datasets | SessionFeed, Mapping[str, Mapping[str, Any]]]:
    """Write where numbers come from; read the sessions, or have them read one ahead where some are public.

    Whether those were fetched makes no difference: one that cannot be decoded is left out either way. The reference
    decoders of a feed are there when its sessions are.
    """
    if any(isinstance(place, str) for place in sources):
        run.write_provenance(describe_run(config.seed))
        feed = SessionFeed(run, config, sources, tell)
        return feed, feed.references
    run.write_provenance(describe_run(config.seed, sources))
    datasets = _Datasets(config, sources)
    return datasets, _describe_sessions(run, config, datasets, tell)


def _describe_sessions(
    run: RunDirectory, config: BenchmarkConfig, datasets: _Datasets, tell: Progress
) -> dict[str, dict[str, Any]]:
    """Write the card and the panels of every session; return the reference decoders that each allows."""
    cards: list[dict[str, Any]] = []
    references: dict[str, dict[str, Any]] = {}
    for loaded in datasets.load_all():
        described = describe_session(loaded, config, tell)
        write_panels(run, described)
        cards.append(described.card)
        tell.advance(READING, len(cards), datasets.n_sources)
        references[loaded.session_id] = described.references
    run.write_json(SESSIONS, cards)
    return references

"""A benchmark that W&B hears of, seen from the process that was started: before, while and after cells are fitted."""

import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import pandas as pd

from spikesight.config import BenchmarkConfig
from spikesight.errors import ConfigError
from spikesight.figures.confusion import count_confusions, plot_confusion_matrix
from spikesight.figures.leaderboard import plot_leaderboard
from spikesight.places import name_of
from spikesight.records.leaderboard import is_competing
from spikesight.records.run_record import RunRecord, read_run
from spikesight.tracking.progress import Progress
from spikesight.tracking.provenance import describe_run
from spikesight.tracking.run_directory import MAY_CHANGE, RunDirectory
from spikesight.tracking.wandb_tracking.process import stop_writers
from spikesight.tracking.wandb_tracking.runs import WANDB, WandbRun, WandbSettings, closed_runs, missing_runs
from spikesight.tracking.wandb_tracking.upload import Uploader, has_key, sync_command

OFF: Final = "off"
ONLINE: Final = "online"
OVERVIEW: Final = "overview"
"""Name of the W&B run of the benchmark as a whole."""
UPLOAD_SECONDS: Final = 60.0
"""That the end of a run waits for uploads at most."""
MOST_SESSIONS: Final = 10
"""That have figures in the overview."""
Overview = Callable[[WandbSettings, Path], None]
_PRIVATE: Final = ("sources", *MAY_CHANGE)
"""Options that say nothing about numbers, and something about the machine."""


def require_wandb(mode: str) -> None:
    """Raise ConfigError if W&B is asked for and not installed."""
    if mode == OFF:
        return
    try:
        version("wandb")
    except PackageNotFoundError as error:
        raise ConfigError(
            f"wandb ({mode}) needs the package wandb, which is not installed: pip install 'spikesight[tracking]'. "
            f"Or leave it {OFF}: the run directory has the same numbers."
        ) from error


@contextmanager
def tracked(
    config: BenchmarkConfig, run: RunDirectory, tell: Progress, overview: Overview | None = None
) -> Iterator[WandbSettings | None]:
    """Give what the processes that fit need to know to tell W&B; None if it is off.

    When the benchmark ends, its leaderboards and figures are one more W&B run. Online, runs are uploaded while others
    are still fitted, and at the end for ``UPLOAD_SECONDS`` at most. Nothing that goes wrong with W&B is raised: it is
    noted.

    Parameters
    ----------
    config
        What was asked.
    run
        An open run directory.
    tell
        Hears where the runs are and what is not uploaded.
    overview
        Writes the W&B run of the whole, given where it goes and the run directory; None: leaderboards and figures.
    """
    if config.wandb == OFF:
        yield None
        return
    folder = run.path.resolve() / WANDB
    settings = _settings(config, folder, run.path.resolve().name)
    uploader = None
    if config.wandb == ONLINE:
        if has_key():
            uploader = Uploader(folder)
        else:
            tell.note("W&B: no key is set (WANDB_API_KEY, or `wandb login`), so its runs are written offline")
    try:
        yield settings
        for text in _conclude(settings, run, uploader, write_overview if overview is None else overview):
            tell.note(text)
            run.log("W&B", note=text)
    finally:
        stop_writers(folder)
        if uploader is not None:
            uploader.stop()
        shutil.rmtree(folder / "tmp", ignore_errors=True)


def _settings(config: BenchmarkConfig, folder: Path, name: str) -> WandbSettings:
    """Say where runs go and what they are of: file names, but no folders of this machine."""
    folder.mkdir(exist_ok=True)
    identity = folder / "identity"
    if not identity.exists():
        identity.write_text(secrets.token_hex(8), encoding="ascii")
    asked = config.model_dump(mode="json")
    about = describe_run(config.seed)
    told = ("versions", "python", "git_commit", "git_modified", "code_digest", "hardware")
    return WandbSettings(
        folder=folder,
        project=config.wandb_project,
        entity=config.wandb_entity or os.environ.get("WANDB_ENTITY"),
        directory_key=identity.read_text(encoding="ascii"),
        visit=secrets.token_hex(8),
        run=name,
        config={
            "benchmark": {key: value for key, value in asked.items() if key not in _PRIVATE},
            "sources": [name_of(place) for place in config.sources],
            **{key: about[key] for key in told},
        },
    )


def _conclude(
    settings: WandbSettings, run: RunDirectory, uploader: Uploader | None, overview: Overview
) -> Iterator[str]:
    """Write the overview, upload, and say how it went."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            overview(settings, run.path)
        except Exception as error:  # the numbers are there, whatever has become of W&B
            reason = " ".join(str(error).split())[:200]
            yield f"W&B: the overview could not be written ({type(error).__name__}: {reason})"
    yield from dict.fromkeys(f"W&B: {warning.message}" for warning in caught)
    stop_writers(settings.folder)
    missing, closed = missing_runs(settings.folder), closed_runs(settings.folder)
    if missing:
        first = next(iter(missing.values()))
        yield f"W&B: {len(missing)} runs could not be written, the first because of {first}"
    if uploader is None:
        yield f"W&B: {len(closed)} runs are in {settings.folder}; to upload them: {sync_command(settings.folder)}"
        return
    uploader.finish(UPLOAD_SECONDS)
    waiting = uploader.waiting()
    if waiting:
        why = f" ({uploader.reason})" if uploader.reason else ""
        yield (
            f"W&B: {len(waiting)} of {len(closed)} runs are not uploaded yet{why}; to do it later: "
            f"{sync_command(settings.folder)}"
        )
    else:
        yield f"W&B: {len(closed)} runs are uploaded"


def write_overview(settings: WandbSettings, folder: Path) -> None:
    """Write the W&B run of a benchmark as a whole: leaderboards and figures."""
    record = read_run(folder)
    board = record.per_session if record.over_sessions is None else record.over_sessions
    best = board[is_competing(board)].head(1).to_dict("records")
    kept = ("decoder", "selection", "accuracy", "low", "high", "chance", "n_trials")
    summary: dict[str, Any] = {f"best/{name}": row[name] for row in best for name in kept}
    tables = {"leaderboard": record.per_session}
    if record.over_sessions is not None:
        tables["leaderboard_over_sessions"] = record.over_sessions
    if record.failures:
        tables["failures"] = pd.DataFrame(record.failures).astype(str)
    overview = WandbRun(
        settings,
        OVERVIEW,
        name=f"{settings.run} leaderboard",
        group="leaderboards",
        job_type=OVERVIEW,
        tags=(),
        config={},
    )
    images = dict(_draw(record, settings.folder / "figures"))
    overview.close(summary={**summary, "n_failed": len(record.failures)}, tables=tables, images=images)


def _draw(record: RunRecord, folder: Path) -> Iterator[tuple[str, Path]]:
    """Draw leaderboards, and the confusions of the best decoder of each session."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)

    def save(axes: Any, name: str) -> tuple[str, Path]:
        file = folder / f"{name.replace('/', '-')}.png"
        axes.figure.savefig(file, dpi=120)
        plt.close(axes.figure)
        return name, file

    if record.over_sessions is not None:
        yield save(plot_leaderboard(record.over_sessions), "leaderboard/all sessions")
    for session, board in list(record.per_session.groupby("session", sort=False))[:MOST_SESSIONS]:
        yield save(plot_leaderboard(board), f"leaderboard/{session}")
        competing = board[is_competing(board)]
        if competing.empty:
            continue
        best, trials = competing.iloc[0], record.predictions
        own = trials[[*("session", "decoder", "selection")]].eq(best[["session", "decoder", "selection"]]).all(axis=1)
        confusion = count_confusions(trials.loc[own, "y_true"], trials.loc[own, "y_pred"])
        yield save(plot_confusion_matrix(confusion), f"confusion/{session}")

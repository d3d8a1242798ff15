"""A finished run directory, read back for tables and reports."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from spikesight.errors import DataError, RunDirectoryError
from spikesight.records.leaderboard import mean_leaderboard, session_leaderboard
from spikesight.records.session_overview import panels_file
from spikesight.tracking.epochs import EPOCHS_TABLE
from spikesight.tracking.run_directory import CONFIG, FAILURES, PREDICTIONS, PROVENANCE, RESULTS
from spikesight.tuning_results import CANDIDATES, checked_candidates, parameters_of

SESSIONS: Final = "sessions.json"
REFERENCE: Final = "reference"
BENCHMARKS: Final = "`spikesight benchmark` or `spikesight tune`"
"""Commands that leave what `read_run` reads."""
_OF_OTHER_COMMANDS: Final = {"run": "an attribution", "file": "receptive fields", "source": "a connectivity estimate"}
"""A key of the config of such a run directory, and what that holds; the first that is there says it, since receptive
fields have a ``source``, too. A benchmark has ``sources`` and none of these."""


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a benchmark left in its run directory.

    Attributes
    ----------
    path
        The run directory.
    config, provenance
        What was asked; with which versions, seed, commit and inputs.
    results, predictions
        One row per fold; one row per test trial.
    per_session
        The leaderboard of every session, best first.
    over_sessions
        The leaderboard of the mean over sessions; None for a single session, and where no row has all sessions.
    cards
        Session cards, in the order of the sessions.
    panels
        Raster excerpt and area rates by session id; a session without them is absent.
    failures
        Cells that could not be finished, and why.
    candidates
        What searches for constants tried, as `spikesight.tuning_results` knows it; None without a search.
    epochs
        Loss and accuracy of networks, one row per epoch of a fit (`spikesight.tracking.epochs`); None without networks.
    """

    path: Path
    config: dict[str, Any]
    provenance: dict[str, Any]
    results: pd.DataFrame
    predictions: pd.DataFrame
    per_session: pd.DataFrame
    over_sessions: pd.DataFrame | None
    cards: list[dict[str, Any]]
    panels: dict[str, dict[str, Any]]
    failures: list[dict[str, Any]]
    candidates: pd.DataFrame | None = None
    epochs: pd.DataFrame | None = None


def read_run(path: str | Path, commands: str = BENCHMARKS) -> RunRecord:
    """Read the run directory of a benchmark or a search that has results.

    Parameters
    ----------
    path
        The run directory.
    commands
        Those whose directories the caller takes, for errors.

    Raises
    ------
    RunDirectoryError
        If ``path`` is no such run directory, has no results yet, or one of its files is damaged.
    """
    path = Path(path)
    if not (path / CONFIG).is_file():
        came = f"{path} has no {CONFIG}" if path.is_dir() else f"{path} is {'a file' if path.exists() else 'not there'}"
        raise RunDirectoryError(f"expected a run directory, {came}. Give the --out of {commands}.")
    config = _read(path / CONFIG)
    if not (path / RESULTS).is_file():
        held = next((held for key, held in _OF_OTHER_COMMANDS.items() if key in (config or ())), None)
        if held is not None:
            raise RunDirectoryError(
                f"expected the run directory of a benchmark, {path} is one of {held}. Give the --out of {commands}."
            )
        raise RunDirectoryError(f"{path} has no {RESULTS} yet: the benchmark was stopped. Start it again to finish it.")
    results, predictions = _read(path / RESULTS), _read(path / PREDICTIONS)
    if results.empty or predictions.empty:
        raise RunDirectoryError(f"{path} holds no finished result: every decoder failed; {FAILURES} says why.")
    cards = _read(path / SESSIONS)
    per_session = session_leaderboard(results, predictions)
    ids = [str(card["session_id"]) for card in cards]
    return RunRecord(
        path=path,
        config=config,
        provenance=_read(path / PROVENANCE),
        results=results,
        predictions=predictions,
        per_session=per_session,
        over_sessions=mean_of_sessions(per_session, predictions),
        cards=cards,
        panels={name: _read(path / panels_file(name)) for name in ids if (path / panels_file(name)).is_file()},
        failures=_read(path / FAILURES) if (path / FAILURES).is_file() else [],
        candidates=_read_candidates(path / CANDIDATES),
        epochs=_read(path / EPOCHS_TABLE) if (path / EPOCHS_TABLE).is_file() else None,
    )


def mean_of_sessions(per_session: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame | None:
    """Average leaderboards over sessions; None if there is one session, or no decoder that has them all."""
    if per_session["session"].nunique() < 2:
        return None
    table = mean_leaderboard(per_session, predictions)
    return None if table.empty else table


def _read_candidates(file: Path) -> pd.DataFrame | None:
    if not file.is_file():
        return None
    try:
        table = checked_candidates(_read(file))
        parameters_of(table)
    except DataError as error:
        raise RunDirectoryError(f"cannot read {file}: {error}") from error
    return table if len(table) else None


def _read(file: Path) -> Any:
    """Read a YAML, JSON or Parquet file by its suffix."""
    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        text = file.read_text(encoding="utf-8")
        return yaml.safe_load(text) if file.suffix == ".yaml" else json.loads(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RunDirectoryError(f"cannot read {file}: {reason}. Delete it and run the benchmark again.") from error

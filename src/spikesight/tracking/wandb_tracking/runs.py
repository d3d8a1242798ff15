"""One W&B run for each cell, opened by the process that fits it, and one for the benchmark as a whole."""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from spikesight.errors import TrackingError
from spikesight.tracking.epochs import KEY, read_epochs
from spikesight.tracking.run_directory import DECODERS, RunDirectory
from spikesight.tracking.trackers import Ending
from spikesight.tracking.wandb_tracking.process import GivenUpError, WriterProcess, give_up, writer_of

WANDB: Final = "wandb"
"""Folder of all that W&B has, in a run directory."""
MISSING: Final = "missing.json"
"""File in it: the finished cells that have no W&B run, and why."""
CLOSED: Final = "closed"
"""Folder in it: a JSON file for each run that is complete, named like its cell."""
METRICS: Final = {
    **{"loss": "training/loss", "accuracy": "training/accuracy", "learning_rate": "training/learning_rate"},
    **{"valid_loss": "validation/loss", "valid_accuracy": "validation/accuracy", "seconds": "training/seconds"},
}
"""What W&B calls the columns of epochs: its summary has the test accuracy as ``accuracy``."""
_TABLES: Final = "tables"
_LONGEST_TAG: Final = 64
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class WandbSettings:
    """What a process needs to know to write W&B runs: plain data, no key among it.

    Attributes
    ----------
    folder
        Where they are written: ``wandb`` in the run directory.
    project, entity
        Where they belong at W&B; None as entity: the account's own.
    directory_key
        Tells this run directory from others: ids of runs are made of it and of the names of cells.
    visit
        Tells this run of the benchmark from earlier ones in the same directory.
    run
        Name of the run directory, a tag of all runs.
    config
        What was asked, with which versions and code: part of each run's config.
    """

    folder: Path
    project: str
    entity: str | None
    directory_key: str
    visit: str
    run: str
    config: Mapping[str, Any]


class WandbRun:
    """One W&B run. Nothing that goes wrong with it is raised: it is warned of, once, and the rest is left out.

    Parameters
    ----------
    settings
        Where it goes.
    part
        Its name in the run directory. Its id is made of it, so that a cell that is run again replaces its W&B run.
    name, group, job_type, tags
        As W&B shows them.
    config
        Beside that of ``settings``.

    Attributes
    ----------
    trouble : str
        What went wrong; empty if nothing did.
    """

    def __init__(
        self,
        settings: WandbSettings,
        part: str,
        *,
        name: str,
        group: str,
        job_type: str,
        tags: Sequence[str],
        config: Mapping[str, Any],
    ) -> None:
        self._settings = settings
        self._part = part
        self._id = run_id(settings.directory_key, part)
        self._n_heard = 0
        self.trouble = ""
        labels = {"name": name[:_LONGEST_NAME], "group": group[:_LONGEST_NAME], "job_type": job_type[:_LONGEST_TAG]}
        opening = {
            **labels,
            "project": settings.project,
            "entity": settings.entity,
            "id": self._id,
            "tags": [tag[:_LONGEST_TAG] for tag in (*tags, settings.run) if tag],
            "config": {**settings.config, **config},
        }
        self._guarded(lambda: self._open(opening))

    def hear(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Log the epochs that are new; what was not measured is left out."""
        new, self._n_heard = epochs[self._n_heard :], max(self._n_heard, len(epochs))
        self._guarded(lambda: self._log(new))

    def end(self, ending: Ending) -> None:
        """Log what came out and close the run: as failed, if the cell failed."""
        self.hear(ending.epochs)
        row = ending.result
        summary = {name: value for name, value in row.items() if name not in (*KEY, "params")}
        artifact = None
        if ending.decoder is not None:
            artifact = {
                "name": _plain_name("-".join(str(row[name]) for name in ("decoder", "session", "selection", "fold"))),
                "type": "decoder",
                "metadata": {name: row[name] for name in (*KEY, "accuracy", "chance", "n_test") if name in row},
                "folder": str(ending.decoder.resolve()),  # it is uploaded from there by a process elsewhere
            }
        self.close(
            exit_code=int(bool(ending.error)),
            config={"params": dict(ending.params)} if ending.params else {},
            summary={**summary, "error": ending.error} if ending.error else summary,
            tables={} if ending.predictions is None else {"predictions": ending.predictions},
            artifact=artifact,
        )

    def close(
        self,
        *,
        exit_code: int = 0,
        config: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
        tables: Mapping[str, pd.DataFrame] | None = None,
        images: Mapping[str, Path] | None = None,
        artifact: Mapping[str, Any] | None = None,
    ) -> None:
        """Close the run with what is known in the end."""
        order = {
            "exit_code": exit_code,
            "config": _plain(dict(config or {})),
            "summary": _plain(dict(summary or {})),
            "images": {name: str(path) for name, path in (images or {}).items()},
            "artifact": None if artifact is None else _plain(dict(artifact)),
        }
        self._guarded(lambda: self._close(order, dict(tables or {})))

    def _open(self, opening: Mapping[str, Any]) -> None:
        writer = self._writer()
        _closed_file(self._settings.folder, self._part).unlink(missing_ok=True)
        for earlier in self._settings.folder.glob(f"offline-run-*-{self._id}"):
            shutil.rmtree(earlier, ignore_errors=True)
        writer.send(do="open", opening=_plain(opening), metrics=list(METRICS.values()), over="epoch")

    def _log(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        for line in epochs:
            measured = {shown: line[name] for name, shown in METRICS.items() if line[name] is not None}
            self._writer().send(do="log", values={"epoch": line["epoch"], **measured})

    def _close(self, order: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
        folder = self._settings.folder
        files = {name: folder / _TABLES / f"{self._part}.{name}.json" for name in tables}
        try:
            for name, table in tables.items():
                files[name].parent.mkdir(parents=True, exist_ok=True)
                table.to_json(files[name], orient="split", index=False, double_precision=15)
            answer = self._writer().ask(do="close", tables={name: str(file) for name, file in files.items()}, **order)
        finally:
            for file in files.values():
                file.unlink(missing_ok=True)
        if "error" in answer:
            raise _WandbsError(answer["error"])
        file = _closed_file(folder, self._part)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_text(json.dumps({**answer, "failed": bool(order["exit_code"])}), encoding="utf-8")
        os.replace(temporary, file)

    def _writer(self) -> WriterProcess:
        return writer_of(self._settings.folder, self._settings.visit)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do it. What goes wrong ends the W&B run and not ours."""
        if self.trouble:
            return
        try:
            action()
        except GivenUpError as error:
            self.trouble = str(error)
        except Exception as error:  # also what nobody thought of: a tracker is a guest
            self.trouble = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
            if isinstance(error, TrackingError) and not isinstance(error, _WandbsError):
                give_up(self._settings.folder, self._settings.visit, self.trouble)
            warnings.warn(f"no W&B run of {self._part}: {self.trouble}", UserWarning, stacklevel=2)


class _WandbsError(TrackingError):
    """What ``wandb`` raised in its own process, which goes on."""


def follow_cell(settings: WandbSettings, part: str, key: Mapping[str, Any]) -> WandbRun:
    """Open the W&B run of a cell.

    Parameters
    ----------
    settings
        Where it goes.
    part
        Name of the cell.
    key
        Values of `spikesight.tracking.epochs.KEY`: sessions are groups, decoders are job types, the others are tags.
    """
    return WandbRun(
        settings,
        part,
        name=f"{key['decoder']} {key['selection']} {key['session']} fold {key['fold']}",
        group=str(key["session"]),
        job_type=str(key["decoder"]),
        tags=(str(key["selection"]), f"fold {key['fold']}", f"seed {key['seed']}"),
        config={**key, "part": part},
    )


def catch_up(settings: WandbSettings, run: RunDirectory, parts: Sequence[str]) -> None:
    """Write the W&B runs of finished cells that have none: they were run without W&B, or something went wrong.

    Decoders are artifacts where they are stored. ``wandb/missing.json`` tells which could not be written and why.

    Parameters
    ----------
    settings
        Where they go.
    run
        An open run directory.
    parts
        Names of its finished cells.
    """
    settings = replace(settings, visit=f"after {settings.visit}")  # whatever became of the writer before
    missing: dict[str, str] = {}
    for part in parts:
        if _closed_file(settings.folder, part).exists():
            continue
        result, predictions = run.read_part(part)
        row = {str(name): value for name, value in result.iloc[0].to_dict().items()}
        stored = run.path / DECODERS / part
        ending = Ending(
            epochs=read_epochs(run.path, part),
            result=row,
            predictions=predictions,
            params=json.loads(row["params"]),
            decoder=stored if stored.is_dir() else None,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            written = follow_cell(settings, part, {name: row[name] for name in KEY})
            written.end(ending)
        for warning in caught:
            run.log("warning", part=part, warning=str(warning.message))
        if written.trouble:
            missing[part] = written.trouble
    run.write_json(f"{settings.folder.name}/{MISSING}", missing)


def run_id(directory_key: str, part: str) -> str:
    """Return the id that a cell's run has at W&B: always the same for a cell of a run directory."""
    return hashlib.sha256(f"{directory_key} {part}".encode()).hexdigest()[:16]


def closed_runs(folder: Path) -> dict[str, tuple[Path, bool]]:
    """Find the runs that are complete: their folders, and whether their cells failed, by the names of cells."""
    return {file.stem: read_closed(file) for file in sorted((folder / CLOSED).glob("*.json"))}


def read_closed(file: Path) -> tuple[Path, bool]:
    """Read the file of a complete run: its folder, and whether its cell failed."""
    told = json.loads(file.read_text(encoding="utf-8"))
    return file.parents[1] / told["folder"], bool(told["failed"])


def missing_runs(folder: Path) -> dict[str, str]:
    """Tell which finished cells have no W&B run, and why."""
    file = folder / MISSING
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _closed_file(folder: Path, part: str) -> Path:
    return folder / CLOSED / f"{part}.json"


def _plain_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:_LONGEST_NAME]


def _plain(value: Any) -> Any:
    """Return what JSON can say of a value."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    return value if isinstance(value, bool | int | float | str) else f"{value!r}"[:200]

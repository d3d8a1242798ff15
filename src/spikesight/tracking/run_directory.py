"""The run directory: one benchmark's config, provenance, finished cells and results, never half-written."""

import json
import os
import shutil
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pandas as pd
import yaml
from filelock import FileLock, Timeout

from spikesight.errors import RunDirectoryError

CONFIG: Final = "config.yaml"
PROVENANCE: Final = "provenance.json"
RESULTS: Final = "results.parquet"
PREDICTIONS: Final = "predictions.parquet"
FAILURES: Final = "failures.json"
LOG: Final = "log.jsonl"
PARTS: Final = "parts"
DECODERS: Final = "decoders"
CHECKPOINTS: Final = "checkpoints"
"""Folder of unfinished fits, one folder a cell; a cell's folder goes when it is finished."""
SUMMARY: Final = "summary.json"
"""What a finished connectivity estimate has."""
FINAL: Final = (RESULTS, SUMMARY)
"""Files that say that a run has come to a result."""
LOCK: Final = ".lock"

MAY_CHANGE: Final = (
    *("jobs", "out", "ray", "time_limit", "wandb", "wandb_project", "wandb_entity", "archive", "keep_files"),
)
"""Options that do not change any number, so that a run may be resumed with others."""


class RunDirectory:
    """A directory that belongs to one config and, while open, to one process.

    Use it as a context manager. Every file is written under a temporary name and renamed when it is complete.

    Parameters
    ----------
    path
        An empty or new directory, or one that an earlier run left: with the same config, or before it had any result.
    config
        The resolved config, JSON-able. It is written to ``config.yaml`` and compared when the directory is opened
        again; ``MAY_CHANGE`` options are not compared.
    unasked
        What options are that nobody asked for: an earlier version may not have had them.

    Raises
    ------
    RunDirectoryError
        On entering: if the directory is in use, cannot be written, holds something else, or belongs to another
        config (the message names the options that differ).
    """

    def __init__(
        self, path: str | Path, config: Mapping[str, Any], *, unasked: Mapping[str, Any] | None = None
    ) -> None:
        self.path = Path(path)
        self._config = json.loads(json.dumps(dict(config)))
        self._unasked = json.loads(json.dumps(dict(unasked or {})))
        # Not 0: who looks whether a run is at work holds the lock for an instant.
        self._lock = FileLock(self.path / LOCK, timeout=0.3)

    def __enter__(self) -> Self:
        with self._explained():
            self._refuse_foreign()
            (self.path / PARTS).mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout as error:
                raise RunDirectoryError(
                    f"{self.path} is in use by another process; wait for it, or choose another output directory."
                ) from error
        try:
            self._claim()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def write_json(self, name: str, value: Any) -> None:
        """Write ``value`` to the file ``name`` (a path inside the directory)."""
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
        self._write(name, lambda path: _write_text(path, text))

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write ``table`` to the Parquet file ``name``."""
        self._write(name, lambda path: table.to_parquet(path, index=False))

    def write_file(self, name: str, write: Callable[[Path], object]) -> None:
        """Let ``write`` fill the file ``name``, which is there whole or not at all."""
        self._write(name, write)

    def read_table(self, name: str) -> pd.DataFrame:
        """Read the Parquet file ``name``.

        Raises
        ------
        RunDirectoryError
            If it is missing or damaged.
        """
        try:
            return pd.read_parquet(self.path / name)
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"cannot read {self.path / name}: {error}. Delete it and run again.") from error

    def remove(self, *names: str) -> None:
        """Remove files, those that are there, in this order."""
        with self._explained():
            for name in names:
                (self.path / name).unlink(missing_ok=True)

    def write_part(
        self, key: str, result: pd.DataFrame, predictions: pd.DataFrame, candidates: pd.DataFrame | None = None
    ) -> None:
        """Store one finished cell. It counts as finished once its result is there; then its unfinished fits go."""
        if candidates is not None and len(candidates):
            self.write_table(f"{PARTS}/{key}.candidates.parquet", candidates)
        self.write_table(f"{PARTS}/{key}.predictions.parquet", predictions)
        self.write_table(f"{PARTS}/{key}.result.parquet", result)
        shutil.rmtree(self.path / CHECKPOINTS / key, ignore_errors=True)

    def read_part(self, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read the result and the predictions of a finished cell."""
        return self.read_table(f"{PARTS}/{key}.result.parquet"), self.read_table(f"{PARTS}/{key}.predictions.parquet")

    def read_candidates(self, key: str) -> pd.DataFrame:
        """Read the candidates of a finished cell whose constants were searched."""
        return self.read_table(f"{PARTS}/{key}.candidates.parquet")

    def remove_checkpoints(self) -> None:
        """Remove all unfinished fits, also those that other code began."""
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def finished_parts(self) -> set[str]:
        """Keys of the cells that are finished."""
        return {path.name.removesuffix(".result.parquet") for path in (self.path / PARTS).glob("*.result.parquet")}

    def log(self, event: str, **values: Any) -> None:
        """Append a line to ``log.jsonl``: the UTC time, what happened, and its values."""
        line = json.dumps({"time": _now(), "event": event, **values}, ensure_ascii=False, default=str)
        with self._explained(), (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def write_provenance(self, provenance: Mapping[str, Any]) -> None:
        """Write ``provenance.json``; what earlier runs in this directory left there moves to its ``earlier`` list."""
        earlier: list[Any] = []
        if (self.path / PROVENANCE).exists():
            last = self._provenance()
            earlier = [*last.pop("earlier", []), last]
        self.write_json(PROVENANCE, {**provenance, "earlier": earlier})

    def add_input(self, identity: Mapping[str, Any]) -> None:
        """Add a file that was read to the ``inputs`` of ``provenance.json``."""
        provenance = self._provenance()
        inputs = [*provenance.get("inputs", []), dict(identity)]
        self.write_json(PROVENANCE, {**provenance, "inputs": inputs})

    def _provenance(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / PROVENANCE).read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunDirectoryError(f"{self.path / PROVENANCE} is damaged: {error}. Delete it.") from error
        return found

    def _refuse_foreign(self) -> None:
        """Leave a directory of something else as it is."""
        if not self.path.is_dir() or (self.path / CONFIG).exists():
            return
        others = sorted(entry.name for entry in self.path.iterdir() if not _is_ours_before_config(entry))
        if others:
            raise RunDirectoryError(
                f"{self.path} holds {', '.join(others[:5])} but no {CONFIG}: it is not a run directory. "
                "Choose a new or empty one (--out)."
            )

    def _claim(self) -> None:
        """Write the config into a directory that has none or no result yet; refuse that of another config."""
        self._refuse_foreign()
        file = self.path / CONFIG
        if file.exists():
            try:
                there = yaml.safe_load(file.read_text(encoding="utf-8"))
            except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
                raise RunDirectoryError(f"cannot read {file}: {error}. Choose another output directory.") from error
            differences = _differences({**self._unasked, **(there if isinstance(there, dict) else {})}, self._config)
            if not differences:
                return
            if self.finished_parts() or any((self.path / name).exists() for name in FINAL):
                raise RunDirectoryError(
                    f"{self.path} belongs to a run with another config: {'; '.join(differences)}. "
                    "Choose another output directory (--out), or ask for the same."
                )
        text = yaml.safe_dump(self._config, sort_keys=False, allow_unicode=True)
        self._write(CONFIG, lambda path: _write_text(path, text))

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        """Let ``write`` fill a temporary file beside ``name``, then rename it."""
        target = self.path / name
        with self._explained():
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.tmp")
            try:
                write(temporary)
                _flush_to_disk(temporary)
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunDirectoryError(
                f"cannot write to the run directory {self.path}: {error.strerror or error}. "
                "Free some space or choose another output directory; finished fits are kept."
            ) from error


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterable[str]:
    keys = [key for key in {**there, **here} if key not in MAY_CHANGE]
    return [
        f"{key} is {there.get(key)!r} there and {here.get(key)!r} here"
        for key in keys
        if there.get(key) != here.get(key)
    ]


def _is_ours_before_config(entry: Path) -> bool:
    """Whether a run that was stopped before its config was written may have left this."""
    return entry.name in (LOCK, PARTS) or (entry.name.startswith(".") and entry.suffix == ".tmp")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def in_file_name(text: str) -> str:
    """Return what a session or a decoder is called as a part of a file's name, safe whatever that holds."""
    return urllib.parse.quote(text.replace(" ", "_").replace(",", ""), safe="+")[:100]

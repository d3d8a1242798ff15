"""How networks were trained, epoch by epoch: a file of JSON lines a cell, written live, then one table for the run."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from spikesight.errors import OutputError, RunDirectoryError
from spikesight.tracking.run_directory import RunDirectory

EPOCHS: Final = "epochs"
"""Folder of JSON lines, one file a cell: so no two processes write to one file."""
EPOCHS_TABLE: Final = "epochs.parquet"

KEY: Final = ("session", "decoder", "selection", "fold", "seed")
MEASURED: Final = ("loss", "accuracy", "valid_loss", "valid_accuracy", "learning_rate", "seconds")
EPOCH_COLUMNS: Final = (*KEY, "epoch", *MEASURED)
"""Of ``epochs.parquet``: whose fit, which epoch (from 0), what was measured; NaN where there was nothing to measure.

Loss and accuracy are those of training trials as they were seen (under dropout and noise), ``valid_loss`` and
``valid_accuracy`` those of validation trials, which are training trials set aside; ``seconds`` is the time it took."""

Line = dict[str, Any]


class EpochLog:
    """Writes the epochs of one cell's fit to ``epochs/<part>.jsonl`` while it is fitted.

    A fit that goes on from its checkpoint keeps the lines of the epochs that it has already; one that starts anew
    begins the file anew. Each epoch is there once, whatever was killed when.

    Parameters
    ----------
    run
        The run directory.
    part
        Name of the cell.
    key
        Values of ``KEY``.
    """

    def __init__(self, run: Path, part: str, key: Mapping[str, Any]) -> None:
        self._file = run / EPOCHS / f"{part}.jsonl"
        self._key = {name: key[name] for name in KEY}
        self.lines: list[Line] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """Write an epoch down as soon as it is over.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        line = self._line(record)
        if self.lines and line["epoch"] > self.lines[-1]["epoch"]:
            self.lines.append(line)
            self._put("a", [line])
            return
        before = self.lines or readable_epochs(self._file)
        self._write_whole([*(old for old in before if old["epoch"] < line["epoch"]), line])

    def complete(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the file again from what a fitted decoder remembers, whole or not at all; no file without epochs.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        lines = [self._line(record) for record in history]
        if lines:
            self._write_whole(lines)

    def _line(self, record: Mapping[str, Any]) -> Line:
        measured = {name: _number(record.get(name)) for name in MEASURED}
        return {**self._key, "epoch": int(record["epoch"]), **measured}

    def _write_whole(self, lines: list[Line]) -> None:
        self.lines = lines
        self._put("w", lines)

    def _put(self, mode: str, lines: Sequence[Line]) -> None:
        """Append lines, or replace the file by them."""
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        target = self._file if mode == "a" else self._file.with_name(f".{self._file.name}.tmp")
        try:
            self._file.parent.mkdir(exist_ok=True)
            with target.open(mode, encoding="utf-8") as file:
                file.write(text)
                if mode == "w":
                    file.flush()
                    os.fsync(file.fileno())
            if mode == "w":
                os.replace(target, self._file)
        except OSError as error:
            raise OutputError(f"cannot write epochs to {self._file}: {error}. Free some space, then resume.") from error


def read_epochs(run: Path, part: str) -> list[Line]:
    """Read the epochs of one finished cell; none where its decoder has none.

    Raises
    ------
    RunDirectoryError
        If the file is damaged.
    """
    file = run / EPOCHS / f"{part}.jsonl"
    try:
        return [_checked(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"cannot read {file}: {error}. Delete it, and what it tells is left out.") from error


def write_epochs(run: RunDirectory, parts: Iterable[str]) -> None:
    """Write ``epochs.parquet``, columns ``EPOCH_COLUMNS``; it is missing where no decoder has epochs.

    Parameters
    ----------
    run
        An open run directory.
    parts
        Names of its finished cells, in the order of the table.

    Raises
    ------
    RunDirectoryError
        If a cell's file is damaged, or the table cannot be written.
    """
    lines = [line for part in parts for line in read_epochs(run.path, part)]
    if not lines:
        run.remove(EPOCHS_TABLE)
        return
    table = pd.DataFrame(lines, columns=list(EPOCH_COLUMNS))
    run.write_table(EPOCHS_TABLE, table.astype(dict.fromkeys(MEASURED, "float64")))


def readable_epochs(file: Path) -> list[Line]:
    """Return the epochs that can be read of a fit that is under way, or was killed: its last line may be cut off."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(_checked(json.loads(line)))
        except ValueError:
            break
    return found


def _checked(line: Any) -> Line:
    if not isinstance(line, dict) or set(line) != set(EPOCH_COLUMNS):
        raise ValueError(f"expected an object with {', '.join(EPOCH_COLUMNS)}, got {line!r:.120}")
    return line


def _number(value: Any) -> float | None:
    """Return what JSON can say: no NaN, no infinity."""
    return None if value is None or not math.isfinite(value) else float(value)

"""Reads the file that wandb writes offline: blocks of records, as LevelDB has them in its logs."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER = 7
BLOCK = 32 * 1024
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class StoredRun:
    """What an offline run holds."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def epochs(self, name: str) -> list[Any]:
        """Values of a metric, in the order in which they were logged."""
        return [row[name] for row in self.history if name in row]


def record_bytes(path: Path) -> Iterator[bytes]:
    """Give the bytes of each record, put together where a block ended within it."""
    data = path.read_bytes()
    assert data[:4] == b":W&B", data[:4]
    place, record = HEADER, b""
    while place + HEADER <= len(data):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        record += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (WHOLE, LAST):
            yield record
            record = b""


def read_run(folder: Path) -> StoredRun:
    """Read the offline run in ``folder``."""
    from wandb.proto import wandb_internal_pb2

    [path] = folder.glob("*.wandb")
    found = StoredRun()
    for data in record_bytes(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            found.config |= _values(record.run.config.update)
        elif kind == "config":
            found.config |= _values(record.config.update)
        elif kind == "history":
            found.history.append(_values(record.history.item))
        elif kind == "summary":
            found.summary |= _values(record.summary.update)
        elif kind == "artifact":
            found.artifacts.append(record.artifact)
        elif kind == "files":
            found.files += [file.path for file in record.files.files]
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def runs_in(folder: Path) -> dict[str, StoredRun]:
    """Read all offline runs under a run directory, by their names."""
    runs = [read_run(path) for path in sorted((folder / "wandb").glob("offline-run-*"))]
    assert len({run.run.run_id for run in runs}) == len(runs), "a run is there twice"
    return {run.run.display_name: run for run in runs}


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}

"""The process that has ``wandb``: it takes orders, one JSON object a line, and writes runs offline.

A process of its own, because ``wandb`` puts hooks into the interpreter that imports it, reads keys from its environment
and writes to its terminal. It is started as a script and imports nothing of spikesight.
"""

import importlib
import json
import os
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

_CRASHED: Final = 1
_SOON: Final = 2.0
"""Seconds."""
_BLOCK: Final = 32 * 1024


class _Book:
    """Writes one run after the other.

    Parameters
    ----------
    folder
        Where they go: ``wandb`` in a run directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run: Any = None
        self._trouble = ""

    def obey(self, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry an order out; only ``close`` is answered, with the run's folder or the first error since ``open``."""
        what = order.pop("do")
        if what == "open":
            self.abandon()
            self._trouble = ""
        try:
            if not self._trouble:
                getattr(self, f"_{what}")(**order)
        except Exception as error:  # wandb's trouble, whatever it is, is told and goes no further
            self._trouble = f"{type(error).__name__}: {error}"
        return self._ended() if what == "close" else None

    def abandon(self) -> None:
        """End a run that was never closed, as one that crashed."""
        run, self._run = self._run, None
        if run is not None:
            run.finish(exit_code=_CRASHED)

    def _open(self, opening: dict[str, Any], metrics: list[str], over: str) -> None:
        import wandb

        quiet: dict[str, Any] = {"silent": True, "quiet": True, "console": "off", "sagemaker_disable": True}
        nothing_of_the_machine: dict[str, Any] = {
            **dict.fromkeys(("disable_git", "disable_code", "x_disable_meta", "x_disable_stats"), True),
            **{"x_disable_machine_info": True, "x_save_requirements": False, "save_code": False, "host": "-"},
            "symlink": False,
        }
        settings = wandb.Settings(mode="offline", root_dir=str(self._folder.parent), **quiet, **nothing_of_the_machine)
        self._run = wandb.init(**opening, settings=settings, reinit="create_new")
        # What an artifact is made of goes where the run is, and with it.
        os.environ["WANDB_DATA_DIR"] = str(self._place() / "staged")
        for name in metrics:
            self._run.define_metric(name, step_metric=over)

    def _log(self, values: dict[str, Any]) -> None:
        self._run.log(values)

    def _close(
        self,
        exit_code: int,
        config: dict[str, Any],
        summary: dict[str, Any],
        tables: dict[str, str],
        images: dict[str, str],
        artifact: dict[str, Any] | None,
    ) -> None:
        import wandb

        for name, path in tables.items():
            table = json.loads(Path(path).read_text(encoding="utf-8"))
            wandb.Table.MAX_ROWS = max(wandb.Table.MAX_ROWS, len(table["data"]))
            shown = wandb.Table(columns=table["columns"], data=table["data"], allow_mixed_types=True)
            self._run.log({name: shown})
        for name, path in images.items():
            self._run.log({name: wandb.Image(path)})
        if artifact is not None:
            kept = wandb.Artifact(artifact["name"], type=artifact["type"], metadata=artifact["metadata"])
            kept.add_dir(artifact["folder"], policy="immutable", skip_cache=True)  # a copy of it would be a second one
            self._run.log_artifact(kept)
        self._run.config.update(config, allow_val_change=True)
        self._run.summary.update(summary)
        self._run.finish(exit_code=exit_code)
        if not _is_whole(self._place()):
            wandb.teardown()  # which waits until all is written, at the price of a new start

    def _ended(self) -> dict[str, Any]:
        run = self._run
        if self._trouble or run is None:
            self.abandon()
            return {"error": self._trouble or "no run was opened"}
        place, self._run = self._place(), None
        return {"folder": place.name}

    def _place(self) -> Path:
        return Path(self._run.dir).parent


def _is_whole(place: Path) -> bool:
    """Wait until the file of a run has its last record: wandb's own process goes on writing after ``finish``."""
    records: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    until = time.monotonic() + _SOON
    while time.monotonic() < until:
        for file in place.glob("*.wandb"):
            for data in _records(file.read_bytes()):
                record = records.Record()
                record.ParseFromString(data)
                if record.WhichOneof("record_type") == "exit":
                    return True
        time.sleep(_SOON / 100)
    return False


def _records(data: bytes) -> Iterator[bytes]:
    """Give the records of a file of wandb: in blocks, as in LevelDB's logs; each part with its length and kind."""
    place, record = 7, b""
    while place + 7 <= len(data):
        if _BLOCK - place % _BLOCK < 7:
            place += _BLOCK - place % _BLOCK
            continue
        length, kind = struct.unpack("<4xHB", data[place : place + 7])
        if place + 7 + length > len(data):  # still being written
            return
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the whole of a record, or its last part
            yield record
            record = b""


def main() -> None:
    """Obey until there are no more orders, or the process that gives them has gone."""
    folder = Path(sys.argv[1])
    orders, answers = _pipes()
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = tempfile.mkdtemp(dir=folder / "tmp")  # for Python only: paths of sockets must be short
    book = _Book(folder)
    try:
        for line in orders:
            answer = book.obey(json.loads(line))
            if answer is not None:
                answers.write(json.dumps(answer) + "\n")
                answers.flush()
        book.abandon()
    finally:
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)


def _pipes() -> tuple[IO[str], IO[str]]:
    """Take the pipes for our own: nothing that is printed, and no process that is started, gets hold of them."""
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return orders, answers


if __name__ == "__main__":
    main()

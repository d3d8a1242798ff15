"""A benchmark at work, cell by cell, in the form in which a real one leaves its directory."""

import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
import yaml

from example_run import write_run
from spikesight.tracking.epochs import EpochLog
from spikesight.tracking.run_directory import RunDirectory

Key = tuple[str, str, str, int]


class RunningRun:
    """Opens a run directory as a benchmark does; ``cells`` are those that it will finish, in their order.

    A cell is (session, decoder, selection, fold).
    """

    def __init__(self, path: Path, *, n_sessions: int = 1, total: int | None = -1) -> None:
        source = write_run(path.parent / f"{path.name}-source", n_sessions=n_sessions)
        self.path = path
        self._results = pd.read_parquet(source / "results.parquet")
        self._predictions = pd.read_parquet(source / "predictions.parquet")
        self._source = source
        key = ["session", "decoder", "selection", "fold"]
        self.cells: list[Key] = [tuple(row) for row in self._results[key].to_numpy()]
        self._total = len(self.cells) if total == -1 else total
        self.directory = RunDirectory(path, yaml.safe_load((source / "config.yaml").read_text()))

    def __enter__(self) -> Self:
        self.directory.__enter__()
        self.directory.write_provenance(json.loads((self._source / "provenance.json").read_text()))
        self.directory.log("benchmark started", cells=self._total, jobs=1, ray=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.directory.__exit__(kind, error, trace)

    def describe_sessions(self) -> None:
        self.directory.write_json("sessions.json", json.loads((self._source / "sessions.json").read_text()))
        shutil.copytree(self._source / "panels", self.path / "panels", dirs_exist_ok=True)

    def finish_cell(self, cell: Key) -> None:
        part = self.part(cell)
        self.directory.write_part(part, self._of(self._results, cell), self._of(self._predictions, cell))
        self.directory.log("cell finished", part=part, accuracy=0.5, fit_seconds=0.5)

    def fail_cell(self, cell: Key, error: str) -> None:
        self.directory.log("cell failed", part=self.part(cell), error=error, traceback="Traceback")

    def train(self, cell: Key, n_epochs: int) -> None:
        key = dict(zip(("session", "decoder", "selection", "fold", "seed"), (*cell, 0), strict=True))
        log = EpochLog(self.path, self.part(cell), key)
        for epoch in range(n_epochs):
            log.add({"epoch": epoch, "loss": 3.0 / (1 + epoch), "accuracy": 1 - 1 / (2 + epoch), "seconds": 0.1})

    def finish(self) -> None:
        """Write the tables of the whole run, results last."""
        self.directory.write_table("predictions.parquet", self._predictions)
        self.directory.write_json("failures.json", [])
        self.directory.write_table("results.parquet", self._results)
        self.directory.log("benchmark finished", cells=len(self.cells), failed=0)

    @staticmethod
    def part(cell: Key) -> str:
        session, decoder, selection, fold = cell
        return f"{session.replace(' ', '_')}-{decoder}-{selection}-fold{fold}-{abs(hash(cell)) % 16**12:012x}"

    @staticmethod
    def _of(table: pd.DataFrame, cell: Key) -> pd.DataFrame:
        session, decoder, selection, fold = cell
        own = (table["session"] == session) & (table["decoder"] == decoder)
        return table[own & (table["selection"] == selection) & (table["fold"] == fold)].reset_index(drop=True)

"""What a run directory says now: how far a run is, what failed, how networks learn, whether anybody is at work."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from filelock import FileLock, Timeout

from spikesight.errors import RunDirectoryError
from spikesight.evaluation.fitting import SEARCH
from spikesight.evaluation.search_folder import SearchFolder
from spikesight.records.connectivity_record import holds_connectivity
from spikesight.records.partial_record import PartsReader
from spikesight.tracking.epochs import EPOCHS, readable_epochs
from spikesight.tracking.run_directory import CHECKPOINTS, CONFIG, LOCK, LOG, PARTS, RESULTS, SUMMARY
from spikesight.tuning_results.table import FINISHED

Phase = Literal["waiting", "running", "finished", "stopped"]

MOST_NETWORKS: Final = 12
MOST_POINTS: Final = 200
"""Of a curve; longer ones are thinned out."""
MOST_FAILURES: Final = 50
_CURVES: Final = ("loss", "accuracy", "valid_loss", "valid_accuracy")


@dataclass(frozen=True)
class LiveState:
    """How far a run is.

    Attributes
    ----------
    kind
        ``"benchmark"``, ``"connectivity"``, or "" as long as nothing is known.
    phase
        Waiting for a run to begin; running; finished; stopped before its end.
    total
        Cells in all; None where that is not known (yet).
    finished, failed
        Cells of either kind. Of a connectivity estimate: finished parts, of which nobody knows how many there will be.
    failures
        What failed and why, at most ``MOST_FAILURES``.
    networks
        Fits of networks under way: whose, and curves of what was measured, epoch by epoch.
    n_networks
        How many there are, those beyond ``MOST_NETWORKS`` too.
    searches
        Searches for constants under way: whose, how many candidates there were so far, and the best inner accuracy.
    page
        Changes when the report does; "" as long as there is nothing to report.
    """

    kind: str = ""
    phase: Phase = "waiting"
    total: int | None = None
    finished: int = 0
    failed: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)
    networks: list[dict[str, Any]] = field(default_factory=list)
    n_networks: int = 0
    searches: list[dict[str, Any]] = field(default_factory=list)
    page: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return asdict(self)


class LiveRun:
    """Looks at a run directory, and writes nothing into it.

    Parameters
    ----------
    path
        An existing directory: of a run, or an empty one in which a run is to begin.

    Raises
    ------
    RunDirectoryError
        If there is no such directory, or it is one of something else.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            came = f"{path} is {'a file' if path.exists() else 'not there'}"
            raise RunDirectoryError(f"expected a run directory, {came}. Give the --out of a run, or make it first.")
        others = [one.name for one in path.iterdir() if one.name not in (LOCK, PARTS) and one.suffix != ".tmp"]
        if others and not (path / CONFIG).is_file():
            raise RunDirectoryError(
                f"expected a run directory, {path} has no {CONFIG}. Give the directory of a benchmark, a search or a "
                "connectivity estimate, or an empty one in which it is to begin."
            )
        self.path = path
        self.parts = PartsReader(path)

    def look(self) -> LiveState:
        """Say how far the run is.

        Raises
        ------
        RunDirectoryError
            If a file cannot be read, or the directory is gone.
        """
        if not self.path.is_dir():
            raise RunDirectoryError(f"{self.path} is not there any more: it was moved or deleted.")
        kind = self._kind()
        done = (self.path / (RESULTS if kind == "benchmark" else SUMMARY)).is_file()
        locked = is_locked(self.path)
        phase: Phase = "finished" if done and not locked else "running" if locked else "stopped" if kind else "waiting"
        if kind == "connectivity":
            n_parts = sum(1 for _ in (self.path / PARTS).glob("*/*.npz"))
            page = _stamp([self.path / SUMMARY]) if holds_connectivity(self.path) else ""
            return LiveState(kind, phase, finished=n_parts, page=page)
        if not kind:
            return LiveState(phase=phase)
        log = _Log.read(self.path)
        results = self.parts.results()
        finished = set(results["part"])
        failed = {part: reason for part, reason in log.failed.items() if part not in finished}
        curves = self._under_way(finished | set(failed), log.began) if phase == "running" else []
        state = LiveState(
            kind, phase, log.total, len(results), len(failed),
            [{"cell": _readable(part), "error": reason} for part, reason in list(failed.items())[:MOST_FAILURES]],
            curves[:MOST_NETWORKS], len(curves), self._searches(finished | set(failed)) if phase == "running" else [],
        )  # fmt: skip
        page = _stamp([self.path / RESULTS]) if done else self._version_of_parts()
        return replace(state, page=page)

    def _kind(self) -> str:
        try:
            config = yaml.safe_load((self.path / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise RunDirectoryError(f"cannot read {self.path / CONFIG}: {' '.join(str(error).split())}.") from error
        return "connectivity" if isinstance(config, dict) and "method" in config else "benchmark"

    def _version_of_parts(self) -> str:
        stamps = self.parts.stamps()
        return hashlib.sha256(repr(sorted(stamps.items())).encode()).hexdigest()[:16] if stamps else ""

    def _under_way(self, ended: set[str], began: float) -> list[dict[str, Any]]:
        """Fits of networks that this start of the run has begun and not ended, the latest first."""
        files = []
        for file in (self.path / EPOCHS).glob("*.jsonl"):
            try:
                changed = file.stat().st_mtime
            except OSError:  # it went between the two looks
                continue
            if file.stem not in ended and changed >= began:
                files.append((changed, file))
        found = []
        for _, file in sorted(files, reverse=True):
            lines = readable_epochs(file)
            if lines:
                found.append(_curves(lines))
        return found

    def _searches(self, ended: set[str]) -> list[dict[str, Any]]:
        """Describe searches that have tried a candidate and are not over."""
        found = []
        for folder in sorted((self.path / CHECKPOINTS).glob(f"*/{SEARCH}")):
            records = [] if folder.parent.name in ended else SearchFolder(folder).records()
            reached = [one.accuracy for one in records if one.state == FINISHED and one.accuracy is not None]
            if records:
                name, best = _readable(folder.parent.name), max(reached, default=None)
                found.append({"name": name, "n_candidates": len(records), "best": best})
        return found[:MOST_NETWORKS]


class _Log:
    """What ``log.jsonl`` says since the run was last started."""

    def __init__(self, total: int | None, began: float, failed: dict[str, str]) -> None:
        self.total = total
        self.began = began
        self.failed = failed

    @classmethod
    def read(cls, run: Path) -> "_Log":
        """Read it; a last line that is not whole yet is left out."""
        total, began = None, 0.0
        failed: dict[str, str] = {}
        for event in _events(run / LOG):
            name = event.get("event")
            if name == "benchmark started":
                total, began, failed = event.get("cells"), _seconds(event.get("time")), {}
            elif name == "cells expected":
                total = event.get("cells")
            elif name == "cell failed":
                failed[str(event.get("part"))] = str(event.get("error"))
        return cls(total if isinstance(total, int) else None, began, failed)


def is_locked(run: Path) -> bool:
    """Whether a process is at work in a run directory. The lock is tried for an instant, for which a run waits."""
    if not (run / LOCK).is_file():
        return False
    lock = FileLock(run / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # somebody else's directory: what cannot be known is not claimed
        return False
    lock.release()
    return False


def _events(file: Path) -> Iterable[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _seconds(time: object) -> float:
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0


def _curves(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Turn the epochs of a fit into curves of at most ``MOST_POINTS`` points, the last epoch among them."""
    step = -(-len(lines) // MOST_POINTS)
    kept = lines[::-1][::step][::-1]
    first = lines[0]
    name = f"{first['decoder']} ({first['selection']}), fold {first['fold']}, session {first['session']}"
    there = [one for one in _CURVES if any(line[one] is not None for line in kept)]
    return {
        "name": name,
        "n_epochs": int(lines[-1]["epoch"]) + 1,
        "epoch": [line["epoch"] + 1 for line in kept],
        "curves": {one: [line[one] for line in kept] for one in there},
    }


def _readable(part: str) -> str:
    """Return the name of a part without its digest."""
    return part.rpartition("-")[0] or part


def _stamp(files: list[Path]) -> str:
    return hashlib.sha256(repr([file.stat().st_mtime_ns for file in files]).encode()).hexdigest()[:16]

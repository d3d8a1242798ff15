"""The folder of a search that is not finished: what each candidate came to, how it ended, and the time spent.

All of it is JSON that the processes at work write as they go, so that it outlives them. Ray's own state is in the
folder ``ray``: the one thing that is ever unpickled, and only from a folder that belongs to the user who asks.
"""

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from spikesight.errors import RunDirectoryError
from spikesight.evaluation.candidates import UNFINISHED, Record, read_records, write_small

CANDIDATES: Final = "candidates"
ENDS: Final = "ends"
FITS: Final = "fits"
RAY: Final = "ray"
EXPERIMENT: Final = "search"
"""Name of the search in Ray's folder."""
_SPENT: Final = "spent.json"
_OVER: Final = "over.json"
_PLACE: Final = "place.json"


class SearchFolder:
    """Paths and small files of one search.

    Parameters
    ----------
    path
        The folder; it is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.candidates = path / CANDIDATES
        self.fits = path / FITS
        self.ray = path / RAY

    def records(self) -> list[Record]:
        """Read what every candidate came to, in the order in which they were proposed."""
        ends = {int(file.stem): _read(file) for file in (self.path / ENDS).glob("[0-9]*.json")}
        return [
            replace(record, **ends[record.candidate])
            if record.state == UNFINISHED and record.candidate in ends
            else record
            for record in read_records(self.candidates)
        ]

    def end(self, candidate: int, state: str, error: str = "") -> None:
        """Write down how a candidate ended that did not say so itself."""
        end = {"state": state, **({"error": error} if error else {})}
        write_small(self.path / ENDS / f"{candidate:05d}.json", end)

    def end_unfinished(self, state: str) -> None:
        """Write down how the candidates ended of which nothing else is known."""
        for record in self.records():
            if record.state == UNFINISHED:
                self.end(record.candidate, state)

    def spend(self, seconds: float) -> None:
        """Write down for how long the search was at work."""
        write_small(self.path / _SPENT, {"seconds": seconds})

    def spent(self) -> float:
        """Seconds for which the search was at work, restarts included."""
        file = self.path / _SPENT
        return float(_read(file)["seconds"]) if file.exists() else 0.0

    def is_over(self) -> bool:
        """Tell if the search came to its end; its winner may not be fitted yet."""
        return (self.path / _OVER).exists()

    def holds_state(self) -> bool:
        """Tell if Ray left a state from which a search can go on."""
        experiment = self.ray / EXPERIMENT
        return (experiment / "tuner.pkl").is_file() and any(experiment.glob("experiment_state-*.json"))

    def is_whole(self) -> bool:
        """Tell if Ray's latest state was written to its end: it is written in place, and a kill can cut it off."""
        try:
            json.loads(max((self.ray / EXPERIMENT).glob("experiment_state-*.json")).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return True

    def check_own(self) -> None:
        """Refuse a state that somebody else could have written, or that was begun elsewhere.

        Raises
        ------
        RunDirectoryError
            If anything in Ray's folder belongs to another user or is a link, if another user may write to the folder,
            or if the folder was moved: Ray's state names its place.
        """
        begun = _read(self.path / _PLACE).get("path") if (self.path / _PLACE).exists() else None
        if begun != str(self.path):
            raise RunDirectoryError(
                f"the search in {self.path} was begun in {begun}, and Ray's state names that place. Move it back, or "
                "begin anew with another output directory (--out)."
            )
        for place in (self.path, self.ray, *self.ray.rglob("*")):
            state = place.lstat()
            open_to_others = place in (self.path, self.ray) and state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if state.st_uid != os.geteuid() or open_to_others or stat.S_ISLNK(state.st_mode):
                raise RunDirectoryError(
                    f"expected {place} to belong to you and to nobody else: a search goes on by unpickling Ray's "
                    f"state, which can run any code. It belongs to user {state.st_uid}, with mode "
                    f"{stat.filemode(state.st_mode)}. Choose another output directory (--out)."
                )

    def begin(self) -> None:
        """Make Ray's folder anew, for this user alone; records of candidates and the time spent stay."""
        for name in (RAY, ENDS):
            shutil.rmtree(self.path / name, ignore_errors=True)
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.ray.mkdir(mode=0o700)
        write_small(self.path / _PLACE, {"path": str(self.path)})

    def forget(self) -> None:
        """Remove all: nothing came of the search, and another one begins anew."""
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Write down that the search is over; remove Ray's state and unfinished fits."""
        write_small(self.path / _OVER, {"seconds": self.spent()})
        for folder in (self.ray, self.fits):
            shutil.rmtree(folder, ignore_errors=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"cannot read {file}: {error}. Delete it and start again.") from error
    if not isinstance(values, dict):
        raise RunDirectoryError(f"expected an object in {file}, got {values!r:.40}. Delete it and start again.")
    return values

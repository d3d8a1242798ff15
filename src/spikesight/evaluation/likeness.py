"""Whether a process on another machine may work for this one: the same code, the same libraries, the same disk."""

import functools
import platform
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from spikesight.tracking.provenance import code_digest, library_versions


class Likeness(NamedTuple):
    """What must be alike where cells are attempted: the code, the libraries, and the disk of the run directory."""

    code: str
    libraries: Mapping[str, str | None]
    mark: Path

    @classmethod
    def of_this_process(cls, mark: Path) -> Self:
        """Describe this process; ``mark`` is a file that only who shares the disk can find."""
        return cls(code_digest(), library_versions(), mark)

    def trouble(self) -> str:
        """Say what differs here; nothing if nothing does."""
        where = f"node {platform.node()!r}"
        if not self.mark.exists():
            return (
                f"{where} does not see the run directory {self.mark.parent}. Put it on a disk that every node shares, "
                "under the same path (--out)."
            )
        if _code_here() != self.code:
            return (
                f"{where} runs other code of spikesight than this process: the numbers would not belong together. "
                "Install the same release for every node."
            )
        there = _libraries_here()
        other = [f"{name} {there.get(name)} (here {here})" for name, here in self.libraries.items()
                 if there.get(name) != here]  # fmt: skip
        if other:
            return f"{where} has {', '.join(other)}: results could differ. Install the same releases for every node."
        return ""


@contextmanager
def marked(folder: Path) -> Iterator[Path]:
    """Leave a file that only who sees this very directory can find."""
    mark = folder / f".cluster-{uuid.uuid4().hex}.tmp"
    for left in folder.glob(".cluster-*.tmp"):  # of a run that was killed
        left.unlink(missing_ok=True)
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


@functools.cache
def _code_here() -> str:
    return code_digest()


@functools.cache
def _libraries_here() -> dict[str, str | None]:
    return library_versions()

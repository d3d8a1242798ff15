"""Finished parts of an estimate on disk, so that one that was killed goes on where it was."""

import hashlib
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from spikesight.data.npz_file import write_npz
from spikesight.errors import OutputError

Arrays = dict[str, NDArray[np.generic]]


class Finished:
    """A folder of finished parts: one .npz each (arrays only, no pickle), whole or not at all.

    Parameters
    ----------
    folder
        Where they are, or None to keep none. Name it after all that decides their numbers: see `fingerprint`.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def nowhere(cls) -> Self:
        """Return one that keeps nothing."""
        return cls(None)

    @property
    def folder(self) -> Path | None:
        """Where finished parts are, for a fit that keeps files of its own beside them; None: nothing is kept."""
        return self._folder

    def get(self, name: str) -> Arrays | None:
        """Return a part, or None if it is not there; a damaged one is not there."""
        if self._folder is None:
            return None
        try:
            # Opened here, so that it is closed even if numpy finds no archive in it.
            with (self._folder / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error):
            return None

    def put(self, name: str, **arrays: NDArray[np.generic]) -> None:
        """Keep a part.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if self._folder is None:
            return
        target = self._folder / f"{name}.npz"
        temporary = target.with_name(f".{name}.{uuid.uuid4().hex}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                write_npz(file, arrays)
            temporary.replace(target)
        except OSError as error:
            if self._folder.is_dir():
                temporary.unlink(missing_ok=True)
            raise OutputError(f"cannot keep a finished part at {target}: {error.strerror or error}.") from error


def fingerprint(counts: NDArray[np.generic], *described: object) -> str:
    """Return a short name for an estimate: of its counts, and of all else that decides its numbers, as text."""
    digest = hashlib.sha256(np.ascontiguousarray(counts).data)
    digest.update(repr((counts.shape, str(counts.dtype), *described)).encode())
    return digest.hexdigest()[:16]

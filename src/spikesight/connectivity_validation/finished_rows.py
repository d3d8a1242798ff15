"""Finished rows of a table on disk, one Parquet file each, so that a run that was killed goes on."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from spikesight.errors import OutputError
from spikesight.tracking.provenance import connectivity_digest, estimator_digests, library_versions


class FinishedRows:
    """A folder of rows, whole or not at all.

    Parameters
    ----------
    folder
        Where they are, or None to keep none. They are kept in ``folder/rows``.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self._folder = None if folder is None else Path(folder) / "rows"

    def get(self, name: str) -> dict[str, Any] | None:
        """Return a row, or None if it is not there; a damaged one is not there."""
        if self._folder is None or not (self._folder / f"{name}.parquet").is_file():
            return None
        try:
            table = pd.read_parquet(self._folder / f"{name}.parquet")
        except (OSError, ValueError):
            return None
        return {str(key): value for key, value in table.iloc[0].to_dict().items()} if len(table) == 1 else None

    def put(self, name: str, row: Mapping[str, Any]) -> None:
        """Keep a row.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if self._folder is None:
            return
        target = self._folder / f"{name}.parquet"
        temporary = target.with_name(f".{name}.{uuid.uuid4().hex}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            pd.DataFrame([row]).to_parquet(temporary, index=False)
            temporary.replace(target)
        except OSError as error:
            raise OutputError(f"cannot keep a finished row at {target}: {error.strerror or error}.") from error
        finally:
            temporary.unlink(missing_ok=True)


def code_behind_scores() -> str:
    """Return a sha256 of all code that decides scores: estimators, networks and these scores; and its libraries."""
    digest = hashlib.sha256(connectivity_digest().encode())
    here = Path(__file__).parent
    counting = [here.parent / "data" / name for name in ("binning.py", "counting.py")]
    for source in [*sorted(here.glob("*.py")), *counting]:
        digest.update(f"{source.name}\0".encode() + source.read_bytes())
    digest.update(repr(sorted(library_versions().items())).encode())
    return digest.hexdigest()


def name_row(readable: str, estimator: Any, *described: object) -> str:
    """Return a file name for a row: readable, and a digest of the estimator and all else that decides the numbers."""
    kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    terms = [kind, estimator_digests(estimator), sorted(estimator.get_params(deep=True).items()), described]
    digest = hashlib.sha256(repr(terms).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9-]+', '_', readable)[:100]}-{digest[:16]}"

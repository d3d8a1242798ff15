"""Binned trials of sessions on servers, kept in the run directory: a run that is started again asks for no spikes."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import xarray as xr

from spikesight.config import BenchmarkConfig
from spikesight.data.location import identity
from spikesight.data.public_source import RemoteFile
from spikesight.errors import RunDirectoryError
from spikesight.schema import SPIKE_COUNTS, validate_dataset
from spikesight.tracking.provenance import trials_digest
from spikesight.tracking.run_directory import MAY_CHANGE, RunDirectory

FOLDER: Final = "binned"
_ENGINE: Final = "h5netcdf"
_COMPRESSED: Final = {"zlib": True, "complevel": 4, "shuffle": True}
_DAMAGE: Final = (OSError, ValueError, KeyError, TypeError, RuntimeError)
"""What comes of a file that was cut short, or that is none of ours."""


class KeptSession(NamedTuple):
    """A binned session, its card and its panels."""

    dataset: xr.Dataset
    card: dict[str, Any]
    panels: dict[str, Any]


def key_of(remote: RemoteFile, config: BenchmarkConfig) -> str | None:
    """Name a session after all that decides its trials: content, options and code; None if its content has no name."""
    if remote.etag is None:
        return None
    asked = config.model_dump(mode="json", exclude={"sources", *MAY_CHANGE})
    described = json.dumps([identity(remote), asked, trials_digest()], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:24]


def read_kept(run: Path, key: str) -> KeptSession | None:
    """Read what was kept; None if there is nothing, or something is wrong with it."""
    file = run / FOLDER / f"{key}.nc"
    try:
        dataset = xr.load_dataset(file, engine=_ENGINE)
        validate_dataset(dataset)
        kept = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        return KeptSession(dataset, kept["card"], kept["panels"])
    except _DAMAGE:
        return None


def write_kept(run: RunDirectory, key: str, kept: KeptSession) -> None:
    """Keep a session, if it comes back exactly; a disk that has no room for it costs nothing else."""
    encoding = {SPIKE_COUNTS: _COMPRESSED}
    name = f"{FOLDER}/{key}.nc"

    def write(file: Path) -> None:
        kept.dataset.to_netcdf(file, engine=_ENGINE, encoding=encoding)

    try:
        run.write_json(f"{FOLDER}/{key}.json", {"card": kept.card, "panels": kept.panels})
        run.write_file(name, write)
        back = read_kept(run.path, key)
        if back is None or not back.dataset.identical(kept.dataset) or not _same_types(back.dataset, kept.dataset):
            run.remove(name)
    except (RunDirectoryError, *_DAMAGE) as error:
        run.log("warning", warning=f"binned trials were not kept: {error}")


def _same_types(one: xr.Dataset, other: xr.Dataset) -> bool:
    return all(one[name].dtype == other[name].dtype for name in other.variables)

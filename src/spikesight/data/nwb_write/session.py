"""write_session: the whole file, or none."""

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from spikesight.data.nwb_write.electrodes import write_electrodes
from spikesight.data.nwb_write.intervals import write_invalid_times, write_presentations
from spikesight.data.nwb_write.nodes import ASCII, NwbNodes
from spikesight.data.nwb_write.processing import write_pupil, write_running
from spikesight.data.nwb_write.sink import Sink
from spikesight.data.nwb_write.specification import EXTENSION, NAMESPACES, write_specifications
from spikesight.data.nwb_write.units import Progress, write_units
from spikesight.data.session import Session
from spikesight.errors import OutputError

UNKNOWN_START: Final = "1970-01-01T00:00:00+00:00"
"""Start of a session that does not know when it began; NWB demands one, and its inspector flags this one."""
EMPTY_GROUPS: Final = ("/acquisition", "/analysis", "/stimulus/presentation", "/stimulus/templates")
SUBJECT_TEXTS: Final = ("age", "genotype", "sex", "species", "subject_id")
SUBJECT_ATTRIBUTES: Final = ("specimen_name", "strain")
UNKNOWN: Final = "unknown"


def write_session(
    session: Session, path: Path | str, *, overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Write a session as an NWB file that AllenSDK, pynwb and `read_session` read.

    Values are written unit after unit, straight from the session's mappings, so memory holds one unit at a time. The
    file appears under its name only when it is complete; the same session always gives the same bytes. What the
    session lacks (running, pupil, invalid times, amplitudes, waveforms) is left out, as in real files; AllenSDK's
    unit table needs amplitudes and waveforms, and its session id must be a whole number.

    Parameters
    ----------
    session
        Needs ``channels`` and, in ``units``, ``peak_channel_id``.
    path
        File to write; its folder must exist.
    overwrite
        Replace a file that is there already.
    progress
        Called after each unit with the number of units written and of all units.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    OutputError
        If the file exists, or cannot be written: no such folder, no permission, no space.
    DataError
        If the session lacks something that the layout needs.

    Examples
    --------
    >>> write_session(simulate_session("tiny").session, "tiny.nwb")  # doctest: +SKIP
    """
    path = Path(path)
    with _replacing(path, overwrite=overwrite) as temporary:
        _check_space(session, path)
        with Sink(temporary) as sink:

            def unit_written(done: int, total: int) -> None:
                sink.check()
                if progress is not None:
                    progress(done, total)

            with h5py.File(sink, "w") as file:
                _write(NwbNodes(file, _identity(session)), session, unit_written)
            sink.check()
            os.fsync(sink)
    return path


def _write(nodes: NwbNodes, session: Session, unit_written: Progress) -> None:
    file = nodes.file
    nodes.label(file["/"], "NWBFile", "core", nwb_version=NAMESPACES["core"])
    write_specifications(file)
    for name in EMPTY_GROUPS:
        file.create_group(name)
    start = session.start_time or UNKNOWN_START
    for name in ("session_start_time", "timestamps_reference_time"):
        nodes.text(f"/{name}", start, ASCII)
    file.create_dataset("/file_create_date", data=np.array([start], "O"), dtype=ASCII)
    nodes.text("/identifier", session.session_id)
    nodes.text("/session_description", "Data and metadata for an Ecephys session")
    nodes.text("/general/session_id", session.session_id)
    if session.session_type is not None:
        nodes.text("/general/stimulus", session.session_type)
    if session.subject:
        _write_subject(nodes, session.subject)
    write_electrodes(nodes, session.channels)
    file.create_group("/intervals")
    write_presentations(nodes, session.stimulus_presentations)
    write_invalid_times(nodes, session.invalid_times)
    if session.running is not None:
        write_running(nodes, session.running)
    if session.pupil is not None:
        write_pupil(nodes, session.pupil)
    write_units(nodes, session, unit_written)


def _write_subject(nodes: NwbNodes, subject: Mapping[str, str]) -> None:
    nodes.group(
        "/general/subject",
        "EcephysSpecimen",
        EXTENSION,
        age_in_days=float(subject.get("age_in_days", "nan")),
        **{name: str(subject.get(name, UNKNOWN)) for name in SUBJECT_ATTRIBUTES},
    )
    for name in SUBJECT_TEXTS:
        if name in subject:
            nodes.text(f"/general/subject/{name}", str(subject[name]))


def _identity(session: Session) -> str:
    """Tell this session's file from those of other sessions, and of other units of the same session."""
    digest = hashlib.sha256(session.units.index.to_numpy(np.int64).tobytes())
    digest.update(session.spike_times.select(session.units.index.to_numpy()).sizes().tobytes())
    return f"spikesight session {session.session_id} of {session.start_time}: {digest.hexdigest()}"


@contextmanager
def _replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a fresh name beside ``path``; its file becomes ``path`` if all goes well, and vanishes if not."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name, or overwrite=True to replace it.")
    if not path.parent.is_dir():
        raise OutputError(f"could not write {path}: there is no folder {path.parent}.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"could not write {path}: {_reason(error)}. Nothing was left behind.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _check_space(session: Session, path: Path) -> None:
    """Refuse at once what would fill the disk after a long while; spikes and their amplitudes are nearly all of it."""
    n_spikes = int(session.spike_times.select(session.units.index.to_numpy()).sizes().sum())
    needed = 8 * n_spikes * (1 if session.spike_amplitudes is None else 2)
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise OutputError(
            f"could not write {path}: {os.strerror(errno.ENOSPC)}; {n_spikes:,} spikes need {needed / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free in {path.parent}."
        )

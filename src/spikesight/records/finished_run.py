"""A finished run directory, whether of a benchmark or of a connectivity estimate."""

from pathlib import Path
from typing import Final

from spikesight.records.connectivity_record import ConnectivityRecord, holds_connectivity, read_connectivity
from spikesight.records.run_record import RunRecord, read_run

COMMANDS: Final = "`spikesight benchmark`, `spikesight tune` or `spikesight connectivity fit`"
"""Commands that leave one."""


def read_finished_run(path: str | Path, commands: str = COMMANDS) -> RunRecord | ConnectivityRecord:
    """Read the run directory of a benchmark, a search or a connectivity estimate.

    Parameters
    ----------
    path
        The run directory.
    commands
        Those whose directories the caller takes, for errors.

    Raises
    ------
    RunDirectoryError
        If ``path`` is none of these, has no results yet, or one of its files is damaged.
    """
    path = Path(path)
    return read_connectivity(path) if holds_connectivity(path) else read_run(path, commands)

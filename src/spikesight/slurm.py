"""A batch script for SLURM: a Ray cluster on the nodes of a job, and a run on it that resumes."""

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2

from spikesight.cluster import import_ray
from spikesight.config import BenchmarkConfig, load_config
from spikesight.errors import ConfigError, OutputError
from spikesight.evaluation.fitting import SEARCHED

NOTICE_SECONDS: Final = 180
"""How long before its time is over a job is told: the driver stops, Ray ends, and the job goes back into the queue."""
RESTARTS: Final = 20
"""How often a job puts itself back into the queue."""
LEAST_SECONDS: Final = 600
"""A job's shortest time: Ray takes a minute to begin and the notice to end."""

_WRITTEN_BY: Final = "# Written by spikesight slurm."
_TIME: Final = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_MEMORY: Final = re.compile(r"[1-9]\d*[KMGT]?")


@dataclass(frozen=True)
class SlurmJob:
    """What is asked of SLURM.

    Parameters
    ----------
    nodes, cpus, gpus
        Number of nodes, and of cores and GPUs on each.
    time
        Time limit as SLURM writes it: minutes, ``12:00:00``, ``2-00`` (days and hours).
    partition, account
        Where the job runs, and who pays; None leaves the site's default.
    memory
        Memory of each node as SLURM writes it (``64G``); None leaves the site's default.
    name
        Name of the job; None takes that of the file of options.
    set_up
        Lines of shell that come first, as they are: ``module load ...``.

    Raises
    ------
    ConfigError
        If a value is none that SLURM understands, or would not stay on its line.
    """

    nodes: int
    cpus: int
    time: str
    gpus: int = 0
    partition: str | None = None
    account: str | None = None
    memory: str | None = None
    name: str | None = None
    set_up: Sequence[str] = ()

    def __post_init__(self) -> None:
        for option, least in (("nodes", 1), ("cpus", 1), ("gpus", 0)):
            value = getattr(self, option)
            if value < least:
                raise ConfigError(f"--{option}: expected at least {least}, got {value}.")
        seconds = seconds_of(self.time)
        if seconds < LEAST_SECONDS:
            raise ConfigError(f"--time: expected at least {LEAST_SECONDS // 60} minutes, got {self.time!r}.")
        if self.memory is not None and not _MEMORY.fullmatch(self.memory):
            raise ConfigError(f"--memory: expected a number with K, M, G or T, such as 64G, got {self.memory!r}.")
        for option in ("partition", "account", "name"):
            value = getattr(self, option)
            if value is not None and (not value or _breaks_a_line(value)):
                raise ConfigError(f"--{option}: expected text on one line, got {value!r}.")


def write_slurm_script(config: Path, job: SlurmJob, out: Path) -> Path:
    """Write a batch script that runs what a file of options asks, on the nodes of a job.

    Parameters
    ----------
    config
        YAML file of options, as `spikesight.config.load_config` reads it. Paths in it count from the folder in which
        the script is written.
    job
        What is asked of SLURM.
    out
        File to write. One that an earlier call wrote is replaced.

    Returns
    -------
    Path
        The script, absolute.

    Raises
    ------
    ConfigError
        If the options are wrong, or Ray is not installed.
    OutputError
        If ``out`` is something else already, or cannot be written.
    """
    import_ray()
    text = slurm_script(config, job)
    out = out.expanduser().resolve()
    if out.exists() and _WRITTEN_BY not in _beginning(out):
        raise OutputError(f"{out} exists and was not written by spikesight slurm. Choose another file (--out).")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=out.parent, prefix=".", suffix=".tmp", delete=False) as file:
            file.write(text)
        Path(file.name).chmod(0o755)
        Path(file.name).replace(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}. Choose another file (--out).") from error
    return out


def slurm_script(config: Path, job: SlurmJob) -> str:
    """Return the text of the script. Every value in it is quoted, for the shell or for sbatch."""
    config = config.expanduser().resolve()
    asked = load_config(config)
    folder = Path.cwd()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spikesight", "templates"),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="{##",  # the shell counts the elements of a list with {#
        comment_end_string="##}",
    )
    words = {
        "python": sys.executable,
        "folder": folder,
        "config": config,
        "run": folder / asked.run_directory().expanduser(),
        "cpus": job.cpus,
        "gpus": job.gpus,
        "restarts": RESTARTS,
    }
    return environment.get_template("job.sbatch").render(
        directives=_directives(job, config.stem, folder),
        set_up=job.set_up,
        command=" ".join(_command(asked)),
        **{name: shlex.quote(str(word)) for name, word in words.items()},
    )


def _command(asked: BenchmarkConfig) -> list[str]:
    """Say what the job runs. It is the same when the job is started again: a search that was stopped goes on."""
    return ["benchmark", *(["--resume"] if SEARCHED in asked.selection else [])]


def seconds_of(time: str) -> int:
    """Read a time as SLURM writes it: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]].

    Raises
    ------
    ConfigError
        If it is none.
    """
    found = _TIME.fullmatch(time)
    if not found:
        raise ConfigError(f"--time: expected a time such as 90 (minutes), 12:00:00 or 2-00 (days-hours), got {time!r}.")
    days, *parts = found.groups()
    values = [int(part) for part in parts if part is not None]
    first_are_hours = days is not None or len(values) == 3
    units = (3600, 60, 1) if first_are_hours else (60, 1, 0)
    return int(days or 0) * 86400 + sum(value * unit for value, unit in zip(values, units, strict=False))


def _directives(job: SlurmJob, stem: str, folder: Path) -> list[str]:
    """List the lines that sbatch reads."""
    log = f"{folder}/".replace("%", "%%") + "slurm-%j.log"
    if _breaks_a_line(log):
        raise ConfigError(f"expected a folder whose name stays on one line, got {str(folder)!r}.")
    asked = {
        "job-name": job.name or stem,
        "nodes": job.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": job.cpus,
        "gpus-per-node": job.gpus or None,
        "mem": job.memory,
        "partition": job.partition,
        "account": job.account,
        "time": job.time,
        "output": log,
        "open-mode": "append",
        "signal": f"B:USR1@{NOTICE_SECONDS}",
    }
    lines = [f"--{name}={_for_sbatch(str(value))}" for name, value in asked.items() if value is not None]
    return [*lines, "--requeue", "--no-kill"]


def _for_sbatch(value: str) -> str:
    """Quote a value for sbatch, which is no shell: it knows quotes and backslashes, and takes # for a comment."""
    if re.fullmatch(r"[A-Za-z0-9_.,:@%/+-]+", value):
        return value
    return '"' + re.sub(r'(["\\#])', r"\\\1", value) + '"'


def _breaks_a_line(value: str) -> bool:
    return not value.isprintable()


def _beginning(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(200).decode("utf-8", "replace")
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}. Choose another file (--out).") from error


def submission(script: Path) -> str:
    """Give the command that submits a script."""
    return f"sbatch {shlex.quote(os.fspath(script))}"

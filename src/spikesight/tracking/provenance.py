"""Where numbers come from: versions, commit, seed, machine, command line and input files."""

import hashlib
import inspect
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from spikesight.places import without_secrets

PACKAGES: Final = (
    "spikesight",
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "scikit-learn",
    "h5py",
    "numba",
    "torch",
    "joblib",
)
OPTIONAL_PACKAGES: Final = ("ray", "optuna", "wandb")
"""Told of where they are installed."""
_GPUS: Final = Path("/proc/driver/nvidia/gpus")
"""Where NVIDIA's driver says what it drives; torch is not loaded only to ask it."""
WHOLE_FILE_BELOW: Final = 2 * 1024**3
"""Smaller files are hashed whole; of larger ones the size and the first and last ``END_SIZE`` bytes."""
END_SIZE: Final = 1024**2

PACKAGE: Final = Path(__file__).parents[1]
DECIDES_NUMBERS: Final = (
    *("evaluation/folds.py", "evaluation/fitting.py", "evaluation/candidates.py", "detrending.py", "metrics.py"),
    *("preprocessing.py", "splits.py", "data/timeline.py", "decoders/*.py", "encoders/*.py", "networks/*.py"),
)
"""Sources that decide what comes out of a given set of trials."""
DECIDES_TRIALS: Final = (
    *("data/*.py", "quality/*.py", "schema.py"),
    *("evaluation/sources.py", "session_feed.py", "records/session_overview.py", "kept_sessions.py"),
)
"""Sources that decide which trials come out of a file, and what is shown of them."""
DECIDES_CONNECTIVITY: Final = ("connectivity/*.py", "networks/*.py", "data/count_kernels.py")
"""Sources that decide what connectivity comes out of given counts."""
DECIDES_ATTRIBUTION: Final = ("attribution/*.py",)
"""Sources that decide what of a given decoder's prediction is attributed to which unit."""
LIBRARIES_BEHIND_NUMBERS: Final = ("numpy", "scipy", "scikit-learn", "torch")
"""Packages whose release may change what a decoder predicts."""


def describe_run(seed: int, inputs: Iterable[str | Path | Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Describe this process and its inputs, JSON-able.

    Parameters
    ----------
    seed
        Seed of everything random in the run.
    inputs
        Files that the run reads; of one on a server, what tells it from others (`spikesight.data.location.identity`).

    Returns
    -------
    dict
        ``time`` (UTC), ``versions``, ``python``, ``git_commit`` and ``git_modified`` of the package's own checkout
        (None where it is installed without one), ``code_digest``, ``seed``, ``hardware``, ``command_line``, ``inputs``.
    """
    commit, modified = _git_state()
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            **{name: _version(name) for name in PACKAGES},
            **{name: found for name in OPTIONAL_PACKAGES if (found := _version(name)) is not None},
        },
        "python": platform.python_version(),
        "git_commit": commit,
        "git_modified": modified,
        "code_digest": code_digest(),
        "seed": seed,
        "hardware": {
            "platform": platform.platform(),
            "machine": platform.machine(),
            "processor": next(_values_of("model name", Path("/proc/cpuinfo")), platform.processor() or None),
            "gpus": [name for file in sorted(_GPUS.glob("*/information")) for name in _values_of("Model", file)],
            "n_cpus": os.cpu_count(),
            "memory_bytes": memory_bytes(),
        },
        "command_line": [without_secrets(word) for word in sys.argv],
        "inputs": [dict(one) if isinstance(one, Mapping) else identify_file(one) for one in inputs],
    }


def code_digest() -> str:
    """SHA-256 of the sources in ``DECIDES_NUMBERS``: cells decoded by other code are not the same cells."""
    return _digest_of_sources(DECIDES_NUMBERS)


def trials_digest() -> str:
    """SHA-256 of the sources in ``DECIDES_TRIALS``."""
    return _digest_of_sources(DECIDES_TRIALS)


def attribution_digest() -> str:
    """SHA-256 of the sources in ``DECIDES_ATTRIBUTION``."""
    return _digest_of_sources(DECIDES_ATTRIBUTION)


def connectivity_digest() -> str:
    """SHA-256 of the sources in ``DECIDES_CONNECTIVITY``."""
    return _digest_of_sources(DECIDES_CONNECTIVITY)


def _digest_of_sources(patterns: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for pattern in patterns:
        for source in sorted(PACKAGE.glob(pattern)):
            digest.update(f"{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str | None]:
    """Versions of Python and of the ``LIBRARIES_BEHIND_NUMBERS``."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES_BEHIND_NUMBERS}}


def estimator_digests(estimator: Any) -> list[str]:
    """SHA-256 of the source files of an estimator's classes, sorted; `code_digest` covers spikesight's own.

    Its classes are its own and their bases, and those of its parameters, however deep: steps of a pipeline, functions.
    A class that was typed into an interpreter has no file and is left out.
    """
    behind = [estimator, *estimator.get_params(deep=True).values()]
    kinds = [kind for part in behind for kind in ([part] if inspect.isroutine(part) else type(part).__mro__)]
    files = {file for kind in kinds if (file := _source_file(kind)) is not None}
    return sorted(map(_digest, files))


def identify_file(path: str | Path) -> dict[str, Any]:
    """Tell a file from any other: path, size (bytes), modification time (UTC) and SHA-256.

    ``digest_of`` says whether the digest is that of the whole file or of its ends.
    """
    file = Path(path).resolve()
    state = file.stat()
    whole = state.st_size < WHOLE_FILE_BELOW
    return {
        "path": str(file),
        "size": state.st_size,
        "modified": datetime.fromtimestamp(state.st_mtime, UTC).isoformat(timespec="seconds"),
        "sha256": _digest(file) if whole else _digest_of_ends(file, state.st_size),
        "digest_of": "file" if whole else "size, first and last MiB",
    }


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_of_ends(file: Path, size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as stream:
        digest.update(stream.read(END_SIZE))
        stream.seek(-END_SIZE, os.SEEK_END)
        digest.update(stream.read(END_SIZE))
    return digest.hexdigest()


def _source_file(kind: Any) -> Path | None:
    """File that a class or function outside this package was written in, if it was written in Python."""
    if str(getattr(kind, "__module__", "")).partition(".")[0] == PACKAGE.name:
        return None
    try:
        found = inspect.getsourcefile(kind)
    except (TypeError, OSError):  # built in, or typed into an interpreter
        return None
    return Path(found) if found is not None and Path(found).is_file() else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_state() -> tuple[str | None, bool | None]:
    """Commit of the checkout that holds this very file, and whether its package differs from that commit."""
    here = Path(__file__)
    try:
        # A site-packages folder may lie inside a checkout of something else, which does not track this file.
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        commit = _git(here.parent, "rev-parse", "HEAD").strip()
        return commit, bool(_git(here.parents[1], "status", "--porcelain", "--", "."))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout


def _values_of(key: str, file: Path) -> Iterator[str]:
    """Give the values of ``key: value`` lines of a file of the Linux kernel; none where there is no such file."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return (value.strip() for name, colon, value in (line.partition(":") for line in lines) if name.strip() == key)


def memory_bytes() -> int | None:
    """Size of this machine's memory; None where the platform does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not known on this platform
        return None

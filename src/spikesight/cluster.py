"""A connection to Ray: one started on this machine, or a cluster that is joined."""

import functools
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import joblib

from spikesight.errors import ClusterError, ConfigError
from spikesight.tracking.provenance import memory_bytes

LOCAL: Final = "local"
AUTO: Final = "auto"
ANSWER_SECONDS: Final = 30.0
"""How long a cluster may take to answer: a head that is just being started takes about ten seconds."""

MOST_STORE: Final = 2 * 1024**3
LEAST_STORE: Final = 256 * 1024**2
"""Bytes of the object store of a local Ray: a tenth of the memory between these; what does not fit goes to disk."""

ONE_THREAD: Final = {
    name: "1"
    for name in (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        *("BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
    )
}
"""What keeps numerical libraries at one thread: as many workers run as there are cores."""

PATIENT: Final = {"TUNE_FUNCTION_THREAD_TIMEOUT_S": "60"}
"""How long Ray Tune waits for a candidate that was given up to stop: it loses the next one if that takes longer."""

PRIORITY: Final = "RAY_worker_niceness"
"""How far workers stand back for other programs. Ray's own 15 leaves them a thirtieth of a core beside a busy one."""

AUTH_MODE: Final = "RAY_AUTH_MODE"
AUTH_TOKEN: Final = "RAY_AUTH_TOKEN"

_HOST_AND_PORT: Final = re.compile(r"[^\s/:]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")
_REFUSED: Final = ("Unauthenticated", "AuthenticationError", "InvalidAuthToken")
_QUIET: Final[Mapping[str, Any]] = {"logging_level": "ERROR", "log_to_driver": False}
_PROBE: Final = "import ray, sys; ray.init(sys.argv[1], logging_level='ERROR', log_to_driver=False)"


@contextmanager
def connected(address: str, *, jobs: int | None = None, answer_seconds: float = ANSWER_SECONDS) -> Iterator[None]:
    """Be connected to Ray while the context lasts.

    A Ray that this process is connected to already is used as it is, whatever the address, and left connected. A
    local Ray ends with the context; a cluster goes on and only loses this driver. Workers have one thread each and find
    modules where this process does; those of a local Ray have its priority, too.

    Parameters
    ----------
    address
        ``"local"`` starts a Ray on this machine; ``"auto"`` joins the one that runs on it (or ``RAY_ADDRESS``);
        ``"host:port"`` joins that of a head node. A node of the cluster must run on this machine.
    jobs
        Cores that a local Ray uses; None means all that may be used. Not used when joining.
    answer_seconds
        How long a cluster may take to answer, in seconds.

    Raises
    ------
    ConfigError
        If Ray is not installed, or the address is none of the three.
    ClusterError
        If nothing answers at the address, it is no Ray of this release, or it refuses this process' token.
    """
    check_address(address)
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    with _kept_environment(), _kept_handler():
        variables = {**ONE_THREAD, **PATIENT, "PYTHONPATH": _python_path()}
        options = {**_QUIET, "runtime_env": {"env_vars": variables}}
        if address == LOCAL:
            variables[PRIORITY] = os.environ.get(PRIORITY, str(os.nice(0)))
            _start(ray, jobs, options)
        else:
            _probe(address, answer_seconds)
            _join(ray, address, options)
    try:
        yield
    finally:
        ray.shutdown()


def describe_cluster() -> str:
    """Say how large the Ray is that this process is connected to."""
    ray = import_ray()
    n_nodes = sum(bool(node["Alive"]) for node in ray.nodes())
    cores = ray.cluster_resources().get("CPU", 0)
    return f"on Ray: {n_nodes} node{'s' * (n_nodes != 1)}, {cores:g} core{'s' * (cores != 1)}"


def await_nodes(address: str, n_nodes: int, seconds: float) -> str:
    """Wait until a cluster has so many nodes.

    Returns
    -------
    str
        Nothing, or what is missing after so many seconds.
    """
    ray = import_ray()
    deadline = time.monotonic() + seconds
    try:
        with connected(address, answer_seconds=seconds):
            while True:
                n_there = sum(bool(node["Alive"]) for node in ray.nodes())
                if n_there >= n_nodes:
                    return ""
                if time.monotonic() > deadline:
                    return f"{n_there} of {n_nodes} nodes joined the Ray cluster at {address} within {seconds:g} s"
                time.sleep(0.5)
    except ClusterError as error:
        return str(error)


def check_address(address: str) -> None:
    """Refuse what is no address of a Ray. Raises ConfigError."""
    if address not in (LOCAL, AUTO) and not _HOST_AND_PORT.fullmatch(address):
        raise ConfigError(
            f"expected {LOCAL!r}, {AUTO!r} or 'host:port' (the head node of a Ray cluster) as the address of Ray, got "
            f"{address!r}."
        )


def import_ray() -> ModuleType:
    """Import Ray, late: it takes a second. Raises ConfigError, with what to install, where there is none."""
    if find_spec("ray") is None:
        raise ConfigError("this needs Ray, which is not installed: pip install 'spikesight[tune]'")
    import ray

    return ray


def _start(ray: ModuleType, jobs: int | None, options: Mapping[str, Any]) -> None:
    """Start Ray on this machine, with a token of its own where the environment asks for no other way.

    Ray would write one to the home directory, readable by everybody.
    """
    if os.environ.get(AUTH_MODE, "token").lower() == "token":
        os.environ.setdefault(AUTH_TOKEN, _token())
    store = min(MOST_STORE, max(LEAST_STORE, (memory_bytes() or 0) // 10))
    try:
        ray.init(
            LOCAL,
            num_cpus=jobs or joblib.cpu_count(),
            include_dashboard=False,
            object_store_memory=store,
            **options,
        )
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        raise ClusterError(f"Ray cannot be started on this machine: {_one_line(error)}") from error


def _join(ray: ModuleType, address: str, options: Mapping[str, Any]) -> None:
    try:
        ray.init(address, **options)
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        raise ClusterError(f"cannot join the Ray cluster at {address}: {_one_line(error)}") from error


def _probe(address: str, seconds: float) -> None:
    """Join in another process first: where nothing answers, Ray tries for minutes and cannot be interrupted."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as told:
        child = subprocess.Popen(
            [sys.executable, "-c", _PROBE, address], stdin=subprocess.DEVNULL, stdout=told, stderr=told
        )
        try:
            text = _listen(child, told, time.monotonic() + seconds)
        finally:
            child.kill()
            child.wait()
    if child.returncode == 0:
        return
    if any(word in text for word in _REFUSED):
        raise ClusterError(
            f"the Ray cluster at {address} refuses this process: its token is missing or another one. Expected "
            f"{AUTH_MODE} and the token (RAY_AUTH_TOKEN_PATH) to be the same here as where the cluster was started."
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    why = f" Ray says: {lines[-1][:300]}" if lines else ""
    raise ClusterError(
        f"no Ray cluster answers at {address} within {seconds:g} s. Check the address, that a node of it runs on this "
        f"machine (`ray start --address {address}`), and that both have the same release of Ray.{why}"
    )


def _listen(child: "subprocess.Popen[bytes]", told: Any, deadline: float) -> str:
    """Read what the child says until it ends, is refused, or its time is over."""
    while True:
        ended = child.poll() is not None
        told.seek(0)
        text = str(told.read())
        if ended or time.monotonic() > deadline or any(word in text for word in _REFUSED):
            return text
        time.sleep(0.1)


@functools.cache
def _token() -> str:
    """Make the token of this process: Ray reads it once and keeps it, so that it must not change."""
    return secrets.token_hex(32)


def _python_path() -> str:
    """List where this process finds modules, apart from Python's own and installed ones, which workers find too."""
    own = [Path(__file__).parents[1], *(Path(entry or os.curdir) for entry in sys.path)]
    installed = [Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()]
    folders = [folder.resolve() for folder in own if folder.is_dir()]
    found = [folder for folder in folders if not any(folder.is_relative_to(prefix) for prefix in installed)]
    return os.pathsep.join(dict.fromkeys(map(str, found)))


@contextmanager
def _kept_environment() -> Iterator[None]:
    """Take back what Ray and we set: other programs that this process starts are not meant."""
    before = {name: os.environ.get(name) for name in (AUTH_MODE, AUTH_TOKEN)}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _kept_handler() -> Iterator[None]:
    """Keep what SIGTERM does: Ray puts its own handler in place, which ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

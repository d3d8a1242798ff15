"""The process that writes W&B runs, as seen by the one that fits: started when it is needed, never waited for long."""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from spikesight.errors import TrackingError

WRITER: Final = Path(__file__).with_name("writer.py")
WRITER_BYTES: Final = 180 * 1024**2
"""Memory of a process that writes runs, with that of wandb behind it."""
PATIENCE: Final = 60.0
"""Seconds that a run may take to be closed. It is written to disk only; a second is usual."""
MOST_ORDERS: Final = 10_000
"""That wait to be read. A process that does not read them is given up."""
_ENDED: Final = {"error": "the process that writes W&B runs has ended"}


class WriterProcess:
    """Takes orders for `spikesight.tracking.wandb_tracking.writer`. Only `ask` waits, and not longer than ``PATIENCE``.

    Parameters
    ----------
    folder
        Where runs are written.

    Raises
    ------
    OSError
        If the process cannot be started.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WRITER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(folder),
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        self._orders: queue.Queue[str | None] = queue.Queue(MOST_ORDERS)
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        for work in (self._pass_orders, self._take_answers):
            threading.Thread(target=work, daemon=True).start()

    def send(self, **order: Any) -> None:
        """Give an order.

        Raises
        ------
        TrackingError
            If the process has ended, or does not read.
        """
        if self._process.poll() is not None:
            raise TrackingError(f"{_ENDED['error']} (exit code {self._process.returncode})")
        try:
            self._orders.put_nowait(json.dumps(order, default=str))
        except queue.Full as error:
            raise TrackingError(f"the process that writes W&B runs lets {MOST_ORDERS} orders wait") from error

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order and wait for its answer.

        Raises
        ------
        TrackingError
            If the process has ended, or takes too long.
        """
        self.send(**order)
        try:
            answer = self._answers.get(timeout=PATIENCE)
        except queue.Empty as error:
            raise TrackingError(f"the process that writes W&B runs did not answer for {PATIENCE:g} s") from error
        if answer is _ENDED:
            raise TrackingError(_ENDED["error"])
        return answer

    def stop(self, seconds: float = 5.0) -> None:
        """Let the process end; make it, if it does not."""
        try:
            self._orders.put_nowait(None)
            self._process.wait(seconds)
        except (queue.Full, subprocess.TimeoutExpired):
            self.kill()

    def kill(self) -> None:
        """End the process now. What it was told is not waited for."""
        self._process.kill()
        self._process.wait()
        if not self._orders.full():  # else its thread is writing, and hears of it that way
            self._orders.put(None)

    def _pass_orders(self) -> None:
        pipe = self._process.stdin
        with suppress(OSError):  # the process has gone, which `send` tells
            while pipe is not None and (order := self._orders.get()) is not None:
                pipe.write(order + "\n")
                pipe.flush()
        if pipe is not None:
            with suppress(OSError):
                pipe.close()

    def _take_answers(self) -> None:
        pipe = self._process.stdout
        if pipe is not None:
            with pipe:
                for line in pipe:
                    self._answers.put(json.loads(line))
        self._answers.put(_ENDED)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process that writes under ``folder`` only, and knows neither keys nor a network.

    Parameters
    ----------
    folder
        ``wandb`` in a run directory.
    """
    own = {name: value for name, value in os.environ.items() if not _is_wandbs(name) and not _is_proxy(name)}
    places = {"CACHE_DIR": "cache", "CONFIG_DIR": "config", "DATA_DIR": "data", "ARTIFACT_DIR": "artifacts"}
    return {
        **own,
        **{f"WANDB_{name}": str(folder / place) for name, place in places.items()},
        "WANDB_DIR": str(folder.parent),
        "WANDB_MODE": "offline",
        "WANDB_ERROR_REPORTING": "false",  # wandb would tell its makers of errors
        "WANDB_DOCKER": "-",  # wandb would ask Kubernetes
        "NETRC": os.devnull,
        "PYTHONWARNINGS": "ignore",
    }


def _is_wandbs(name: str) -> bool:
    return name.startswith(("WANDB_", "_WANDB_"))


def _is_proxy(name: str) -> bool:
    return name.lower().endswith("_proxy")


_writers: dict[tuple[int, Path, str], WriterProcess] = {}
"""By our own process (one that was forked has none), folder and visit."""
_given_up: dict[tuple[int, Path, str], str] = {}
"""Why, by the same."""


class GivenUpError(TrackingError):
    """There is no writer any more; that was warned of when it happened."""


def writer_of(folder: Path, visit: str) -> WriterProcess:
    """Return this process' writer for a folder, which is started the first time.

    Parameters
    ----------
    folder
        Where runs are written.
    visit
        Names the run of the benchmark that asks: the next one has a writer of its own.

    Raises
    ------
    GivenUpError
        If it was given up.
    TrackingError
        If it cannot be started.
    """
    key = (os.getpid(), folder, visit)
    if key in _given_up:
        raise GivenUpError(_given_up[key])
    if key not in _writers:
        stop_writers(folder)
        try:
            _writers[key] = WriterProcess(folder)
        except OSError as error:
            raise TrackingError(f"the process that writes W&B runs cannot be started: {error}") from error
    return _writers[key]


def give_up(folder: Path, visit: str, reason: str) -> None:
    """Kill this process' writer and start no other: one that hung once would cost each further cell as much time."""
    key = (os.getpid(), folder, visit)
    _given_up[key] = reason
    writer = _writers.pop(key, None)
    if writer is not None:
        writer.kill()


def stop_writers(folder: Path | None = None) -> None:
    """End this process' writers, of one folder or all."""
    for key in [key for key in _writers if key[0] == os.getpid() and folder in (None, key[1])]:
        _writers.pop(key).stop()


atexit.register(stop_writers)

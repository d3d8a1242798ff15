"""Upload of finished W&B runs: in the background, one ``wandb sync`` at a time, never waited for without end."""

import configparser
import netrc
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from spikesight.tracking.wandb_tracking.process import environment
from spikesight.tracking.wandb_tracking.runs import CLOSED, read_closed

PUBLIC_SERVER: Final = "https://api.wandb.ai"
KEYS: Final = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
NEEDED: Final = (
    *KEYS,
    *("WANDB_BASE_URL", "WANDB_APP_URL", "WANDB_CREDENTIALS_FILE", "WANDB_INSECURE_DISABLE_SSL", "WANDB_CONFIG_DIR"),
    *("NETRC", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that an upload needs and that the writing of runs does without."""
FAILS_SOON: Final = {
    "WANDB_HTTP_TIMEOUT": "20",
    **{f"WANDB__{what}_RETRY_MAX": "1" for what in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")},
    "WANDB__GRAPHQL_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "5",
}
"""wandb would try for days. We try again ourselves."""

_SYNC: Final = (
    "import runpy, sys, tempfile; tempfile.tempdir = sys.argv.pop(1); "
    "runpy.run_module('wandb', run_name='__main__', alter_sys=True)"
)
"""``python -m wandb``; we clear its temporary files away if it is ended. Sockets are elsewhere, for short paths."""
BATCH: Final = 20
"""Runs of one ``wandb sync``."""
SYNC_SECONDS: Final = 600.0
"""After which one is ended; what it has uploaded by then is not uploaded again."""
LOOK_SECONDS: Final = 3.0
LONGEST_PAUSE: Final = 600.0
"""After failures in a row."""


def has_key() -> bool:
    """Whether ``wandb`` would find a key: in its variables, in netrc, or in its file of settings."""
    if any(os.environ.get(name) for name in KEYS):
        return True
    settings = _settings()
    server = os.environ.get("WANDB_BASE_URL") or settings.get("base_url") or PUBLIC_SERVER
    if settings.get("api_key"):
        return True
    try:
        entry = netrc.netrc(_netrc_file()).authenticators(urlsplit(server).netloc)
    except (OSError, netrc.NetrcParseError):
        return False
    return entry is not None and bool(entry[2])


def sync_command(folder: Path) -> str:
    """Return what uploads, later, all runs that are not uploaded yet."""
    return f"wandb sync {shlex.quote(str(folder))}"


def upload_environment(folder: Path) -> dict[str, str]:
    """Return the environment of an upload: it has the key, and writes under ``folder`` only."""
    needed = {name: os.environ[name] for name in NEEDED if name in os.environ}
    own = environment(folder)
    without_key = {
        name: value for name, value in own.items() if name not in ("WANDB_MODE", "WANDB_CONFIG_DIR", "NETRC")
    }
    return {**without_key, **FAILS_SOON, **needed}


class Uploader:
    """Uploads runs as they are closed, those of failed cells in the end.

    Parameters
    ----------
    folder
        Where runs are written: ``wandb`` in a run directory.

    Attributes
    ----------
    reason : str
        Why the last upload failed; empty if it did not.
    """

    def __init__(self, folder: Path) -> None:
        self.reason = ""
        self._folder = folder
        self._closed: dict[Path, tuple[int, Path, bool]] = {}  # there may be thousands, which are read once
        self._uploaded: set[Path] = set()
        self._tried: Counter[Path] = Counter()
        self._closing, self._stopping, self._wake = (threading.Event() for _ in range(3))
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Upload what is left, for so long at most.

        It goes on no longer than uploads succeed.
        """
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)
        self.stop()

    def stop(self) -> None:
        """Stop at once."""
        self._stopping.set()
        self._wake.set()
        process = self._process
        if process is not None:
            process.kill()
        self._thread.join()

    def waiting(self, *, failed_too: bool = True) -> list[Path]:
        """List complete runs that are not uploaded yet, those first that were tried least often."""
        for file in (self._folder / CLOSED).glob("*.json"):
            written = file.stat().st_mtime_ns
            if file not in self._closed or self._closed[file][0] != written:
                self._closed[file] = (written, *read_closed(file))
        runs = [run for _, run, failed in self._closed.values() if failed_too or not failed]
        self._uploaded.update(run for run in runs if run not in self._uploaded and _is_uploaded(run))
        return sorted((run for run in runs if run not in self._uploaded), key=lambda run: (self._tried[run], run))

    def _work(self) -> None:
        n_failures = 0
        while not self._stopping.is_set():
            closing = self._closing.is_set()
            batch = self.waiting(failed_too=closing)[:BATCH]
            if batch:
                self._sync(batch)
                n_failures = 0 if any(map(_is_uploaded, batch)) else n_failures + 1
            if closing and (n_failures or not batch):
                return
            if n_failures or not batch:
                self._wake.wait(min(LOOK_SECONDS * 2**n_failures, LONGEST_PAUSE))

    def _sync(self, batch: list[Path]) -> None:
        """Let ``wandb`` upload a batch; which of them it has uploaded is told by the files it leaves."""
        self._tried.update(batch)
        scratch = self._folder / "tmp"
        command = [sys.executable, "-P", "-c", _SYNC, str(scratch), "sync", *map(str, batch)]
        with tempfile.TemporaryFile() as output:
            try:
                scratch.mkdir(exist_ok=True)
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._folder,
                    env=upload_environment(self._folder),
                    start_new_session=True,
                )
                if self._stopping.is_set():  # in the meantime
                    self._process.kill()
                self._process.wait(SYNC_SECONDS)
                self.reason = "" if all(map(_is_uploaded, batch)) else _last_error(output)
            except subprocess.TimeoutExpired:
                self.reason = f"an upload took longer than {SYNC_SECONDS:g} s"
            except OSError as error:
                self.reason = str(error)
            finally:
                if self._process is not None:
                    self._process.kill()
                    self._process.wait()
                self._process = None


def _is_uploaded(run: Path) -> bool:
    return any(run.glob("*.wandb.synced"))


def _last_error(output: IO[bytes]) -> str:
    """Return the last line that tells of an error, without anything secret."""
    output.seek(0)
    lines = [line.strip() for line in output.read().decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "panic" in line]
    text = (errors or ["no answer yet"])[-1].removeprefix("wandb: ").removeprefix("ERROR ")
    for name in KEYS:
        text = text.replace(os.environ.get(name) or "\0", "***")
    return text[:300]


def _settings() -> dict[str, str]:
    """Read wandb's own file of settings."""
    folder = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(folder / "settings", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}


def _netrc_file() -> Path:
    """Return the file that wandb would read."""
    if named := os.environ.get("NETRC"):
        return Path(named).expanduser()
    usual, other = Path("~/.netrc").expanduser(), Path("~/_netrc").expanduser()
    return usual if usual.exists() or not other.exists() else other

"""Workers that read cases side by side and are started anew when one dies; what came of every case."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzz_cases import make_case
from fuzz_seeds import write_by_hand, write_seeds

WORKER = Path(__file__).with_name("fuzz_worker.py")
PLAIN = Path(__file__).with_name("fuzz_plain.py")
READER = "fuzz_reading:read"
WAIT = 60.0
"""Seconds without an answer after which a worker is ended, whether it computes or waits."""
START = 180.0


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    ``errors`` are the names of the errors of ours; ``fault`` is what else went wrong, and is to be mended; ``library``
    is a crash or hang that h5py alone has as well on this file.
    """

    number: int
    recipe: str
    errors: tuple[str, ...] = ()
    fault: str = ""
    library: str = ""
    seconds: float = 0.0

    def word(self) -> str:
        return (
            "FAULT"
            if self.fault
            else "inside HDF5"
            if self.library
            else self.errors[0]
            if self.errors
            else "reads fine"
        )


class Died(Exception):
    """A worker that gives no answer any more."""


class Fuzzing:
    """A folder with the whole files and a folder outside that nothing may be read from, and the seed of all cases."""

    def __init__(self, folder: Path, seed: int = 0, reader: str = READER, wait: float = WAIT) -> None:
        self.folder, self.seed, self.reader, self.wait = folder, seed, reader, wait
        (folder / "seeds").mkdir()
        self.outside = folder / "outside"
        self.outside.mkdir()
        self.seeds = write_seeds(folder / "seeds")
        write_by_hand(self.outside / "outside.nwb")
        (self.outside / "secret.bin").write_bytes(bytes(range(256)) * 64)

    def run(self, numbers: Iterable[int], n_workers: int = 2, every: int = 500) -> list[Outcome]:
        """Read all cases; prints how far it is after ``every`` many."""
        todo = iter(list(numbers))
        lock, outcomes, failures = threading.Lock(), [], []

        def work() -> None:
            try:
                with contextlib.closing(self._answers(todo, lock)) as answers:
                    for outcome in answers:
                        with lock:
                            outcomes.append(outcome)
                            if outcome.fault:
                                print(outcome, flush=True)
                            if len(outcomes) % every == 0:
                                print(f"{len(outcomes)} files read: {dict(summary(outcomes))}", flush=True)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(n_workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return sorted(outcomes, key=lambda outcome: outcome.number)

    def _answers(self, todo: Iterator[int], lock: threading.Lock) -> Iterator[Outcome]:
        worker = None
        try:
            while True:
                with lock:
                    number = next(todo, None)
                if number is None:
                    return
                worker = worker or _Worker(self)
                try:
                    outcome = worker.ask(number)
                except Died as death:
                    yield self._judge(number, worker, str(death))
                    worker.end()
                    worker = None
                    continue
                yield outcome
                if outcome.fault:  # what it holds or has open may be wrong from here on
                    worker.end()
                    worker = None
        finally:
            if worker is not None:
                worker.end()

    def _judge(self, number: int, worker: "_Worker", death: str) -> Outcome:
        """Tell a death inside HDF5 from one that is ours: h5py alone dies of the same file."""
        where = worker.innermost()
        told = f"{death} in {where}"
        folder = self.folder / f"plain_{number}"
        folder.mkdir(exist_ok=True)
        case = make_case(self.seed, number, self.seeds, folder, self.outside)
        if case.path.suffix == ".npz":
            return Outcome(number, case.recipe, fault=told)
        plain = subprocess.run([sys.executable, PLAIN, case.path], capture_output=True, check=False, timeout=600)
        inside = plain.returncode < 0 or ("/h5py/" in where and not death.startswith("hang"))
        told += f" (h5py alone: {plain.returncode})"
        return Outcome(number, case.recipe, **{"library" if inside else "fault": told})


class _Worker:
    def __init__(self, fuzzing: Fuzzing) -> None:
        self._wait = fuzzing.wait
        self._printed = b""
        number = len(list(fuzzing.folder.glob("stderr_*")))
        self._stderr = fuzzing.folder / f"stderr_{number}_{threading.get_ident()}"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(WORKER.parent), *sys.path])}
        with self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, WORKER, str(fuzzing.seed), fuzzing.folder, fuzzing.reader],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0,
                env=environment, cwd=fuzzing.folder,
            )  # fmt: skip
        try:
            self._answer(START)
        except Died as death:
            raise RuntimeError(f"a worker does not start: {death}\n{self._stderr.read_text()[-2000:]}") from death

    def ask(self, number: int) -> Outcome:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n".encode())
        self._process.stdin.flush()
        recipe = self._answer(self._wait)["recipe"]
        found = self._answer(self._wait)
        return Outcome(number, recipe, tuple(found["errors"]), found["fault"], seconds=found["seconds"])

    def innermost(self) -> str:
        """The innermost line of Python at the time of death."""
        frame = re.search(
            r'most recent call first\):\n  File "(.+)", line (\d+) in (\S+)', self._stderr.read_text(errors="replace")
        )
        return f"{frame[1]}:{frame[2]}:{frame[3]}" if frame else "an unknown place"

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self._process.wait()

    def _answer(self, seconds: float) -> dict:
        """The next line that the worker prints."""
        pipe = self._process.stdout
        assert pipe is not None
        while b"\n" not in self._printed:
            ready, _, _ = select.select([pipe], [], [], seconds)
            if not ready:
                self._process.send_signal(signal.SIGUSR1)  # it says where it is
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(1)
                raise Died(f"hang: no answer for {seconds:.0f} s")
            more = os.read(pipe.fileno(), 65536)
            if not more:
                code = self._process.wait()
                raise Died("hang: out of processor time" if code == -signal.SIGXCPU else f"crash: ended with {code}")
            self._printed += more
        line, self._printed = self._printed.split(b"\n", 1)
        return json.loads(line)


def summary(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How many cases came to which outcome."""
    return Counter(outcome.word() for outcome in outcomes)

"""How far long work is, on stderr: bars and a table of candidates on a terminal, a line now and then elsewhere."""

import json
import math
import sys
import time
from contextlib import redirect_stdout
from types import TracebackType
from typing import Any, Final, Self

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from spikesight.evaluation.candidates import UNFINISHED
from spikesight.tuning_results.table import FINISHED

PLAIN_WIDTH: Final = 160
"""Columns of a table that is piped into a file."""
QUIET_SECONDS: Final = 10.0
"""How often a progress that is no terminal is told of."""
SHOWN: Final = 8
"""Candidates in the live table: those at work, then the best."""


def console(*, stderr: bool = False) -> Console:
    """Return a console that draws colours on a terminal only, and does not break lines of a pipe at 80 columns."""
    found = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH)


class _AmountColumn(ProgressColumn):
    """Steps of work, or bytes and bytes per second."""

    def __init__(self) -> None:
        super().__init__()
        self._steps, self._bytes, self._speed = MofNCompleteColumn(), DownloadColumn(), TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        if not task.fields.get("is_transfer"):
            return self._steps.render(task)
        return Text.assemble(self._bytes.render(task), " ", self._speed.render(task))


class TerminalProgress:
    """Bars, and the candidates of a search, on stderr; a line now and then where that is no terminal.

    Meanwhile, what libraries print on stdout goes there too (Ray prints which nodes died): stdout is for the result.
    """

    def __init__(self) -> None:
        self._redirected = redirect_stdout(sys.stderr)
        self._console = console(stderr=True)
        self._live: Live | None = None
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._transfers: dict[str, tuple[float, int]] = {}
        self._last = time.monotonic()
        self._told: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._redirected.__enter__()
        if self._console.is_terminal:
            columns = (TextColumn("{task.description:<18}"), BarColumn(), _AmountColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=self._console)
            self._live = Live(self._bars, console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None and self._bars is not None:
            self._live.update(self._bars, refresh=True)
            self._live.stop()
        self._redirected.__exit__(kind, error, traceback)

    def note(self, text: str) -> None:
        """Write one line; it is not broken, so that a command in it can be copied."""
        self._console.print(Text(text), soft_wrap=True)

    def advance(self, task: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` steps of ``task`` are finished."""
        if self._bars is not None:
            if task not in self._tasks:
                self._tasks[task] = self._bars.add_task(task, total=total)
            self._bars.update(self._tasks[task], completed=done, total=total)
        elif done == total or (done > 1 and self._is_time()):
            self.note(f"{task}: {done} of {total}")

    def transfer(self, task: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` bytes of ``task`` are here, and how fast they come.

        Bytes that were here at first do not count for the speed.
        """
        if self._bars is not None:
            if task not in self._tasks:
                self._tasks[task] = self._bars.add_task(task, total=total, completed=done, is_transfer=True)
            self._bars.update(self._tasks[task], completed=done, total=total)
            return
        now = time.monotonic()
        began, at_first = self._transfers.setdefault(task, (now, done))
        if done == total or self._is_time():
            speed = max(done - at_first, 0) / 1e6 / max(now - began, 1e-3)
            self.note(f"{task}: {done / 1e6:.1f} of {total / 1e6:.1f} MB, {speed:.1f} MB/s")

    def search(self, label: str, candidates: pd.DataFrame, total: int, seconds_left: float | None) -> None:
        """Show the candidates at work and the best ones, and the time left."""
        headline = f"searching {label}: {describe_search(candidates, total, seconds_left)}"
        if self._live is not None and self._bars is not None:
            self._live.update(Group(self._bars, _candidate_table(candidates, headline)))
            return
        n_over = int((candidates["state"] != UNFINISHED).sum())
        is_end = n_over == total and self._told.get(label) != total
        if is_end or self._is_time():
            self._told[label] = n_over
            self.note(headline)

    def _is_time(self) -> bool:
        """Tell if it is time for another line where no bars can be drawn."""
        if time.monotonic() - self._last <= QUIET_SECONDS:
            return False
        self._last = time.monotonic()
        return True


def describe_search(candidates: pd.DataFrame, total: int, seconds_left: float | None) -> str:
    """Say in one line how far a search is."""
    counts = candidates["state"].value_counts()
    n_over = int((candidates["state"] != UNFINISHED).sum())
    parts = [f"{n_over} of {total} candidates"]
    parts += [f"{count} {state}" for state, count in counts.items() if state not in (UNFINISHED, FINISHED)]
    best = candidates.loc[candidates["state"] == FINISHED, "accuracy"].max()
    if not math.isnan(best):
        parts.append(f"best {100 * best:.1f} % on inner folds")
    left = seconds_left if seconds_left is not None else _seconds_left(candidates, total)
    if left is not None and n_over < total:
        parts.append(f"{'' if seconds_left is not None else 'about '}{_clock(left)} left")
    return ", ".join(parts)


def _seconds_left(candidates: pd.DataFrame, total: int) -> float | None:
    """Guess the time left from what is behind; None before anything is."""
    n_over = int((candidates["state"] != UNFINISHED).sum())
    if not n_over:
        return None
    so_far = float((candidates["started"] + candidates["seconds"]).max())
    return so_far / n_over * (total - n_over)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _candidate_table(candidates: pd.DataFrame, title: str) -> Table:
    """Lay out the candidates at work, then the best."""
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, header_style="dim")
    for name in ("candidate", "state", "accuracy %", "done %", "seconds"):
        table.add_column(Text(name), justify="left" if name == "state" else "right", no_wrap=True)
    table.add_column("constants", no_wrap=True, overflow="ellipsis")
    at_work = candidates[candidates["state"] == UNFINISHED]
    best = candidates[candidates["state"] != UNFINISHED].sort_values("accuracy", ascending=False)
    for row in pd.concat([at_work, best]).head(SHOWN).to_dict("records"):
        accuracy = "-" if math.isnan(row["accuracy"]) else f"{100 * row['accuracy']:.1f}"
        state = "at work" if row["state"] == UNFINISHED else str(row["state"])
        numbers = [accuracy, f"{100 * row['progress']:.0f}", f"{row['seconds']:.0f}"]
        cells = [str(row["candidate"]), state, *numbers, _constants(row["params"])]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _constants(params: str) -> str:
    values: dict[str, Any] = json.loads(params)
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )

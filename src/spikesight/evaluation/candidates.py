"""One candidate of a search: scored on inner folds, and written down after every epoch so that nothing is lost."""

import json
import os
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from spikesight import metrics
from spikesight.errors import RunDirectoryError
from spikesight.evaluation.fitting import InnerFold, with_constants
from spikesight.tuning_results.table import CUT_OFF, FAILED, FINISHED

STOPPED, UNFINISHED = CUT_OFF
"""States of a candidate, beside those of the table of candidates: cut off by the end of the budget; at work, or
interrupted with its search."""

CANDIDATE_COLUMNS: Final = (
    "candidate", "state", "accuracy", "progress", "started", "seconds", "error", "params",
)  # fmt: skip
_EPOCHS: Final = "max_epochs"
SET_ASIDE: Final = 90_000
"""Number of the first record that had to make room for another."""

Report = Callable[[float, float], object]
"""Hears the share of the planned training that is done, and the accuracy so far."""


@dataclass(frozen=True)
class Record:
    """What is known of a candidate.

    Attributes
    ----------
    candidate
        Its number in the search, from 0.
    params
        Constructor parameters, plain data.
    state
        ``"unfinished"``, ``"finished"``, ``"pruned"``, ``"stopped"`` or ``"failed"``.
    fold_accuracies
        Accuracy on each inner fold that is finished.
    accuracy
        Mean over finished inner folds and the one at work; None before there is any.
    progress
        Share of the planned training over all inner folds, 0 to 1.
    started, seconds
        When it began (s since 1970), and how long it was at work, restarts included.
    error
        Why it failed.
    """

    candidate: int
    params: Mapping[str, Any]
    state: str = UNFINISHED
    fold_accuracies: tuple[float, ...] = ()
    accuracy: float | None = None
    progress: float = 0.0
    started: float = field(default_factory=time.time)
    seconds: float = 0.0
    error: str = ""

    def write(self, folder: Path) -> None:
        """Write the record into ``folder``, whole or not at all."""
        write_small(folder / f"{self.candidate:05d}.json", asdict(self))

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a record.

        Raises
        ------
        RunDirectoryError
            If the file is damaged.
        """
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            return cls(**{**values, "fold_accuracies": tuple(values["fold_accuracies"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RunDirectoryError(
                f"expected the record of a candidate in {file}, it cannot be read: {error}. Delete the file; the "
                "candidate is tried anew."
            ) from error

    @classmethod
    def resumed(cls, folder: Path, candidate: int, params: Mapping[str, Any]) -> Self:
        """Go on with the record of a candidate of these parameters, if there is one; else begin it.

        After a kill, Ray may give a number again, to other parameters: a finished record is then set aside under a
        number of its own, so that none is lost.
        """
        file = folder / f"{candidate:05d}.json"
        if file.exists():
            there = cls.read(file)
            if dict(there.params) == dict(params):
                return there
            if there.state == FINISHED:
                free = SET_ASIDE + len(list(folder.glob(f"{SET_ASIDE // 10_000}[0-9][0-9][0-9][0-9].json")))
                replace(there, candidate=free).write(folder)
        return cls(candidate, params)


def write_small(file: Path, values: Mapping[str, Any]) -> None:
    """Write a small JSON file, whole or not at all; its folder is made."""
    new = file.with_name(f".{file.name}.{uuid.uuid4().hex}.new")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        new.write_text(json.dumps(values), encoding="utf-8")
        os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)


def read_records(folder: Path) -> list[Record]:
    """Read all records in ``folder``, in the order in which the candidates were proposed."""
    return [Record.read(file) for file in sorted(folder.glob("[0-9]*.json"))]


def candidate_table(records: Sequence[Record]) -> pd.DataFrame:
    """Give one row per candidate.

    Returns
    -------
    DataFrame
        ``candidate`` (number, from 0), ``state``, ``accuracy`` (mean over inner folds; of one that did not finish, what
        it had last; NaN if nothing), ``progress`` (0 to 1), ``started`` (s since the first one began), ``seconds``,
        ``error``, ``params`` (JSON).
    """
    first = min((record.started for record in records), default=0.0)
    rows = [
        {
            "candidate": record.candidate,
            "state": record.state,
            "accuracy": np.nan if record.accuracy is None else record.accuracy,
            "progress": record.progress,
            "started": record.started - first,
            "seconds": record.seconds,
            "error": record.error,
            "params": json.dumps(record.params),
        }
        for record in records
    ]
    return pd.DataFrame(rows, columns=list(CANDIDATE_COLUMNS)).astype({"accuracy": float, "candidate": int})


def best_record(records: Sequence[Record]) -> Record | None:
    """Return the finished candidate with the highest accuracy, the first of equal ones; None if none finished."""
    finished = [record for record in records if record.state == FINISHED and record.accuracy is not None]
    return max(finished, key=lambda record: record.accuracy or 0.0, default=None)


def score_candidate(
    estimator: Any, folds: Sequence[InnerFold], record: Record, folder: Path, report: Report, unfinished: Path | None
) -> Record:
    """Fit and score a candidate on inner folds that it has not been scored on yet.

    A network is scored on the held-out trials of an inner fold after every epoch; what counts in the end is the score
    after its last one, as in the fit that follows a search. Other decoders are scored once per inner fold.

    Parameters
    ----------
    estimator
        Unfitted decoder.
    folds
        Inner folds.
    record
        The candidate as far as it came.
    folder
        Where its record is written after every step.
    report
        Called after every step; what it raises ends the candidate, which stays ``"unfinished"``.
    unfinished
        Folder for unfinished fits of networks.

    Returns
    -------
    Record
        Finished, or failed with the reason: an error of one candidate is a result, and a search goes on.
    """
    begun = time.monotonic() - record.seconds

    def step(done: int, share: float, accuracies: Sequence[float], **changes: Any) -> Record:
        nonlocal record
        progress = (done + share) / len(folds)
        mean, seconds = float(np.mean(accuracies)), time.monotonic() - begun
        record = replace(record, accuracy=mean, progress=progress, seconds=seconds, **changes)
        record.write(folder)
        return record

    try:
        for done in range(len(record.fold_accuracies), len(folds)):
            before = record.fold_accuracies

            def each_epoch(share: float, accuracy: float, done: int = done, before: Any = before) -> None:
                if share < 1:  # the last one is that of the fitted decoder, below
                    now = step(done, share, (*before, accuracy))
                    report(now.progress, now.accuracy or 0.0)

            accuracies = (*before, _fit_and_score(estimator, folds[done], record.params, each_epoch, unfinished))
            last = done + 1 == len(folds)
            now = step(done, 1.0, accuracies, fold_accuracies=accuracies, **({"state": FINISHED} if last else {}))
            report(now.progress, now.accuracy or 0.0)
    except Exception as error:  # this candidate's trouble must not end the search; it is reported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        record = replace(record, state=FAILED, error=reason, seconds=time.monotonic() - begun)
        record.write(folder)
        (folder / f"{record.candidate:05d}.traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
    return record


def _fit_and_score(
    estimator: Any, fold: InnerFold, params: Mapping[str, Any], each_epoch: Report, unfinished: Path | None
) -> float:
    """Fit to the trials of one inner fold; return the accuracy on its held-out trials."""
    score = metrics.scorer("accuracy")
    decoder = with_constants(estimator, params)
    known = decoder.get_params(deep=False)
    if "on_epoch" in known and _EPOCHS in known:
        n_epochs = known[_EPOCHS]

        # a curve of a network needs no double precision
        predict = getattr(decoder, "quick_predict", decoder.predict)

        def tell(epoch: Mapping[str, Any]) -> None:
            accuracy = float(np.mean(predict(fold.held_out) == fold.answers))
            each_epoch((epoch["epoch"] + 1) / n_epochs, accuracy)

        decoder.set_params(on_epoch=tell)
    if "checkpoint" in known:
        decoder.set_params(checkpoint=unfinished)
    decoder.fit(fold.counts, fold.labels)
    return float(score(decoder, fold.held_out, fold.answers))

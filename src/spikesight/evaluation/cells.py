"""One decoder on one fold, as a piece of work that can be named, sent to a process and stored."""

import re
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import joblib
import numpy as np
import pandas as pd

from spikesight.evaluation.fitting import REFERENCE, Contender, FittedFold
from spikesight.evaluation.folds import Problem, gap_of, run_fold, splitter_name
from spikesight.splits import Fold, Splitter
from spikesight.tracking.epochs import KEY, EpochLog
from spikesight.tracking.graph_records import write_graph
from spikesight.tracking.provenance import code_digest, estimator_digests, library_versions
from spikesight.tracking.run_directory import CHECKPOINTS, DECODERS
from spikesight.tracking.trackers import Ending, Tracker
from spikesight.tracking.wandb_tracking.runs import WandbSettings, follow_cell

TRAINING: Final = "training"
GAP: Final = "gap"
TEST: Final = "test"
DETRENDING: Final = "detrending"
"""Where a stored decoder keeps how drift was taken away from its counts."""


class Cell(NamedTuple):
    """One decoder on one fold, and the name of its part in the run directory."""

    contender: Contender
    fold: int
    rows: Fold
    part: str


class Outcome(NamedTuple):
    """The result and the predictions of a cell, or the error and its traceback; warnings; candidates of a search."""

    result: pd.DataFrame | None
    predictions: pd.DataFrame | None
    error: str = ""
    traceback: str = ""
    warnings: tuple[str, ...] = ()
    candidates: pd.DataFrame | None = None


def name_cells(
    contenders: Sequence[Contender], problem: Problem, folds: Sequence[Fold], splitter: Splitter, seed: int
) -> list[Cell]:
    """Name every cell after all that decides its numbers."""
    # The class of a decoder and its parameters, not the decoder: an object's own bytes may change between processes.
    times = [problem.start, problem.stop, problem.first_start, problem.last_start, problem.place]
    trials = joblib.hash([problem.X, problem.y, problem.groups, times, problem.trials, problem.unit_ids])
    described = [problem.session, dict(problem.described), splitter_name(splitter), gap_of(splitter)]
    common = [trials, described, seed, code_digest(), library_versions()]
    cells = []
    for entrant in contenders:
        kind = f"{type(entrant.estimator).__module__}.{type(entrant.estimator).__qualname__}"
        constants = [entrant.estimator.get_params(), [dict(candidate) for candidate in entrant.candidates]]
        terms = [kind, estimator_digests(entrant.estimator), *constants]
        if entrant.sees:
            terms.append([list(entrant.sees), joblib.hash(problem.shown_to(entrant))])
        if entrant.search is not None:
            terms.append(dict(entrant.search.terms()))
        for fold, rows in enumerate(folds):
            digest = joblib.hash([*common, entrant.name, entrant.selection, terms, fold, rows])
            readable = f"{problem.session}-{entrant.name}-{entrant.selection}-fold{fold}"
            cells.append(Cell(entrant, fold, rows, f"{re.sub(r'[^A-Za-z0-9-]+', '_', readable)[:100]}-{digest[:12]}"))
    return cells


class Keep(NamedTuple):
    """What of a cell is kept beside its tables, in which run directory, and whether W&B hears of it.

    The epochs of a network and the graph of a graph decoder are kept in any case.
    """

    run: Path
    decoders: bool = False
    wandb: WandbSettings | None = None


def attempt(cell: Cell, problem: Problem, splitter: Splitter, seed: int, keep: Keep | None = None) -> Outcome:
    """Run a cell and keep what is asked of it; an error becomes part of the outcome."""
    following = None if keep is None else _Following(cell, problem, seed, keep)
    try:
        fitted, result, predictions = run_fold(
            cell.contender,
            problem,
            splitter,
            cell.fold,
            cell.rows,
            seed,
            checkpoint=None if keep is None else keep.run / CHECKPOINTS / cell.part,
            on_epoch=None if following is None else following.hear,
        )
        if keep is not None and following is not None:
            stored = _keep_files(fitted, keep, cell, problem, result)
            following.finish(fitted.decoder, result, predictions, stored)
    except Exception as error:  # one decoder's trouble must not cost the others their results; it is reported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if following is not None:
            following.fail(reason)
        return Outcome(None, None, reason, traceback.format_exc())
    return Outcome(result, predictions, candidates=fitted.chosen.candidates)


class _Following:
    """Those who follow a cell: its file of epochs, and W&B if that is asked."""

    def __init__(self, cell: Cell, problem: Problem, seed: int, keep: Keep) -> None:
        values = (problem.session, cell.contender.name, cell.contender.selection, cell.fold, seed)
        key = dict(zip(KEY, values, strict=True))
        self._epochs = EpochLog(keep.run, cell.part, key)
        self._trackers: list[Tracker] = [] if keep.wandb is None else [follow_cell(keep.wandb, cell.part, key)]

    def hear(self, record: Mapping[str, Any]) -> None:
        self._epochs.add(record)
        for tracker in self._trackers:
            tracker.hear(self._epochs.lines)

    def finish(self, decoder: Any, result: pd.DataFrame, predictions: pd.DataFrame, stored: Path | None) -> None:
        params = decoder.get_params()
        if "on_epoch" in params:
            self._epochs.complete(getattr(decoder, "history_", self._epochs.lines))
        own = {name: value for name, value in params.items() if name not in getattr(decoder, "of_the_fit", ())}
        for tracker in self._trackers:
            tracker.end(Ending("", self._epochs.lines, row_of(result), predictions, own, stored))

    def fail(self, reason: str) -> None:
        for tracker in self._trackers:
            tracker.end(Ending(reason))


def _keep_files(fitted: FittedFold, keep: Keep, cell: Cell, problem: Problem, result: pd.DataFrame) -> Path | None:
    """Store what a fitted decoder leaves beside its tables; return the folder of the decoder, if it is stored."""
    if cell.contender.selection == REFERENCE:
        return None
    if hasattr(fitted.decoder, "adjacency_"):
        write_graph(fitted.decoder.adjacency_, keep.run, cell.part)
    if keep.decoders:
        folder = keep.run / DECODERS / cell.part
        _save(fitted, folder, problem, cell.rows, result)
        return folder
    if keep.wandb is None:
        return None
    folder = keep.wandb.folder / DECODERS / cell.part
    try:
        _save(fitted, folder, problem, cell.rows, result)
    except Exception as error:  # nobody asked for it but W&B, so it must not cost the result
        warnings.warn(f"no decoder of {cell.part} for W&B: {type(error).__name__}: {error}", UserWarning, stacklevel=2)
        return None
    return folder


def attempt_quietly(cell: Cell, problem: Problem, splitter: Splitter, seed: int, keep: Keep) -> Outcome:
    """Keep warnings for the log: on the screen they would cover the progress bar once per fold and process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = attempt(cell, problem, splitter, seed, keep)
    texts = dict.fromkeys(f"{warning.category.__name__}: {warning.message}" for warning in caught)
    return outcome._replace(warnings=tuple(texts))


def attempt_named(cell: Cell, problem: Problem, splitter: Splitter, seed: int, keep: Keep) -> tuple[str, Outcome]:
    """Tell which cell it was: processes end in any order."""
    return cell.part, attempt_quietly(cell, problem, splitter, seed, keep)


def row_of(result: pd.DataFrame) -> dict[str, Any]:
    """Return the one row of a cell's result, by column."""
    return {str(name): value for name, value in result.iloc[0].to_dict().items()}


def _save(fitted: FittedFold, folder: Path, problem: Problem, rows: Fold, result: pd.DataFrame) -> None:
    """Store a decoder with the part that each trial had in its fold, so that nobody scores it on what it learned from.

    Trials of the gap count too: they are neighbours of training trials or of test trials, neither new nor held out.
    """
    from spikesight.decoders.storage import save_decoder

    train, test = rows
    gap = np.setdiff1d(np.arange(len(problem.y)), np.concatenate([train, test]))
    trials = {TRAINING: train, GAP: gap, TEST: test}
    meta = {
        **row_of(result),
        "trials": {role: problem.trials[own].tolist() for role, own in trials.items()},
        DETRENDING: None if fitted.detrending is None else fitted.detrending.to_dict(),
    }
    save_decoder(fitted.decoder, folder, unit_ids=problem.unit_ids, meta=meta)

"""A finished benchmark, made ready for attribution: the same trials and folds, the same decoder of every fold."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.config import BenchmarkConfig, load_config
from spikesight.decoders import registry
from spikesight.decoders.storage import DESCRIPTION, load_decoder
from spikesight.detrending import Detrending, FittedDetrending
from spikesight.encoders import registry as encoders
from spikesight.errors import ConfigError, DataError, RunDirectoryError, did_you_mean
from spikesight.evaluation.cells import DETRENDING
from spikesight.evaluation.fitting import DEFAULT, Contender, FittedFold, fit_fold, with_constants
from spikesight.evaluation.folds import Problem, as_problem, gap_of
from spikesight.evaluation.sources import load_source
from spikesight.records.leaderboard import BEHIND, is_competing, most_thorough
from spikesight.records.run_record import RunRecord
from spikesight.splits import Fold, Splitter, make_splitter
from spikesight.tracking.run_directory import CONFIG, DECODERS

MANY: Final = 8
"""Names of decoders that an error lists."""


@dataclass(frozen=True, eq=False)
class RunSession:
    """One session of a run, read again.

    Attributes
    ----------
    dataset, problem
        Its binned trials, named and as arrays.
    folds, gap
        Rows of every fold, and the trials between training and test rows.
    results, predictions
        Rows of the chosen decoder in this session's tables.
    seed
        Seed of the run.
    """

    dataset: xr.Dataset
    problem: Problem
    folds: list[Fold]
    gap: int
    results: pd.DataFrame
    predictions: pd.DataFrame
    seed: int
    stored: dict[int, Path] = field(default_factory=dict)

    def contender(self, fold: int) -> Contender:
        """Make the decoder with the constants that it had in a fold of the run: those chosen on its training trials."""
        row = self.results.set_index("fold").loc[fold]
        name = str(row["decoder"])
        return Contender(name, DEFAULT, with_constants(unfitted_decoder(name), json.loads(str(row["params"]))))

    def fit(self, fold: int, seed: int, units: NDArray[np.intp] | None = None) -> FittedFold:
        """Give the fitted decoder of a fold: the stored one, or fitted again to its training rows.

        Parameters
        ----------
        fold
            Number of the fold.
        seed
            Added to that of the run; 0 is the decoder of the run itself.
        units
            Places of the units that it sees; None: all.
        """
        if seed == 0 and units is None and fold in self.stored:
            decoder, meta = load_decoder(self.stored[fold])
            known = meta.get(DETRENDING)
            return FittedFold(decoder, None if known is None else FittedDetrending.from_dict(known))
        kept = slice(None) if units is None else units
        return fit_fold(
            self.contender(fold),
            self.problem.X[:, :, kept],
            self.problem.y,
            self.stretches,
            self.folds[fold][0],
            gap=self.gap,
            seed=self.seed + seed,
            detrending=self.problem.detrending,
            unit_ids=self.problem.unit_ids[kept],
        )

    @property
    def stretches(self) -> NDArray[Any]:
        """Stretch of each trial."""
        return self.problem.stretches(self.gap)

    def is_random(self) -> bool:
        """Whether another seed makes another decoder."""
        known = unfitted_decoder(str(self.results["decoder"].iloc[0])).get_params()
        return any(name.rpartition("__")[2] == "random_state" for name in known)

    def n_other_answers(self, fold: int, fitted: FittedFold) -> int:
        """Count the test trials that a decoder answers otherwise than that of the run did."""
        test = self.folds[fold][1]
        X = fitted.prepare(self.problem.X[test], test, self.stretches[test])
        answers = pd.Series(np.asarray(fitted.decoder.predict(X)).astype(str), index=test)
        then = self.predictions[self.predictions["fold"] == fold].set_index("row")["y_pred"]
        return int((answers.reindex(then.index) != then.astype(str)).sum())


def chosen_decoder(record: RunRecord, decoder: str | None) -> tuple[str, str]:
    """Choose a decoder of a run, and the most thorough way in which its constants were set.

    Parameters
    ----------
    record
        The run.
    decoder
        A name in its leaderboard; None: its first one in competition.

    Raises
    ------
    ConfigError
        If the run has no such decoder, or it is a reference that is not fitted to spikes.
    """
    table = record.over_sessions if record.over_sessions is not None else record.per_session
    competing = most_thorough(table[is_competing(table)])
    if competing.empty:
        raise ConfigError(f"{record.path} has no decoder in competition, only references.")
    own = competing if decoder is None else competing[competing["decoder"] == decoder]
    if own.empty:
        names = list(dict.fromkeys(competing["decoder"]))
        what = "a reference that is not fitted to" if decoder in set(table["decoder"]) else "no decoder of"
        listed = ", ".join(names[:MANY]) + (" ..." if len(names) > MANY else "")
        raise ConfigError(
            f"{decoder!r} is {what} the units of {record.path}.{did_you_mean(str(decoder), names)} It has: {listed}."
        )
    first = own.iloc[0]
    return str(first["decoder"]), str(first["selection"])


def sessions_of(record: RunRecord, decoder: str, selection: str) -> Iterator[RunSession]:
    """Read the sessions of a run again, one after the other.

    Raises
    ------
    RunDirectoryError
        If the file of a session is gone or holds other trials, or the run does not say what it read.
    SpikesightError
        As for a benchmark.
    """
    config = load_config(record.path / CONFIG)
    splitter = make_splitter(config.splitter, config.n_splits, config.gap)
    detrending = None if config.detrend is None else Detrending(**config.detrend.model_dump())
    stored = _stored_decoders(record.path)
    own = (record.results["decoder"] == decoder) & (record.results["selection"] == selection)
    missing = set(record.results.loc[own, "session"].astype(str))
    for place in config.sources:
        dataset, session_id = _read(place, config, record)
        missing.discard(session_id)
        results = record.results[own & (record.results["session"] == session_id)]
        if results.empty:
            continue  # every fold of it failed; the run says why
        told = record.predictions
        of_session = (told["session"] == session_id) & (told["decoder"] == decoder) & (told["selection"] == selection)
        problem = as_problem(dataset, session_id, detrending)
        yield RunSession(
            dataset,
            problem,
            _same_folds(problem, splitter, told[of_session], record.path),
            gap_of(splitter),
            results,
            told[of_session],
            config.seed,
            {
                fold: path
                for (one, *key, fold), path in stored.items()
                if (one, *key) == (session_id, decoder, selection)
            },
        )
    if missing:
        raise RunDirectoryError(
            f"{record.path} decoded {', '.join(sorted(missing)[:MANY])}, which none of its files holds any more: they "
            "have changed since. Put the old ones back, or run the benchmark again."
        )


def _read(place: Any, config: BenchmarkConfig, record: RunRecord) -> tuple[xr.Dataset, str]:
    if isinstance(place, Path) and not place.is_file():
        raise RunDirectoryError(
            f"{record.path} decoded {place}, which is not there any more: attribution reads the trials again. Put the "
            "file back, or run the benchmark where it is now."
        )
    loaded = load_source(place, config)
    return loaded.dataset, loaded.session_id


def _same_folds(problem: Problem, splitter: Splitter, predictions: pd.DataFrame, run: Path) -> list[Fold]:
    """Cut the folds again. Raises RunDirectoryError if test trials are not those of the run."""
    try:
        folds = problem.folds(splitter)
        same = all(
            own["fold"].iloc[0] < len(folds)
            and set(own["trial"]) == set(problem.trials[folds[own["fold"].iloc[0]][1]].tolist())
            for _, own in predictions.groupby("fold")
        )
    except DataError:
        same = False
    if not same:
        raise RunDirectoryError(
            f"session {problem.session} does not hold the trials that {run} decoded: the file has changed since. Run "
            "the benchmark again."
        )
    return folds


def unfitted_decoder(name: str) -> Any:
    """Make a decoder by its name in a leaderboard.

    Raises
    ------
    ConfigError
        If its encoder was named by a path.
    """
    encoder, behind, decoder = name.rpartition(BEHIND)
    if not behind:
        return registry.make(name)
    from spikesight.decoders.encoded import EncodedDecoder

    if encoder not in encoders.names():
        raise ConfigError(
            f"{name} stands behind a transformer that was named by its path, which the run's tables do not keep. "
            f"Attribution knows the encoders {', '.join(encoders.names())}."
        )
    return EncodedDecoder(encoders.make(encoder), registry.make(decoder))


def _stored_decoders(run: Path) -> dict[tuple[Any, ...], Path]:
    """Find the stored decoders of a run by session, decoder, selection and fold."""
    found: dict[tuple[Any, ...], Path] = {}
    for file in sorted((run / DECODERS).glob(f"*/{DESCRIPTION}")):
        meta = json.loads(file.read_text(encoding="utf-8")).get("meta", {})
        found[tuple(meta.get(key) for key in ("session", "decoder", "selection", "fold"))] = file.parent
    return found

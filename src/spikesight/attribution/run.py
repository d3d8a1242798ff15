"""Attribution of a finished benchmark: which units carry the prediction, fold by fold, resumed, written whole."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import pandas as pd

from spikesight.attribution.ablation import ABLATION_COLUMNS, FoldTrials, ablate, inner_importance, removals
from spikesight.attribution.files import (
    ABLATION_TABLE,
    ATTRIBUTION,
    FIGURES,
    FOLDS_TABLE,
    SUMMARY,
    UNITS_TABLE,
    Q,
)
from spikesight.attribution.fold_rows import ABLATION, GRADIENTS, METHODS, PERMUTATION, unit_rows
from spikesight.attribution.integrated_gradients import TOLERANCE, check_network
from spikesight.attribution.shapley import check_linear
from spikesight.attribution.source import RunSession, chosen_decoder, sessions_of, unfitted_decoder
from spikesight.attribution.unit_table import FOLD_COLUMNS, unit_places, unit_table
from spikesight.errors import ConfigError, UnknownNameError
from spikesight.evaluation.fitting import FittedFold, given_to, seeded
from spikesight.figures.saving import draw_png
from spikesight.records.run_record import read_run
from spikesight.tracking.progress import Progress, Silent
from spikesight.tracking.provenance import attribution_digest, code_digest, describe_run, library_versions
from spikesight.tracking.run_directory import PARTS, RunDirectory, in_file_name


class Asked(NamedTuple):
    """What is asked of a run."""

    method: str
    seeds: int
    permutations: int
    refit: bool


def run_attribution(
    run: str | Path,
    *,
    decoder: str | None = None,
    method: str = PERMUTATION,
    seeds: int = 5,
    permutations: int = 4,
    refit: bool = False,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Attribute the predictions of one decoder of a finished benchmark to units, on its held-out trials.

    Sessions are read again, and each fold's decoder is the stored one, or fitted again to the fold's training trials
    with the constants that were chosen on them. Nothing that is found here is used for any fit.

    Parameters
    ----------
    run
        Run directory of a benchmark.
    decoder
        Name in its leaderboard; None: the best one in competition.
    method
        ``"permutation"``, ``"shap"``, ``"integrated-gradients"`` or ``"ablation"``.
    seeds
        Fits under as many seeds (the first is that of the run), and as many sets of permutations or random orders. A
        decoder without anything random is fitted once.
    permutations
        Of each unit, fold and seed.
    refit
        With ablation: fit the decoder again without the units, too.
    out
        Directory to write; started again, it is resumed. None: ``attribution/<decoder>-<method>`` within the run.
    progress
        Hears how far it is.

    Returns
    -------
    Path
        The directory: config, provenance, ``attribution.parquet`` and ``attribution_folds.parquet`` or
        ``ablation.parquet``, figures, ``summary.json``.

    Raises
    ------
    RunDirectoryError
        If the run is not finished, or a session's file is gone or changed.
    ConfigError
        If an option cannot be honoured, or the run has no such decoder.
    DecoderError
        If the decoder does not allow the method.
    """
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if seeds < 1 or permutations < 2:
        raise ConfigError(
            f"expected seeds of 1 or more and permutations of 2 or more (their spread is measured), got {seeds} and "
            f"{permutations}."
        )
    if refit and method != ABLATION:
        raise ConfigError(
            f"expected refit with the method {ABLATION!r} alone, got it with {method!r}: nothing is left out."
        )
    tell = progress if progress is not None else Silent()
    record = read_run(run)
    name, selection = chosen_decoder(record, decoder)
    _check(method, unfitted_decoder(name))  # before anything is made or fitted
    asked = Asked(method, seeds, permutations, refit)
    recorded = {"run": str(Path(run).resolve()), "decoder": name, "selection": selection, **asked._asdict()}
    target = Path(out) if out is not None else record.path / ATTRIBUTION / f"{in_file_name(name)}-{method}"
    with RunDirectory(target, recorded) as directory:
        directory.remove(SUMMARY)
        directory.write_provenance(describe_run(int(record.config.get("seed", 0))))
        tables, places, other = [], [], 0
        sessions = sessions_of(record, name, selection)
        n_sessions = record.results.loc[record.results["decoder"] == name, "session"].nunique()
        for number, session in enumerate(sessions):
            counted = partial(_count, tell, number, n_sessions)
            found, changed = _session_rows(session, asked, directory, counted)
            tables.append(found)
            places.append(unit_places(session.dataset, session.problem.session))
            if not places[-1]["area"].any():
                tell.note(f"session {session.problem.session}: no area is known, so nothing is told by area")
            other += changed
        if other:
            tell.note(
                f"the decoders answer {other} test trials otherwise than in the run: other code or other libraries"
            )
        rows = pd.concat(tables, ignore_index=True)
        if method == GRADIENTS:
            _tell_incomplete(rows, tell)
        _write(directory, asked, recorded, rows, pd.concat(places), other)
    return target


def _tell_incomplete(rows: pd.DataFrame, tell: Progress) -> None:
    """Say where integrated gradients do not add up to the scores that they share out."""
    fits = rows[["session", "fold", "seed", "completeness_error", "n_steps"]].drop_duplicates()
    short = [fit for fit in fits.to_dict("records") if fit["completeness_error"] > TOLERANCE]
    if short:
        worst = max(short, key=lambda fit: float(fit["completeness_error"]))
        tell.note(
            f"in {len(short)} of {len(fits)} fits the values of the units miss the score that they share out by more "
            f"than {TOLERANCE:.0%}, at most by {worst['completeness_error']:.1%} of it (session {worst['session']}, "
            f"fold {worst['fold']}, seed {worst['seed']}, {worst['n_steps']} points): take the values as a ranking"
        )


def _count(tell: Progress, session: int, n_sessions: int, done: int, total: int) -> None:
    tell.advance("attributing", session * total + done, n_sessions * total)


def _session_rows(
    session: RunSession, asked: Asked, directory: RunDirectory, count: Callable[[int, int], object]
) -> tuple[pd.DataFrame, int]:
    """Do what is missing of a session; return its rows, and how many answers differ from those of the run."""
    tables = []
    folds = sorted(session.results["fold"])
    random = session.is_random()
    for place, fold in enumerate(folds):
        first: FittedFold | None = None
        for seed in range(asked.seeds):
            part = f"{PARTS}/{_part(session, asked, fold, seed)}.result.parquet"
            if not (directory.path / part).exists():
                fitted = first if first is not None and not random else session.fit(fold, seed)
                first = first or fitted
                changed = session.n_other_answers(fold, fitted) if seed == 0 else 0
                rows = _fold_rows(session, asked, fold, seed, fitted).assign(other_answers=changed)
                directory.write_table(part, rows)
            tables.append(directory.read_table(part))
            count(place * asked.seeds + seed + 1, len(folds) * asked.seeds)
    found = pd.concat(tables, ignore_index=True)
    keys = found[["fold", "seed", "other_answers"]].drop_duplicates()
    return found.drop(columns="other_answers"), int(keys["other_answers"].sum())


def _check(method: str, decoder: Any) -> None:
    """Refuse a method that the decoder, fitted or not, does not allow."""
    if method == "shap":
        check_linear(decoder)
    if method == GRADIENTS:
        check_network(decoder)


def _part(session: RunSession, asked: Asked, fold: int, seed: int) -> str:
    """Name a piece of work after all that decides its numbers."""
    problem, contender = session.problem, session.contender(fold)
    trials = [problem.X, problem.y, problem.groups, problem.start, problem.trials, problem.unit_ids]
    of_decoder = [contender.name, contender.estimator.get_params(), session.folds[fold], session.gap, session.seed]
    terms = [asked.method, asked.permutations if asked.method == PERMUTATION else None]
    terms.append(asked.refit if asked.method == ABLATION else None)
    code = [code_digest(), attribution_digest(), library_versions(), dict(problem.described)]
    return (
        f"{in_file_name(problem.session)}-fold{fold}-seed{seed}-{joblib.hash([trials, of_decoder, terms, code])[:12]}"
    )


def _fold_rows(session: RunSession, asked: Asked, fold: int, seed: int, fitted: FittedFold) -> pd.DataFrame:
    problem, test = session.problem, session.folds[fold][1]
    X = fitted.prepare(problem.X[test], test, session.stretches[test])
    key: dict[str, Any] = {
        "session": problem.session,
        "decoder": session.contender(fold).name,
        "fold": fold,
        "seed": seed,
    }
    if asked.method == ABLATION:
        return ablation_rows(session, fold, seed, fitted, refit=asked.refit).assign(**key)
    blocks = problem.groups[test]
    rows = unit_rows(
        asked.method, fitted.decoder, X, problem.y[test], blocks, n_permutations=asked.permutations, seed=seed
    )
    return rows.assign(**key, method=asked.method, unit=problem.unit_ids)[list(FOLD_COLUMNS)]


def ablation_rows(session: RunSession, fold: int, seed: int, fitted: FittedFold, *, refit: bool) -> pd.DataFrame:
    """Score the decoder of a fold without units that were ranked on its training trials."""
    problem, (train, test) = session.problem, session.folds[fold]
    stretches = session.stretches
    areas = unit_places(session.dataset, problem.session)["area"].tolist()
    ranked = rank_units(session, fold, seed)
    X_train = fitted.prepare(problem.X[train], train, stretches[train])

    def fit_without(kept: Any) -> tuple[Any, Any]:
        again = session.fit(fold, seed, kept)
        return again.decoder, again.prepare(problem.X[test][:, :, kept], test, stretches[test])

    trials = FoldTrials(X_train, fitted.prepare(problem.X[test], test, stretches[test]), problem.y[test])
    asked = list(removals(ranked, areas, seed=seed))
    return ablate(fitted.decoder, trials, asked, refit=fit_without if refit else None)


def rank_units(session: RunSession, fold: int, seed: int) -> Any:
    """Give the importance of units that the training trials of a fold tell, (n_units,)."""
    problem = session.problem
    estimator = given_to(seeded(session.contender(fold).estimator, session.seed + seed), unit_ids=problem.unit_ids)
    return inner_importance(
        lambda counts, labels: estimator.fit(counts, labels),
        problem.X,
        problem.y,
        session.stretches,
        session.folds[fold][0],
        gap=session.gap,
        detrending=problem.detrending,
        seed=seed,
        of_fold=f"fold {fold} of session {problem.session}",
    )


def _write(
    directory: RunDirectory,
    asked: Asked,
    recorded: dict[str, Any],
    rows: pd.DataFrame,
    places: pd.DataFrame,
    other: int,
) -> None:
    """Write tables, figures and the summary, the summary last."""
    summary: dict[str, Any] = {**recorded, "other_answers": other}
    if asked.method == ABLATION:
        table = rows[["session", "decoder", "fold", "seed", *ABLATION_COLUMNS]]
        directory.write_table(ABLATION_TABLE, table)
    else:
        directory.write_table(FOLDS_TABLE, rows)
        table = unit_table(rows, places)
        directory.write_table(UNITS_TABLE, table)
        by_session = table.groupby("session", sort=False)
        summary["units"] = {name: len(own) for name, own in by_session}
        summary["carry"] = {name: int((own["q_value"] <= Q).sum()) for name, own in by_session}
        summary["measure"] = str(table["measure"].iloc[0])
        if asked.method == GRADIENTS:
            summary["completeness_error"] = float(rows["completeness_error"].max())
            summary["n_steps"] = int(rows["n_steps"].max())
    for name, draw in _figures(asked.method, table):
        directory.write_file(f"{FIGURES}/{name}.png", partial(draw_png, draw))
    directory.write_json(SUMMARY, summary)


def _figures(method: str, table: pd.DataFrame) -> Iterator[tuple[str, Callable[[], Any]]]:
    from spikesight import figures

    for name, own in table.groupby("session", sort=False):
        session = in_file_name(str(name))
        if method == ABLATION:
            yield f"ablation-{session}", partial(figures.plot_ablation_curves, own)
            if (own["area"] != "").any():
                yield f"areas-{session}", partial(figures.plot_area_ablation, own)
        else:
            yield f"units-{session}", partial(figures.plot_unit_importance, own)
            if own["depth"].notna().any():
                yield f"depth-{session}", partial(figures.plot_unit_importance, own, by="depth")

"""Several runs on one page: those on equal terms become one, the others stay apart, and how they differ is said."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from spikesight.records.leaderboard import BEHIND, session_leaderboard
from spikesight.records.run_record import RunRecord, mean_of_sessions

_OF_RESULTS: Final = {
    "stimulus": "stimulus", "target": "target", "blanks": "blank presentations", "n_bins": "bins",
    "splitter": "splitter", "gap": "gap",
}  # fmt: skip
_OF_CONFIG: Final = {
    "running": "running", "bin_size": "size of a bin, s", "window": "window, s", "context": "context",
    "detrend": "detrending", "quality": "quality filters applied", "units": "quality filters", "areas": "areas",
    "probe_invalid": "invalid times of a probe", "n_splits": "folds", "seed": "seed",
}  # fmt: skip
_SEARCH: Final = "search for constants"
_UNSET: Final = {"areas": "all"}
"""What it means that a run was not asked for it, where that is known."""
_TRIALS: Final = "test trials of the same session"
_SHARED: Final = ("chance", "oracle")
"""References that mean the same whichever run they come from: the first run's are shown."""


Key = tuple[str, str, str]
"""Session, decoder and selection of a row."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Runs on equal terms.

    Attributes
    ----------
    name
        The names of its runs.
    runs
        Name of each run and its record, in the order in which they were given.
    record
        All of them as one.
    notes
        What had to be decided to make them one, a sentence each.
    """

    name: str
    runs: tuple[tuple[str, RunRecord], ...]
    record: RunRecord
    notes: tuple[str, ...] = ()


def pool_runs(records: Sequence[RunRecord]) -> list[Pool]:
    """Put runs together that may stand in one leaderboard.

    Two runs are on equal terms if they asked the same of trials, bins, units, folds and searches, and if a session
    that both have was tested on the same trials in the same folds. A row that two runs have of one session is shown
    once if both decoded every trial alike; otherwise both are shown, labelled by their run. So are rows of a decoder
    that runs gave different constants.

    Parameters
    ----------
    records
        Runs in the order of the page.

    Returns
    -------
    list of Pool
        In the order of their first runs.
    """
    pools: list[list[tuple[str, RunRecord]]] = []
    for name, record in zip(run_names([record.path for record in records]), records, strict=True):
        fitting = (pool for pool in pools if all(_on_equal_terms(other, record) for _, other in pool))
        found = next(fitting, None)
        if found is None:
            pools.append([(name, record)])
        else:
            found.append((name, record))
    return [_merged(tuple(pool)) for pool in pools]


def run_names(paths: Sequence[Path]) -> list[str]:
    """Name run directories as briefly as tells them apart: by their last part, by more of it, or with a number."""
    whole = [path.resolve() for path in paths]
    for depth in (1, 2, 3):
        names = ["/".join(path.parts[-depth:]) for path in whole]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({at + 1})" for at, name in enumerate(names)]


def different_terms(pools: Sequence[Pool]) -> list[tuple[str, list[str]]]:
    """Name what pools differ in, and what each of them has: for a table with a column for each."""
    terms = [_terms(pool.record) for pool in pools]
    rows = []
    for name in terms[0]:
        values = [own[name] for own in terms]
        if len({json.dumps(value, sort_keys=True, default=str) for value in values}) > 1:
            rows.append((name, [_UNSET.get(name, "not given") if value is None else _plain(value) for value in values]))
    return rows or [(_TRIALS, ["not those of the others"] * len(pools))]


def against_bins(pools: Sequence[Pool]) -> dict[str, Any] | None:
    """Collect accuracies against the number of bins, where runs over the same sessions differ in it.

    Returns
    -------
    dict or None
        ``bins``, rising; ``rows``: decoder, selection and for every number of bins ``accuracy``, ``low`` and ``high``
        (None where it has none); ``n_sessions``; ``also``: what else the runs differ in.
    """
    by_bins: dict[int, Pool] = {}
    sessions = [sorted(str(card["session_id"]) for card in pool.record.cards) for pool in pools]
    for pool, own in zip(pools, sessions, strict=True):
        if own == sessions[0]:
            by_bins.setdefault(int(pool.record.results["n_bins"].iloc[0]), pool)
    if len(by_bins) < 2:
        return None
    bins = sorted(by_bins)
    tables = {}
    for number in bins:
        record = by_bins[number].record
        table = record.per_session if record.over_sessions is None else record.over_sessions
        tables[number] = table.set_index(["decoder", "selection"])[["accuracy", "low", "high"]]
    names = dict.fromkeys(key for table in tables.values() for key in table.index)
    rows = []
    for decoder, selection in names:
        found = [tables[n].loc[(decoder, selection)] if (decoder, selection) in tables[n].index else None for n in bins]
        values = {
            name: [None if one is None else float(one[name]) for one in found] for name in ("accuracy", "low", "high")
        }
        if sum(one is not None for one in found) > 1:
            rows.append({"decoder": str(decoder), "selection": str(selection), **values})
    terms = [name for name, _ in different_terms([by_bins[number] for number in bins])]
    also = [name for name in terms if name != "bins"]
    return {"bins": bins, "rows": rows, "n_sessions": len(sessions[0]), "also": also} if rows else None


def _terms(record: RunRecord) -> dict[str, Any]:
    """Return what a run asked, by the names that a reader knows."""
    own = record.results
    terms: dict[str, Any] = {label: own[name].iloc[0] if name in own else None for name, label in _OF_RESULTS.items()}
    terms = {name: value.item() if hasattr(value, "item") else value for name, value in terms.items()}
    terms |= {label: record.config.get(name) for name, label in _OF_CONFIG.items()}
    searched = (own["selection"] == "searched").any()
    return {**terms, _SEARCH: record.config.get("tuning") if searched else None}


def _on_equal_terms(one: RunRecord, other: RunRecord) -> bool:
    first, second = _terms(one), _terms(other)
    searches = [terms.pop(_SEARCH) for terms in (first, second)]
    if first != second or (None not in searches and searches[0] != searches[1]):
        return False
    shared = set(one.results["session"].astype(str)) & set(other.results["session"].astype(str))
    return all(_tested(one, session) == _tested(other, session) for session in shared)


def _tested(record: RunRecord, session: str) -> tuple[tuple[Any, ...], ...]:
    """Test trials of a session, with their labels, their folds and the number of units."""
    own = record.predictions[record.predictions["session"].astype(str) == session]
    by_row = [rows for _, rows in own.groupby(["decoder", "selection"], sort=False)]
    rows = max(by_row, key=len).sort_values(["seed", "row"])  # one of which a fold failed has fewer
    n_units = record.results.loc[record.results["session"].astype(str) == session, "n_units"].max()
    trials = zip(rows["seed"], rows["row"], rows["fold"], rows["y_true"].astype(str), strict=True)
    return ((int(n_units),), *trials)


def _merged(runs: tuple[tuple[str, RunRecord], ...]) -> Pool:
    names = [name for name, _ in runs]
    title = " + ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more runs"
    if len(runs) == 1:
        return Pool(title, runs, runs[0][1])
    alike, unlike = _compared(runs)
    given = _given_other_constants([record for _, record in runs])
    for name, record in runs:
        alike[name] = {key for key in alike[name] if key[1] not in given}
        unlike[name] |= given & {key[1] for key in _keys(record)}
    named = {
        name: {decoder: f"{decoder} ({name})" for decoder in unlike[name] if decoder not in _SHARED} for name in names
    }
    kept = [
        _without(record, alike[name] | {key for key in _keys(record) if key[1] in unlike[name] & set(_SHARED)})
        for name, record in runs
    ]
    kept = [_relabelled(record, named[name]) for name, record in zip(names, kept, strict=True)]
    return Pool(title, runs, _joined(kept), (*_notes(alike, named, given), *_versions(runs)))


def _given_other_constants(records: Sequence[RunRecord]) -> set[str]:
    """Name the decoders that runs gave different constants: two of them under one name are not one decoder."""
    found: set[str] = set()
    for at, record in enumerate(records):
        for other in records[:at]:
            shared = {key[1] for key in _keys(record)} & {key[1] for key in _keys(other)}
            found |= {name for name in shared if _constants(name, record) != _constants(name, other)}
    return found


def _constants(row: str, record: RunRecord) -> tuple[Any, ...]:
    """Return what a run gave a decoder in place of its defaults, and the encoder before it: which one, and what."""
    encoder, behind, decoder = row.rpartition(BEHIND)
    config = record.config
    asked = config.get("encoders") or () if behind else ()
    # An encoder by path is called after its class, which two paths may share.
    own = [path for path in asked if encoder in (path, path.replace(":", ".").rpartition(".")[2])]
    given = dict(config.get("encoder_params") or {})
    return (config.get("params") or {}).get(decoder) or {}, [(path, given.get(path) or {}) for path in own]


def _notes(alike: Mapping[str, set[Key]], named: Mapping[str, Mapping[str, str]], given: set[str]) -> Iterator[str]:
    """Say what had to be decided to make one of several runs."""
    n_alike = len(set().union(*alike.values()))
    if n_alike:
        rows = "1 row that two runs have" if n_alike == 1 else f"{n_alike} rows that two runs have"
        yield f"{rows}, with the same answer to every trial, {'is' if n_alike == 1 else 'are'} shown once."
    if given:
        yield f"Runs gave {', '.join(sorted(given))} different constants: rows have the name of their run."
    both = sorted({decoder for labels in named.values() for decoder in labels} - given)
    if both:
        yield (
            f"Runs differ in what {', '.join(both)} answered to the same trials: both rows are shown, with the name of "
            "their run."
        )


def _versions(runs: Sequence[tuple[str, RunRecord]]) -> Iterator[str]:
    """Say which versions made runs that stand in one leaderboard, if there are several."""
    made = {name: dict(record.provenance.get("versions") or {}).get("spikesight") for name, record in runs}
    if len(set(made.values())) > 1:
        told = ", ".join(f"{name} by {version or 'a version that is not known'}" for name, version in made.items())
        yield f"These runs were made by different versions of spikesight: {told}."


def _keys(record: RunRecord) -> list[Key]:
    table = record.results[["session", "decoder", "selection"]].astype(str).drop_duplicates()
    return [(str(one), str(two), str(three)) for one, two, three in table.itertuples(index=False)]


def _compared(runs: Sequence[tuple[str, RunRecord]]) -> tuple[dict[str, set[Key]], dict[str, set[str]]]:
    """Find rows that an earlier run has already, and the decoders whose rows of one session differ between runs."""
    alike: dict[str, set[Key]] = {name: set() for name, _ in runs}
    unlike: dict[str, set[str]] = {name: set() for name, _ in runs}
    first: dict[Key, tuple[str, tuple[Any, ...]]] = {}
    for name, record in runs:
        by_key = dict(iter(record.predictions.groupby(["session", "decoder", "selection"], sort=False)))
        answers = {tuple(map(str, key)): _answers(own) for key, own in by_key.items()}
        for key in _keys(record):
            there = first.setdefault(key, (name, answers.get(key, ())))
            if there[0] == name:
                continue
            if there[1] == answers.get(key, ()):
                alike[name].add(key)
            elif key[1] in _SHARED:
                unlike[name].add(key[1])
            else:
                unlike[name].add(key[1])
                unlike[there[0]].add(key[1])
    return alike, unlike


def _answers(predictions: pd.DataFrame) -> tuple[Any, ...]:
    own = predictions.sort_values(["seed", "row"])
    return tuple(zip(own["seed"], own["row"], own["y_pred"].astype(str), strict=True))


def _without(record: RunRecord, rows: set[Key]) -> RunRecord:
    """Leave rows out, of every table that has them."""

    def kept(table: pd.DataFrame) -> pd.DataFrame:
        if not rows:
            return table
        names = ["session", "decoder", "selection"]
        own = table if "selection" in table else table.assign(selection="searched")
        return table[[key not in rows for key in own[names].astype(str).itertuples(index=False, name=None)]]

    return replace(
        record,
        results=kept(record.results), predictions=kept(record.predictions),
        candidates=None if record.candidates is None else kept(record.candidates),
        epochs=None if record.epochs is None else kept(record.epochs),
    )  # fmt: skip


def _relabelled(record: RunRecord, names: Mapping[str, str]) -> RunRecord:
    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(decoder=table["decoder"].map(lambda name: names.get(str(name), str(name))))

    def perhaps(table: pd.DataFrame | None) -> pd.DataFrame | None:
        return None if table is None else renamed(table)

    if not names:
        return record
    return replace(
        record,
        results=renamed(record.results), predictions=renamed(record.predictions),
        candidates=perhaps(record.candidates), epochs=perhaps(record.epochs),
    )  # fmt: skip


def _joined(records: Sequence[RunRecord]) -> RunRecord:
    """Make one record of several whose rows are all different."""
    results = pd.concat([record.results for record in records], ignore_index=True)
    predictions = pd.concat([record.predictions for record in records], ignore_index=True)
    cards = {str(card["session_id"]): card for record in reversed(records) for card in reversed(record.cards)}
    panels = {name: own for record in reversed(records) for name, own in record.panels.items()}
    order = list(dict.fromkeys(str(card["session_id"]) for record in records for card in record.cards))
    per_session = session_leaderboard(results, predictions)
    first = records[0]
    decoders = list(dict.fromkeys(name for record in records for name in record.config.get("decoders") or ()))
    return replace(
        first,
        config={**first.config, **({"decoders": decoders} if decoders else {})},
        results=results,
        predictions=predictions,
        per_session=per_session,
        over_sessions=mean_of_sessions(per_session, predictions),
        cards=[cards[name] for name in order],
        panels=panels,
        failures=[failure for record in records for failure in record.failures],
        candidates=_stacked([record.candidates for record in records]),
        epochs=_stacked([record.epochs for record in records]),
    )


def _stacked(tables: Sequence[pd.DataFrame | None]) -> pd.DataFrame | None:
    there = [table for table in tables if table is not None and len(table)]
    return pd.concat(there, ignore_index=True) if there else None


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(entry) for entry in value)
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)

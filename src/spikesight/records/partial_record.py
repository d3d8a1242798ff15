"""What a benchmark has come to while it runs, as a record that a report can be made of."""

import json
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from spikesight.errors import RunDirectoryError
from spikesight.records.leaderboard import session_leaderboard
from spikesight.records.run_record import SESSIONS, RunRecord, mean_of_sessions
from spikesight.records.session_overview import panels_file
from spikesight.tracking.run_directory import CONFIG, PARTS, PROVENANCE

RESULT: Final = ".result.parquet"
_KEY: Final = ["session", "decoder", "selection", "fold", "seed"]
_ROW: Final = ["session", "decoder", "selection"]


class PartsReader:
    """Reads the finished cells of a run, each once: a part never changes.

    Parameters
    ----------
    path
        The run directory.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path / PARTS
        self._results: dict[tuple[str, int], pd.DataFrame] = {}
        self._predictions: dict[str, pd.DataFrame] = {}

    def stamps(self) -> dict[str, int]:
        """Name of every finished cell's part, and when it was written (ns)."""
        found = {}
        for file in sorted(self._folder.glob(f"*{RESULT}")):
            try:
                found[file.name.removesuffix(RESULT)] = file.stat().st_mtime_ns
            except OSError:  # it went between the two looks
                continue
        return found

    def results(self) -> pd.DataFrame:
        """Read the results, one row a cell, with its ``part``; of two of the same fold, the one written last.

        Two are there where data or code have changed since a run was stopped. Parts that cannot be read are left out.
        """
        stamps = self.stamps()
        tables = []
        for part, stamp in sorted(stamps.items(), key=lambda item: item[1]):
            if (part, stamp) not in self._results:
                try:
                    self._results[part, stamp] = pd.read_parquet(self._folder / f"{part}{RESULT}").assign(part=part)
                except (OSError, ValueError):
                    continue
            tables.append(self._results[part, stamp])
        self._results = {key: table for key, table in self._results.items() if stamps.get(key[0]) == key[1]}
        if not tables:
            return pd.DataFrame(columns=[*_KEY, "part"])
        return pd.concat(tables, ignore_index=True).drop_duplicates(_KEY, keep="last").reset_index(drop=True)

    def predictions(self, part: str) -> pd.DataFrame:
        """Read the test trials of a finished cell."""
        if part not in self._predictions:
            self._predictions[part] = pd.read_parquet(self._folder / f"{part}.predictions.parquet")
        return self._predictions[part]


def comparable(results: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of decoders that were tested on the same trials: in each session, on the folds of the fullest row.

    Parameters
    ----------
    results
        One row per finished cell.

    Returns
    -------
    DataFrame
        Some of these rows. Decoders of which fewer folds, or other folds, are finished are not ranked yet.
    """
    folds = results.groupby(_ROW, sort=False)["fold"].agg(frozenset)
    most = {session: max(own, key=lambda one: (len(one), sorted(one))) for session, own in folds.groupby("session")}
    kept = {row for row, own in folds.items() if own == most[row[0]]}  # type: ignore[index]
    return results[[tuple(row) in kept for row in results[_ROW].to_numpy()]]


def read_partial(path: Path, parts: PartsReader) -> RunRecord | None:
    """Make a record of the cells that are finished; None as long as nothing can be ranked.

    Parameters
    ----------
    path
        The run directory of a benchmark that has no result yet.
    parts
        Its reader of parts.

    Returns
    -------
    RunRecord
        Of the sessions with the most decoders so far; without candidates of searches, and without failures.

    Raises
    ------
    RunDirectoryError
        If a file is damaged.
    """
    results = parts.results()
    file = path / SESSIONS
    cards: list[dict[str, Any]] = _read(file) if file.is_file() else []
    ids = [str(card["session_id"]) for card in cards]
    results = results[results["session"].astype(str).isin(ids)]
    if results.empty:
        return None
    results = _of_full_sessions(comparable(results))
    results = results.sort_values("session", key=lambda own: own.astype(str).map(ids.index), kind="stable")
    try:
        predictions = pd.concat([parts.predictions(part) for part in results["part"]], ignore_index=True)
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"cannot read the finished fits of {path}: {error}.") from error
    results = results.drop(columns="part").reset_index(drop=True)
    per_session = session_leaderboard(results, predictions)
    there = set(per_session["session"].astype(str))
    panels = {name: path / panels_file(name) for name in there}
    return RunRecord(
        path=path,
        config=_read(path / CONFIG),
        provenance=_read(path / PROVENANCE),
        results=results,
        predictions=predictions,
        per_session=per_session,
        over_sessions=mean_of_sessions(per_session, predictions),
        cards=[card for card, name in zip(cards, ids, strict=True) if name in there],
        panels={name: _read(file) for name, file in panels.items() if file.is_file()},
        failures=[],
    )


def _of_full_sessions(results: pd.DataFrame) -> pd.DataFrame:
    """Keep the sessions with the most decoders: a mean over sessions needs the same ones in all of them."""
    rows = results.groupby("session", sort=False)[["decoder", "selection"]].apply(
        lambda own: len(own.drop_duplicates())
    )
    return results[results["session"].isin(rows.index[rows == rows.max()])]


def _read(file: Path) -> Any:
    """Read a YAML or JSON file by its suffix."""
    try:
        text = file.read_text(encoding="utf-8")
        return yaml.safe_load(text) if file.suffix == ".yaml" else json.loads(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunDirectoryError(f"cannot read {file}: {' '.join(str(error).split())}.") from error

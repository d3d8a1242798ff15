"""The catalogue from the bucket's own tables: four CSV files beside the sessions.

Their columns are those that AllenSDK writes: ``sessions.csv`` (id, date_of_acquisition, session_type, age_in_days, sex,
genotype, has_nwb ...), ``probes.csv`` (id, ecephys_session_id ...), ``channels.csv`` (id, ecephys_probe_id,
ecephys_structure_acronym ...) and ``units.csv`` (id, ecephys_channel_id, quality and the quality metrics).
"""

import io
import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import pandas as pd

from spikesight.data import catalogue, http
from spikesight.data.cache import cache_folder
from spikesight.data.public_source import S3_PREFIX, base_url
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import NoUnitsError, OutputError, RemoteError
from spikesight.schema import AREA

_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "sessions": ("id", "date_of_acquisition", "session_type", "age_in_days", "sex", "genotype"),
    "probes": ("id", "ecephys_session_id"),
    "channels": ("id", "ecephys_probe_id", "ecephys_structure_acronym"),
    "units": ("id", "ecephys_channel_id", "quality", "amplitude_cutoff", "presence_ratio", "isi_violations"),
}
"""Table -> the columns that are read."""
_TEXT: Final = ("date_of_acquisition", "session_type", "sex", "genotype", "ecephys_structure_acronym", "quality")


def refresh(*, patience: http.Patience = http.PATIENT) -> pd.DataFrame:
    """Read the bucket's tables and keep what they say; :func:`spikesight.data.catalogue.sessions` answers from it.

    The bucket is at ``SPIKESIGHT_S3_URL`` or the public address; some 40 MB are read.

    Parameters
    ----------
    patience
        How long to wait for the server.

    Returns
    -------
    DataFrame
        All sessions, as from ``sessions()``.

    Raises
    ------
    RemoteError
        If the bucket cannot be reached, refuses, or its tables are not those that are known. What was known before
        stays.
    OutputError
        If the list cannot be written to the cache folder.
    """
    address = f"{base_url('s3')}/{S3_PREFIX}"
    records = _sessions_of({name: _read(f"{address}/{name}.csv", name, patience) for name in _NEEDED}, address)
    kept = {"source": address, "date": datetime.now(UTC).strftime("%Y-%m-%d"), "sessions": records}
    _keep(json.dumps(kept))
    return catalogue.sessions()


def _read(url: str, name: str, patience: http.Patience) -> pd.DataFrame:
    content = http.ask("GET", url, patience=patience).content
    try:
        table = pd.read_csv(io.BytesIO(content), low_memory=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise RemoteError(f"expected a table at {url}, it is no CSV: {error}. Check the address.") from error
    missing = [column for column in _NEEDED[name] if column not in table.columns]
    if missing or table.empty:
        came = f"columns {list(table.columns)[:12]} in {len(table)} rows"
        raise RemoteError(f"expected columns {', '.join(_NEEDED[name])} at {url}, got {came}. Check the address.")
    for column in set(_TEXT) & set(table.columns):
        table[column] = table[column].fillna("").astype(str)
    return table


def _sessions_of(tables: dict[str, pd.DataFrame], address: str) -> list[dict[str, Any]]:
    """Join units to sessions, and count them per area."""
    try:
        probes, channels = tables["probes"].set_index("id"), tables["channels"].set_index("id")
        units, listed = tables["units"], tables["sessions"]
        channel = channels.reindex(units["ecephys_channel_id"])
        units[AREA] = channel["ecephys_structure_acronym"].fillna("").to_numpy()
        units["session"] = probes["ecephys_session_id"].reindex(channel["ecephys_probe_id"]).to_numpy()
        if "has_nwb" in listed:
            listed = listed[listed["has_nwb"].astype(str).str.lower() == "true"]
        good = units[(units["quality"] == "good") & (units[AREA] != "")]
        counted = {"units_per_area": _counts(good), "default_units_per_area": _counts(UnitFilters().apply(good)[0])}
        records = [
            {
                "session_id": int(row["id"]),
                **{name: row[name] for name in ("session_type", "sex")},
                "age_in_days": int(row["age_in_days"]),
                **{name: row[name] for name in ("genotype", "date_of_acquisition")},
                **{name: counts.get(int(row["id"]), {}) for name, counts in counted.items()},
            }
            for row in listed.to_dict("records")
        ]
        found = catalogue.table_of_sessions(records, address)
    except (KeyError, TypeError, ValueError, NoUnitsError) as error:
        raise RemoteError(f"the tables at {address} do not fit together: {error}. Check the address.") from error
    lost = sorted(set(catalogue.shipped_sessions().index) - set(found.index))
    if lost:
        raise RemoteError(
            f"expected the known sessions in the tables at {address}, {len(lost)} are missing: {lost[:5]}."
        )
    return records


def _counts(units: pd.DataFrame) -> dict[int, dict[str, int]]:
    """Session -> area -> number of units."""
    counts: dict[int, dict[str, int]] = {}
    sizes = units.groupby(["session", AREA]).size().reset_index(name="count")
    for row in sizes.to_dict("records"):
        counts.setdefault(int(row["session"]), {})[str(row[AREA])] = int(row["count"])
    return counts


def _keep(text: str) -> None:
    path = cache_folder() / catalogue.KEPT
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(text, "utf-8")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"could not keep the catalogue in {path}: {error}. Name another folder with SPIKESIGHT_CACHE."
        ) from error

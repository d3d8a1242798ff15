"""The 58 public sessions of Visual Coding - Neuropixels: what was shown, to which mouse, and units per area.

The facts ship with the package (``public_sessions.json``), so that they are there without a network. They know the
units of visual cortex. :func:`spikesight.data.catalogue_refresh.refresh` reads the bucket's own tables, which know all
areas, and keeps what it found in the cache folder; from then on :func:`sessions` answers from there.
"""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight.data.cache import cache_folder
from spikesight.errors import ConfigError, UnknownNameError, did_you_mean

STIMULI: Final[dict[str, tuple[str, ...]]] = {
    "brain_observatory_1.1": (
        *("gabors", "flashes", "drifting_gratings", "static_gratings"),
        *("natural_scenes", "natural_movie_one", "natural_movie_three"),
    ),
    "functional_connectivity": (
        *("gabors", "flashes", "drifting_gratings_contrast", "drifting_gratings_75_repeats", "dot_motion"),
        *("natural_movie_one_more_repeats", "natural_movie_one_shuffled"),
    ),
}
"""Session type -> the stimuli that its sessions were shown, besides the grey screen (``spontaneous``)."""

COLUMNS: Final = (
    *("session_type", "sex", "age_in_days", "genotype", "date_of_acquisition"),
    *("units_per_area", "default_units_per_area"),
)
"""What is kept of every session."""
KEPT: Final = "catalogue/sessions.json"
"""Where in the cache folder the sessions are kept that the bucket's tables told of."""
SHIPPED: Final = "shipped with spikesight; units of visual cortex only"


def sessions(stimulus: str | None = None, area: str | None = None, genotype: str | None = None) -> pd.DataFrame:
    """List the public sessions, or those with a stimulus, with units of an area, of a genotype. Asks no network.

    Parameters
    ----------
    stimulus
        Keep sessions that were shown it: ``"natural_scenes"``.
    area
        Keep sessions with at least one unit there: ``"VISp"``.
    genotype
        Keep sessions of mice of this genotype, in full, or one of its alleles, or their line: ``"Sst-IRES-Cre"`` or
        ``"sst"``. ``"wt"`` means mice with no other allele.

    Returns
    -------
    DataFrame
        Index ``session_id`` (int), ascending. Columns: ``session_type``, ``sex`` ("F" or "M"), ``age_in_days``,
        ``genotype``, ``date_of_acquisition`` (ISO 8601), ``stimuli`` (tuple of names), and two dicts from area to
        number: ``units_per_area`` (quality "good") and ``default_units_per_area`` (those that the default filters of
        :class:`spikesight.data.unit_filters.UnitFilters` keep). ``attrs["source"]`` says where the list is from.

    Raises
    ------
    UnknownNameError, ConfigError
        If no session knows the stimulus, area or genotype; offers the nearest name.
    """
    table = _listed()
    kept = np.ones(len(table), bool)
    if stimulus is not None:
        known = {name for shown in table["stimuli"] for name in shown}
        if stimulus not in known:
            raise UnknownNameError("stimulus", stimulus, known)
        kept &= [stimulus in shown for shown in table["stimuli"]]
    if area is not None:
        _check_area(area, table)
        kept &= [counts.get(area, 0) > 0 for counts in table["units_per_area"]]
    if genotype is not None:
        kept &= _of_genotype(table["genotype"].tolist(), genotype)
    return table[kept]


def shipped_sessions() -> pd.DataFrame:
    """List the sessions as they ship with the package, as :func:`sessions` does."""
    shipped = files("spikesight.data").joinpath("public_sessions.json").read_text("utf-8")
    return table_of_sessions(json.loads(shipped), SHIPPED)


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the sessions of a list as plain objects, as JSON writes them."""
    rows = table.to_dict("records")
    return [{"session_id": int(label), **{str(name): value for name, value in row.items()}}
            for label, row in zip(table.index, rows, strict=True)]  # fmt: skip


def table_of_sessions(records: Iterable[Mapping[str, Any]], source: str) -> pd.DataFrame:
    """Build the list from plain objects with ``session_id`` and ``COLUMNS``.

    Raises
    ------
    KeyError, TypeError, ValueError
        If an object is not of that form.
    """
    rows = {}
    for record in records:
        row = {name: record[name] for name in COLUMNS}
        for name in ("units_per_area", "default_units_per_area"):
            row[name] = {str(area): int(count) for area, count in dict(row[name]).items()}
        row["age_in_days"] = int(row["age_in_days"])
        row["stimuli"] = STIMULI.get(str(row["session_type"]), ())
        rows[int(record["session_id"])] = row
    if not rows:
        raise ValueError("no sessions")
    names = [*COLUMNS[:5], "stimuli", *COLUMNS[5:]]
    table = pd.DataFrame(list(rows.values()), index=pd.Index(list(rows), name="session_id"))[names].sort_index()
    table.attrs["source"] = source
    return table


def _listed() -> pd.DataFrame:
    """Read the list that the bucket's tables gave, if there is one, else the one that ships."""
    kept = cache_folder() / KEPT
    if kept.exists():
        try:
            found = json.loads(kept.read_text("utf-8"))
            return table_of_sessions(found["sessions"], f"{found['source']}, read on {found['date']}")
        except (OSError, KeyError, TypeError, ValueError) as error:
            warnings.warn(
                f"{kept} cannot be read ({type(error).__name__}: {error}), so the list that ships is used. "
                "Write it anew: spikesight sessions --refresh.",
                stacklevel=3,
            )
    return shipped_sessions()


def _check_area(area: str, table: pd.DataFrame) -> None:
    known = sorted({name for counts in table["units_per_area"] for name in counts})
    if area in known:
        return
    if table.attrs["source"] != SHIPPED:
        raise UnknownNameError("area", area, known)
    raise ConfigError(
        f"the list that ships with spikesight knows no units in area {area!r}.{did_you_mean(area, known)} It knows "
        f"{', '.join(known)}; other areas are known after: spikesight sessions --refresh."
    )


def _of_genotype(genotypes: Sequence[str], wanted: str) -> list[bool]:
    names = [_names_of(genotype) for genotype in genotypes]
    folded = wanted.strip().casefold()
    chosen = [folded in {name.casefold() for name in own} for own in names]
    if not any(chosen):
        raise UnknownNameError("genotype", wanted, set().union(*names))
    return chosen


def _names_of(genotype: str) -> set[str]:
    """Name a genotype: in full, by its alleles, and by their lines.

    >>> sorted(_names_of("Sst-IRES-Cre/wt;Ai32(RCL-ChR2(H134R)_EYFP)/wt"))[:3]
    ['Ai32', 'Ai32(RCL-ChR2(H134R)_EYFP)', 'Sst']
    """
    alleles = {allele for gene in genotype.split(";") for allele in gene.split("/")}
    if len(alleles) > 1:
        alleles -= {"wt"}
    lines = {allele.split("(")[0].split("-")[0] for allele in alleles}
    return {genotype, *alleles, *lines}

"""A finished connectivity estimate, read back from its run directory."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import xarray as xr
import yaml

from spikesight.connectivity_files import read_matrices
from spikesight.errors import RunDirectoryError
from spikesight.tracking.run_directory import CONFIG, PROVENANCE, SUMMARY

MATRIX: Final = "connectivity.nc"
EDGES: Final = "edges.parquet"
AREAS: Final = "areas.parquet"
UNITS: Final = "units.parquet"
GRAPH: Final = "graph.graphml"
FIGURES: Final = "figures"


@dataclass(frozen=True, eq=False)
class ConnectivityRecord:
    """What ``spikesight connectivity fit`` left in its run directory.

    Attributes
    ----------
    path
        The run directory.
    config, provenance
        What was asked; with which versions, seed, commit and inputs.
    summary
        Method, measure, session, period, duration, numbers of units, pairs and edges, stability, units left out.
    matrices
        ``connectivity``, ``z``, ``p_value``, ``lag``, ``sign``, ``[source_unit, target_unit]``.
    edges, areas, units
        Tables of edges, of pairs of areas, and of units (index the unit ids).
    """

    path: Path
    config: dict[str, Any]
    provenance: dict[str, Any]
    summary: dict[str, Any]
    matrices: xr.Dataset
    edges: pd.DataFrame
    areas: pd.DataFrame
    units: pd.DataFrame


def holds_connectivity(path: Path) -> bool:
    """Whether a run directory is one of a connectivity estimate."""
    return (path / SUMMARY).is_file() and (path / MATRIX).is_file()


def read_connectivity(path: str | Path) -> ConnectivityRecord:
    """Read the run directory of a finished estimate.

    Raises
    ------
    RunDirectoryError
        If it is none, or a file is damaged.
    """
    path = Path(path)
    if not holds_connectivity(path):
        raise RunDirectoryError(
            f"expected the run directory of a connectivity estimate, {path} has no {SUMMARY} and {MATRIX}. Give the "
            "--out of `spikesight connectivity fit`; if that was stopped, start it again."
        )
    try:
        return ConnectivityRecord(
            path,
            yaml.safe_load((path / CONFIG).read_text(encoding="utf-8")),
            json.loads((path / PROVENANCE).read_text(encoding="utf-8")),
            json.loads((path / SUMMARY).read_text(encoding="utf-8")),
            read_matrices(path / MATRIX),
            pd.read_parquet(path / EDGES),
            pd.read_parquet(path / AREAS),
            pd.read_parquet(path / UNITS).set_index("unit"),
        )
    except (OSError, ValueError, KeyError, yaml.YAMLError) as error:
        raise RunDirectoryError(
            f"cannot read {path}: {' '.join(str(error).split())}. Estimate the connectivity again."
        ) from error

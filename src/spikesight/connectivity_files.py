"""A fitted connectivity on disk: edges as Parquet, matrices as NetCDF, the graph as GraphML."""

from pathlib import Path
from typing import Any, Final

import networkx as nx
import numpy as np
import pandas as pd
import xarray as xr

from spikesight.data.dataset import plain_values
from spikesight.errors import RunDirectoryError

MATRICES: Final = ("connectivity", "z", "p_value", "lag", "sign")
Q: Final = 0.05
"""False-discovery rate at which an edge counts as found."""
STRONGEST: Final = 0.05
"""Share of pairs, the strongest, that make the graph of a method without p-values."""
_COMPRESSED: Final = {"zlib": True, "complevel": 1}


def matrices(fitted: Any) -> xr.Dataset:
    """Put the matrices of a fitted estimator and the table of its units into one dataset.

    Dims ``source_unit``, ``target_unit``; what is known of units has names that begin with ``source_``.
    """
    values = (fitted.connectivity_, fitted.z_, fitted.p_values_, fitted.lag_, fitted.sign_)
    dataset = xr.Dataset(dict(zip(MATRICES, values, strict=True)))
    for name, column in fitted.units_.items():
        dataset.coords[f"source_{name}"] = ("source_unit", plain_values(column))
    dataset["lag"].attrs["units"] = "s"
    return dataset


def write_matrices(dataset: xr.Dataset, file: Path) -> None:
    """Write what `matrices` returned as NetCDF."""
    dataset.to_netcdf(file, engine="h5netcdf", encoding={name: _COMPRESSED for name in MATRICES})


def read_matrices(file: Path) -> xr.Dataset:
    """Read what `write_matrices` wrote.

    Raises
    ------
    RunDirectoryError
        If there is no such file, or it is damaged.
    """
    try:
        with xr.open_dataset(file, engine="h5netcdf") as opened:
            return opened.load()
    except (OSError, ValueError, KeyError) as error:
        raise RunDirectoryError(f"cannot read {file}: {error}. Estimate the connectivity again.") from error


def found_edges(edges: pd.DataFrame) -> pd.DataFrame:
    """Return the edges that survive the false-discovery rate; without p-values, the strongest 5 %."""
    if edges["q_value"].notna().any():
        return edges[edges["q_value"] <= Q]
    kept = max(1, round(STRONGEST * len(edges)))
    return edges.loc[edges["weight"].abs().sort_values(ascending=False).index[:kept]]


def write_graphml(edges: pd.DataFrame, units: pd.DataFrame, file: Path, *, directed: bool) -> None:
    """Write found edges and all units as GraphML, which Gephi, Cytoscape and networkx read.

    Parameters
    ----------
    edges
        Table of edges, those to be written.
    units
        One row per unit; numbers and text become attributes of nodes, what is missing is left out.
    file
        Where to.
    directed
        Whether edges have a direction.
    """
    graph: nx.Graph = nx.DiGraph() if directed else nx.Graph()
    for unit, row in units.iterrows():
        graph.add_node(str(unit), **_attributes(row.to_dict()))
    for edge in edges.to_dict("records"):
        ends = str(edge.pop("source_unit")), str(edge.pop("target_unit"))
        graph.add_edge(*ends, **_attributes(edge))
    nx.write_graphml(graph, file)


def _attributes(values: dict[Any, Any]) -> dict[str, Any]:
    """Turn numpy's values into Python's, and leave out what is missing: GraphML has no word for it."""
    plain = {str(name): value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    return {name: value for name, value in plain.items() if not (isinstance(value, float) and np.isnan(value))}

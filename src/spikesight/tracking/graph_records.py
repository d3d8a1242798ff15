"""Graphs that decoders used, in a run directory: one file a cell, then one file and one table for the whole run.

They say which units a decoder let talk to each other, not which neurons drive each other.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.errors import RunDirectoryError
from spikesight.tracking.run_directory import RunDirectory

GRAPHS: Final = "graphs"
ADJACENCY: Final = "adjacency.nc"
EDGES: Final = "edges.parquet"
EDGES_PER_UNIT: Final = 10
"""Incoming edges of each unit that the table lists: all of a dense graph would be a million rows."""
EDGE_COLUMNS: Final = (
    "session", "decoder", "selection", "source_unit", "target_unit", "source_area", "target_area", "weight",
    "n_folds", "fold_correlation",
)  # fmt: skip

_SOURCE: Final = "source_unit"
_TARGET: Final = "target_unit"
_COMPRESSED: Final = {"zlib": True, "complevel": 1}


class GraphCell(NamedTuple):
    """A finished cell of a graph decoder: its part in the run directory, and whose fold it is."""

    part: str
    session: str
    decoder: str
    selection: str
    fold: int


def write_graph(adjacency: xr.DataArray, folder: Path, part: str) -> None:
    """Keep the graph of one cell, as ``graphs/<part>.nc`` under the run directory ``folder``.

    Parameters
    ----------
    adjacency
        What a fitted graph decoder has as ``adjacency_``.
    folder
        The run directory. The file is there whole or not at all.
    part
        Name of the cell.
    """
    file = folder / GRAPHS / f"{part}.nc"
    file.parent.mkdir(exist_ok=True)
    # A name of its own: a cell may be tried again on another node before the first one knows that it was given up.
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        _to_file(adjacency.astype(np.float32).to_dataset(name="adjacency"), temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def write_graphs(run: RunDirectory, cells: Sequence[GraphCell], areas: Mapping[str, Mapping[Any, str]]) -> None:
    """Write ``adjacency.nc`` and ``edges.parquet``; neither, if no cell has a graph.

    ``adjacency.nc`` has a group ``<session>/<decoder>/<selection>`` for each graph decoder: ``adjacency``, the mean
    over folds, and ``fold_correlation`` (fold, other_fold), Pearson's r of the weights. Graphs per class are factors,
    and a mean of factors is no graph: ``adjacency`` has them fold by fold, and their correlation is NaN.

    The table lists the strongest incoming edges of each unit, where the graph has a weight per pair of units: columns
    ``EDGE_COLUMNS``; ``weight`` is the mean over folds (and bins), ``n_folds`` counts those in which the edge is there,
    ``fold_correlation`` is the mean over pairs of folds (NaN with a single one).

    Parameters
    ----------
    run
        An open run directory in which `write_graph` left the graphs of ``cells``.
    cells
        Finished cells of graph decoders.
    areas
        Area by unit id, for each session.

    Raises
    ------
    RunDirectoryError
        If a file cannot be read or written.
    """
    groups: dict[str, xr.Dataset] = {}
    tables: list[pd.DataFrame] = []
    for key, own in _by_decoder(cells).items():
        graphs = [_read(run.path / GRAPHS / f"{cell.part}.nc") for cell in own]
        similarity = fold_correlation(graphs)
        fold_ids = [cell.fold for cell in own]
        adjacency = _mean(graphs) if _has_pairs(graphs[0]) else _fold_by_fold(graphs, fold_ids)
        similar = xr.DataArray(similarity, {"fold": fold_ids, "other_fold": fold_ids}, ("fold", "other_fold"))
        groups["/".join(name.replace("/", "_") for name in key)] = xr.Dataset(
            {"adjacency": adjacency, "fold_correlation": similar}, attrs=adjacency.attrs
        )
        if _has_pairs(graphs[0]):
            table = strongest_edges(graphs, areas.get(key[0], {}))
            named = dict(zip(EDGE_COLUMNS[:3], key, strict=True))
            tables.append(table.assign(**named, fold_correlation=_pairs(similarity)))
    if not groups:
        return
    run.write_file(ADJACENCY, lambda file: _to_file(xr.DataTree.from_dict(groups), file))
    if tables:
        run.write_table(EDGES, pd.concat(tables, ignore_index=True)[list(EDGE_COLUMNS)])


def fold_correlation(graphs: Sequence[xr.DataArray]) -> NDArray[np.float64]:
    """Correlate the weights of every two graphs, self-edges left out: (n_folds, n_folds).

    NaN where one is constant, and for factors, which are no weights.
    """
    found = np.eye(len(graphs))
    if not _has_pairs(graphs[0]):
        return np.where(found == 1, found, np.nan)
    values = [_weights(graph) for graph in graphs]
    for first, second in combinations(range(len(values)), 2):
        varies = values[first].std() > 0 and values[second].std() > 0
        r = np.corrcoef(values[first], values[second])[0, 1] if varies else np.nan
        found[first, second] = found[second, first] = r
    return found


def strongest_edges(graphs: Sequence[xr.DataArray], areas: Mapping[Any, str]) -> pd.DataFrame:
    """List the ``EDGES_PER_UNIT`` strongest incoming edges of each unit, strongest first.

    Parameters
    ----------
    graphs
        One per fold, with dimensions ``source_unit`` and ``target_unit``; others (bins) are averaged over.
    areas
        Area by unit id; units that are not in it get an empty text.
    """
    flat = [_per_pair(graph) for graph in graphs]
    weight = np.mean(flat, axis=0)
    n_folds = np.sum([own > 0 for own in flat], axis=0)
    sources, targets = (graphs[0][name].to_numpy() for name in (_SOURCE, _TARGET))
    kept = min(EDGES_PER_UNIT, len(sources))
    rows = np.argsort(-weight, axis=0, kind="stable")[:kept].ravel(order="F")
    columns = np.repeat(np.arange(len(targets)), kept)
    there = weight[rows, columns] > 0
    rows, columns = rows[there], columns[there]
    return pd.DataFrame(
        {
            _SOURCE: sources[rows],
            _TARGET: targets[columns],
            "source_area": [areas.get(unit, "") for unit in sources[rows].tolist()],
            "target_area": [areas.get(unit, "") for unit in targets[columns].tolist()],
            "weight": weight[rows, columns],
            "n_folds": n_folds[rows, columns],
        }
    )


def read_graphs(folder: Path) -> dict[tuple[str, str, str], xr.DataArray]:
    """Read the graphs of a run: ``adjacency`` of each session, decoder and selection; none where no decoder has any.

    Raises
    ------
    RunDirectoryError
        If ``adjacency.nc`` is damaged.
    """
    file = folder / ADJACENCY
    if not file.is_file():
        return {}
    try:
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            found = {node.path: node.dataset["adjacency"].load() for node in tree.subtree if "adjacency" in node}
    except (OSError, ValueError, KeyError) as error:
        raise RunDirectoryError(f"cannot read {file}: {error}. Delete it and run again.") from error
    graphs = {}
    for path, graph in found.items():
        session, decoder, selection = path.strip("/").split("/")
        graphs[session, decoder, selection] = graph
    return graphs


def _by_decoder(cells: Iterable[GraphCell]) -> dict[tuple[str, str, str], list[GraphCell]]:
    found: dict[tuple[str, str, str], list[GraphCell]] = {}
    for cell in cells:
        found.setdefault((cell.session, cell.decoder, cell.selection), []).append(cell)
    return found


def _per_pair(graph: xr.DataArray) -> NDArray[np.float64]:
    others = [name for name in graph.dims if name not in (_SOURCE, _TARGET)]
    return graph.mean(others).transpose(_SOURCE, _TARGET).to_numpy().astype(np.float64)


def _has_pairs(graph: xr.DataArray) -> bool:
    """Whether a graph has a weight per pair of units; else it has factors."""
    return {_SOURCE, _TARGET} <= set(graph.dims)


def _fold_by_fold(graphs: Sequence[xr.DataArray], folds: Sequence[int]) -> xr.DataArray:
    """Put graphs side by side; what a fold lacks, such as a class, is NaN there."""
    return xr.concat(graphs, pd.Index(folds, name="fold"), join="outer", combine_attrs="override")


def _weights(graph: xr.DataArray) -> NDArray[np.float64]:
    pairs = graph.transpose(_SOURCE, _TARGET, ...).to_numpy().astype(np.float64)
    return pairs[~np.eye(len(pairs), dtype=bool)].ravel()


def _mean(graphs: Sequence[xr.DataArray]) -> xr.DataArray:
    total = graphs[0].copy()
    total.values = np.mean([graph.to_numpy() for graph in graphs], axis=0, dtype=np.float64).astype(np.float32)
    return total


def _pairs(similarity: NDArray[np.float64]) -> float:
    above = similarity[np.triu_indices(len(similarity), 1)]
    return float(above.mean()) if len(above) else float("nan")


def _to_file(contents: xr.Dataset | xr.DataTree, file: Path) -> None:
    if isinstance(contents, xr.DataTree):
        encoding = {node.path: {"adjacency": _COMPRESSED} for node in contents.subtree if "adjacency" in node}
        contents.to_netcdf(file, engine="h5netcdf", encoding=encoding)
    else:
        contents.to_netcdf(file, engine="h5netcdf", encoding={"adjacency": _COMPRESSED})


def _read(file: Path) -> xr.DataArray:
    try:
        with xr.open_dataset(file, engine="h5netcdf") as opened:
            return opened["adjacency"].load()
    except (OSError, ValueError, KeyError) as error:
        raise RunDirectoryError(f"cannot read {file}: {error}. Delete the run's parts and run again.") from error

"""What a page shows of a connectivity estimate to look around in: the matrix, the graph of units, edges, the truth."""

import base64
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.connectivity.edges import CCF
from spikesight.connectivity_files import Q, found_edges
from spikesight.data.simulation import GroundTruth, truth_path
from spikesight.errors import SpikesightError
from spikesight.figures.unit_circle import unit_angles
from spikesight.figures.unit_graph import force_places
from spikesight.figures.unit_order import UnitOrder, area_looks, order_units
from spikesight.records.connectivity_record import ConnectivityRecord

MOST_PAIRS: Final = 160_000
"""Pairs of units on one page, shared by its estimates: about 4 MB. 400 units of a single one."""
FEWEST_UNITS: Final = 40
"""Of every estimate, however many there are on the page."""
N_EDGES: Final = 25
"""Rows of the table of edges."""
MOST_ARROWS: Final = 400
"""Edges in the drawn graph; the strongest."""
MOST_FORCE_EDGES: Final = 1_500
FORCE_EDGES_A_UNIT: Final = 3
"""Edges that decide where units stand in the layout by forces: those that were found, or at least so many per unit."""


def connectivity_panel(record: ConnectivityRecord, n_panels: int = 1) -> dict[str, Any]:
    """Collect what the panel of an estimate holds.

    Parameters
    ----------
    record
        The estimate.
    n_panels
        Estimates on the same page: they share its size.

    Returns
    -------
    dict
        ``areas``; ``edges``, the rows of the table as it is without a script, and ``n_more`` that are not in it;
        ``tested``, ``directed``, ``measure``; ``n_units`` and ``n_drawn``; ``truth``, how many couplings are known;
        ``drawn``, JSON-able, what ``connectivity_panel.js`` draws.
    """
    order = order_units(record.units)
    kept = _drawn_units(record, order, n_panels)
    drawn = order if len(kept) == len(order.ids) else order_units(record.units, kept)
    found = found_edges(record.edges)
    listed = found.head(N_EDGES) if record.summary["n_edges"] is not None else record.edges.head(N_EDGES)
    truth = _true_couplings(record, drawn)
    return {
        "areas": list(dict.fromkeys(drawn.areas)),
        "edges": listed.to_dict("records"),
        "n_more": len(found) - len(listed),
        "tested": record.summary["n_edges"] is not None,
        "directed": bool(record.summary["directed"]),
        "measure": record.summary["measure"],
        "rule": record.summary["rule"],
        "n_units": len(order.ids),
        "n_drawn": len(drawn.ids),
        "truth": None if truth is None else len(truth),
        "drawn": _drawn(record, drawn, found, truth),
    }


def _drawn_units(record: ConnectivityRecord, order: UnitOrder, n_panels: int) -> NDArray[Any]:
    """Return the units that fit: all, or those of the most certain edges."""
    most = max(FEWEST_UNITS, int(np.sqrt(MOST_PAIRS / max(1, n_panels))))
    if len(order.ids) <= most:
        return order.ids
    ends = record.edges[["source_unit", "target_unit"]].to_numpy().ravel()
    return np.array(list(dict.fromkeys(ends.tolist()))[:most])


def _drawn(
    record: ConnectivityRecord, order: UnitOrder, found: pd.DataFrame, truth: list[tuple[int, int, float]] | None
) -> dict[str, Any]:
    ids = order.ids
    matrices = record.matrices.sel(source_unit=ids, target_unit=ids)
    weight = matrices["connectivity"].to_numpy()
    off = np.abs(weight[~np.eye(len(ids), dtype=bool)])
    tested = bool(np.isfinite(matrices["z"]).any())
    known = set(ids.tolist())
    pulling = record.edges[record.edges["source_unit"].isin(known) & record.edges["target_unit"].isin(known)]
    edges = pulling.head(min(MOST_FORCE_EDGES, max(len(found), FORCE_EDGES_A_UNIT * len(ids))))
    ends = np.column_stack([order.places(edges["source_unit"]), order.places(edges["target_unit"])])
    angles = unit_angles(order)
    lag = 1e4 * matrices["lag"].to_numpy()
    return {
        "units": [str(unit) for unit in ids],
        "areas": order.areas,
        "colours": {area: colour for area, (colour, _) in area_looks(order.areas).items()},
        "measure": record.summary["measure"],
        "directed": bool(record.summary["directed"]),
        "rule": record.summary["rule"],
        "q": Q,
        "nEdges": N_EDGES,
        "mostArrows": MOST_ARROWS,
        "bound": float(np.nanquantile(off, 0.99)) or float(np.nanmax(off, initial=0.0)) or 1.0,
        "weight": _packed(weight),
        "z": _packed(matrices["z"].to_numpy()) if tested else None,
        "pValue": _packed(matrices["p_value"].to_numpy()) if tested else None,
        "qValue": _packed(_q_values(record, ids)) if record.summary["n_edges"] is not None else None,
        "lag": _packed(np.where(np.isfinite(lag), lag, -32768), "<i2"),
        "position": _positions(record.units.loc[ids]),
        "circle": _places(np.column_stack([np.cos(angles), np.sin(angles)])),
        "force": _places(force_places(len(ids), ends)),
        "truth": None if truth is None else [list(coupling) for coupling in truth],
    }


def _q_values(record: ConnectivityRecord, ids: NDArray[Any]) -> NDArray[np.float64]:
    q = record.edges.pivot(index="source_unit", columns="target_unit", values="q_value")
    whole = q.reindex(index=ids, columns=ids)
    both = whole if record.summary["directed"] else whole.combine_first(whole.T)
    return both.reindex(index=ids, columns=ids).to_numpy(np.float64)


def _true_couplings(record: ConnectivityRecord, order: UnitOrder) -> list[tuple[int, int, float]] | None:
    """Return (source, target, weight) of the couplings that a session was simulated with; None where nobody knows."""
    inputs = [entry.get("path") for entry in record.provenance.get("inputs", ())]
    places = [truth_path(str(place)) for place in [*inputs, record.config.get("source")] if place]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return None
    try:
        weights, _ = GroundTruth.load(file).coupling_matrix(order.ids)
    except (SpikesightError, OSError):  # it is of another session, or none: the page does without
        return None
    rows, columns = np.nonzero(weights)
    return [(int(i), int(j), round(float(weights[i, j]), 4)) for i, j in zip(rows, columns, strict=True)]


def _positions(units: pd.DataFrame) -> list[list[float] | None] | None:
    """Return places in the CCF (um), None where one is not known; None if none is."""
    if not set(CCF) <= set(units.columns):
        return None
    places = units[list(CCF)].to_numpy(np.float64)
    found = [[round(value, 1) for value in row] if (row > 0).all() else None for row in places]
    return found if any(place is not None for place in found) else None


def _places(places: NDArray[np.float64]) -> list[list[float] | None]:
    """Return places within (-1, 1), None for units that have none."""
    reach = np.nanmax(np.abs(places), initial=0.0) or 1.0
    return [None if np.isnan(row).any() else [round(float(one), 3) for one in row / reach] for row in places]


def _packed(values: NDArray[np.generic], kind: str = "<f4") -> str:
    """Write numbers row by row as base64: a third of what they take as text."""
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()

"""From edges between units to a summary of each pair of areas."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import ConfigError, DataError, UnitIdsError
from spikesight.schema import AREA

NOT_GIVEN: Final = "not given"
"""Name of the area of units whose area is not known."""


def area_summary(edges: pd.DataFrame, units: pd.DataFrame, q: float = 0.05) -> pd.DataFrame:
    """Summarise the edges from each area to each area.

    Parameters
    ----------
    edges
        The whole table of edges of an estimator (`spikesight.connectivity.edges.edge_table`): one row per ordered pair
        of units, or per pair for a measure without a direction, whose edges then count both ways.
    units
        One row per unit, index the unit ids, with ``area``; an empty or missing area is called "not given".
    q
        False discovery rate that an edge must survive.

    Returns
    -------
    DataFrame
        One row per ordered pair of areas, in alphabetical order:

        ========================  =====================================================================================
        source_area, target_area  names
        n_sources, n_targets      units in each
        n_pairs                   ordered pairs of two units
        n_edges                   pairs with ``q_value <= q``; NaN where no pair has a q-value
        density                   ``n_edges / n_pairs``; NaN where no pair has a q-value, or there is no pair
        mean_weight               over all pairs, in the estimator's measure
        mean_abs_weight_of_edges  NaN without an edge
        share_excitatory          share of edges with a weight above 0; NaN without an edge
        direction_asymmetry       ``(there - back) / (there + back)`` of the densities: 1 where edges only go from
                                  source to target, -1 where they only come back; NaN where both densities are 0 or the
                                  measure has no direction
        ========================  =====================================================================================

    Raises
    ------
    ConfigError
        If ``q`` is not in (0, 1].
    UnitIdsError
        If an edge has a unit that is not in ``units``.
    DataError
        If rows are missing or repeated.
    """
    if not 0 < q <= 1:
        raise ConfigError(f"expected a false discovery rate q above 0 and up to 1, got {q}.")
    directed = _check_whole(edges, units)
    own = units[AREA] if AREA in units else pd.Series("", units.index)
    area = own.fillna("").astype(str).replace("", NOT_GIVEN)
    pairs = _ordered_pairs(edges, area, q, directed)
    counts = area.value_counts()
    names = sorted(counts.index, key=lambda name: (name == NOT_GIVEN, name))
    both = pd.MultiIndex.from_product([names, names], names=["source_area", "target_area"])
    grouped = pairs.groupby(["source_area", "target_area"], sort=False)
    table = pd.DataFrame(index=both)
    table["n_sources"] = counts.loc[both.get_level_values(0)].to_numpy()
    table["n_targets"] = counts.loc[both.get_level_values(1)].to_numpy()
    table["n_pairs"] = grouped.size().reindex(both, fill_value=0)
    table["n_edges"] = grouped["edge"].sum(min_count=1).reindex(both)
    table["density"] = table["n_edges"] / table["n_pairs"]
    table["mean_weight"] = grouped["weight"].mean().reindex(both)
    survivors = pairs[pairs["edge"] == 1].groupby(["source_area", "target_area"], sort=False)
    table["mean_abs_weight_of_edges"] = survivors["strength"].mean().reindex(both)
    table["share_excitatory"] = survivors["excitatory"].mean().reindex(both)
    table["direction_asymmetry"] = _asymmetry(table["density"].to_numpy(np.float64), len(names), directed)
    return table.reset_index()


def _check_whole(edges: pd.DataFrame, units: pd.DataFrame) -> bool:
    """Return whether edges have a direction; refuse a table that lacks pairs."""
    unknown = pd.Index(edges["source_unit"]).union(pd.Index(edges["target_unit"])).difference(units.index)
    if len(unknown):
        raise UnitIdsError(
            f"expected edges between the {len(units)} units of the table of units; not among them: "
            f"{unknown.tolist()[:10]}. Give the table of the units that the edges are between."
        )
    n_ordered = len(units) * (len(units) - 1)
    repeated = bool(edges.duplicated(["source_unit", "target_unit"]).any())
    if repeated or len(edges) not in (n_ordered, n_ordered // 2):
        raise DataError(
            f"expected one row for each of the {n_ordered} ordered pairs of {len(units)} units ({n_ordered // 2} for a "
            f"measure without a direction), got {len(edges)}{', some of them twice' if repeated else ''}. Give the "
            "whole table of edges, and the units that were estimated."
        )
    return len(edges) == n_ordered


def _ordered_pairs(edges: pd.DataFrame, area: "pd.Series[str]", q: float, directed: bool) -> pd.DataFrame:
    """Return areas, weight and whether it is an edge (1, 0, NaN without a test) of each ordered pair of units."""
    q_value = edges["q_value"].to_numpy(np.float64)
    weight = edges["weight"].to_numpy(np.float64)
    there = pd.DataFrame(
        {
            "source_area": area.loc[edges["source_unit"]].to_numpy(),
            "target_area": area.loc[edges["target_unit"]].to_numpy(),
            "edge": np.where(np.isnan(q_value), np.nan, q_value <= q),
            "weight": weight,
            "strength": np.abs(weight),
            "excitatory": weight > 0,
        }
    )
    if directed:
        return there
    back = there.rename(columns={"source_area": "target_area", "target_area": "source_area"})
    return pd.concat([there, back], ignore_index=True)


def _asymmetry(density: NDArray[np.float64], n_areas: int, directed: bool) -> NDArray[np.float64]:
    there = density.reshape(n_areas, n_areas)
    total = there + there.T
    if not directed:
        return np.full(density.shape, np.nan)
    return np.divide(there - there.T, total, out=np.full_like(there, np.nan), where=total > 0).ravel()

"""Which edges a figure of single units draws, and how it says so."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.errors import ConfigError
from spikesight.figures.theme import EXCITATORY, INHIBITORY


class Strongest(NamedTuple):
    """The edges to draw.

    Attributes
    ----------
    edges
        Rows of the table of edges, weakest first, so that the strongest is drawn on top.
    said
        How many of how many these are, for a title.
    directed
        Whether an edge has a direction.
    """

    edges: pd.DataFrame
    said: str
    directed: bool


def strongest_edges(edges: pd.DataFrame, n_strongest: int, q: float) -> Strongest:
    """Choose the largest absolute weights among the edges that survive the false discovery rate ``q``.

    Parameters
    ----------
    edges
        The whole table of edges. Where no row has a q-value, all pairs count. Where no pair is there both ways, the
        edges are taken to have no direction.
    n_strongest
        How many to choose at most.
    q
        False discovery rate.

    Raises
    ------
    ConfigError
        If ``n_strongest`` is below 1 or ``q`` is not in (0, 1].
    """
    if n_strongest < 1:
        raise ConfigError(f"expected n_strongest of at least 1, got {n_strongest}.")
    check_rate(q)
    tested = bool(edges["q_value"].notna().any())
    weight = edges["weight"].to_numpy(np.float64)
    drawable = np.isfinite(weight) & (weight != 0)
    candidates = edges[drawable & (edges["q_value"].to_numpy(np.float64) <= q)] if tested else edges[drawable]
    order = np.argsort(-candidates["weight"].abs().to_numpy(np.float64), kind="stable")[:n_strongest]
    if not tested:
        said = f"the {len(order):,} strongest of {len(edges):,} pairs (no test: not necessarily edges)"
    elif len(candidates) > len(order):
        said = f"the {len(order):,} strongest of {len(candidates):,} edges at q ≤ {q:g} ({len(edges):,} pairs)"
    elif len(order):
        number = f"all {len(order):,} edges" if len(order) > 1 else "1 edge"
        said = f"{number} at q ≤ {q:g} ({len(edges):,} pairs)"
    else:
        said = f"no edge at q ≤ {q:g} among {len(edges):,} pairs"
    return Strongest(candidates.iloc[order[::-1]], said, _both_ways(edges))


def check_rate(q: float) -> None:
    """Refuse a false discovery rate that is none.

    Raises
    ------
    ConfigError
        If ``q`` is not in (0, 1].
    """
    if not 0 < q <= 1:
        raise ConfigError(f"expected a false discovery rate q above 0 and up to 1, got {q}.")


def line_widths(edges: pd.DataFrame) -> NDArray[np.float64]:
    """Return a width (points) per edge, in proportion to its absolute weight but always to be seen."""
    strength = edges["weight"].abs().to_numpy(np.float64)
    return np.asarray(0.6 + 1.4 * strength / max(float(strength.max(initial=0.0)), np.finfo(float).tiny))


def sign_colours(edges: pd.DataFrame) -> list[str]:
    """Return the colour of each edge: red for a weight above 0, blue below."""
    return [EXCITATORY if weight > 0 else INHIBITORY for weight in edges["weight"]]


def sign_handles(edges: pd.DataFrame) -> list[Any]:
    """Return entries of a legend for the signs that occur."""
    from matplotlib.lines import Line2D

    known = ((EXCITATORY, "excitatory (weight > 0)"), (INHIBITORY, "inhibitory (weight < 0)"))
    drawn = set(sign_colours(edges))
    return [Line2D([], [], color=colour, lw=1.8, label=label) for colour, label in known if colour in drawn]


def _both_ways(edges: pd.DataFrame) -> bool:
    pairs = set(zip(edges["source_unit"], edges["target_unit"], strict=True))
    return any((target, source) in pairs for source, target in pairs)

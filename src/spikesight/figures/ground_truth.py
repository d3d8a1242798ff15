"""The couplings of a simulated network beside what an estimator found."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.errors import ConfigError, UnitIdsError
from spikesight.figures.connectivity_matrix import draw_matrix
from spikesight.figures.theme import new_pair, plain
from spikesight.figures.unit_order import order_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_ground_truth(
    connectivity: xr.DataArray,
    truth: xr.DataArray,
    units: pd.DataFrame | None = None,
    *,
    scores: Mapping[str, float] | None = None,
    axes: "Sequence[Axes] | None" = None,
) -> "tuple[Axes, Axes]":
    """Draw the true couplings and the estimate with units in the same order.

    Each matrix has a scale of its own, as they have different measures; both scales are symmetric about 0 and end at
    the 99th percentile of the absolute values.

    Parameters
    ----------
    connectivity
        The estimate, dims (``source_unit``, ``target_unit``), coordinates the unit ids, shape (n_units, n_units).
    truth
        The couplings, 0 where there is none, with the same dims; its further units are hidden ones and not drawn.
    units
        As for `plot_connectivity_matrix`; None keeps the order of ``connectivity`` and names no areas.
    scores
        What the estimate scored, for its title, such as ``{"AUROC": 0.98, "AP": 0.93}``.
    axes
        Two axes to draw into; a new figure if None.

    Returns
    -------
    tuple of Axes
        Truth on the left, estimate on the right.

    Raises
    ------
    UnitIdsError
        If a unit of the estimate is not in the truth, or not in ``units``.
    ConfigError
        If ``axes`` are not two.
    """
    ids = connectivity["source_unit"].to_numpy()
    known = truth["source_unit"].to_index()
    missing = pd.Index(ids).difference(known)
    if len(missing):
        raise UnitIdsError(f"expected the truth to hold every unit of the estimate; missing: {missing.tolist()[:10]}.")
    if axes is not None and len(axes) != 2:
        raise ConfigError(f"expected two axes, one for the truth and one for the estimate, got {len(axes)}.")
    left, right = new_pair(11.0, 4.9) if axes is None else axes
    order = order_units(pd.DataFrame(index=pd.Index(ids)) if units is None else units, ids)
    draw_matrix(truth.assign_attrs(measure=truth.attrs.get("measure", "coupling")), order, left)
    draw_matrix(connectivity, order, right)
    seen = truth.sel(source_unit=ids, target_unit=ids).to_numpy()
    n_edges = int(np.count_nonzero(seen[~np.eye(len(ids), dtype=bool)]))
    hidden = len(known) - len(ids)
    unseen = f", {hidden:,} units hidden" if hidden else ""
    left.set_title(f"truth: {n_edges:,} of {len(ids) * (len(ids) - 1):,} pairs coupled{unseen}", fontsize=10)
    said = ", ".join(f"{plain(name)} {value:.3f}" for name, value in (scores or {}).items())
    right.set_title(f"estimate: {said}" if said else "estimate", fontsize=10)
    return left, right

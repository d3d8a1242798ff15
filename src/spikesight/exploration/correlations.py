"""How the counts of units go together from trial to trial, and which units belong together."""

from typing import Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.errors import ConfigError, NoTrialsError, NoUnitsError
from spikesight.exploration.areas import areas_of
from spikesight.schema import AREA, SPIKE_COUNTS, TARGET, TIME, TRIAL, UNIT

Kind = Literal["total", "signal", "noise"]
OTHER_UNIT: Final = "other_unit"
MEANING: Final = {
    "total": "correlation of counts over trials",
    "signal": "correlation of class means (signal correlation)",
    "noise": "correlation around class means (noise correlation)",
}


def unit_correlations(dataset: xr.Dataset, kind: Kind = "total") -> xr.DataArray:
    """Correlate the spike counts of every pair of units.

    Parameters
    ----------
    dataset
        Binned trials; all bins of a trial are summed.
    kind
        ``"total"``: over trials. ``"signal"``: over the mean counts of classes, which also hold what noise the means
        share. ``"noise"``: over trials, after each class' mean was taken away (Cohen and Kohn, 2011, Nat. Neurosci.
        14: 811).

    Returns
    -------
    DataArray
        Pearson's r, dims (unit, other_unit), shape (n_units, n_units), symmetric. A unit that does not vary has no
        correlation: its row and column are NaN, its diagonal too. Coordinate ``area`` (unit); attribute ``kind``.

    Raises
    ------
    ConfigError
        If ``kind`` is none of the three.
    NoTrialsError
        If there are fewer than 3 trials or, for signal correlation, fewer than 3 classes; if no class is repeated, for
        noise correlation.
    """
    if kind not in MEANING:
        raise ConfigError(f"expected kind='total', 'signal' or 'noise', got {kind!r}.")
    counts = dataset[SPIKE_COUNTS].sum(TIME, dtype=np.int64).transpose(TRIAL, UNIT).to_numpy().astype(np.float64)
    labels, place = np.unique(dataset[TARGET].to_numpy(), return_inverse=True)
    values, n_free = _values_of(counts, place, kind)
    if n_free < 3:
        raise NoTrialsError(
            f"expected at least 3 {'classes' if kind == 'signal' else 'trials'} to correlate over; {len(counts)} "
            f"trials of {len(labels)} classes leave {n_free} for {kind} correlation. Choose another kind, or take more."
        )
    units = dataset[UNIT].to_numpy()
    return xr.DataArray(
        _correlate(values),
        {UNIT: (UNIT, units), OTHER_UNIT: (OTHER_UNIT, units), AREA: (UNIT, areas_of(dataset))},
        (UNIT, OTHER_UNIT),
        name="correlation",
        attrs={"kind": kind, "long_name": MEANING[kind]},
    )


def cluster_units(
    correlation: xr.DataArray, *, method: Literal["average", "complete", "single"] = "average"
) -> xr.Dataset:
    """Sort units so that those whose counts go together stand together, by hierarchical clustering.

    The distance of two units is 1 - r, between 0 and 2. Units without a correlation take no part; they come last.

    Parameters
    ----------
    correlation
        From `unit_correlations`.
    method
        How the distance of two clusters is made of those of their units (``scipy.cluster.hierarchy.linkage``).

    Returns
    -------
    Dataset
        ``correlation`` with dims (unit, other_unit), both in the order of the leaves; ``linkage`` with dims (merge,
        part), shape (n_clustered - 1, 4), as scipy has it: two clusters, their distance, and the number of units.
        Leaves are numbered as in the order before it was sorted; ``leaf`` (unit) gives that number, -1 for units that
        took no part.

    Raises
    ------
    NoUnitsError
        If fewer than 2 units have a correlation.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    values = correlation.transpose(UNIT, OTHER_UNIT).to_numpy()
    known = np.flatnonzero(np.isfinite(np.diag(values)))
    if len(known) < 2:
        raise NoUnitsError(
            f"expected at least 2 units whose counts vary, {len(known)} of {len(values)} do. Take more trials or units."
        )
    distance = np.clip(1 - values[np.ix_(known, known)], 0, 2)
    np.fill_diagonal(distance, 0)
    merges = linkage(squareform((distance + distance.T) / 2, checks=False), method, optimal_ordering=len(known) <= 500)
    leaves = leaves_list(merges)
    constant = np.setdiff1d(np.arange(len(values)), known)
    order = np.concatenate([known[leaves], constant]).astype(np.int64)
    sorted_values = correlation.transpose(UNIT, OTHER_UNIT).isel({UNIT: order, OTHER_UNIT: order})
    leaf = np.concatenate([leaves, np.full(len(constant), -1)]).astype(np.int64)
    return xr.Dataset(
        {"correlation": sorted_values, "linkage": (("merge", "part"), merges)},
        {"leaf": (UNIT, leaf)},
        {"method": method, **correlation.attrs},
    )


def _values_of(counts: NDArray[np.float64], place: NDArray[np.int64], kind: Kind) -> tuple[NDArray[np.float64], int]:
    """Rows to correlate over, shape (n_rows, n_units), and how many of them are free to vary."""
    if kind == "total":
        return counts, len(counts)
    n_trials = np.bincount(place)
    means = np.zeros((len(n_trials), counts.shape[1]))
    np.add.at(means, place, counts)
    means /= n_trials[:, None]
    if kind == "signal":
        return means, len(means)
    return counts - means[place], len(counts) - len(means) + 1 if (n_trials > 1).any() else 0


def _correlate(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r between columns; NaN for columns that do not vary."""
    centred = values - values.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    varies = length > 1e-9 * np.sqrt(len(values)) * np.maximum(np.abs(values).max(axis=0), 1e-9)
    unit_length = np.divide(centred, length, out=np.full_like(centred, np.nan), where=varies)
    correlation = np.clip(unit_length.T @ unit_length, -1, 1)
    known = np.flatnonzero(varies)
    correlation[known, known] = 1.0
    return np.asarray((correlation + correlation.T) / 2, np.float64)

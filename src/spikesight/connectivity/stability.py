"""How far a matrix can be trusted to come out again: from half of the recording, and with another seed."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from sklearn.base import clone

from spikesight.connectivity.spike_trains import PERIOD
from spikesight.errors import SpikesightError
from spikesight.schema import TIME, TRIAL


class Stability(NamedTuple):
    """Pearson correlations of weights over the pairs of units.

    Attributes
    ----------
    split_half
        Between estimates from two interleaved halves of the recording; NaN if a half is too short for an estimate.
    seed_to_seed
        Between estimates of all of it with two seeds; 1 where chance does not enter.
    """

    split_half: float
    seed_to_seed: float


def stability(estimator: Any, counts: xr.DataArray) -> Stability:
    """Estimate again, from each half of the recording and with another seed.

    Parameters
    ----------
    estimator
        A fitted estimator.
    counts
        What it was fitted to.
    """
    alike = clone(estimator).set_params(stimulus=estimator.stimulus_)  # "auto" might decide otherwise for a half
    try:
        first, second = (clone(alike).fit(half) for half in halves(counts))
    except SpikesightError:
        split_half = float("nan")
    else:
        split_half = weight_correlation(first, second)
    other = clone(estimator).set_params(random_state=estimator.random_state + 1)
    again = other.fit(counts) if estimator.random else estimator
    return Stability(split_half, weight_correlation(estimator, again))


def weight_correlation(first: Any, second: Any) -> float:
    """Correlate the weights of two fitted estimators over the pairs of units that both have.

    NaN with fewer than three pairs, or where one is constant.
    """
    a, b = xr.align(first.connectivity_, second.connectivity_, join="inner")
    off = ~np.eye(a.sizes["source_unit"], dtype=bool)
    x, y = a.to_numpy()[off], b.to_numpy()[off]
    if x.size < 3 or not (x.std() > 0 and y.std() > 0):
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def halves(counts: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Cut a recording into halves of alternating trials, or of alternating twentieths of continuous time.

    Trials of each condition alternate, so that both halves have all conditions where they were repeated.
    """
    several = next((dim for dim in (TRIAL, PERIOD) if dim in counts.dims), None)
    if several is not None:
        odd = _alternating(counts, str(several))
        return counts.isel({several: ~odd}), counts.isel({several: odd})
    n_bins = counts.sizes[TIME]
    part = np.minimum(np.arange(n_bins) * 20 // n_bins, 19)
    period = np.asarray(counts[PERIOD]) if PERIOD in counts.coords else np.zeros(n_bins, np.int64)
    pieces = counts.assign_coords({PERIOD: (TIME, period * 20 + part)})
    odd = part % 2 == 1
    return pieces.isel({TIME: ~odd}), pieces.isel({TIME: odd})


def _alternating(counts: xr.DataArray, several: str) -> NDArray[np.bool_]:
    if "target" not in counts.coords or counts["target"].dims != (several,):
        return np.asarray(np.arange(counts.sizes[several]) % 2 == 1, bool)
    repeat = counts["target"].to_series().reset_index(drop=True)
    odd: NDArray[np.bool_] = (repeat.groupby(repeat).cumcount() % 2 == 1).to_numpy(bool)
    return odd

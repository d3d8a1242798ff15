"""How strongly each unit answers to each class."""

from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.errors import ConfigError, NoTrialsError
from spikesight.exploration.areas import areas_of
from spikesight.exploration.seconds import seconds_per_trial
from spikesight.schema import AREA, SPIKE_COUNTS, TARGET, TIME, TRIAL, UNIT


def class_rates(dataset: xr.Dataset) -> xr.DataArray:
    """Average the firing rate of each unit over the trials of each class.

    Parameters
    ----------
    dataset
        Binned trials; all bins of a trial are summed.

    Returns
    -------
    DataArray
        Spikes/s, dims (unit, target), shape (n_units, n_classes), classes sorted; coordinates ``area`` (unit) and
        ``n_trials`` (target). Where the file holds no times, spikes per trial; the attribute ``units`` says which.

    Raises
    ------
    NoTrialsError
        If there is no trial.
    """
    if not dataset.sizes[TRIAL]:
        raise NoTrialsError("expected trials to average over, the dataset has none. Select others.")
    counts = dataset[SPIKE_COUNTS].sum(TIME, dtype=np.int64).transpose(UNIT, TRIAL).to_numpy()
    labels, place = np.unique(dataset[TARGET].to_numpy(), return_inverse=True)
    n_trials = np.bincount(place, minlength=len(labels))
    seconds = seconds_per_trial(dataset)
    weights = np.ones(len(place)) if seconds is None else seconds
    member = np.zeros((len(place), len(labels)))
    member[np.arange(len(place)), place] = 1.0
    rates = (counts @ member) / (weights @ member)
    return xr.DataArray(
        rates,
        {
            UNIT: (UNIT, dataset[UNIT].to_numpy()), TARGET: (TARGET, labels),
            AREA: (UNIT, areas_of(dataset)), "n_trials": (TARGET, n_trials),
        },
        (UNIT, TARGET),
        name="rate",
        attrs={"units": "spikes/trial" if seconds is None else "spikes/s", "long_name": "mean rate"},
    )  # fmt: skip


def response_map(dataset: xr.Dataset, *, scale: Literal["z", "rate"] = "z") -> xr.DataArray:
    """Give the response of each unit to each class, on a scale that makes units comparable.

    Parameters
    ----------
    dataset
        Binned trials.
    scale
        ``"z"``: how many standard deviations of a unit's class means a class lies above their mean; a unit that
        answers to all classes alike is 0 everywhere. ``"rate"``: as `class_rates`.

    Returns
    -------
    DataArray
        Dims (unit, target). Units are sorted by area, and within an area by the class they answer to most, so that a
        diagonal shows how an area covers the classes.

    Raises
    ------
    ConfigError
        If ``scale`` is neither.
    NoTrialsError
        If there is no trial.
    """
    if scale not in ("z", "rate"):
        raise ConfigError(f"expected scale='z' or 'rate', got {scale!r}.")
    rates = class_rates(dataset)
    values = rates.to_numpy()
    order = np.lexsort((values.argmax(axis=1), rates[AREA].to_numpy()))
    sorted_rates = rates.isel({UNIT: order})
    if scale == "rate":
        return sorted_rates
    z = sorted_rates.copy(data=_z_scored(values[order]))
    z.attrs.update(units="s.d. of the class means", long_name="response")
    return z.rename("response")


def _z_scored(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Z-score rows; rows whose values are all alike become 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1, keepdims=True)
    alike = spread <= 1e-9 * np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-9)
    z: NDArray[np.float64] = np.divide(centred, spread, out=np.zeros_like(centred), where=~alike)
    return z

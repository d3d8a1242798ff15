"""What a unit prefers among gratings: the orientation, spatial and temporal frequency that it answers to most."""

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.errors import StimulusNotFoundError, TooFewRepeatsError
from spikesight.schema import SPIKE_COUNTS, TIME, TRIAL, UNIT

Floats = NDArray[np.float64]

PARAMETERS: Final = ("orientation", "spatial_frequency", "temporal_frequency")
_DEFAULT_FREQUENCY: Final = 0.04
"""Cycles per degree of the drifting gratings of the public sessions, whose tables leave it out or hold it constant."""


def preferred_gratings(dataset: xr.Dataset) -> pd.DataFrame:
    """Find the grating that each unit answers to most.

    Parameters
    ----------
    dataset
        Binned trials with ``orientation`` (degrees) and perhaps ``spatial_frequency`` (cycles per degree) and
        ``temporal_frequency`` (Hz) along trial. Blank sweeps are left out. Give training trials only where the answer
        is used to decode others.

    Returns
    -------
    DataFrame
        Index ``unit``: ``preferred_<parameter>``, the value with the largest mean count, averaged over all other
        parameters; and ``selectivity``, the length of the mean response's vector over orientations of half a turn
        (1 - circular variance, `g_osi` of the AllenSDK): 0 for none, 1 if one orientation is answered to.

    Raises
    ------
    StimulusNotFoundError
        If the trials are of no gratings.
    TooFewRepeatsError
        If an orientation was shown less than twice.
    """
    if "orientation" not in dataset.coords:
        shown = dataset.attrs.get("stimulus_name") or "another stimulus"
        raise StimulusNotFoundError(f"expected trials of gratings with an orientation, these are of {shown}.")
    columns = {name: _numbers(dataset, name) for name in PARAMETERS if name in dataset.coords}
    shown_rows = np.isfinite(columns["orientation"])
    counts = dataset[SPIKE_COUNTS].sum(TIME).transpose(TRIAL, UNIT).to_numpy()[shown_rows].astype(float)
    table = pd.DataFrame(index=pd.Index(dataset[UNIT].to_numpy(), name="unit"))
    for name, values in columns.items():
        own = values[shown_rows]
        if not np.isfinite(own).all():
            continue
        options, curve = _tuning_curve(counts, own, name)
        table[f"preferred_{name}"] = options[curve.argmax(0)]
        if name == "orientation":
            turned = np.abs((curve * np.exp(2j * np.deg2rad(options))[:, None]).sum(0))
            total = curve.sum(0)
            table["selectivity"] = np.divide(turned, total, out=np.zeros_like(total), where=total > 0)
    return table


def draw_preferred(preferred: pd.DataFrame, x: Floats, y: Floats) -> Floats:
    """Draw the preferred grating of each unit over the screen, shape (n_units, n_y, n_x), contrast 1.

    Parameters
    ----------
    preferred
        From `preferred_gratings`. Phases are not tuned: gratings are drawn at phase 0.
    x, y
        Degrees of columns and rows.
    """
    angle = np.deg2rad(preferred["preferred_orientation"].to_numpy(float))[:, None, None]
    frequency = np.full(len(preferred), _DEFAULT_FREQUENCY)
    if "preferred_spatial_frequency" in preferred:
        frequency = preferred["preferred_spatial_frequency"].to_numpy(float)
    along = np.cos(angle) * x[None, None, :] + np.sin(angle) * y[None, :, None]
    return np.asarray(np.cos(2 * np.pi * frequency[:, None, None] * along))


def _tuning_curve(counts: Floats, values: Floats, name: str) -> tuple[Floats, Floats]:
    options, code, times = np.unique(values, return_inverse=True, return_counts=True)
    if times.min() < 2:
        raise TooFewRepeatsError(
            f"expected at least two presentations of every {name}, {options[times.argmin()]:g} has {times.min()}."
        )
    sums = np.zeros((len(options), counts.shape[1]))
    np.add.at(sums, code, counts)
    return options, sums / times[:, None]


def _numbers(dataset: xr.Dataset, name: str) -> Floats:
    return pd.to_numeric(pd.Series(dataset[name].to_numpy()), errors="coerce").to_numpy(float)

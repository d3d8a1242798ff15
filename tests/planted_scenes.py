"""Images, and units whose filters are known, made by the simulator's own filters without its noise of the session."""

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.data.dataset import make_dataset
from spikesight.data.simulation.receptive_fields import ReceptiveFields, drive
from spikesight.data.simulation.scenes import natural_scenes, screen

N_UNITS = 24


def planted_fields(seed: int = 0) -> ReceptiveFields:
    """The first half of the units is simple, the other half complex; fields are wide enough for 5 degrees a pixel."""
    rng = np.random.default_rng(seed)
    return ReceptiveFields(
        azimuth=rng.uniform(-30, 30, N_UNITS),
        elevation=rng.uniform(-20, 20, N_UNITS),
        size=np.full(N_UNITS, 10.0),
        orientation=rng.uniform(0, np.pi, N_UNITS),
        spatial_frequency=np.full(N_UNITS, 0.025),
        phase=rng.uniform(0, 2 * np.pi, N_UNITS),
        complexity=np.repeat([0.0, 1.0], N_UNITS // 2),
    )


def planted_scenes(
    n_images: int = 60, n_repeats: int = 4, gain: float = 20.0, seed: int = 0
) -> tuple[xr.Dataset, xr.DataArray]:
    """Trials in random order, one bin each, and the images with their degrees."""
    rng = np.random.default_rng(seed)
    values = natural_scenes(rng, n_images)
    driven = drive(values, planted_fields())
    rates = gain * driven / driven.mean(0)
    order = rng.permutation(np.tile(np.arange(n_images), n_repeats))
    counts = rng.poisson(rates[order]).astype(np.uint16)[:, None, :]
    start = 0.25 * np.arange(len(order))
    frame = pd.Series(order)
    trials = pd.DataFrame(
        {
            **{"start_time": start, "stop_time": start + 0.25, "stimulus_block": 0, "frame": order},
            **{"repeat": frame.groupby(frame).cumcount(), "target": order},
        }
    )
    units = pd.DataFrame({"area": ["VISp"] * N_UNITS}, pd.Index(np.arange(N_UNITS)))
    attrs = {"stimulus_name": "natural_scenes", "session_id": "planted"}
    azimuth, elevation = screen()
    images = xr.DataArray(
        values,
        dims=("frame", "row", "column"),
        coords={"frame": np.arange(n_images), "azimuth": ("column", azimuth), "elevation": ("row", elevation)},
    )
    return make_dataset(counts, np.array([0.0]), trials, units, attrs), images

"""Estimators for tests of the validation: one that takes milliseconds, one that fails."""

from typing import ClassVar

import numpy as np
import xarray as xr
from scipy.stats import norm
from sklearn.base import BaseEstimator

from spikesight.errors import DataError


class LaggedCounts(BaseEstimator):
    """Pairs of spikes 1 to 6 ms apart, as a deviate from what their rates give; remembers what it was fitted to."""

    random = False
    shapes: ClassVar = []

    def __init__(self, scale=1.0, stimulus="none", random_state=0):
        self.scale = scale
        self.stimulus = stimulus
        self.random_state = random_state

    def fit(self, counts):
        self.shapes.append(dict(counts.sizes))
        self.stimulus_ = self.stimulus
        x = counts.transpose(..., "unit").to_numpy().reshape(-1, counts.sizes["unit"]).astype(float)
        pairs = sum(x[:-lag].T @ x[lag:] for lag in range(1, 4))
        expected = 3 * np.outer(x.sum(0), x.mean(0))
        z = self.scale * (pairs - expected) / np.sqrt(np.maximum(expected, 1e-9))
        ids = counts["unit"].to_numpy()

        def labelled(values):
            return xr.DataArray(values, {"source_unit": ids, "target_unit": ids}, ("source_unit", "target_unit"))

        self.connectivity_ = labelled(z)
        self.z_ = labelled(z)
        self.p_values_ = labelled(2 * norm.sf(np.abs(z)))
        self.lag_ = labelled(np.full_like(z, 0.004))
        self.sign_ = labelled(np.sign(z))
        return self


class Failing(BaseEstimator):
    """Refuses all counts."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, counts):
        raise DataError("expected better counts\nthan these.")

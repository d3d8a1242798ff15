"""Small recordings for tests: counts as a DataArray, and units that drive each other at a known lag."""

import numpy as np
import xarray as xr


def recording(counts, bin_size=0.002, periods=None, **coords):
    """Counts (n_bins, n_units) as bin_periods gives them."""
    counts = np.asarray(counts)
    n_bins, n_units = counts.shape
    period = np.zeros(n_bins, int) if periods is None else np.repeat(np.arange(len(periods)), periods)
    time = np.arange(n_bins) * bin_size + 10.0 * period
    return xr.DataArray(
        counts,
        {"time": time, "period": ("time", period), "unit": np.arange(n_units) + 100, **coords},
        ("time", "unit"),
        attrs={"bin_size": bin_size},
    )


def presentations(counts, targets, bin_size=0.002):
    """Counts (n_trials, n_bins, n_units) as bin_spikes gives them."""
    counts, targets = np.asarray(counts), np.asarray(targets)
    n_trials, n_bins, n_units = counts.shape
    start = np.arange(n_trials) * n_bins * bin_size
    return xr.DataArray(
        counts,
        {
            "trial": np.arange(n_trials),
            "time": np.arange(n_bins) * bin_size,
            "unit": np.arange(n_units) + 100,
            "target": ("trial", targets),
            "start_time": ("trial", start),
            "stop_time": ("trial", start + n_bins * bin_size),
        },
        ("trial", "time", "unit"),
        attrs={"bin_size": bin_size},
    )


def independent(n_bins=20_000, n_units=6, mean=0.05, seed=0):
    """Counts of units that have nothing to do with each other."""
    return np.random.default_rng(seed).poisson(mean, (n_bins, n_units)).astype(np.uint8)


def driven(n_bins=20_000, n_units=6, lag=2, weight=0.5, seed=0, source=0, sink=1, mean=0.05):
    """Counts of independent units, but that each spike of ``source`` adds ``weight`` to the mean of ``sink`` later.

    A negative weight takes away that share of the sink's spikes.
    """
    rng = np.random.default_rng(seed)
    counts = rng.poisson(mean, (n_bins, n_units))
    past = np.r_[np.zeros(lag, int), counts[:-lag, source]]
    if weight > 0:
        counts[:, sink] += rng.poisson(weight * past)
    else:
        counts[:, sink] = np.where(past > 0, rng.binomial(counts[:, sink], 1 + weight), counts[:, sink])
    return counts.astype(np.uint8)

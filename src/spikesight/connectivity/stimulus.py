"""The mean response to each condition (PSTH), and what single presentations add to it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from spikesight.connectivity.spike_trains import SpikeTrains

Floats = NDArray[np.float64]
PSTH_WIDTHS: Final = (0.002, 0.004, 0.008, 0.016, 0.032)
"""Standard deviations of Gaussians that may smooth mean responses, s."""
LOWEST_RESPONSE: Final = 0.05
"""Of the mean rate: no smoothed response is below."""


def mean_responses(trains: SpikeTrains) -> NDArray[np.float32]:
    """Return the mean count in each bin of each condition, (n_conditions, n_bins_per_trial, n_units).

    Parameters
    ----------
    trains
        Segments of one length with known conditions.
    """
    if trains.conditions is None:
        raise ValueError("the conditions of these segments are not known")
    length = int(trains.lengths[0])
    order = np.argsort(trains.conditions, kind="stable")
    sizes = np.bincount(trains.conditions)
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    means = np.empty((len(sizes), length, trains.n_units), np.float32)
    for unit, row in enumerate(trains.counts):
        sums = np.add.reduceat(row.reshape(-1, length)[order], begins, axis=0, dtype=np.float64)
        means[:, :, unit] = sums / sizes[:, None]
    return means


def mean_of_conditions(
    values: NDArray[np.float64], conditions: NDArray[np.int64], segments: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return, for every column, the mean over the columns of the same condition and the same place in their trial.

    Parameters
    ----------
    values
        Shape (n_units, n_columns), columns in order of time, as many in every trial.
    conditions, segments
        Condition and trial of each column.
    """
    place = np.arange(values.shape[1]) - np.searchsorted(segments, segments)
    cell = conditions * (place.max() + 1) + place
    n_cells = int(cell.max()) + 1
    sizes = np.maximum(np.bincount(cell, minlength=n_cells), 1)
    return np.stack([(np.bincount(cell, row, minlength=n_cells) / sizes)[cell] for row in values])


def smooth_response(psth: Floats, n_repeats: NDArray[np.int64], bin_size: float) -> Floats:
    """Smooth the mean response of a unit as much as its spikes ask for.

    The time course that all conditions share rests on many trials, and what a condition adds to it on few: each is
    smoothed and shrunk on its own, see `_least_risk`.

    Parameters
    ----------
    psth
        Mean counts, shape (n_conditions, n_bins).
    n_repeats
        Trials of each condition, shape (n_conditions,).
    bin_size
        Seconds.

    Returns
    -------
    numpy.ndarray
        Relative to the mean, above 0, shape (n_conditions, n_bins).
    """
    course = np.average(psth, axis=0, weights=n_repeats)
    mean = course.mean()
    own_noise = (psth / n_repeats[:, None]).mean()  # variance of a mean of Poisson counts
    shared = mean + _least_risk((course - mean)[None], mean / n_repeats.sum(), bin_size)
    response = shared + _least_risk(psth - course, own_noise, bin_size)
    return np.asarray(np.maximum(response, LOWEST_RESPONSE * mean) / mean, np.float64)


def _least_risk(noisy: Floats, noise: float, bin_size: float) -> Floats:
    """Smooth and shrink deviations so that their expected squared error is least.

    The error of an estimate ``s`` of a signal seen as ``x`` is, but for a constant, ``<s s> - 2 <s x>`` plus twice what
    the noise of a bin contributes to ``s`` in the same bin (Stein 1981; for spikes, Shimazaki and Shinomoto 2010).

    Parameters
    ----------
    noisy
        Signal and noise of mean 0, shape (n_conditions, n_bins).
    noise
        Mean variance of the noise of one bin.
    bin_size
        Seconds.
    """
    best, least = np.zeros_like(noisy), 0.0
    for seconds in PSTH_WIDTHS:
        width = seconds / bin_size
        reach = int(4 * width) + 1
        centre = gaussian_filter1d(np.eye(1, 2 * reach + 1, reach)[0], width)[reach]
        smooth = gaussian_filter1d(noisy, width, axis=1)
        power = (smooth**2).mean()
        signal = (smooth * noisy).mean() - centre * noise
        kept = min(1.0, max(0.0, signal / power)) if power > 0 else 0.0
        risk = kept**2 * power - 2 * kept * signal
        if risk < least:
            best, least = kept * smooth, risk
    return best

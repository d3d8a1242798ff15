"""Metrics of single units on natural scenes, as AllenSDK's ``NaturalScenes`` analysis defines them.

The simulator is calibrated by these against the real units' published values, so the definitions are followed to the
letter: preferred scene by mean count, blanks left out, population variance, 1-ms bins.
"""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.session import Session
from spikesight.errors import StimulusNotFoundError
from spikesight.schema import BLANK_FRAME

Floats = NDArray[np.float64]
TRIAL_SECONDS: Final = 0.25
PSTH_SECONDS: Final = 0.001
THRESHOLDS: Final = 1000
RUNNING: Final = 1.0
"""From this speed on a mouse counts as running, cm/s."""
BLOCK_GAP: Final = 2 * TRIAL_SECONDS
"""Presentations further apart than this belong to different blocks."""


def natural_scene_metrics(session: Session) -> pd.DataFrame:
    """Compute the ``*_ns`` metrics of every unit of ``session``.

    Returns
    -------
    Index ``unit_id``, columns (NaN where undefined):

    ``firing_rate_ns``
        Spikes per second over the blocks of natural scenes, Hz.
    ``fano_ns``
        Variance over mean of the counts at the preferred scene.
    ``image_selectivity_ns``
        1 - 2 x the mean part of scenes above a threshold that rises from the weakest to the strongest mean response
        (Quian Quiroga et al. 2007).
    ``lifetime_sparseness_ns``
        Vinje & Gallant (2000), of the summed counts per scene.
    ``time_to_peak_ns``
        Centre of the first fullest 1-ms bin of the histogram at the preferred scene, s.
    ``run_mod_ns``
        (running - still) / the larger of the two mean counts at the preferred scene; needs two trials of each.

    Raises
    ------
    StimulusNotFoundError
        If the session has no natural scenes.
    """
    table = session.stimulus_presentations.get("natural_scenes")
    if table is None:
        shown = ", ".join(session.stimulus_presentations)
        raise StimulusNotFoundError(f"session {session.session_id} has no natural_scenes; it has: {shown}.")
    table = table.sort_values("start_time")
    frame = table["frame"].to_numpy()
    speed = _speeds(session, table)
    rows = [_of_unit(session.spike_times[unit_id], table, frame, speed) for unit_id in session.units.index]
    return pd.DataFrame(rows, index=session.units.index)


def image_selectivity(means: Floats) -> float:
    """Compute the selectivity of mean responses, one per scene."""
    steps = np.arange(THRESHOLDS) / THRESHOLDS
    thresholds = means.min() + steps * (means.max() - means.min())
    above = len(means) - np.searchsorted(np.sort(means), thresholds, side="right")
    return float(1 - 2 * np.mean(above / len(means)))


def lifetime_sparseness(responses: Floats) -> float:
    """Compute the sparseness of responses, one per scene: 0 = all alike, 1 = only one scene; NaN if all are 0."""
    squares = np.sum(responses**2)
    if squares == 0:
        return float("nan")
    share = 1 / len(responses)
    return float((1 - share * np.sum(responses) ** 2 / squares) / (1 - share))


def running_modulation(counts: Floats, speed: Floats) -> float:
    """Compare mean counts while running and while still; NaN without two trials of each, or without spikes."""
    runs = speed >= RUNNING
    if not 1 < runs.sum() < len(runs) - 1:
        return float("nan")
    running, still = counts[runs].mean(), counts[~runs].mean()
    largest = max(running, still)
    return float((running - still) / largest) if largest > 0 else float("nan")


def _of_unit(times: NDArray[np.floating], table: pd.DataFrame, frame: Floats, speed: Floats) -> dict[str, float]:
    start, stop = table["start_time"].to_numpy(), table["stop_time"].to_numpy()
    counts = (np.searchsorted(times, stop) - np.searchsorted(times, start)).astype(np.float64)
    shown, condition = np.unique(frame, return_inverse=True)
    totals, sizes = np.bincount(condition, counts), np.bincount(condition)
    scenes = shown != BLANK_FRAME
    means = np.where(scenes, totals / sizes, -np.inf)
    trials = condition == int(np.argmax(means))
    at_preferred = counts[trials]
    first = np.append(True, np.diff(start) > BLOCK_GAP)
    block_start, block_stop = start[first], stop[np.append(np.flatnonzero(first)[1:] - 1, len(stop) - 1)]
    in_blocks = np.sum(np.searchsorted(times, block_stop) - np.searchsorted(times, block_start))
    mean = at_preferred.mean()
    return {
        "firing_rate_ns": float(in_blocks / np.sum(block_stop - block_start)),
        "fano_ns": float(at_preferred.var() / mean) if mean > 0 else float("nan"),
        "image_selectivity_ns": image_selectivity((totals / sizes)[scenes]),
        "lifetime_sparseness_ns": lifetime_sparseness(totals[scenes]),
        "time_to_peak_ns": _time_to_peak(times, start[trials]),
        "run_mod_ns": running_modulation(at_preferred, speed[trials]),
    }


def _time_to_peak(times: NDArray[np.floating], start: Floats) -> float:
    edges = np.arange(0, TRIAL_SECONDS, PSTH_SECONDS)
    histogram = np.diff(np.searchsorted(times, start[:, None] + edges), axis=1).sum(0)
    peak = int(np.argmax(histogram))
    return float((edges[peak] + edges[peak + 1]) / 2)


def _speeds(session: Session, table: pd.DataFrame) -> Floats:
    """Mean running speed in each presentation, cm/s; NaN without a sample, or without running."""
    if session.running is None:
        return np.full(len(table), np.nan)
    sampled = session.running["start_time"].to_numpy()
    total = np.concatenate([[0.0], np.cumsum(session.running["velocity"].to_numpy())])
    low = np.searchsorted(sampled, table["start_time"].to_numpy())
    high = np.searchsorted(sampled, table["stop_time"].to_numpy())
    inside = np.where(high > low, high - low, 1)
    return np.where(high > low, (total[high] - total[low]) / inside, np.nan)

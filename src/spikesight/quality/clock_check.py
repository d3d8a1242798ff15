"""Whether the population of each probe answers to the stimulus, and after a delay that a brain has.

Presentations follow each other without a pause, so the mean rate around their onsets repeats with them, and a clock
that is off by a multiple of a presentation would not be seen in it. What was shown is in random order and does not
repeat: so the delay is that at which *which* picture it was explains the counts. The rate around the onsets tells
besides whether the probe answers to changes at all.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import gumbel_r

from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import Trials
from spikesight.data.timeline import trial_step
from spikesight.quality.tuning import Floats32, explained, halves, standardised
from spikesight.schema import AREA, BLOCK, SPIKE_COUNTS, START, TARGET

BIN: Final = 0.025
"""Seconds; delays are interpolated between bins."""
LAGS: Final = (-0.75, 1.0)
"""Delays that are looked at, s."""
PLAUSIBLE: Final = (0.0, 0.2)
"""Delays that a visual system has, s. Units of mouse cortex and thalamus answer from some 30 to 100 ms on."""
SHIFTS: Final = 60
FEWEST_SHIFTS: Final = 20
"""Circular shifts of the sequence of pictures against the spikes that make the null."""
LEVEL: Final = 1e-4
"""A delay is believed if its peak would be reached in one of ten thousand shifted sequences, by a Gumbel distribution
fitted to the maxima of the shifts. So a probe that does not answer gets a false delay, and with it a flag, one time in
ten thousand per stimulus that was tried."""
CHANGE_LEVEL: Final = 0.01
JITTERS: Final = 199
RESAMPLES: Final = 200
MOST_UNITS: Final = 60
"""Units of a probe that are looked at: those of visual areas first, of these the most active."""
MOST_TRIALS: Final = 2000
FEWEST_UNITS: Final = 5
FEWEST_TRIALS: Final = 60
FEWEST_VISUAL: Final = 20
TELLING: Final = 3.0
"""A probe is flagged as silent if it has so many units in visual areas, and a peak of a third of the usual one (median
of the probes that do answer to the same stimulus) would have been seen in it."""
SURELY_NONE: Final = 0.01
"""And if a peak as high as its own is not rarer than this in shifted sequences."""

OK: Final = "ok"
SHIFTED: Final = "clock is off: answers at an implausible delay"
SILENT: Final = "does not answer to what was shown, though other probes do"
NOT_TUNED: Final = "answers to changes, not to which picture it was: delay not known"
NO_RESPONSE: Final = "no answer found"
TOO_LITTLE: Final = "too few units or trials to tell"


@dataclass(frozen=True)
class ClockCheck:
    """How one probe answers.

    Attributes
    ----------
    probe, n_units, n_visual
        Name, units that were looked at, and how many of them lie in visual cortex or LGd.
    stimulus, n_trials
        What it was tested with.
    change_p, change_depth
        Mean rate around the onsets: part of jittered onsets that modulate it as much, and (highest - lowest) / mean.
    tuned_p
        Chance that a shifted sequence explains as much at some delay.
    peak, least
        Highest explained variance (share, mean over units), and the lowest peak that would be believed.
    delay, low, high
        Delay at which half of the highest explained variance is reached, s, and its 95 % interval over units
        (bootstrap); NaN where the probe is not tuned.
    status
        One of the words above.
    curve
        Explained variance at each of the delays ``LAGS[0] + BIN / 2, ...``, mean over units.
    """

    probe: str
    n_units: int
    n_visual: int
    stimulus: str
    n_trials: int
    change_p: float = np.nan
    change_depth: float = np.nan
    tuned_p: float = np.nan
    peak: float = np.nan
    least: float = np.nan
    delay: float = np.nan
    low: float = np.nan
    high: float = np.nan
    status: str = TOO_LITTLE
    curve: tuple[float, ...] = field(default=(), repr=False)

    @property
    def is_flagged(self) -> bool:
        """Whether something is wrong."""
        return self.status in (SHIFTED, SILENT)


def probe_units(units: pd.DataFrame, n_spikes: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
    """Choose the ids of the units of each probe that are looked at; probes by name.

    Parameters
    ----------
    units
        Table of a session's units: ``probe`` and ``area``.
    n_spikes
        Spikes of each, (n_units,).
    """
    table = pd.DataFrame({"probe": units["probe"], "visual": _visual(units), "n_spikes": n_spikes}, units.index)
    ranked = table.sort_values(["visual", "n_spikes"], ascending=False, kind="stable")
    chosen = {str(probe): own.index[:MOST_UNITS].to_numpy() for probe, own in ranked.groupby("probe", sort=True)}
    return {probe: ids for probe, ids in chosen.items() if probe}


def check_clock(trials: Trials, probe: str, *, seed: int = 0) -> ClockCheck:
    """Test one probe with one stimulus.

    Parameters
    ----------
    trials
        Trials of a stimulus whose conditions came in random order; the session holds the units of this probe only.
    probe
        Its name.
    seed
        Seed of shifts, jitters and resamples.
    """
    session = trials.session
    table = trials.table.iloc[:: max(1, -(-len(trials.table) // MOST_TRIALS))]
    found = ClockCheck(probe, len(session.units), int(_visual(session.units).sum()), trials.stimulus, len(table))
    if len(session.units) < FEWEST_UNITS or len(table) < FEWEST_TRIALS:
        return found
    counts = bin_spikes(replace(trials, table=table), bin_size=BIN, window=LAGS)[SPIKE_COUNTS].to_numpy()
    rng = np.random.default_rng(seed)
    step = trial_step(trials.table[BLOCK].to_numpy(), trials.table[START].to_numpy())
    change_p, depth = _answer_to_changes(counts, step, rng)
    codes = np.unique(table[TARGET].to_numpy(), return_inverse=True)[1].ravel()
    values = standardised(counts.reshape(len(counts), -1))
    by_unit = _explained_by_lag(values, codes, counts.shape[1:])
    if by_unit is None:
        return found
    curve = by_unit.mean(axis=1)
    peak = float(curve.max())
    null = _peaks_of_shifted(values, codes, counts.shape[1:], step * len(trials.table) / len(table))
    found = replace(found, change_p=change_p, change_depth=depth, peak=peak, curve=tuple(curve.tolist()))
    if null is None:
        return found
    tuned_p = float(null.sf(peak))
    found = replace(found, tuned_p=tuned_p, least=float(null.isf(LEVEL)))
    if not tuned_p <= LEVEL:
        return replace(found, status=NOT_TUNED if change_p <= CHANGE_LEVEL else NO_RESPONSE)
    drawn = rng.integers(0, by_unit.shape[1], (RESAMPLES, by_unit.shape[1]))
    delays = [_half_rise(by_unit[:, units].mean(axis=1)) for units in drawn]
    low, high = (float(bound) for bound in np.quantile(delays, [0.025, 0.975]))
    plausible = low <= PLAUSIBLE[1] and high >= PLAUSIBLE[0]
    return replace(found, delay=_half_rise(curve), low=low, high=high, status=OK if plausible else SHIFTED)


def compare_probes(checks: list[ClockCheck]) -> list[ClockCheck]:
    """Flag probes with many visual units that do not answer while another probe does."""
    peaks: dict[str, list[float]] = {}
    for check in checks:
        if check.status == OK:
            peaks.setdefault(check.stimulus, []).append(check.peak)
    usual = {stimulus: float(np.median(found)) for stimulus, found in peaks.items()}
    return [
        replace(check, status=SILENT) if _is_silent(check, usual.get(check.stimulus, 0.0)) else check
        for check in checks
    ]


def _is_silent(check: ClockCheck, usual: float) -> bool:
    return (
        check.status in (NOT_TUNED, NO_RESPONSE)
        and check.n_visual >= FEWEST_VISUAL
        and check.tuned_p > SURELY_NONE
        and usual >= TELLING * check.least
    )


def _visual(units: pd.DataFrame) -> NDArray[np.bool_]:
    area = units[AREA].astype(str)
    return (area.str.startswith("VIS") | (area == "LGd")).to_numpy(bool)


def _explained_by_lag(values: Floats32, codes: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Explained variance of each bin and unit; None where no two classes have two repeats."""
    even, odd = halves(codes)
    return explained(values, even, odd).reshape(shape) if even.shape[0] >= 2 else None


def _peaks_of_shifted(values: Floats32, codes: NDArray[np.intp], shape: tuple[int, ...], step: float) -> Any:
    """Fit a Gumbel distribution to peaks when the sequence is shifted by more than all lags; None of too few shifts."""
    reach = int(np.ceil((LAGS[1] - LAGS[0] + 1.0) / step)) if step > 0 else 1
    shifts = np.arange(reach, len(codes) - reach)
    if len(shifts) < FEWEST_SHIFTS:
        return None
    shifts = np.unique(np.linspace(shifts[0], shifts[-1], SHIFTS).astype(int))
    curves = [_explained_by_lag(values, np.roll(codes, shift), shape) for shift in shifts]
    peaks = np.array([curve.mean(axis=1).max() for curve in curves if curve is not None])
    scale = max(float(peaks.std(ddof=1)) * np.sqrt(6) / np.pi, np.finfo(float).tiny)
    return gumbel_r(float(peaks.mean()) - np.euler_gamma * scale, scale)


def _half_rise(curve: NDArray[np.float64]) -> float:
    """Delay at which a curve first reaches half of its peak, on the way up to it."""
    peak = int(curve.argmax())
    half = curve[peak] / 2
    below = np.flatnonzero(curve[:peak] < half)
    if not below.size:
        return LAGS[0] + BIN * (peak + 0.5)
    left = int(below[-1])
    part = (half - curve[left]) / (curve[left + 1] - curve[left])
    return float(LAGS[0] + BIN * (left + part + 0.5))


def _answer_to_changes(counts: NDArray[np.integer], step: float, rng: np.random.Generator) -> tuple[float, float]:
    """Compare the modulation of the mean rate from one onset to the next with that around jittered onsets.

    A circular shift of all onsets would leave the modulation as it is, since they come at a steady pace. So each trial
    is turned round by an amount of its own.
    """
    first = round(-LAGS[0] / BIN)
    n_bins = int(np.clip(np.floor(step / BIN + 1e-6), 2, counts.shape[1] - first)) if step > 0 else 2
    rates = counts[:, first : first + n_bins].sum(axis=2, dtype=np.float64)
    mean = rates.mean(axis=0)
    rows, columns = np.arange(len(rates))[:, None], np.arange(n_bins)[None, :]
    turned = [
        rates[rows, (columns + rng.integers(0, n_bins, (len(rates), 1))) % n_bins].mean(axis=0).var()
        for _ in range(JITTERS)
    ]
    p_value = (1 + sum(value >= mean.var() for value in turned)) / (1 + JITTERS)
    return float(p_value), float(np.ptp(mean) / max(mean.mean(), np.finfo(float).tiny))

"""Spike counts in fine bins over a named period of a recording: for what happens within milliseconds."""

import re
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.data.binning import bin_periods, bin_spikes
from spikesight.data.invalid_times import merge
from spikesight.data.presentations import select_trials
from spikesight.data.session import Session
from spikesight.errors import ConfigError, PresentationsError, StimulusNotFoundError, did_you_mean
from spikesight.schema import SPIKE_COUNTS, START, STOP

SPONTANEOUS: Final = "spontaneous"
WHOLE: Final = "all"
SHORTEST: Final = 1.0
"""Seconds that a stretch of continuous time must last to be used."""
_SECONDS: Final = r"[0-9]+(?:\.[0-9]*)?"
_RANGE: Final = re.compile(rf"({_SECONDS}):({_SECONDS})")


def period_counts(session: Session, period: str, bin_size: float) -> xr.DataArray:
    """Count spikes over a period of the recording.

    Parameters
    ----------
    session
        The recording.
    period
        ``"spontaneous"``: the file's stretches without a stimulus; ``"all"``: from the first spike to the last;
        ``"100:1600"``: seconds of the recording, several separated by commas; or the name of a stimulus: its
        presentations become trials, with what was shown as ``target``, so that its mean response can be removed.
    bin_size
        Seconds.

    Returns
    -------
    xarray.DataArray
        Of continuous time as from `bin_periods`: stretches without invalid times, of at least ``SHORTEST`` s. Of a
        stimulus ``spike_counts`` (trial, time, unit) as from `bin_spikes`, over as many whole bins as the shortest
        presentation holds; presentations shorter than 0.9 of the median are left out.

    Raises
    ------
    StimulusNotFoundError
        If there is no such period; names those there are.
    PresentationsError
        If ranges overlap, or nothing is left of the period.
    ConfigError
        If a bin is longer than a presentation, or not positive.
    """
    if period in (WHOLE, SPONTANEOUS) or _RANGE.match(period):
        stretches = _without_invalid(session, _stretches(session, period))
        return bin_periods(session, stretches, bin_size)
    if period not in session.stimulus_presentations:
        known = [SPONTANEOUS, WHOLE, *sorted(set(session.stimulus_presentations) - {SPONTANEOUS})]
        raise StimulusNotFoundError(
            f"session {session.session_id} has no period {period!r}.{did_you_mean(period, known)} It has: "
            f"{', '.join(known)}; or give seconds: 100:1600."
        )
    trials = select_trials(session, period)
    lasting = (trials.table[STOP] - trials.table[START]).to_numpy(np.float64)
    kept = lasting >= 0.9 * np.median(lasting)
    n_bins = int(np.floor(lasting[kept].min() / bin_size * (1 + 1e-9)))
    if n_bins < 1:
        raise ConfigError(
            f"expected bins shorter than a presentation of {period!r} ({lasting[kept].min():.4g} s), got {bin_size} s."
        )
    shorter = replace(trials, table=trials.table[kept])
    counts = bin_spikes(shorter, bin_size=bin_size, window=(0.0, n_bins * bin_size))[SPIKE_COUNTS]
    return counts.assign_attrs(bin_size=bin_size)


def _stretches(session: Session, period: str) -> pd.DataFrame:
    if period == SPONTANEOUS:
        if SPONTANEOUS not in session.stimulus_presentations:
            shown = ", ".join(sorted(session.stimulus_presentations)) or "nothing"
            raise StimulusNotFoundError(
                f"session {session.session_id} has no spontaneous period; it was shown {shown}. Choose one of these, "
                "'all', or seconds: 100:1600."
            )
        return session.stimulus_presentations[SPONTANEOUS][[START, STOP]].sort_values(START)
    times, _ = session.checked_spike_times()
    if not times.size:
        raise PresentationsError(f"session {session.session_id} has no spike.")
    first, last = float(times.min()), float(times.max())
    if period == WHOLE:
        return pd.DataFrame({START: [first], STOP: [last]})
    ranges = [_RANGE.fullmatch(part.strip()) for part in period.split(",")]
    if not all(ranges):
        raise ConfigError(f"expected seconds such as 100:1600 or 0:300,600:900, got {period!r}.")
    bounds = sorted((float(found[1]), float(found[2])) for found in ranges if found)
    for (start, stop), (following, _) in zip(bounds, [*bounds[1:], (np.inf, np.inf)], strict=True):
        if not start < stop <= following:
            raise PresentationsError(
                f"expected ranges of seconds that end after they start and do not overlap, got {period!r}."
            )
    if bounds[-1][1] > last + 1:
        raise PresentationsError(
            f"expected ranges within the recording, whose last spike is at {last:.1f} s; got {period!r}."
        )
    return pd.DataFrame(bounds, columns=[START, STOP])


def _without_invalid(session: Session, stretches: pd.DataFrame) -> pd.DataFrame:
    """Cut invalid times of any kind out of stretches, and drop what is left too short."""
    low, high = merge(*(session.invalid_times[name].to_numpy(np.float64) for name in (START, STOP)))
    pieces: list[tuple[float, float]] = []
    for start, stop in stretches[[START, STOP]].itertuples(index=False):
        inside = (high > start) & (low < stop)
        begins = [start, *high[inside]]
        ends = [*low[inside], stop]
        pieces += [(begin, end) for begin, end in zip(begins, ends, strict=True) if end - begin >= SHORTEST]
    if not pieces:
        raise PresentationsError(
            f"expected stretches of at least {SHORTEST} s without invalid times; none of {len(stretches)} has one. "
            "Choose another period."
        )
    return pd.DataFrame(pieces, columns=[START, STOP])

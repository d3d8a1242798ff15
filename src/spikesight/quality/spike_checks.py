"""The checks that read spikes: clocks of all probes and labels of all stimuli, each unit read once."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import Trials, select_trials
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.errors import NoTrialsError, TargetNotFoundError
from spikesight.quality.clock_check import TOO_LITTLE, ClockCheck, check_clock, compare_probes, probe_units
from spikesight.quality.label_check import FEWEST_TRIALS, LabelCheck, check_labels
from spikesight.schema import UNIT
from spikesight.tracking.progress import Progress, Silent

PREFERRED: Final = ("natural_scenes", "static_gratings", "gabors")
"""Stimuli for the clocks, the most telling first; then the others by their number of presentations."""
MOST_STIMULI: Final = 3
"""Stimuli that a clock is tried with until one of them tells the delay."""
IN_ORDER: Final = ("natural_movie", "spontaneous")
"""Not shown in random order: what was shown cannot be told from when it was."""


class SpikeChecks(NamedTuple):
    """What the checks that read spikes found."""

    clocks: list[ClockCheck]
    labels: list[LabelCheck]


def check_spikes(session: Session, progress: Progress | None = None, *, seed: int = 0) -> SpikeChecks:
    """Check the clock of every probe and the labels of every stimulus that was shown in random order.

    Parameters
    ----------
    session
        The recording, with the units that survive the quality filters.
    progress
        Hears how far it is.
    seed
        Seed of everything random.
    """
    tell = progress if progress is not None else Silent()
    session = replace(session, running=None, pupil=None)
    n_spikes = session.spike_times.select(session.units.index.to_numpy()).sizes()
    chosen = probe_units(session.units, n_spikes)
    if not chosen:  # no probe is named: one population
        chosen = probe_units(session.units.assign(probe="all units"), n_spikes)
    shown = list(_random_stimuli(session))
    n_steps = len(chosen) + len(shown)
    clocks: list[ClockCheck] = []
    counts: dict[str, list[xr.Dataset]] = {trials.stimulus: [] for trials in shown}
    for number, (probe, ids) in enumerate(chosen.items()):
        own = _in_memory(session.select_units(ids))
        for trials in shown:
            counts[trials.stimulus].append(bin_spikes(replace(trials, session=own), n_bins=1))
        clocks.append(_clock(probe, own, shown, seed))
        tell.advance("checking clocks and labels", number + 1, n_steps)
    labels = []
    for number, binned in enumerate(counts.values()):
        if binned:
            labels.append(check_labels(xr.concat(binned, UNIT, combine_attrs="override"), seed=seed))
        tell.advance("checking clocks and labels", len(chosen) + number + 1, n_steps)
    return SpikeChecks(compare_probes(clocks), labels)


def _random_stimuli(session: Session) -> Iterator[Trials]:
    """Trials of each stimulus whose conditions came in random order, those for the clocks first."""
    tables = session.stimulus_presentations
    names = [name for name in tables if not name.startswith(IN_ORDER)]
    places = {name: place for place, name in enumerate(PREFERRED)}
    sizes = {name: len(tables[name]) for name in names}
    for name in sorted(names, key=lambda name: (places.get(name, len(places)), -sizes[name], name)):
        if sizes[name] < FEWEST_TRIALS:
            continue
        try:
            yield select_trials(session, name, probe_invalid="drop-trials")
        except (TargetNotFoundError, NoTrialsError):
            continue  # nothing that could be checked


def _in_memory(session: Session) -> Session:
    """Read the spikes once."""
    times, offsets = session.checked_spike_times()
    ids = session.units.index.to_numpy()
    return replace(session, spike_times=RaggedArray(ids, offsets[:-1], offsets[1:], times))


def _clock(probe: str, session: Session, shown: list[Trials], seed: int) -> ClockCheck:
    """Test a probe with one stimulus after the other until its delay is known; else tell of the first that could be."""
    tried: list[ClockCheck] = []
    for trials in shown[:MOST_STIMULI]:
        found = check_clock(replace(trials, session=session), probe, seed=seed)
        if np.isfinite(found.delay):
            return found
        tried.append(found)
    told = [check for check in tried if check.status != TOO_LITTLE]
    return (told or tried or [ClockCheck(probe, len(session.units), 0, "", 0)])[0]

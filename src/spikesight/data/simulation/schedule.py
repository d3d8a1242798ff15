"""When what is shown: presentation tables in the files' form, and the events that drive the units."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.simulation.presets import Invalid, Preset
from spikesight.data.simulation.stimuli import MOVIE_FRAMES_AN_EVENT, PHASES, Stimulus, stimuli
from spikesight.data.simulation.streams import stream

FIRST_TIME: Final = 10.0
"""Seconds of recording before the first block, and after the last one."""
EVENT_SECONDS: Final = 0.25
"""An event of this length has weight 1."""
DRIFTING_EVENTS: Final = 20
"""Events that a drifting grating is cut into."""


@dataclass(frozen=True)
class Events:
    """Moments at which the input changes, in order of time; arrays of shape (n_events,).

    Attributes
    ----------
    time
        Onset, s.
    input
        Row of the input table: which picture, see ``inputs.py``.
    weight
        Length of the event over 0.25 s.
    """

    time: NDArray[np.float64]
    input: NDArray[np.int64]
    weight: NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """A session's stimuli.

    Attributes
    ----------
    stimuli
        What each stimulus shows, by name.
    presentations
        One table per stimulus and ``spontaneous``, as ``Session.stimulus_presentations`` wants it.
    events
        What drives the units.
    first_input
        Stimulus name -> first row of its inputs in the input table.
    duration
        Length of the recording, s.
    """

    stimuli: dict[str, Stimulus]
    presentations: dict[str, pd.DataFrame]
    events: Events
    first_input: dict[str, int]
    duration: float


def make_schedule(preset: Preset, seed: int) -> Schedule:
    """Lay out the blocks of ``preset`` in time, with conditions in an order drawn under ``seed``."""
    shown = stimuli(preset)
    sequences = {
        name: _blockwise(preset, stimulus, stream(seed, "sequence", stimulus.index)) for name, stimulus in shown.items()
    }
    first_input, n_inputs = {}, 0
    for name, stimulus in shown.items():
        first_input[name] = n_inputs
        n_inputs += n_inputs_of(stimulus)
    tables: dict[str, list[pd.DataFrame]] = {}
    events: list[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]] = []
    clock, number = FIRST_TIME, 0
    for block in preset.schedule:
        if block.stimulus == "spontaneous":
            stop = clock + block.seconds
            table = pd.DataFrame({"start_time": [clock], "stop_time": [stop], "stimulus_name": ["spontaneous"]})
        else:
            stimulus = shown[block.stimulus]
            chosen = next(sequences[block.stimulus])
            table = _table(stimulus, chosen, clock, number)
            events.append(_events(stimulus, chosen, table["start_time"].to_numpy(), first_input[block.stimulus]))
            stop = float(table["stop_time"].iloc[-1]) + stimulus.gap
            number += 1
        tables.setdefault(block.stimulus, []).append(table)
        clock = stop
    presentations = {name: _joined(parts) for name, parts in tables.items()}
    time, which, weight = (np.concatenate(part) for part in zip(*events, strict=True))
    return Schedule(shown, presentations, Events(time, which, weight), first_input, clock + FIRST_TIME)


def invalid_times(
    schedule: Schedule, invalid: tuple[Invalid, ...], probe_ids: dict[str, int], session_id: str
) -> pd.DataFrame:
    """Lay invalid intervals over the presentations they name; tags as in the files: (type, id, label)."""
    rows = []
    for entry in invalid:
        table = schedule.presentations[entry.stimulus]
        start = float(table["start_time"].iloc[entry.first_row])
        stop = float(table["stop_time"].iloc[entry.first_row + entry.rows - 1])
        if entry.label in probe_ids:
            tags = ("EcephysProbe", str(probe_ids[entry.label]), entry.label)
        else:
            tags = ("EcephysSession", session_id, entry.label)
        # Strictly inside: the neighbours share their edges with these presentations, and are valid.
        rows.append({"start_time": start + 0.01, "stop_time": stop - 0.01, "tags": tags})
    table = pd.DataFrame(rows, columns=["start_time", "stop_time", "tags"])
    return table.sort_values("start_time", ignore_index=True)


def n_inputs_of(stimulus: Stimulus) -> int:
    """Count a stimulus' rows in the input table: phases of gratings and stretches of movies have rows of their own."""
    n_conditions = len(stimulus.conditions)
    if stimulus.drifting is not None:
        return n_conditions * PHASES
    return -(-n_conditions // MOVIE_FRAMES_AN_EVENT) if is_movie(stimulus) else n_conditions


def is_movie(stimulus: Stimulus) -> bool:
    """Whether presentations are frames of a movie."""
    return stimulus.name.startswith("natural_movie")


def _blockwise(preset: Preset, stimulus: Stimulus, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    sizes = [block.rows for block in preset.schedule if block.stimulus == stimulus.name]
    if stimulus.ordered:
        return iter([stimulus.sequence(rng, size) for size in sizes])
    return iter(np.split(stimulus.sequence(rng, sum(sizes)), np.cumsum(sizes)[:-1]))


def _table(stimulus: Stimulus, chosen: NDArray[np.int64], start: float, number: int) -> pd.DataFrame:
    onsets = start + np.arange(len(chosen) + 1) * (stimulus.seconds + stimulus.gap)
    # Back to back presentations share an edge exactly.
    stops = onsets[1:] if stimulus.gap == 0 else onsets[:-1] + stimulus.seconds
    own = stimulus.conditions.iloc[chosen].reset_index(drop=True)
    fixed = pd.DataFrame(
        {
            "start_time": onsets[:-1],
            "stop_time": stops,
            "stimulus_name": stimulus.name,
            "stimulus_block": float(number),
            "stimulus_index": float(stimulus.index),
        }
    )
    return pd.concat([fixed, own], axis=1)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True).rename_axis("stimulus_presentation_id")


def _events(
    stimulus: Stimulus, chosen: NDArray[np.int64], onsets: NDArray[np.float64], first: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    if stimulus.drifting is not None:
        step = stimulus.seconds / DRIFTING_EVENTS
        later = np.arange(DRIFTING_EVENTS) * step
        cycles = stimulus.drifting[chosen][:, None] * later[None, :]
        phases = np.floor(cycles * PHASES + 0.5).astype(np.int64) % PHASES
        time = (onsets[:, None] + later[None, :]).ravel()
        which = (first + chosen[:, None] * PHASES + phases).ravel()
        return time, which, np.full(len(time), step / EVENT_SECONDS)
    if is_movie(stimulus):
        # A frame lasts 33 ms. Neighbours look alike, unless shuffled: one event for a few keeps their number low.
        together = MOVIE_FRAMES_AN_EVENT if stimulus.ordered else 1
        heads = slice(None, None, together)
        lengths = np.minimum(together, len(chosen) - np.arange(len(chosen))[heads])
        weight = lengths * stimulus.seconds / EVENT_SECONDS
        return onsets[heads], first + chosen[heads] // MOVIE_FRAMES_AN_EVENT, weight
    return onsets, first + chosen, np.full(len(chosen), stimulus.seconds / EVENT_SECONDS)

"""Everything that is read of a file, each part by itself: an error in one does not spare the others."""

import contextlib
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from spikesight.data.binning import bin_spikes
from spikesight.data.counts import read_counts
from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.data.session import Session
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import SpikesightError

LONGEST_MESSAGE = 4000
"""Characters; a message is one for people, also where a name in the file is a megabyte long."""


class TooLongMessageError(Exception):
    """An error of ours that nobody can read."""


def read(path: Path) -> list[str]:
    """Read all of a file, and give the names of the errors of ours, first one first; none if it is sound.

    Options are drawn by the file's own bytes, so that the same file is always read in the same way.
    """
    errors: list[str] = []
    draw = random.Random(zlib.crc32(path.read_bytes()))

    @contextlib.contextmanager
    def part() -> Iterator[None]:
        try:
            yield
        except SpikesightError as error:
            if len(str(error)) > LONGEST_MESSAGE:
                raise TooLongMessageError(f"{type(error).__name__} of {len(str(error))} characters") from error
            errors.append(type(error).__name__)

    _read_session(path, part, draw) if path.suffix == ".nwb" else _read_counts(path, part, draw)
    return errors


Part = Callable[[], contextlib.AbstractContextManager[None]]


def _read_session(path: Path, part: Part, draw: random.Random) -> None:
    filters = draw.choice([None, None, None, UnitFilters()])
    session: Session | None = None
    with part():
        session = read_session(path, filters=filters)
    if session is None:
        return
    with part():
        session.checked_spike_times()
    for values in (session.spike_times, session.spike_amplitudes, session.mean_waveforms):
        for unit_id in list(values or ())[:4]:
            with part():
                values[unit_id]
    shown = list(session.stimulus_presentations)
    for name in shown:
        with part():
            columns = list(session.stimulus_presentations[name])
            if draw.random() * len(shown) > 2:  # two of the stimuli become trials
                continue
            targets = ["start_time"] if name == "spontaneous" else [None, None, draw.choice(columns)]
            trials = select_trials(session, name, draw.choice(targets), blanks=draw.choice(["keep", "drop"]))
            bins = draw.choice([{"n_bins": 2}, {"bin_size": 0.05, "window": (-0.05, 0.2)}])
            bin_spikes(trials, **bins)


def _read_counts(path: Path, part: Part, draw: random.Random) -> None:
    choices = ({}, {}, {"areas": ["VISp"]}, {"quality": True}, {"target": "position"}, {"target": "y"})
    with part():
        read_counts(path, **draw.choice(choices))

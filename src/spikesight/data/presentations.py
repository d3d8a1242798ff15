"""From the presentations of one stimulus to trials: targets, blocks, repeats, and what had to be left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from spikesight.data.session import Session


@dataclass(frozen=True, eq=False)
class Trials:
    """The presentations of one stimulus that can be trusted, ready to be binned.

    Attributes
    ----------
    table
        One row per trial, sorted by ``start_time``, index ``stimulus_presentation_id``. Columns: ``start_time``,
        ``stop_time`` (s), ``stimulus_block`` (int), ``repeat`` (int, running number of the condition from 0),
        ``target`` (the label to decode: a number or a str), then the stimulus' own columns.
    session
        The session with the units that survive.
    stimulus
        Name of the stimulus.
    target
        Column, or columns, that ``table["target"]`` was made of.
    blanks
        ``"kept"`` (blanks are a class of their own), ``"dropped"``, or ``"none"`` (the stimulus has none).
    dropped
        Trials left out, by reason.
    dropped_units
        Units left out because their probe has invalid times during the stimulus, by probe.
    """

    table: pd.DataFrame
    session: Session
    stimulus: str
    target: str | tuple[str, ...]
    blanks: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    dropped_units: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

"""When presentations came: durations, pauses, blocks, and how many there are of each condition."""

from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight.data.movies import SEGMENT
from spikesight.data.presentations import find_blanks, number_blocks
from spikesight.data.stimuli import columns_of
from spikesight.data.targets import label_columns
from spikesight.schema import START, STOP

JITTER: Final = 0.001
"""Seconds by which presentations may overlap: onsets vary by as much around what the screen was asked for."""
UNEVEN: Final = 0.1
"""Part of the median duration by which a presentation may differ from it."""

DESIGN: Final = {
    "natural_scenes": 118 * 50 + 50,
    "static_gratings": 6000,
    "drifting_gratings": 628,
    "flashes": 150,
    "gabors": 81 * 3 * 15,
    "natural_movie_one": 900 * 20,
    "natural_movie_three": 3600 * 10,
}
"""Presentations in a whole session of the type ``DESIGN_TYPE``; of movies, frames. As in the published files."""
DESIGN_TYPE: Final = "brain_observatory_1.1"


def stimulus_timing(name: str, table: pd.DataFrame, session_type: str | None) -> dict[str, Any]:
    """Describe when the presentations of one stimulus came.

    Parameters
    ----------
    name
        Of the stimulus.
    table
        Its presentations.
    session_type
        As in the file; tells how many presentations there should be.

    Returns
    -------
    dict
        ``n_expected`` (None where the design is not known); ``duration``, ``shortest``, ``longest`` (s; median, least,
        most); ``n_uneven``, presentations whose duration is off the median by more than a tenth; ``gap``,
        ``longest_gap`` (s, from a stop to the next start within a block, median and most; None of fewer than two);
        ``n_overlapping``, presentations that start before the one before has stopped; ``n_blocks``; ``n_conditions``,
        ``fewest_repeats``, ``most_repeats`` (None where it is not known what tells conditions apart) and ``n_blanks``.
    """
    table = table.sort_values(START, kind="stable")
    start, stop = (table[column].to_numpy(np.float64) for column in (START, STOP))
    lasting = stop - start
    median = float(np.median(lasting)) if lasting.size else None
    uneven = 0 if median is None else int((abs(lasting - median) > UNEVEN * median).sum())
    block = number_blocks(table)
    gaps = (start[1:] - stop[:-1])[block[1:] == block[:-1]]
    return {
        "n_expected": DESIGN.get(name) if session_type == DESIGN_TYPE else None,
        "duration": median,
        "shortest": float(lasting.min()) if lasting.size else None,
        "longest": float(lasting.max()) if lasting.size else None,
        "n_uneven": uneven,
        "gap": float(np.median(gaps)) if gaps.size else None,
        "longest_gap": float(gaps.max()) if gaps.size else None,
        "n_overlapping": int((start[1:] < stop[:-1] - JITTER).sum()),
        "n_blocks": len(np.unique(block)),
        **_conditions(name, table),
    }


def timing_flags(name: str, timing: dict[str, Any]) -> list[str]:
    """Say what is impossible about the times of a stimulus."""
    flags = []
    if timing["n_overlapping"]:
        flags.append(f"{name}: {timing['n_overlapping']} presentations start before the one before has stopped")
    if timing["shortest"] is not None and not timing["shortest"] > 0:
        flags.append(f"{name}: there are presentations that do not last")
    return flags


def _conditions(name: str, table: pd.DataFrame) -> dict[str, Any]:
    """Count conditions, blanks apart."""
    unknown = {"n_conditions": None, "fewest_repeats": None, "most_repeats": None, "n_blanks": 0}
    # The rows of a movie are its frames; seconds are made of them only to be decoded.
    columns = tuple("frame" if column == SEGMENT else column for column in columns_of(name, None, table.columns))
    if not columns or not set(columns) <= set(table.columns) or table.empty:
        return unknown
    blank = find_blanks(table, columns)
    repeats = np.unique(label_columns(table[~blank], columns), return_counts=True)[1]
    if not repeats.size:
        return {**unknown, "n_blanks": int(blank.sum())}
    return {
        "n_conditions": len(repeats),
        "fewest_repeats": int(repeats.min()),
        "most_repeats": int(repeats.max()),
        "n_blanks": int(blank.sum()),
    }

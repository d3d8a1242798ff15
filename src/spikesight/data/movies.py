"""Seconds of a movie as trials: the files have one row a frame, and a frame lasts 33 ms, less than a response."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.schema import BLANK_FRAME, START, STOP

SEGMENT: Final = "segment"
"""Number of a second of the movie, from 0: its frames are ``30 * segment`` to ``30 * segment + 29``."""
FRAMES_A_SEGMENT: Final = 30
INCOMPLETE: Final = "frames of an incomplete segment"
"""Reason of frames that make no whole second, in ``Trials.dropped``."""
FRAME_WINDOW: Final = (0.03, 0.13)
"""Where single frames are counted unless asked otherwise, s from their start: a frame is over before cortex answers."""
SHORTEST_TRIAL: Final = 0.1
"""Trials of a movie that last less (s) are frames."""
LONGEST_PAUSE: Final = 0.5
"""Longest pause between the frames of a segment, in frames: more means that one is missing."""


def is_movie(stimulus: str, table: pd.DataFrame) -> bool:
    """Tell if presentations are frames of a movie."""
    return stimulus.startswith("natural_movie") and "frame" in table and pd.api.types.is_numeric_dtype(table["frame"])


def window_of(stimulus: str, table: pd.DataFrame) -> tuple[float, float] | None:
    """Return the window for trials that are single frames of a movie; None where a presentation's own time will do."""
    if not is_movie(stimulus, table) or table.empty:
        return None
    return FRAME_WINDOW if float(np.median(table[STOP] - table[START])) < SHORTEST_TRIAL else None


def cut_segments(table: pd.DataFrame, block: NDArray[np.int64]) -> tuple[pd.DataFrame, int]:
    """Make trials of the frames of a movie.

    Where frames follow each other in order, 30 of them, from one whose number is a multiple of 30 to the next, become
    one trial of a second. Where they are shuffled, each stays a trial of its own, and ``segment`` says which second of
    the movie it is from.

    Parameters
    ----------
    table
        One row per frame in the order of time: ``start_time``, ``stop_time`` (s), ``frame``.
    block
        Block of each row; no segment reaches over two.

    Returns
    -------
    table
        One row per trial with the columns and index of its first frame, ``stop_time`` of its last, and ``segment``.
    n_left_out
        Frames that are in no whole segment.
    """
    frame = table["frame"].to_numpy(np.float64, na_value=np.nan)
    segment = np.floor(np.where(frame == BLANK_FRAME, np.nan, frame) / FRAMES_A_SEGMENT)
    table = table.assign(**{SEGMENT: segment})
    if not _is_ordered(frame, block):
        return table, 0
    start, stop = table[START].to_numpy(np.float64), table[STOP].to_numpy(np.float64)
    pause = start[1:] - stop[:-1]
    joined = (np.diff(frame) == 1) & (np.diff(block) == 0) & (pause <= LONGEST_PAUSE * np.median(stop - start))
    new = np.concatenate([[True], ~joined | (frame[1:] % FRAMES_A_SEGMENT == 0)])
    first = np.flatnonzero(new)
    length = np.diff(np.append(first, len(frame)))
    whole = first[(length == FRAMES_A_SEGMENT) & (frame[first] % FRAMES_A_SEGMENT == 0)]
    trials = table.iloc[whole].assign(**{STOP: stop[whole + FRAMES_A_SEGMENT - 1]})
    return trials, len(frame) - FRAMES_A_SEGMENT * len(whole)


def _is_ordered(frame: NDArray[np.float64], block: NDArray[np.int64]) -> bool:
    """Tell if most frames are followed by the next one; shuffled ones hardly ever are."""
    within = np.diff(block) == 0
    return bool(within.any() and (np.diff(frame)[within] == 1).mean() > 0.5)

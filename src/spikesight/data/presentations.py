"""From the presentations of one stimulus to trials: targets, blocks, repeats, and what had to be left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.invalid_times import find_invalid
from spikesight.data.movies import INCOMPLETE, SEGMENT, cut_segments, is_movie, window_of
from spikesight.data.session import Session
from spikesight.data.stimuli import columns_of, targets_of
from spikesight.data.targets import is_missing, label_columns
from spikesight.errors import (
    ConfigError,
    NoTrialsError,
    NoUnitsError,
    PresentationsError,
    StimulusNotFoundError,
    TargetNotFoundError,
    did_you_mean,
)
from spikesight.schema import BLANK_FRAME, BLOCK, REPEAT, START, STOP, TARGET

BLOCK_PAUSE: Final = 10.0
BLOCK_PAUSES: Final = 5.0
"""Where the file numbers no blocks, a pause begins one if it lasts over 10 s and over 5 times the median pause."""

INVALID: Final = "invalid_times: "
"""Begins the reason of a trial that overlaps an invalid time; the tag follows."""


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
        Trials left out, by reason (``"invalid_times: stimulus"``, ``"blank"`` ...); each counts once.
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

    @property
    def window(self) -> tuple[float, float] | None:
        """Where to count unless asked otherwise, s from ``start_time``; None: over each presentation."""
        return window_of(self.stimulus, self.table)


def select_trials(
    session: Session,
    stimulus: str,
    target: str | tuple[str, ...] | None = None,
    *,
    blanks: Literal["keep", "drop"] = "keep",
    probe_invalid: Literal["drop-units", "drop-trials"] = "drop-units",
) -> Trials:
    """Select the presentations of a stimulus that can be decoded.

    A presentation is left out if it overlaps (half-open: touching is not overlapping) an invalid time tagged
    ``stimulus`` or ``all_probes``, or one without a tag. An invalid time of one probe costs that probe's units if it
    overlaps a presentation that is left, or else those presentations.

    A blank is a presentation with frame -1, or with nothing in a column of the target. Its label is -1; where the
    target has negative values or is text, "blank".

    Parameters
    ----------
    session
        The session.
    stimulus
        Name of one of ``session.stimulus_presentations``.
    target
        Column to decode, or several: each combination is a class then, labelled "x_position=10, y_position=-20".
        Columns of text that hold numbers ("0.04", "[250.0, 250.0]") become numbers. Names such as "direction",
        "position", "polarity" or "all" stand for columns, see :data:`spikesight.data.stimuli.TARGETS`, whose first
        name is the default. ``"segment"`` joins 30 frames of a movie to a trial of a second, see
        :func:`spikesight.data.movies.cut_segments`.
    blanks
        Keep them as a class of their own, or drop them.
    probe_invalid
        What an invalid time of one probe costs.

    Returns
    -------
    Trials
        Blocks are the file's ``stimulus_block``; a presentation without one is in the block of the one before it.
        Where the file numbers no blocks, a long pause begins one (see ``BLOCK_PAUSE``).

    Raises
    ------
    StimulusNotFoundError
        If the session was never shown the stimulus; names those that it has.
    TargetNotFoundError
        If the stimulus has no such column, or none is given and there is no default; names the columns.
    PresentationsError
        If times are missing, NaN, or before 0, a presentation does not last, or all are after the last spike.
    NoTrialsError, NoUnitsError
        If nothing is left; says what removed how many.
    ConfigError
        If an option is none of those above.
    """
    _check_options(blanks, probe_invalid)
    table = _find_presentations(session, stimulus)
    columns = _find_target(table, stimulus, target)
    _check_times(table, stimulus)
    table = table.sort_values(START, kind="stable")
    table, n_incomplete = _cut(table, stimulus, columns)
    start, stop = table[START].to_numpy(np.float64), table[STOP].to_numpy(np.float64)
    probes = set(session.units["probe"]) - {""}
    invalid = find_invalid(session.invalid_times, start, stop, probes)
    blank = find_blanks(table, columns)
    block, label = number_blocks(table), label_columns(table, columns)

    by_probe = invalid.by_probe if probe_invalid == "drop-trials" else {}
    reasons = {f"{INVALID}{tag}": rows for tag, rows in {**invalid.everywhere, **by_probe}.items()}
    if blanks == "drop":
        reasons["blank"] = blank
    kept, dropped = _drop(reasons, len(table))
    if not kept.any():
        raise NoTrialsError(
            f"expected trials of {stimulus!r}; none of {len(table)} presentations is left. Dropped: {dropped}."
        )
    left, dropped_units = _drop_units(session, {p: rows for p, rows in invalid.by_probe.items() if (rows & kept).any()})
    _check_overlap(left, float(start[kept].min()), stimulus)
    return Trials(
        table=_assemble(table, label, block).loc[kept].pipe(_number_repeats),
        session=left,
        stimulus=stimulus,
        target=columns[0] if len(columns) == 1 else columns,
        blanks="none" if not blank.any() else "kept" if blanks == "keep" else "dropped",
        dropped={INCOMPLETE: n_incomplete, **dropped} if n_incomplete else dropped,
        dropped_units=dropped_units,
    )


def _check_options(blanks: str, probe_invalid: str) -> None:
    if blanks not in {"keep", "drop"}:
        raise ConfigError(f"expected blanks='keep' or 'drop', got {blanks!r}.")
    if probe_invalid not in {"drop-units", "drop-trials"}:
        raise ConfigError(f"expected probe_invalid='drop-units' or 'drop-trials', got {probe_invalid!r}.")


def _find_presentations(session: Session, stimulus: str) -> pd.DataFrame:
    if stimulus not in session.stimulus_presentations:
        known = sorted(session.stimulus_presentations)
        kind = f" ({session.session_type})" if session.session_type else ""
        raise StimulusNotFoundError(
            f"session {session.session_id}{kind} has no stimulus {stimulus!r}.{did_you_mean(stimulus, known)} "
            f"It has: {', '.join(known) or 'none'}."
        )
    return session.stimulus_presentations[stimulus]


def _find_target(table: pd.DataFrame, stimulus: str, target: str | tuple[str, ...] | None) -> tuple[str, ...]:
    own = [str(name) for name in table.columns if name not in {START, STOP}]
    derived = [SEGMENT] if is_movie(stimulus, table) else []
    columns = columns_of(stimulus, target, own)
    missing = [name for name in columns if name not in [*table.columns, *derived]]
    if missing or not columns:
        came = f"no column {', '.join(map(repr, missing))}" if missing else "no default target"
        named = [name for name in targets_of(stimulus) if name not in own]
        raise TargetNotFoundError(
            f"stimulus {stimulus!r} has {came}.{did_you_mean(missing[0], [*named, *own]) if missing else ''} "
            f"Choose among its columns: {', '.join(own)}{'; or ' if named else ''}{', '.join(named)}."
        )
    return columns


def _cut(table: pd.DataFrame, stimulus: str, columns: tuple[str, ...]) -> tuple[pd.DataFrame, int]:
    """Make seconds of a movie of its frames where these are asked for; count the frames that are left over."""
    if SEGMENT not in columns or SEGMENT in table.columns:
        return table, 0
    trials, n_incomplete = cut_segments(table, number_blocks(table))
    if trials.empty:
        raise NoTrialsError(
            f"expected whole seconds of {stimulus!r}, 30 frames in order from one that is a multiple of 30; none of "
            f"{len(table)} frames is in one. Decode single frames: target 'frame'."
        )
    return trials, n_incomplete


def _check_times(table: pd.DataFrame, stimulus: str) -> None:
    missing = [name for name in (START, STOP) if name not in table.columns]
    if missing:
        raise PresentationsError(f"expected columns {START} and {STOP} in {stimulus!r}; {missing} are missing.")
    if table.index.has_duplicates:
        repeated = table.index[table.index.duplicated()].unique().tolist()
        raise PresentationsError(f"expected unique presentation ids in {stimulus!r}; repeated: {repeated[:10]}.")
    start, stop = table[START].to_numpy(np.float64), table[STOP].to_numpy(np.float64)
    problems = {
        "have a start or stop time that is NaN or infinite": ~(np.isfinite(start) & np.isfinite(stop)),
        "do not last (their stop_time is not after their start_time)": stop <= start,
        "start before the recording (before 0 s)": start < 0,
    }
    for problem, rows in problems.items():
        if rows.any():
            at = np.flatnonzero(rows)
            first = f"row {at[0]} runs from {start[at[0]]} to {stop[at[0]]} s"
            raise PresentationsError(
                f"{at.size} of {len(table)} presentations of {stimulus!r} {problem}: rows {at[:10].tolist()}"
                f"{' ...' if at.size > 10 else ''}; {first}. Correct the file's interval table."
            )


def _check_overlap(session: Session, first_start: float, stimulus: str) -> None:
    """Refuse presentations that are all after the last spike. The busiest unit nearly always settles it."""
    sizes = session.spike_times.select(session.units.index.to_numpy()).sizes()
    last = -np.inf
    for row in np.argsort(-sizes, kind="stable"):
        times = session.spike_times[int(session.units.index[row])]
        last = max(last, float(times[-1])) if times.size else last
        if not last < first_start:
            return
    came = f"the last spike of {len(session.units)} units is at {last:.3f} s" if np.isfinite(last) else "no unit spikes"
    raise PresentationsError(
        f"expected presentations of {stimulus!r} during the recording; all start at or after {first_start:.3f} s, "
        f"{came}. Check that both are on the same clock."
    )


def find_blanks(table: pd.DataFrame, columns: tuple[str, ...]) -> NDArray[np.bool_]:
    """Find the presentations of nothing: frame -1, or no value of the target."""
    blank = np.zeros(len(table), bool)
    for name in columns:
        blank |= is_missing(table[name])
    if "frame" in table and pd.api.types.is_numeric_dtype(table["frame"]):
        blank |= (table["frame"] == BLANK_FRAME).to_numpy(bool)
    return blank


def number_blocks(table: pd.DataFrame) -> NDArray[np.int64]:
    """Give each row of a table sorted by time the number of its block."""
    if BLOCK in table:
        block = pd.to_numeric(table[BLOCK], errors="coerce").astype(np.float64).ffill().bfill().to_numpy()
        if (abs(block) < 2.0**53).all() and (block == np.floor(block)).all():  # NaN and infinity are no numbers
            return block.astype(np.int64)
    start, stop = table[START].to_numpy(np.float64), table[STOP].to_numpy(np.float64)
    pauses = start[1:] - stop[:-1]
    if not pauses.size:
        return np.zeros(len(table), np.int64)
    return np.concatenate([[0], np.cumsum(pauses > max(BLOCK_PAUSE, BLOCK_PAUSES * float(np.median(pauses))))])


def _drop(reasons: Mapping[str, NDArray[np.bool_]], n_rows: int) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Rows that no reason drops, and the number that each reason drops of those that the ones before it left."""
    kept = np.ones(n_rows, bool)
    dropped = {}
    for reason, rows in reasons.items():
        if (rows & kept).any():
            dropped[reason] = int((rows & kept).sum())
        kept &= ~rows
    return kept, dropped


def _drop_units(session: Session, by_probe: Mapping[str, NDArray[np.bool_]]) -> tuple[Session, dict[str, int]]:
    """Leave out the units of these probes."""
    if not by_probe:
        return session, {}
    probe = session.units["probe"]
    kept = ~probe.isin(list(by_probe))
    if not kept.any():
        raise NoUnitsError(
            f"all {len(session.units)} units are on probes with invalid times during the stimulus: {sorted(by_probe)}. "
            "Drop those trials instead: probe_invalid='drop-trials'."
        )
    counts = {name: int((probe == name).sum()) for name in by_probe}
    return session.select_units(session.units.index[kept].to_numpy()), counts


def _assemble(table: pd.DataFrame, label: NDArray[np.generic], block: NDArray[np.int64]) -> pd.DataFrame:
    """Put together a trial's columns; the stimulus' own of the same name become ``stimulus_<name>``."""
    own = table.drop(columns=[START, STOP, BLOCK], errors="ignore")
    own = own.rename(columns={name: f"stimulus_{name}" for name in (TARGET, REPEAT)})
    head = pd.DataFrame({START: table[START], STOP: table[STOP], BLOCK: block, REPEAT: 0, TARGET: label}, table.index)
    return pd.concat([head, own], axis=1)


def _number_repeats(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{REPEAT: table.groupby(TARGET, sort=False).cumcount().astype(np.int64)})

"""What the arrays of an ``.npz`` file of counts mean: those of the gabor files, or a lab's own ``X, y, groups``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.npz_file import read_npz
from spikesight.errors import FileFormatError, NoTrialsError, NoUnitsError, PresentationsError, UnitIdsError
from spikesight.schema import AREA, BLOCK, START, STOP, TIME

QUALITY: Final = "published_like_qc"
"""Array, and coordinate along ``unit``: whether a unit passes the quality criteria of its publication."""

_UNIT_IDS: Final = "unit_ids"
_UNIT_ARRAYS: Final = {"structure": AREA, AREA: AREA, QUALITY: QUALITY}
_TRIAL_ID: Final = "stimulus_presentation_id"
_GROUPS: Final = "groups"
_OUTSIDE_TRIALS: Final = {"counts", "X", _UNIT_IDS, _GROUPS, TIME, *_UNIT_ARRAYS}
_LAYOUTS: Final = (
    "either counts (units, trials) with unit_ids and columns along trials, or X (trials, units) or (trials, bins, "
    "units) with y (trials,) and, if known, groups, unit_ids, area, start_time, stop_time"
)
_KINDS: Final = "biufSUMm"
_DTYPES: Final = (np.uint8, np.uint16, np.uint32)


class BinnedTrials(NamedTuple):
    """Counts with all that a file says of them, before a label is chosen.

    Attributes
    ----------
    counts
        Shape (n_trials, n_bins, n_units).
    time
        Beginning of each bin, seconds from the start of the trial (numbers of bins, where the file does not say).
    trials
        One row per trial: ``start_time``, ``stop_time`` (NaN where unknown), ``stimulus_block``, and the file's own.
    units
        One row per unit.
    default_target
        Columns of ``trials`` that are decoded unless asked otherwise.
    stimulus
        Name of the stimulus, or "".
    """

    counts: NDArray[np.unsignedinteger]
    time: NDArray[np.float64]
    trials: pd.DataFrame
    units: pd.DataFrame
    default_target: tuple[str, ...]
    stimulus: str


def read_counts_npz(path: Path) -> BinnedTrials:
    """Read the counts in an ``.npz`` file, trials in time order.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds objects, or its arrays are not those of a known layout.
    NoTrialsError, NoUnitsError
        If it holds none.
    UnitIdsError
        If unit ids are not whole numbers, or occur more than once.
    PresentationsError
        If only some start times are known.
    """
    arrays = read_npz(path)
    default_target: tuple[str, ...]
    if "X" in arrays and "y" in arrays:
        counts = _as_counts(arrays["X"], "X", path)
        if counts.ndim not in (2, 3):
            raise FileFormatError(f"{path}: expected X (trials, units) or (trials, bins, units), got {counts.shape}.")
        counts = counts[:, None, :] if counts.ndim == 2 else counts
        default_target, stimulus = ("y",), ""
    elif "counts" in arrays and _UNIT_IDS in arrays:
        counts = _as_counts(arrays["counts"], "counts", path)
        if counts.ndim != 2:
            raise FileFormatError(f"{path}: expected counts (units, trials), got the shape {counts.shape}.")
        counts = counts.T[:, None, :]
        default_target, stimulus = ("x_position", "y_position"), "gabors" if "x_position" in arrays else ""
    else:
        raise FileFormatError(f"{path}: expected {_LAYOUTS}; the file has {sorted(arrays)}.")
    n_trials, n_bins, n_units = counts.shape
    if n_trials == 0 or n_bins == 0:
        raise NoTrialsError(f"{path}: expected trials of at least one bin, got counts of shape {counts.shape}.")
    if n_units == 0:
        raise NoUnitsError(f"{path}: expected units, got counts of shape {counts.shape}.")
    trials = _trials(arrays, n_trials, path)
    units = _units(arrays, n_units, path)
    time = _numbers(_along(arrays[TIME], n_bins, TIME, path), TIME, path) if TIME in arrays else np.arange(n_bins)
    started = trials[START].to_numpy(np.float64)
    if np.isnan(started).any() and not np.isnan(started).all():
        rows = np.flatnonzero(np.isnan(started))
        raise PresentationsError(f"{path}: expected a start_time for every trial; NaN in rows {rows[:10].tolist()}.")
    order = np.argsort(started, kind="stable")
    if (np.diff(order) < 0).any():
        counts, trials = counts[order], trials.iloc[order]
    return BinnedTrials(counts, time.astype(np.float64), trials, units, default_target, stimulus)


def session_id_of(path: Path) -> str:
    """Take the id from a name such as ``session_715093703.npz``, else the whole name without its ending."""
    named = re.fullmatch(r"session_(.+)", path.stem)
    return named[1] if named else path.stem


def _as_counts(values: NDArray[Any], name: str, path: Path) -> NDArray[np.unsignedinteger]:
    """Check counts, and keep them in the smallest dtype that holds them."""
    if values.dtype.kind not in "buif":
        raise FileFormatError(f"{path}: expected spike counts in {name}, got values of type {values.dtype}.")
    if values.size == 0:
        return values.astype(np.uint8)
    if values.dtype == np.float16:
        values = values.astype(np.float64)  # half precision knows no number as large as the limits below
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
        raise FileFormatError(
            f"{path}: expected spike counts in {name}, got fractions, NaN or infinity. Give the counts themselves, "
            "not rates or z-scores; scaling belongs into the folds."
        )
    low, high = values.min(), values.max()
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise FileFormatError(f"{path}: expected spike counts in {name}, got values from {low} to {high}.")
    return values.astype(next(dtype for dtype in _DTYPES if high <= np.iinfo(dtype).max), copy=False)


def _trials(arrays: Mapping[str, NDArray[Any]], n_trials: int, path: Path) -> pd.DataFrame:
    """One row per trial: every array along trials is a column."""
    table = {
        name: _along(values, n_trials, name, path)
        for name, values in arrays.items()
        if name not in _OUTSIDE_TRIALS and (name in ("y", START, STOP, _TRIAL_ID, BLOCK) or values.shape == (n_trials,))
    }
    index = table.pop(_TRIAL_ID, np.arange(n_trials))
    if index.dtype.kind == "f":
        index = index.astype(np.float64)  # pandas has no index of half precision
    block = arrays.get(_GROUPS, table.pop(BLOCK, np.zeros(n_trials, np.int64)))
    unknown = np.full(n_trials, np.nan)
    head = {
        START: _numbers(table.pop(START, unknown), START, path),
        STOP: _numbers(table.pop(STOP, unknown), STOP, path),
        BLOCK: _block_numbers(_along(block, n_trials, _GROUPS, path)),
    }
    return pd.DataFrame(head | table, index)


def _block_numbers(groups: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers stay; anything else is numbered in order of appearance."""
    if groups.dtype.kind in "iu":
        return groups.astype(np.int64)
    return pd.factorize(groups)[0].astype(np.int64)


def _units(arrays: Mapping[str, NDArray[Any]], n_units: int, path: Path) -> pd.DataFrame:
    """One row per unit."""
    ids = _along(arrays.get(_UNIT_IDS, np.arange(n_units)), n_units, _UNIT_IDS, path)
    if ids.dtype.kind not in "iu":
        raise UnitIdsError(f"{path}: expected whole numbers as {_UNIT_IDS}, got {ids.dtype} such as {ids[0]!r}.")
    if len(np.unique(ids)) != n_units:
        values, times = np.unique(ids, return_counts=True)
        raise UnitIdsError(
            f"{path}: unit ids must be unique; these occur more than once: {values[times > 1][:10].tolist()}."
        )
    known = {
        column: _along(arrays[name], n_units, name, path) for name, column in _UNIT_ARRAYS.items() if name in arrays
    }
    return pd.DataFrame({AREA: np.full(n_units, "")} | known, pd.Index(ids, name="unit_id"))


def _numbers(values: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    """Check that an array holds numbers."""
    if values.dtype.kind not in "iuf":
        raise FileFormatError(f"{path}: expected numbers (seconds) in {name}, got values of type {values.dtype}.")
    return values


def _along(values: NDArray[Any], n: int, name: str, path: Path) -> NDArray[Any]:
    """Check that an array has one value for each of ``n``, numbers, dates or text; bytes become text."""
    if values.shape != (n,):
        raise FileFormatError(f"{path}: expected {name} of shape ({n},) to go with the counts, got {values.shape}.")
    if values.dtype.kind not in _KINDS:
        raise FileFormatError(f"{path}: expected numbers or text in {name}, got values of type {values.dtype}.")
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values

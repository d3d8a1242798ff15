"""Binned trials as an ``.npz`` file: arrays that numpy alone can read, and beside them what makes the dataset whole.

=============================  ==================================================================================
array                          what it holds
=============================  ==================================================================================
``X``                          spike counts, (trials, bins, units)
``y``                          label of each trial
``groups``                     stimulus block of each trial
``unit_ids``, ``area`` ...     of each unit: id, area, probe, depth, place in the brain
``time``                       beginning of each bin, s from the start of the trial
``stimulus_presentation_id``   of each trial: its id; ``start_time``, ``stop_time`` (s), ``repeat`` and the stimulus'
                               own columns stand beside it under their names
``spikesight``                 JSON: of each array, its name and dimensions in the dataset and its attributes; and the
                               attributes of the dataset (stimulus, target, what was left out and why ...)
=============================  ==================================================================================
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.npz_file import read_npz
from spikesight.errors import DataError, FileFormatError, brief
from spikesight.schema import BLOCK, DIMS, SPIKE_COUNTS, TARGET, TRIAL, UNIT, validate_dataset

ABOUT: Final = "spikesight"
"""Array of what the other arrays are."""
ARRAYS: Final = {
    **{SPIKE_COUNTS: "X", TARGET: "y", BLOCK: "groups"},
    **{UNIT: "unit_ids", TRIAL: "stimulus_presentation_id"},
}
"""Name in the dataset -> name of the array, where they differ."""
FORMAT: Final = 1
_DAMAGE: Final = (RuntimeError, LookupError, TypeError, ValueError, AttributeError, MemoryError, OverflowError)
"""What json, numpy and xarray raise on arrays that are not those that were told of; too deep JSON is a RuntimeError."""


def arrays_of(dataset: xr.Dataset) -> dict[str, NDArray[Any]]:
    """Lay a dataset of binned trials out as named arrays.

    Raises
    ------
    DataError
        If it is not a dataset of binned trials, or holds something that neither JSON nor an array can.
    """
    validate_dataset(dataset)
    counts = dataset[SPIKE_COUNTS].transpose(*DIMS)
    variables = {SPIKE_COUNTS: counts, **{str(name): coord for name, coord in dataset.coords.items()}}
    arrays: dict[str, NDArray[Any]] = {}
    about: dict[str, dict[str, Any]] = {}
    taken = {*ARRAYS.values(), ABOUT}
    for name, variable in variables.items():
        # A lab's own column may be called y or groups: that name is for the label or block that was chosen.
        key = ARRAYS.get(name) or (f"column_{name}" if name in taken else name)
        values = variable.to_numpy()
        if values.dtype.hasobject:
            raise DataError(f"expected numbers or text in {name!r}, it holds Python objects. Convert or drop them.")
        arrays[key] = values
        about[key] = {"name": name, "dims": list(variable.dims), "attrs": _plain(variable.attrs)}
    try:
        whole = json.dumps({"format": FORMAT, "arrays": about, "attrs": _plain(dataset.attrs)})
    except TypeError as error:
        raise DataError(f"expected attributes that JSON can hold: {error}. Convert or drop them.") from error
    return {**arrays, ABOUT: np.array(whole)}


def is_exported(path: Path) -> bool:
    """Tell if a file has the array that says what the others are."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{ABOUT}.npy" in archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False  # the reader of any other file says what is wrong with this one


def read_exported(path: Path) -> xr.Dataset:
    """Read binned trials as :func:`arrays_of` lays them out.

    Raises
    ------
    FileFormatError
        If the file is damaged, or its arrays are not those it tells of.
    """
    arrays = read_npz(path)
    try:
        about = json.loads(str(arrays[ABOUT][()]))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']!r} is not {FORMAT}")
        variables = {str(entry["name"]): _variable(arrays[key], entry) for key, entry in about["arrays"].items()}
        counts = variables.pop(SPIKE_COUNTS)
        dataset = xr.Dataset({SPIKE_COUNTS: counts}, variables, dict(about["attrs"]))
        return validate_dataset(dataset)
    except _DAMAGE as error:
        raise FileFormatError(
            f"expected binned trials in {path}, its arrays are not those that its {ABOUT!r} tells of: {brief(error)}. "
            "Write it again."
        ) from error


def _variable(values: NDArray[Any], entry: Mapping[str, Any]) -> tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]:
    dims = tuple(entry["dims"])
    if not all(isinstance(name, str) for name in dims):
        raise TypeError(f"dimensions {dims!r} are no names")
    return dims, values, dict(entry["attrs"])


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn attributes into what JSON can hold."""
    return {
        str(name): value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in attrs.items()
    }

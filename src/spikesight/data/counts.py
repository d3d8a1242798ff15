"""Counts that were binned elsewhere, or by us before: ``.npz`` and ``.nc`` files."""

import json
import os
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data import nwb_file
from spikesight.data.counts_attrs import check_attrs
from spikesight.data.counts_export import arrays_of, is_exported, read_exported
from spikesight.data.counts_npz import QUALITY, read_counts_npz, session_id_of
from spikesight.data.dataset import make_dataset
from spikesight.data.npz_file import write_npz
from spikesight.data.stimuli import columns_of
from spikesight.data.targets import label_columns
from spikesight.errors import (
    FileFormatError,
    NoUnitsError,
    OutputError,
    SpikesightError,
    TargetNotFoundError,
    brief,
)
from spikesight.schema import (
    AREA,
    BEHAVIOUR_UNITS,
    BLOCK,
    REPEAT,
    SPIKE_COUNTS,
    START,
    STOP,
    TARGET,
    TRIAL,
    UNIT,
    validate_dataset,
)

TARGET_NAMES: Final = {"position": ("x_position", "y_position"), "condition": ("stimulus_condition_id",)}
"""Short names of what can be decoded from the gabor files."""

_ENDINGS: Final = (".npz", ".nc")
_ENGINE: Final = "h5netcdf"
_DAMAGE: Final = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, MemoryError, OverflowError)
"""What xarray, h5netcdf and h5py raise on files that are damaged or not NetCDF."""
_COMPRESSED: Final = {"zlib": True, "complevel": 1}
"""Counts are mostly small numbers: the first level saves nearly as much as the ninth."""


def read_counts(
    path: str | os.PathLike[str],
    *,
    target: str | Sequence[str] | None = None,
    quality: bool = False,
    areas: Sequence[str] | None = None,
) -> xr.Dataset:
    """Read spike counts that are binned already.

    Three kinds of file are known:

    - ``.npz`` with ``counts`` (units, trials) and ``unit_ids``: the Allen gabor files. Every array along trials is a
      column that can be decoded; ``structure`` is the area.
    - ``.npz`` with ``X`` (trials, units) or (trials, bins, units) and ``y`` (trials,): a lab's own. Optional are
      ``groups`` (block of each trial), ``unit_ids``, ``area``, ``start_time``, ``stop_time``, ``time`` (beginning of
      each bin, s) and further arrays along trials, which can be decoded in place of ``y``.
    - ``.nc`` and ``.npz`` as :func:`write_counts` writes them: what was written comes back.

    Parameters
    ----------
    path
        The file.
    target
        Column along trials to decode, or several columns, whose combination is the label then. ``"position"`` stands
        for both coordinates and ``"condition"`` for ``stimulus_condition_id``. By default ``position`` for the gabor
        files, ``y`` for a lab's own, and what was decoded before for files of :func:`write_counts`.
    quality
        Keep only units that pass the quality criteria of their publication (``published_like_qc``).
    areas
        Keep only units of these areas.

    Returns
    -------
    xarray.Dataset
        As from :func:`spikesight.data.binning.bin_spikes`. Rows are in time order. Units that never spike are kept.
        Where the file has no times they are NaN; without ``groups`` or ``stimulus_block`` all trials are one block.

    Raises
    ------
    FileFormatError
        If there is no such file, it is damaged or of another layout, or holds Python objects, which are never read;
        if counts are negative, fractions or NaN; if ``quality`` is asked of a file that does not tell.
    TargetNotFoundError
        If there is no such column (names those there are), or trials without a value in it.
    NoTrialsError, NoUnitsError
        If nothing is left.
    UnitIdsError
        If unit ids are duplicated or not whole numbers.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileFormatError(f"expected a file of spike counts, there is none at {path}. Check the path.")
    if path.suffix not in _ENDINGS:
        raise FileFormatError(f"expected spike counts in a file ending in {' or '.join(_ENDINGS)}, got {path.name!r}.")
    asked = TARGET_NAMES.get(target, (target,)) if isinstance(target, str) else tuple(target or ())
    written = path.suffix == ".nc" or is_exported(path)
    dataset = _read_written(path, asked) if written else _read_npz(path, asked)
    return _select_units(dataset, path, quality=quality, areas=areas)


def write_counts(dataset: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write binned trials as NetCDF (``.nc``) or ``.npz``; the file appears under its name only when it is whole.

    Parameters
    ----------
    dataset
        Binned trials.
    path
        The file. The arrays of an ``.npz`` are those of `spikesight.data.counts_export`.

    Raises
    ------
    DataError
        If it is not a dataset of binned trials.
    OutputError
        If the file cannot be written there.
    """
    path = Path(path).expanduser()
    if path.suffix not in _ENDINGS:
        raise OutputError(f"expected a file name that ends in {' or '.join(_ENDINGS)}, got {path.name!r}.")
    if not path.parent.is_dir():
        raise OutputError(f"could not write {path}: there is no folder {path.parent}. Create it, or choose another.")
    validate_dataset(dataset)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    arrays = arrays_of(dataset) if path.suffix == ".npz" else {}
    try:
        if arrays:
            with temporary.open("xb") as file:
                write_npz(file, arrays, compressed=True)
        else:
            dataset.to_netcdf(temporary, engine=_ENGINE, encoding={SPIKE_COUNTS: _COMPRESSED})
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"could not write {path}: {error}. Nothing was left behind.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _read_npz(path: Path, asked: tuple[str, ...]) -> xr.Dataset:
    binned = read_counts_npz(path)
    columns = asked or binned.default_target
    label = _label(binned.trials, columns, path)
    trials = binned.trials.assign(**{TARGET: label, REPEAT: _repeats(label)})
    attrs = {
        "session_id": session_id_of(path),
        "source": str(path),
        "stimulus_name": binned.stimulus,
        "target": ", ".join(columns),
        "blanks": "none",
        "n_bins": len(binned.time),
        "bin_size": float("nan"),
        "window": "presentation",
        "dropped_trials": "{}",
        "dropped_units": "{}",
        "unit_filters": "{}",
    }
    return make_dataset(binned.counts, binned.time, trials, binned.units, attrs)


def _load_netcdf(path: Path) -> xr.Dataset:
    _check_hdf5(path)
    try:
        # No decoding of times: "s" is a unit of measure here. A dimension without a name gets one.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)  # what does not fit is refused below
            dataset = xr.load_dataset(path, engine=_ENGINE, decode_times=False, phony_dims="access")
        # Text comes back as objects.
        text = {name: (coord.dims, coord.to_numpy().astype(str)) for name, coord in dataset.coords.items()
                if coord.dtype.kind == "O"}  # fmt: skip
        dataset = dataset.assign_coords(text)
    except _DAMAGE as error:
        raise FileFormatError(
            f"expected binned trials in {path}, could not read it: {brief(error)}. Write it again."
        ) from error
    for name, variable in dataset.variables.items():  # the library takes the word of each dataset for it
        if variable.shape != tuple(dataset.sizes[dim] for dim in variable.dims):
            raise FileFormatError(
                f"{path}: {name} of shape {variable.shape} does not fit its dimensions: "
                f"{ {dim: dataset.sizes[dim] for dim in variable.dims} }. Write the file again."
            )
    return validate_dataset(dataset).drop_encoding()


def _read_written(path: Path, asked: tuple[str, ...]) -> xr.Dataset:
    dataset = _load_netcdf(path) if path.suffix == ".nc" else read_exported(path)
    for name in (AREA, QUALITY):
        if name in dataset.coords and dataset[name].dims != (UNIT,):
            raise FileFormatError(f"{path}: expected {name} along {UNIT!r}, it lies along {dataset[name].dims}.")
    if dataset[SPIKE_COUNTS].size and dataset[SPIKE_COUNTS].min() < 0:
        raise FileFormatError(
            f"expected spike counts in {path}, got values down to {int(dataset[SPIKE_COUNTS].min())}."
        )
    dataset.attrs = {"session_id": session_id_of(path)} | {name: _plain(v) for name, v in dataset.attrs.items()}
    check_attrs(dataset.attrs, path)
    if asked:
        asked = columns_of(str(dataset.attrs.get("stimulus_name", "")), asked, {str(name) for name in dataset.coords})
    names = ", ".join(asked)
    if not asked or names == dataset.attrs.get("target"):
        return dataset
    own = [str(name) for name, coord in dataset.coords.items() if coord.dims == (TRIAL,)]
    no_labels = (TRIAL, TARGET, REPEAT, *BEHAVIOUR_UNITS)
    table = pd.DataFrame({name: dataset[name].to_numpy() for name in own if name not in no_labels})
    label = _label(table, asked, path)
    relabelled = dataset.assign_coords({TARGET: (TRIAL, label), REPEAT: (TRIAL, _repeats(label))})
    return relabelled.assign_attrs(target=names)


def _check_hdf5(path: Path) -> None:
    """Refuse what is not HDF5, reaches into other files, or claims more values than it can hold."""
    if not h5py.is_hdf5(path):
        raise FileFormatError(f"expected a NetCDF-4 file, {path} is none or is truncated. Write it again.")
    try:
        with h5py.File(path, "r", locking=False) as root:
            for name in root:
                if isinstance(nwb_file.member(root, name), h5py.Dataset):
                    nwb_file.dataset(root, name)
    except SpikesightError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(f"expected a whole NetCDF-4 file, could not read {path}: {brief(error)}.") from error


def _label(trials: pd.DataFrame, columns: tuple[str, ...], path: Path) -> NDArray[Any]:
    """Label each trial; text in a single column stays as it is."""
    own = [name for name in trials.columns if name not in (START, STOP, BLOCK)]
    unknown = [name for name in columns if name not in own]
    if unknown:
        short = [name for name, parts in TARGET_NAMES.items() if set(parts) <= set(own)]
        raise TargetNotFoundError(
            f"{path} has no {', '.join(map(repr, unknown))} to decode. It has: {', '.join([*short, *own]) or '-'}."
        )
    missing = np.any([_is_missing(trials[name]) for name in columns], axis=0)
    if missing.any():
        raise TargetNotFoundError(
            f"{path}: expected a label in {', '.join(columns)} for every trial; {missing.sum()} have none, rows "
            f"{np.flatnonzero(missing)[:10].tolist()}. Remove those trials."
        )
    if len(columns) == 1 and not pd.api.types.is_numeric_dtype(trials[columns[0]]):
        return trials[columns[0]].to_numpy().astype(str)
    return label_columns(trials, columns)


def _is_missing(column: "pd.Series[Any]") -> NDArray[np.bool_]:
    """NaN or empty; other words ("null") may be a lab's own label."""
    return (column.isna() | (column.astype(str).str.strip() == "")).to_numpy(bool)


def _repeats(label: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(pd.Series(label).groupby(label).cumcount(), np.int64)


def _plain(value: Any) -> Any:
    """Turn an attribute as NetCDF gives it into what JSON can hold."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _select_units(dataset: xr.Dataset, path: Path, *, quality: bool, areas: Sequence[str] | None) -> xr.Dataset:
    """Keep units by quality, then by area, and note what that removed."""
    masks: dict[str, NDArray[np.bool_]] = {}
    if quality:
        if QUALITY not in dataset.coords:
            raise FileFormatError(
                f"{path} does not say which units are good (no {QUALITY!r}). Read it without quality."
            )
        masks["quality"] = dataset[QUALITY].to_numpy().astype(bool)
    if areas is not None:
        known = dataset[AREA].to_numpy() if AREA in dataset.coords else np.full(dataset.sizes[UNIT], "")
        masks["areas"] = np.isin(known, list(areas))
    if not masks:
        return dataset
    kept = np.ones(dataset.sizes[UNIT], bool)
    dropped: dict[str, int] = json.loads(dataset.attrs.get("dropped_units") or "{}")
    for name, mask in masks.items():
        dropped[name] = dropped.get(name, 0) + int((kept & ~mask).sum())
        kept &= mask
    if not kept.any():
        present = sorted(set(dataset[AREA].to_numpy().tolist())) if AREA in dataset.coords else []
        raise NoUnitsError(
            f"{path}: no unit is left of {kept.size}; removed by each filter: {dropped}. Areas there are: {present}."
        )
    filters = json.loads(dataset.attrs.get("unit_filters") or "{}")
    filters |= {"quality": True} if quality else {}
    filters |= {"areas": list(areas)} if areas is not None else {}
    return dataset.isel({UNIT: kept}).assign_attrs(dropped_units=json.dumps(dropped), unit_filters=json.dumps(filters))

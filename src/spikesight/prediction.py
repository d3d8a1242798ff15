"""What a stored decoder reads from another file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.config import BenchmarkConfig, load_config
from spikesight.data.arrays import to_arrays
from spikesight.data.unit_order import align_units
from spikesight.decoders.storage import load_decoder
from spikesight.detrending import FittedDetrending
from spikesight.errors import DecoderError
from spikesight.evaluation.cells import DETRENDING
from spikesight.evaluation.folds import as_problem
from spikesight.evaluation.sources import load_source
from spikesight.places import Place
from spikesight.schema import START, TRIAL
from spikesight.tracking.progress import Progress
from spikesight.tracking.run_directory import CONFIG

RUN_DEPTH: Final = 2
"""A decoder lies in ``<run>/decoders/<name>``."""
NEW: Final = "new"


def predict_file(decoder: Path, file: Place, *, progress: Progress | None = None) -> pd.DataFrame:
    """Decode every trial of a file.

    Trials are selected and binned as in the benchmark that stored the decoder, with its context, and its units are
    picked by id. Where drift was taken away it is here as well, in the trials of each role by themselves: test trials
    come out as they did in the benchmark.

    Parameters
    ----------
    decoder
        Folder of a stored decoder, inside its run directory.
    file
        NWB, ``.npz`` or ``.nc``; or the id of a public session, or the address of an NWB file.
    progress
        Hears how far the reading from a server is.

    Returns
    -------
    pandas.DataFrame
        One row per trial: ``trial``, ``start_time`` (s), ``y_true`` (the label in the file), ``y_pred``, ``correct``,
        ``confidence`` (probability of ``y_pred``; NaN for a decoder without probabilities) and ``role``: what the trial
        was in the fold that stored the decoder. ``"training"``: the decoder was fitted to it, being right says nothing;
        ``"gap"``: left out between training and test trials; ``"test"``: held out; ``"new"``: no trial of that run.

    Raises
    ------
    UnitIdsError
        If the file lacks units that the decoder was fitted on.
    SpikesightError
        If the folder holds no decoder or lies outside its run directory, or the file cannot be read as the decoder
        needs it.
    """
    fitted, meta = load_decoder(decoder)
    source = load_source(file, _config(decoder, file), progress)
    dataset = align_units(source.dataset, meta["unit_ids"])
    trials = dataset[TRIAL].to_numpy()
    roles = _roles(trials, meta["trials"] if source.session_id == meta["session"] else {})
    X, y = _prepared(dataset, roles, meta)
    predicted = fitted.predict(X)
    confidence = fitted.predict_proba(X).max(axis=1) if hasattr(fitted, "predict_proba") else np.full(len(y), np.nan)
    return pd.DataFrame(
        {
            "trial": trials,
            "start_time": dataset[START].to_numpy(),
            "y_true": y.astype(str),
            "y_pred": predicted.astype(str),
            "correct": predicted == y,
            "confidence": confidence,
            "role": roles,
        }
    )


def _prepared(
    dataset: xr.Dataset, roles: NDArray[np.str_], meta: Mapping[str, Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the decoder's input and the labels."""
    if meta.get(DETRENDING) is None:
        X, y, _ = to_arrays(dataset)
        return X, y
    problem = as_problem(dataset)
    stretches = problem.stretches(int(meta["gap"]))
    detrending = FittedDetrending.from_dict(meta[DETRENDING])
    detrended = np.empty(problem.X.shape, np.float32)
    for role in np.unique(roles):
        rows = np.flatnonzero(roles == role)
        detrended[rows] = detrending.transform(problem.X[rows], rows, stretches[rows])
    return detrended, problem.y


def _roles(trials: NDArray[Any], stored: Mapping[str, Sequence[int]]) -> NDArray[np.str_]:
    """Say of each trial under which role its id is stored; ``"new"`` where it is not."""
    roles = np.full(len(trials), NEW, dtype=object)
    for role, own in stored.items():
        roles[np.isin(trials, own)] = role
    return roles.astype(str)


def _config(decoder: Path, file: Place) -> BenchmarkConfig:
    """Take the options of the decoder's run: they say how its trials were selected and binned."""
    kept = decoder.resolve().parents[RUN_DEPTH - 1] / CONFIG
    if not kept.is_file():
        raise DecoderError(
            f"expected {decoder} inside its run directory, whose {CONFIG} says how trials were binned; there is no "
            f"{kept}. Move the decoder together with its run."
        )
    return load_config(kept).model_copy(update={"sources": (file,)})

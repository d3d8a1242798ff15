"""Maps of units over the places of Gabor patches: 9 x 9 places of 10 degrees in the published sessions.

A trial shows one patch, so the stimulus is a grid with a single 1. Regressing the counts on it under a smoothness prior
is reverse correlation; without the prior it is the mean count at each place. Each unit's strength of the prior is
chosen on contiguous folds of training trials with a gap, and the prediction is scored on outer folds not seen.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.data.timeline import stretches
from spikesight.errors import DataError, StimulusNotFoundError, TooFewRepeatsError
from spikesight.receptive_fields.centres import centres_of_maps
from spikesight.receptive_fields.cosine_prior import cosine_prior
from spikesight.receptive_fields.regression import correlate_columns, fit_regression
from spikesight.receptive_fields.significance import N_SHUFFLES, permutation_p_values
from spikesight.schema import AREA, BLOCK, SPIKE_COUNTS, START, STOP, TIME, TRIAL, UNIT
from spikesight.splits import BlockKFold, Fold, Rows, inner_folds
from spikesight.tracking.progress import Progress, Silent

Floats = NDArray[np.float64]

X_POSITION: Final = "x_position"
Y_POSITION: Final = "y_position"
TASK: Final = "receptive fields"


class _Shown(NamedTuple):
    x: Floats
    y: Floats
    places: NDArray[np.intp]
    kept: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y), len(self.x)


def gabor_maps(
    dataset: xr.Dataset,
    *,
    prior: str = "smooth",
    n_splits: int = 5,
    gap: int = 10,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Map every unit's mean count over the places at which Gabor patches were shown; orientations are averaged.

    Parameters
    ----------
    dataset
        Binned trials with the coordinates ``x_position`` and ``y_position`` (degrees) along trial; bins are summed.
    prior
        ``"smooth"`` or ``"ridge"``, see `spikesight.receptive_fields.cosine_prior`.
    n_splits, gap
        Outer folds of contiguous trials on which predictions are scored, and the trials left out beside them.
    n_shuffles, seed
        Of the test of each unit, see `spikesight.receptive_fields.significance`.
    progress
        Hears how many folds are finished.

    Returns
    -------
    xarray.Dataset
        ``receptive_field`` (unit, y, x), spikes per presentation, from all trials; ``mean_count`` (unit, y, x), the
        mean without a prior; and along unit: ``x``, ``y`` centres as ``centre_x``, ``centre_y`` (degrees), ``size``
        (square degrees), ``p_value``, ``held_out_r`` (correlation of predicted and observed counts over all test
        trials), ``strength`` (of the prior).

    Raises
    ------
    StimulusNotFoundError
        If the trials have no such coordinates.
    TooFewRepeatsError
        If a place was shown less than twice.
    DataError
        If there are too few trials for the folds.
    """
    shown = _shown(dataset)
    rows = dataset.isel({TRIAL: shown.kept})
    counts = rows[SPIKE_COUNTS].sum(TIME).transpose(TRIAL, UNIT).to_numpy().astype(float)
    places, blocks = shown.places, rows[BLOCK].to_numpy()
    bounds = stretches(blocks, rows[START].to_numpy(), rows[STOP].to_numpy(), gap)
    belief = cosine_prior(shown.shape, prior)
    predictors = belief.to_cosines(np.eye(int(np.prod(shown.shape))).reshape(-1, *shown.shape))[places]
    progress = progress or Silent()
    predicted = np.zeros_like(counts)
    for fold, (train, test) in enumerate(BlockKFold(n_splits, gap).split(predictors, groups=blocks, stretches=bounds)):
        inner = _folds_within(train, bounds, gap, f"fold {fold} of {n_splits}")
        fitted = fit_regression(predictors[train], counts[train], inner)
        # Each fold's own mean is taken away: a drift between folds is not what the map predicts.
        predicted[test] = fitted.predict(predictors[test]) - fitted.predict(predictors[train]).mean(0)
        progress.advance(TASK, fold + 1, n_splits + 2)
    everything: Rows = np.arange(len(counts), dtype=np.intp)
    fitted = fit_regression(predictors, counts, _folds_within(everything, bounds, gap, "all trials"))
    maps = belief.to_maps(fitted.weights.T) + fitted.intercept[:, None, None]
    progress.advance(TASK, n_splits + 1, n_splits + 2)
    p_values = permutation_p_values(counts, places, blocks, n_shuffles=n_shuffles, seed=seed)
    progress.advance(TASK, n_splits + 2, n_splits + 2)
    means = np.stack([counts[places == place].mean(0) for place in range(maps[0].size)], axis=1)
    along_unit = {
        "p_value": p_values,
        "held_out_r": correlate_columns(predicted, counts),
        "strength": fitted.strength,
    }
    attrs = {"prior": prior, "n_splits": n_splits, "gap": gap, "n_shuffles": n_shuffles, "seed": seed}
    return _as_dataset(dataset, shown, maps, means, along_unit, {"n_trials": len(counts), **attrs})


def _folds_within(train: Rows, bounds: NDArray[np.intp], gap: int, what: str) -> list[Fold]:
    """Cut training rows into the folds on which strengths are chosen. Raises DataError if they are too few."""
    try:
        return inner_folds(train, bounds, gap)
    except DataError as error:
        raise DataError(
            f"the strength of the prior is chosen on inner folds of the training trials, and the {len(train)} of "
            f"{what} with a gap of {gap} leave one without trials to learn from. More trials are needed, or another "
            "number of folds."
        ) from error


def _as_dataset(
    trials: xr.Dataset, shown: _Shown, maps: Floats, means: Floats, along_unit: dict[str, Floats], attrs: dict[str, Any]
) -> xr.Dataset:
    """Name what was found."""
    centres = centres_of_maps(maps, shown.x, shown.y)
    found = xr.Dataset(
        {
            "receptive_field": ((UNIT, "y", "x"), maps),
            "mean_count": ((UNIT, "y", "x"), means.reshape(maps.shape)),
            "centre_x": (UNIT, centres["x"].to_numpy()),
            "centre_y": (UNIT, centres["y"].to_numpy()),
            "size": (UNIT, centres["size"].to_numpy()),
            **{name: (UNIT, values) for name, values in along_unit.items()},
        },
        coords={
            UNIT: trials[UNIT].to_numpy(),
            "x": ("x", shown.x, {"units": "degrees"}),
            "y": ("y", shown.y, {"units": "degrees"}),
        },
        attrs={"stimulus_name": "gabors", "session_id": str(trials.attrs.get("session_id", "")), **attrs},
    )
    return found.assign_coords({AREA: (UNIT, trials[AREA].to_numpy())}) if AREA in trials.coords else found


def _shown(dataset: xr.Dataset) -> _Shown:
    """Find the places and number them, row by row from the lowest y."""
    missing = [name for name in (X_POSITION, Y_POSITION) if name not in dataset.coords]
    if missing:
        shown = dataset.attrs.get("stimulus_name") or "another stimulus"
        raise StimulusNotFoundError(
            f"expected trials of gabors with {X_POSITION} and {Y_POSITION}, these are of {shown} and have no "
            f"{' and no '.join(missing)}. Choose --stimulus gabors."
        )
    x, y = (pd.to_numeric(pd.Series(dataset[name].to_numpy()), errors="coerce").to_numpy(float)
            for name in (X_POSITION, Y_POSITION))  # fmt: skip
    kept = np.isfinite(x) & np.isfinite(y)
    columns, column = np.unique(x[kept], return_inverse=True)
    rows, row = np.unique(y[kept], return_inverse=True)
    if len(columns) < 2 or len(rows) < 2:
        raise StimulusNotFoundError(
            f"expected gabors at two or more places along x and along y, got x at {columns.tolist()} and y at "
            f"{rows.tolist()}."
        )
    places = row * len(columns) + column
    times = np.bincount(places, minlength=len(columns) * len(rows))
    if times.min() < 2:
        place = int(times.argmin())
        raise TooFewRepeatsError(
            f"expected at least two presentations at every place, x={columns[place % len(columns)]:g} "
            f"y={rows[place // len(columns)]:g} has {times.min()} ({int((times < 2).sum())} of {len(times)} places "
            "have too few)."
        )
    return _Shown(columns, rows, places.astype(np.intp), kept)

"""From what units did in every fold and under every seed to one row per unit, with interval and p-value."""

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from spikesight import schema
from spikesight.attribution.fold_rows import GRADIENTS

KEY: Final = ("session", "decoder", "method", "unit")
FOLD_COLUMNS: Final = (
    "session", "decoder", "method", "fold", "seed", "unit", "measure", "importance", "accuracy_lost", "magnitude",
    "expected", "deviation", "n_draws", "n_test", "completeness_error", "n_steps",
)  # fmt: skip
"""One row per unit, fold and seed. ``expected`` and ``deviation``: of the importance if the unit told nothing;
``n_draws``: permutations that the deviation was measured with, or runs of trials by integrated gradients (0: it is
exact). ``completeness_error`` and ``n_steps``: of integrated gradients, the same for all units of a fold and seed."""
UNIT_COLUMNS: Final = (
    *KEY, "area", "depth", "measure", "importance", "low", "high", "seed_deviation", "accuracy_lost", "magnitude",
    "p_value", "q_value", "n_folds", "n_seeds", "n_test",
)  # fmt: skip
_LEVEL = 0.95
_HEIGHT: Final = "probe_vertical_position"


def unit_table(folds: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Put the folds together.

    ``importance`` is the mean over folds of the mean over seeds, weighted by test trials. ``low`` and ``high`` bound
    the 95 % interval of Student's t over the folds' means: folds share most of their training trials, so it is narrow
    rather than wide. ``seed_deviation`` is the standard deviation over seeds within a fold, averaged.

    ``p_value`` is one-sided, of the hypothesis that the unit's values are exchangeable among the test trials of a block
    given everything else. The importance is measured in deviations of what random orders make of it: exact for Shapley
    values, from the permutations that were drawn for permutation importance (Student's t with their degrees of
    freedom). Integrated gradients are tested by the spread of runs of 50 test trials, every class counting alike. Test
    trials of the folds are others each time, so that variances add up; seeds share them, so that they make neither the
    deviation smaller nor the runs more. ``q_value`` controls the false discovery rate over the units of a session
    (Benjamini and Hochberg 1995).

    Parameters
    ----------
    folds
        ``FOLD_COLUMNS``.
    places
        Columns ``session, unit, area, depth``.

    Returns
    -------
    pandas.DataFrame
        ``UNIT_COLUMNS``, the most important unit of each session first.
    """
    rows = [dict(zip(KEY, key, strict=True)) | _of_unit(own) for key, own in folds.groupby(list(KEY), sort=False)]
    table = pd.DataFrame(rows).merge(places, how="left", on=["session", "unit"])
    table["area"] = table["area"].fillna("")
    table["q_value"] = np.nan
    for _, own in table.groupby(list(KEY[:-1]), sort=False):
        known = own.index[own["p_value"].notna()]
        if len(known):
            table.loc[known, "q_value"] = stats.false_discovery_control(table.loc[known, "p_value"])
    place = table["session"].map({name: at for at, name in enumerate(table["session"].unique())})
    order = np.lexsort((-table["importance"], place))
    return table.iloc[order].reset_index(drop=True)[list(UNIT_COLUMNS)]


def unit_places(dataset: xr.Dataset, session: str) -> pd.DataFrame:
    """Say where units lie: columns ``session, unit, area, depth``.

    Depth is told as files tell it, by the height above the tip of the probe, um; NaN where the file does not say.
    """
    units = dataset[schema.UNIT].to_numpy()
    named = dataset[schema.AREA].to_numpy().astype(str) if schema.AREA in dataset.coords else np.full(len(units), "")
    depth = dataset[_HEIGHT].to_numpy() if _HEIGHT in dataset.coords else np.full(len(units), np.nan)
    return pd.DataFrame({"session": session, "unit": units, "area": named, "depth": depth.astype(np.float64)})


def _of_unit(own: pd.DataFrame) -> dict[str, Any]:
    by_fold = own.groupby("fold", sort=True)
    n_test = by_fold["n_test"].first().to_numpy(np.float64)
    weight = n_test / n_test.sum()
    means = by_fold["importance"].mean().to_numpy(np.float64)
    importance = float(weight @ means)
    half = np.nan
    if len(means) > 1:
        half = stats.t.ppf((1 + _LEVEL) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    n_seeds = int(by_fold.size().max())
    spread = float(by_fold["importance"].std(ddof=1).mean()) if n_seeds > 1 else np.nan
    return {
        "measure": own["measure"].iloc[0],
        "importance": importance,
        "low": importance - half,
        "high": importance + half,
        "seed_deviation": spread,
        "accuracy_lost": float(weight @ by_fold["accuracy_lost"].mean().to_numpy(np.float64)),
        "magnitude": float(weight @ by_fold["magnitude"].mean().to_numpy(np.float64)),
        "p_value": _p_value(own, weight, means),
        "n_folds": len(means),
        "n_seeds": n_seeds,
        "n_test": int(n_test.sum()),
    }


def _p_value(own: pd.DataFrame, weight: Any, means: Any) -> float:
    by_fold = own.groupby("fold", sort=True)
    expected = by_fold["expected"].mean().to_numpy(np.float64)
    variance = (own["deviation"] ** 2).groupby(own["fold"], sort=True).mean().to_numpy(np.float64)
    draws = by_fold["n_draws"].sum().to_numpy(np.float64)
    exact, by_runs = not draws.any(), bool((own["method"] == GRADIENTS).any())
    if not exact and not by_runs:  # the mean that the importance is a difference to was drawn as well
        variance = variance * (1 + 1 / draws)
    total = float((weight**2) @ variance)
    reached = float(weight @ (means - expected))
    if not np.isfinite(total):
        return float("nan")
    if total == 0:
        return 1.0  # a unit that never varies
    if exact:
        return float(stats.norm.sf(reached / np.sqrt(total)))
    freedom = float((by_fold["n_draws"].first() - 1).sum() if by_runs else (own["n_draws"] - 1).sum())
    return float(stats.t.sf(reached / np.sqrt(total), freedom)) if freedom > 0 else float("nan")

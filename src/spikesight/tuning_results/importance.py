"""Which parameters went with the accuracy of candidates."""

import json
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.tuning_results.axes import LEVELS, axis_through
from spikesight.tuning_results.table import FAILED, SEARCH, checked_candidates, parameters_of

FEWEST_CANDIDATES: Final = 20
FEWEST_SETTINGS: Final = 10
"""With fewer candidates, or different settings among them, the importance of a parameter is not told."""
MOST_CANDIDATES: Final = 2000
"""Of more candidates of a decoder this many are drawn: an importance takes seconds, not minutes."""
HOW_IMPORTANCE: Final = (
    "Importance is the share of the variance of inner accuracy among candidates that goes with a parameter, alone or "
    "with others: half the rise of the squared error, over the variance, when the parameter's values are shuffled in a "
    "random forest that foretells candidates it was not fitted to. Accuracies are taken less the mean of their search; "
    "pruned candidates count with what they had when they were stopped, failed ones do not. 0 or less: no sign of an "
    "effect; weak effects are understated. Bar: 95 % bootstrap over candidates, for these forests."
)

_N_FOLDS: Final = 5
_N_SHUFFLES: Final = 5
_N_REPEATS: Final = 2
_N_TREES: Final = 100
_N_RESAMPLES: Final = 1000
_COLUMNS: Final = (
    "decoder", "parameter", "importance", "low", "high", "foretold", "n_candidates", "n_searches", "reason",
)  # fmt: skip


def parameter_importance(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Say which parameters went with the inner accuracy of a decoder's candidates; ``HOW_IMPORTANCE`` says how.

    Why a forest and shuffling, and not functional ANOVA of finished candidates: which ones finish is decided by their
    accuracy. In simulated searches with successive halving (the tests have them) a learning rate made 97 % of the
    variance. All candidates showed 86 %, finished ones alone 65 % (28 to 94 over ten seeds), and all of them with the
    progress as a further variable, which pruning makes a consequence of the parameters, 56 %. Foretelling candidates
    that were held out keeps a parameter without effect at 0, where shares that sum to 1 do not: in searches without any
    effect, of 20 and 60 candidates, 3 and 5 % of the intervals lay above 0. Candidates with the same parameters,
    perhaps of several searches, are held out together. What is estimated is Sobol's total index (Homma and Saltelli
    1996) over the values that the search visited: a sampler that dwells on good values makes a parameter look less
    important.

    The accuracies are those of inner folds of training trials, not test accuracies.

    Parameters
    ----------
    table
        Candidates, with the columns ``CANDIDATE_COLUMNS``. Those of all sessions, folds and seeds of a decoder are
        pooled; of more than ``MOST_CANDIDATES`` as many are drawn.
    seed
        Seed of the draw, the forests, the shuffling and the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row per decoder and parameter, most important first: ``decoder, parameter, importance, low, high`` (shares
        of the variance), ``foretold`` (share of the variance that the forest foretells, below 0 if it does worse than
        the mean), ``n_candidates, n_searches`` (that counted) and ``reason``: why the importance is NaN, or "".
    """
    checked = checked_candidates(table)
    found = [_importance(own.reset_index(drop=True), seed) for _, own in checked.groupby("decoder", sort=False)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(_COLUMNS))


def _importance(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the rows of one decoder."""
    every = parameters_of(table)
    scored = table[np.isfinite(table["accuracy"].to_numpy(np.float64)) & (table["state"] != FAILED)]
    by_search = scored.groupby(list(SEARCH), sort=False)["accuracy"]
    own = scored[by_search.transform("size") > 1]  # a lone candidate is the mean of its search
    if len(own) > MOST_CANDIDATES:
        own = own.sample(MOST_CANDIDATES, random_state=seed).sort_index()
    accuracy = (own["accuracy"] - by_search.transform("mean").loc[own.index]).to_numpy(np.float64)
    values = every.loc[own.index]
    varied = [str(name) for name in values if values[name].nunique(dropna=False) > 1]
    settings = np.array([json.dumps(json.loads(text), sort_keys=True) for text in own["params"]])
    rows = pd.DataFrame({"parameter": [str(name) for name in every]}).assign(
        decoder=table["decoder"].iloc[0], n_candidates=len(own), n_searches=len(own[list(SEARCH)].drop_duplicates()),
        importance=np.nan, low=np.nan, high=np.nan, foretold=np.nan, reason="",
    )[list(_COLUMNS)]  # fmt: skip
    reason = _why_not(accuracy, settings)
    if reason:
        return rows.assign(reason=reason)
    rises, error = _rises_of_error([_features(values[name]) for name in varied], accuracy, settings, seed)
    low, high = _bounds(rises, accuracy, seed)
    at = rows["parameter"].isin(varied)
    rows.loc[at, "importance"] = rises.mean(axis=1) / (2 * accuracy.var())
    rows.loc[at, "low"], rows.loc[at, "high"] = low, high
    rows.loc[at, "foretold"] = 1 - error / accuracy.var()
    rows.loc[~at, "reason"] = "the same in all candidates"
    return rows.sort_values("importance", ascending=False, kind="stable")


def _why_not(accuracy: NDArray[np.float64], settings: NDArray[Any]) -> str:
    """Say why nothing can be told, or ""."""
    if len(accuracy) < FEWEST_CANDIDATES:
        return f"{len(accuracy)} candidates with an accuracy, {FEWEST_CANDIDATES} are needed"
    if len(set(settings)) < FEWEST_SETTINGS:
        return f"{len(set(settings))} different settings, {FEWEST_SETTINGS} are needed"
    return "all candidates of a search reached the same accuracy" if np.ptp(accuracy) < 1e-12 else ""


def _rises_of_error(
    blocks: list[NDArray[np.float64]], accuracy: NDArray[np.float64], settings: NDArray[Any], seed: int
) -> tuple[NDArray[np.float64], float]:
    """Shuffle each parameter, a block of columns (n_candidates, n_columns), in forests that foretell held-out rows.

    Returns
    -------
    rises
        By how much the squared error of each held-out candidate rises, (n_parameters, n_candidates).
    error
        Mean squared error without shuffling.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import GroupKFold

    rng = np.random.default_rng(seed)
    n_parameters, n_candidates = len(blocks), len(accuracy)
    rises, error = np.zeros((n_parameters, n_candidates)), 0.0
    for _ in range(_N_REPEATS):
        folds = GroupKFold(_N_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
        for fit, held in folds.split(accuracy, groups=settings):
            forest = RandomForestRegressor(_N_TREES, random_state=int(rng.integers(2**31)))
            forest.fit(np.hstack(blocks)[fit], accuracy[fit])
            asked = [np.hstack([block[held] for block in blocks])]
            for shuffled in np.repeat(np.arange(n_parameters), _N_SHUFFLES):
                others = rng.integers(0, n_candidates, len(held))
                rows = [block[others if at == shuffled else held] for at, block in enumerate(blocks)]
                asked.append(np.hstack(rows))
            foretold = forest.predict(np.vstack(asked)).reshape(len(asked), len(held))
            wrong = (accuracy[held] - foretold) ** 2
            means = wrong[1:].reshape(n_parameters, _N_SHUFFLES, len(held)).mean(axis=1)
            rises[:, held] += (means - wrong[0]) / _N_REPEATS
            error += float(wrong[0].sum()) / (_N_REPEATS * n_candidates)
    return rises, error


def _bounds(
    rises: NDArray[np.float64], accuracy: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bounds of the mean rise over twice the variance, (n_parameters,) each: candidates drawn anew."""
    drawn = np.random.default_rng(seed).integers(0, len(accuracy), (_N_RESAMPLES, len(accuracy)))
    variance = accuracy[drawn].var(axis=1)
    share = np.array([rise[drawn].mean(axis=1) for rise in rises]) / (2 * np.where(variance > 0, variance, np.nan))
    low, high = np.nanquantile(share, [0.025, 0.975], axis=1)
    return low, high


def _features(values: "pd.Series[Any]") -> NDArray[np.float64]:
    """Return columns that a forest can split: the place on the axis, below it where lacking; or one for each level."""
    axis = axis_through(values)
    if axis.scale != LEVELS:
        return np.nan_to_num(axis.position, nan=-1.0)[:, None]
    return np.asarray(axis.position[:, None] == np.array(axis.at), np.float64)

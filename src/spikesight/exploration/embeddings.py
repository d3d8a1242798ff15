"""Units, or trials, as points in a plane: near ones are alike."""

from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from spikesight.errors import ConfigError, NoTrialsError
from spikesight.exploration.responses import response_map
from spikesight.schema import AREA, BLOCK, SPIKE_COUNTS, START, TARGET, TIME, TRIAL, UNIT

Method = Literal["pca", "tsne"]
FIRST_COMPONENTS: Final = 30
"""t-SNE sees so many principal components at most, which takes noise away and makes it quick."""


def embed_units(
    dataset: xr.Dataset, *, method: Method = "pca", perplexity: float = 30.0, random_state: int = 0
) -> pd.DataFrame:
    """Place units in a plane by how they answer to the classes.

    Parameters
    ----------
    dataset
        Binned trials; units are compared by their z-scored mean responses, see `response_map`.
    method
        ``"pca"``: the first two principal components. ``"tsne"``: t-SNE (van der Maaten and Hinton, 2008), which
        keeps neighbours together; its far distances and sizes of clusters mean nothing.
    perplexity
        How many neighbours t-SNE looks at; made smaller where there are few units.
    random_state
        Seed; the same seed gives the same picture.

    Returns
    -------
    DataFrame
        One row per unit: ``unit``, ``area``, ``x``, ``y``. ``attrs`` holds ``method``, ``of``, ``x_label`` and
        ``y_label``.

    Raises
    ------
    ConfigError
        If ``method`` or ``perplexity`` is not possible.
    NoTrialsError
        If there are fewer than 3 units or 2 classes.
    """
    responses = response_map(dataset)
    if responses.sizes[TARGET] < 2:
        raise NoTrialsError(f"expected at least 2 classes to compare units by, got {responses.sizes[TARGET]}.")
    x, y, labels = _embed(responses.to_numpy(), method, perplexity, random_state, "units")
    table = pd.DataFrame({UNIT: responses[UNIT].to_numpy(), AREA: responses[AREA].to_numpy(), "x": x, "y": y})
    table.attrs.update(labels, of="units")
    return table


def embed_trials(
    dataset: xr.Dataset,
    *,
    method: Method = "pca",
    perplexity: float = 30.0,
    most: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Place trials in a plane by the counts of all units; labels take no part in it.

    Parameters
    ----------
    dataset
        Binned trials; each unit's counts are square-rooted (which evens out the variance of counts) and z-scored.
    method, perplexity, random_state
        As for `embed_units`.
    most
        Place at most so many trials, evenly spread over the session; all if None. The time that t-SNE takes grows
        faster than the number of trials.

    Returns
    -------
    DataFrame
        One row per trial: ``trial``, ``target``, ``stimulus_block``, ``start_time`` (s), ``x``, ``y``; ``attrs`` as
        for `embed_units`, and ``n_all``, the number of trials there are.

    Raises
    ------
    ConfigError, NoTrialsError
        As for `embed_units`.
    """
    if most is not None and most < 3:
        raise ConfigError(f"expected to place at least 3 trials, got most={most}.")
    n_all = dataset.sizes[TRIAL]
    if most is not None and n_all > most:
        dataset = dataset.isel({TRIAL: np.linspace(0, n_all - 1, most).round().astype(int)})
    counts = dataset[SPIKE_COUNTS].sum(TIME, dtype=np.int64).transpose(TRIAL, UNIT).to_numpy().astype(np.float64)
    values = np.sqrt(counts)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    x, y, labels = _embed(values, method, perplexity, random_state, "trials")
    own = {name: dataset[name].to_numpy() for name in (TRIAL, TARGET, BLOCK, START)}
    table = pd.DataFrame({**own, "x": x, "y": y})
    table.attrs.update(labels, of="trials", n_all=n_all)
    return table


def _embed(
    values: NDArray[np.float64], method: Method, perplexity: float, random_state: int, what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, Any]]:
    """Place rows in a plane, and say what the axes are."""
    from sklearn.decomposition import PCA

    if method not in ("pca", "tsne"):
        raise ConfigError(f"expected method='pca' or 'tsne', got {method!r}.")
    if not perplexity > 0:
        raise ConfigError(f"expected a perplexity above 0, got {perplexity}.")
    if len(values) < 3 or values.shape[1] < 2:
        raise NoTrialsError(f"expected at least 3 {what} of 2 values or more to place, got shape {values.shape}.")
    n_first = min(FIRST_COMPONENTS if method == "tsne" else 2, *values.shape)
    components = PCA(n_first, svd_solver="full").fit(values)
    placed = components.transform(values)
    if method == "pca":
        shares = np.nan_to_num(components.explained_variance_ratio_)
        labels = [f"principal component {n + 1} ({share:.0%} of variance)" for n, share in enumerate(shares[:2])]
        return placed[:, 0], placed[:, 1], {"method": "pca", "x_label": labels[0], "y_label": labels[1]}
    from sklearn.manifold import TSNE

    able = min(perplexity, (len(values) - 1) / 3)
    placed = TSNE(2, perplexity=able, init="pca", learning_rate="auto", random_state=random_state).fit_transform(placed)
    note = f"(perplexity {able:.3g}, no unit)"
    labels = [f"t-SNE {axis} {note}" for axis in (1, 2)]
    return (
        placed[:, 0].astype(np.float64),
        placed[:, 1].astype(np.float64),
        {"method": "tsne", "x_label": labels[0], "y_label": labels[1]},
    )

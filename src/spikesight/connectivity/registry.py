"""The table of connectivity estimators: a name, the class behind it, and one line about it.

Classes are imported when they are asked for. Other packages add estimators through the entry-point group
``spikesight.connectivity``::

    [project.entry-points."spikesight.connectivity"]
    my-method = "my_package.connectivity:MyMethod"
"""

import importlib
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final

from spikesight.errors import ConfigError, UnknownNameError, did_you_mean

ENTRY_POINT_GROUP: Final = "spikesight.connectivity"


@dataclass(frozen=True)
class EstimatorSpec:
    """What the registry knows of an estimator.

    Parameters
    ----------
    path
        ``"module:Class"``.
    summary
        One line for a table of estimators.
    bin_size
        Length of a bin that suits it, s.
    """

    path: str
    summary: str
    bin_size: float = 0.002


_ESTIMATORS: dict[str, EstimatorSpec] = {
    "ccg-jitter": EstimatorSpec(
        "spikesight.connectivity.ccg_jitter:CCGJitter",
        "cross-correlogram less what spikes jittered within 25 ms give; peak over 1 to 6 ms",
        0.001,
    ),
    "granger": EstimatorSpec(
        "spikesight.connectivity.granger:Granger",
        "conditional Granger causality: linear regression of each unit on the past of all, in closed form",
    ),
    "poisson-glm": EstimatorSpec(
        "spikesight.connectivity.poisson_glm:PoissonGLM",
        "coupled Poisson regression with history terms, ridge or group lasso",
        0.001,
    ),
    "transfer-entropy": EstimatorSpec(
        "spikesight.connectivity.transfer_entropy:TransferEntropy",
        "delayed transfer entropy of spike words, against local permutations",
        0.001,
    ),
    "forecast-gat": EstimatorSpec(
        "spikesight.connectivity.forecast_gat:ForecastGAT",
        "graph attention network that forecasts spikes; its learned adjacency is the estimate",
    ),
    "noise-correlation": EstimatorSpec(
        "spikesight.connectivity.noise_correlation:NoiseCorrelation",
        "correlation of counts beyond the stimulus, without a direction: the baseline",
        0.005,
    ),
}


def names() -> list[str]:
    """Return the names of all estimators, plug-ins last."""
    return [*_ESTIMATORS, *(name for name in _plugins() if name not in _ESTIMATORS)]


def spec(name: str) -> EstimatorSpec:
    """Return what is known of an estimator.

    Raises
    ------
    UnknownNameError
        If there is none of that name; offers the nearest.
    """
    known = {**_plugins(), **_ESTIMATORS}
    if name not in known:
        raise UnknownNameError("connectivity estimator", name, known)
    return known[name]


def make(name: str, **params: Any) -> Any:
    """Return an unfitted estimator.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    ConfigError
        If it cannot be imported, or has no such parameter.
    """
    module, _, attribute = spec(name).path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the connectivity estimator {name!r} is broken: {error}") from error
    known = list(kind().get_params())
    unknown = [param for param in params if param not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise ConfigError(f"{name} has no parameter {unknown[0]!r}.{hint} Its parameters: {', '.join(known)}.")
    return kind(**params)


def register(name: str, spec: EstimatorSpec) -> None:
    """Add an estimator to the table of this process.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    if name in _ESTIMATORS:
        raise ConfigError(f"the name {name!r} is taken by {_ESTIMATORS[name].path}; choose another name.")
    _ESTIMATORS[name] = spec


def unregister(name: str) -> None:
    """Take an estimator out of the table of this process."""
    if name not in _ESTIMATORS:
        raise UnknownNameError("connectivity estimator", name, _ESTIMATORS)
    del _ESTIMATORS[name]


def _plugins() -> dict[str, EstimatorSpec]:
    found = entry_points(group=ENTRY_POINT_GROUP)
    return {entry.name: EstimatorSpec(entry.value, f"plug-in {entry.value}") for entry in found}

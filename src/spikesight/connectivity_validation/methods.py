"""What is compared: the registered estimators, and a plain correlation as the yardstick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator

from spikesight.connectivity import registry
from spikesight.errors import ConfigError

CORRELATION: Final = "|correlation| 25 ms"
"""Name of the yardstick: it fixed the coupling strength of the reference network."""


class PlainCorrelation(BaseEstimator):  # type: ignore[misc]
    """Pearson correlation of counts, stimulus and all; ranked by its absolute value. No direction, lag or test."""

    random: ClassVar[bool] = False

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, counts: xr.DataArray) -> Self:
        """Correlate counts of continuous time, (time, unit)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.nan_to_num(np.corrcoef(counts.transpose("unit", "time").to_numpy().astype(np.float64)))
        np.fill_diagonal(r, 0.0)
        ids = counts["unit"].to_numpy()
        self.connectivity_ = xr.DataArray(
            r, {"source_unit": ids, "target_unit": ids}, ("source_unit", "target_unit"), name="connectivity"
        )
        self.z_ = self.p_values_ = self.lag_ = xr.full_like(self.connectivity_, np.nan)
        self.sign_ = np.sign(self.connectivity_)
        return self


@dataclass(frozen=True)
class Method:
    """An estimator with its options.

    Attributes
    ----------
    name
        How it is called in tables.
    estimator
        Name in the registry; "" for the yardstick.
    params
        Its parameters, where they are not the defaults.
    bin_size
        Seconds.
    by_trial
        Whether counts come by trial where there is a stimulus, so that the mean response is removed.
    """

    name: str
    estimator: str
    params: Mapping[str, Any] = field(default_factory=dict)
    bin_size: float = 0.002
    by_trial: bool = True

    def make(self) -> Any:
        """Return the unfitted estimator."""
        return registry.make(self.estimator, **self.params) if self.estimator else PlainCorrelation(**self.params)


def method_of(name: str, **params: Any) -> Method:
    """Return a registered estimator at the bin size that suits it, or the yardstick.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    if name == CORRELATION:
        return Method(name, "", params, bin_size=0.025, by_trial=False)
    return Method(name, name, params, bin_size=registry.spec(name).bin_size)


def methods_of(asked: Sequence[str | Method] | None) -> list[Method]:
    """Return what was asked for, or the yardstick and all registered estimators.

    Raises
    ------
    UnknownNameError
        If there is no estimator of a name.
    ConfigError
        If two methods have one name, or there is none.
    """
    wanted = [CORRELATION, *registry.names()] if asked is None else list(asked)
    methods = [method if isinstance(method, Method) else method_of(method) for method in wanted]
    names = [method.name for method in methods]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"expected one or more methods of different names, got {', '.join(names) or 'none'}.")
    return methods

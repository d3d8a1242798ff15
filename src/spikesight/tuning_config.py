"""How a search for constants is done: pure data, frozen, checked key by key."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from spikesight.search_space import as_dimension

_UNITS = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0}
"""Minutes in one."""


class TuningConfig(BaseModel):
    """A search for a decoder's constants, the same for every decoder and outer fold.

    Attributes
    ----------
    search
        What proposes candidates: Optuna's Gaussian process or tree-structured Parzen estimator, HEBO, or chance.
    candidates
        Candidates per decoder and outer fold, the defaults among them.
    budget
        Minutes per decoder and outer fold, after which no candidate goes on; also "30m", "90s", "2h". None: no limit.
    scheduler
        ``"asha"`` gives up candidates that are behind others after the same share of their training; ``"none"`` does
        not.
    grace, reduction
        Of ASHA: the share of its training after which a candidate can be given up first (0 to 1), and how many
        candidates compete for each that goes on. Later decisions are at ``grace`` times powers of ``reduction``.
    space
        Search ranges that differ from a decoder's own: by decoder, then by parameter; null takes one out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: Literal["optuna-gp", "optuna-tpe", "random", "hebo"] = "optuna-gp"
    candidates: int = Field(default=50, ge=2)
    budget: float | None = Field(default=None, gt=0)
    scheduler: Literal["asha", "none"] = "asha"
    grace: float = Field(default=0.25, gt=0, lt=1)
    reduction: int = Field(default=2, ge=2)
    space: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("budget", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
        if found is None:
            raise ValueError(f"expected minutes, or a time such as 90s, 30m or 2h, got {value!r}")
        return float(found[1]) * _UNITS[found[2] or "m"]

    @field_validator("space")
    @classmethod
    def _ranges(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for decoder, changes in value.items():
            for name, written in changes.items():
                if written is not None:
                    as_dimension(f"{decoder}.{name}", written)
        return value

"""What a connectivity estimate is asked: pure data, frozen, checked key by key."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from spikesight.config import Frozen, UnitsConfig, assign, describe_problems
from spikesight.errors import ConfigError
from spikesight.places import FilePlace, resolved, stem_of


class ConnectivityConfig(Frozen):
    """Everything that decides the numbers of a connectivity estimate, and where they are written.

    Attributes
    ----------
    source
        NWB file (a path, an address or the id of a public session), or binned trials of several bins (``.npz``,
        ``.nc``).
    archive
        Where a public session is read.
    method
        Registered name of the estimator.
    period
        ``"spontaneous"``, ``"all"``, seconds such as ``"100:1600"``, or the name of a stimulus; None: spontaneous time,
        or all of a file of binned trials.
    bin_size
        Seconds; None: what suits the method.
    areas, unit_ids
        Keep units of these areas; keep these units. None: all.
    quality, units
        As for a benchmark: quality filters, by default on for NWB files only.
    params
        Parameters of the estimator.
    stability
        Estimate each half of the recording, and with another seed where chance enters, and correlate the matrices.
    seed
        Of everything random.
    out
        The run directory.
    """

    source: FilePlace
    archive: Literal["s3", "dandi"] = "s3"
    method: str
    period: str | None = None
    bin_size: float | None = Field(default=None, gt=0)
    areas: tuple[str, ...] | None = None
    unit_ids: tuple[int, ...] | None = None
    quality: bool | None = None
    units: UnitsConfig = UnitsConfig()
    params: dict[str, Any] = Field(default_factory=dict)
    stability: bool = True
    seed: int = Field(default=0, ge=0)
    out: Path | None = None

    def run_directory(self) -> Path:
        """Give ``out``, or a name made of the question: the same question finds the same directory."""
        if self.out is not None:
            return self.out
        asked = self.model_dump(mode="json", exclude={"out", "source", "archive"})
        place = str(resolved(self.source))
        digest = hashlib.sha256(json.dumps([place, asked], sort_keys=True).encode()).hexdigest()[:6]
        return Path("runs") / "-".join([stem_of(self.source), self.method, digest]).replace("/", "_")


def load_connectivity_config(values: Mapping[str, object], *, assignments: Iterable[str] = ()) -> ConnectivityConfig:
    """Check options.

    Parameters
    ----------
    values
        Options by name; None leaves the default.
    assignments
        ``"name=value"`` strings: parameters of the estimator, the value read as YAML; ``units.<filter>=value`` sets a
        quality filter.

    Raises
    ------
    ConfigError
        Names each key that is unknown or has a wrong value, and says what was expected.
    """
    known = {name: value for name, value in values.items() if value is not None}
    own: dict[str, Any] = {"params": {}}
    for assignment in assignments:
        assign(own if assignment.startswith("units.") else own["params"], assignment)
    try:
        return ConnectivityConfig.model_validate({**known, **own})
    except ValidationError as error:
        raise ConfigError(f"in the options: {describe_problems(error.errors())}") from error

"""Who else follows a cell, besides the run directory: they hear each epoch of its fit, and how it ended.

The run directory is written in any case (`run_directory.py`, `epochs.py`). A tracker is a guest: it lives in the
process that fits the cell, and whatever befalls it must cost the run neither results nor time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd


@dataclass(frozen=True, eq=False)
class Ending:
    """How a cell ended.

    Attributes
    ----------
    error
        Why it failed; empty if it did not.
    epochs
        All epochs of its fit, where its decoder has any: columns `spikesight.tracking.epochs.EPOCH_COLUMNS`.
    result
        Its row of results.
    predictions
        One row per test trial.
    params
        Parameters of the fitted decoder, chosen ones among them.
    decoder
        Folder of the stored decoder, as `spikesight.decoders.storage.save_decoder` writes it; None if it is not kept.
    """

    error: str = ""
    epochs: Sequence[Mapping[str, Any]] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    predictions: pd.DataFrame | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    decoder: Path | None = None


class Tracker(Protocol):
    """Follows one cell. Its methods never raise."""

    def hear(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Hear all epochs of the fit so far; the last one is new, after a resumed fit earlier ones may be as well."""

    def end(self, ending: Ending) -> None:
        """Hear how the cell ended."""

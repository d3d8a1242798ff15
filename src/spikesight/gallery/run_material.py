"""What the figures of a benchmark are drawn from: its record, and what the sessions behind it tell beyond that."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from spikesight.config import BenchmarkConfig
from spikesight.data.context import own_bins
from spikesight.data.images import images_of_simulation, read_images
from spikesight.data.simulation.truth import truth_path
from spikesight.errors import DataError
from spikesight.evaluation.sources import load_source
from spikesight.records.leaderboard import is_competing
from spikesight.records.run_record import RunRecord
from spikesight.schema import TIME


@dataclass(eq=False)
class RunMaterial:
    """A benchmark, for drawing. What it has no data for raises a DataError that says so.

    Parameters
    ----------
    record
        The run.
    images
        Where pictures of the stimulus are; None: those of a simulated session are taken from beside its file.
    """

    record: RunRecord
    images: str | Path | None = None

    @cached_property
    def sessions(self) -> dict[str, dict[str, Any]]:
        """Cards of sessions by id."""
        return {str(card["session_id"]): card for card in self.record.cards}

    @property
    def several(self) -> bool:
        """Whether there is more than one session."""
        return len(self.sessions) > 1

    def boards(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the leaderboard of each session."""
        for session, board in self.record.per_session.groupby("session", sort=False):
            yield str(session), board

    def best(self) -> Iterator[tuple[str, "pd.Series[Any]", pd.DataFrame]]:
        """Yield, for each session, its best row and the test trials of that, of one seed."""
        for session, board in self.boards():
            competing = board[is_competing(board)]
            if competing.empty:
                continue
            row = competing.iloc[0]
            trials = self.record.predictions
            own = trials[trials["session"].astype(str) == session]
            own = own[(own["decoder"] == row["decoder"]) & (own["selection"] == row["selection"])]
            yield session, row, own[own["seed"] == own["seed"].iloc[0]]

    def of(self, session: str, *more: str) -> tuple[str, ...]:
        """Name what a picture is of: the session only where there are several."""
        return ((session,) if self.several else ()) + more

    def panel(self, session: str, name: str) -> dict[str, Any]:
        """Return a panel of a session, ``"raster"`` or ``"rates"``.

        Raises
        ------
        DataError
            If the run has none, with the reason.
        """
        found = self.record.panels.get(session, {}).get(name)
        if not found:
            why = self.sessions[session].get("panels_left_out", {}).get(name, "the run holds none")
            raise DataError(f"{name} of session {session}: {why}.")
        return dict(found)

    def check_images(self) -> None:
        """Refuse a place of pictures that was given and has none. Raises FileFormatError."""
        if self.images is not None:
            self._given_images  # noqa: B018

    def pictures(self, session: str) -> xr.DataArray:
        """Return the pictures that were shown, dims (frame, row, column).

        Raises
        ------
        DataError
            If there are none.
        """
        if self.images is not None:
            return self._given_images
        source = self._source(session)
        if source is None or not truth_path(source).is_file():
            raise DataError("published sessions do not hold the pictures that were shown; give them (images).")
        return images_of_simulation(source)

    def dataset(self, session: str) -> xr.Dataset:
        """Read and bin a session again, as the run did; bins of neighbouring presentations are left out.

        Raises
        ------
        DataError
            If its file is not on this machine (any more); it is not fetched anew for a picture.
        """
        source = self._source(session)
        if source is None:
            raise DataError(
                f"the trials of session {session} are not kept in the run, and its file "
                f"({self.sessions[session].get('source')}) is not here."
            )
        known = {name: value for name, value in self.record.config.items() if name in BenchmarkConfig.model_fields}
        config = BenchmarkConfig.model_validate({**known, "sources": (str(source),)})
        dataset = load_source(source, config).dataset
        return dataset.isel({TIME: list(own_bins(dataset))})

    @cached_property
    def _given_images(self) -> xr.DataArray:
        if self.images is None:
            raise DataError("no pictures were given.")
        return read_images(self.images)

    def _source(self, session: str) -> Path | None:
        told = str(self.sessions[session].get("source", ""))
        return Path(told) if told and Path(told).is_file() else None

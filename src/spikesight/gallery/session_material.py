"""What the figures of a session are drawn from: trials, counts and pictures, each read when it is asked for."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import xarray as xr

from spikesight.config import DEFAULT_STIMULUS, BenchmarkConfig
from spikesight.data.binning import bin_spikes
from spikesight.data.images import images_of_simulation, read_images
from spikesight.data.location import Located
from spikesight.data.presentations import Trials, select_trials
from spikesight.data.session import Session
from spikesight.data.simulation import truth_path
from spikesight.data.stimuli import targets_of
from spikesight.errors import FileFormatError, StimulusNotFoundError
from spikesight.evaluation.sources import load_source, located_source, open_session
from spikesight.places import holds_counts
from spikesight.tracking.progress import Progress


@dataclass(eq=False)
class SessionMaterial:
    """One session, for drawing. What the file does not hold raises a DataError that says so.

    Parameters
    ----------
    config
        Source, stimulus, target, and which units; one source.
    images
        Pictures of the stimulus, see `spikesight.data.images.read_images`; None: those of a simulated session are
        taken from beside its file.
    progress
        Hears of reading from servers.
    """

    config: BenchmarkConfig
    images: Path | None = None
    progress: Progress | None = None

    @cached_property
    def located(self) -> Located:
        """Which file it is: on disk, or on a server."""
        return located_source(self.config.sources[0], self.config, self.progress)

    @property
    def streamed(self) -> bool:
        """Whether it is read from a server."""
        return not isinstance(self.located, Path)

    @cached_property
    def session(self) -> Session:
        """The session; its spikes are read once, since nearly every figure counts them anew."""
        if isinstance(self.located, Path) and holds_counts(self.located):
            raise FileFormatError(f"{self.located.name} holds spike counts of trials, not a session with spike times.")
        session = open_session(self.located, self.config, self.progress)
        spikes = session.spike_times.select(session.units.index.to_numpy()).in_memory()
        return replace(session, spike_times=spikes)

    @cached_property
    def trials(self) -> Trials:
        """The trials of the stimulus that was asked for, of natural scenes, or else of what was shown most."""
        config = self.config
        stimulus = config.stimulus or _usual_stimulus(self.session)
        return select_trials(
            self.session, stimulus, config.target, blanks=config.blanks, probe_invalid=config.probe_invalid
        )

    @cached_property
    def dataset(self) -> xr.Dataset:
        """One count per trial and unit."""
        if isinstance(self.located, Path) and holds_counts(self.located):
            return load_source(self.located, self.config, self.progress).dataset
        window = self.trials.window
        if window is None:
            return bin_spikes(self.trials, n_bins=1)
        return bin_spikes(self.trials, bin_size=window[1] - window[0], window=window)

    @cached_property
    def pictures(self) -> xr.DataArray:
        """The pictures of the stimulus."""
        if self.images is not None:
            return read_images(self.images)
        if isinstance(self.located, Path) and truth_path(self.located).is_file():
            return images_of_simulation(self.located)
        raise FileFormatError("session files do not hold the pictures that were shown; give them with --images.")


def _usual_stimulus(session: Session) -> str:
    """Natural scenes, or else the stimulus with most presentations of those that can be decoded by name."""
    shown = session.stimulus_presentations
    if DEFAULT_STIMULUS in shown:
        return DEFAULT_STIMULUS
    known = {name: len(table) for name, table in shown.items() if targets_of(name) and len(table)}
    if not known:
        raise StimulusNotFoundError(
            f"session {session.session_id} has no stimulus whose target is known. It has: "
            f"{', '.join(sorted(shown)) or 'none'}. Choose with --stimulus and --target."
        )
    return max(sorted(known), key=lambda name: known[name])

"""What a config says of a file becomes a session, trials and spike counts."""

from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from spikesight.config import DEFAULT_STIMULUS, BenchmarkConfig
from spikesight.data import http
from spikesight.data.behaviour import Running, select_running
from spikesight.data.binning import bin_spikes
from spikesight.data.context import add_context
from spikesight.data.counts import read_counts
from spikesight.data.fetch import fetch_session
from spikesight.data.location import Located, find, is_streamed
from spikesight.data.nwb import read_session
from spikesight.data.presentations import Trials, select_trials
from spikesight.data.public_source import RemoteFile
from spikesight.data.session import Session
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import ConfigError, NoUnitsError, StimulusNotFoundError
from spikesight.places import Place, as_place, holds_counts, is_session_id, name_of
from spikesight.schema import AREA, TRIAL
from spikesight.tracking.progress import Progress


@dataclass(frozen=True, eq=False)
class LoadedSource:
    """One session, binned.

    Attributes
    ----------
    name
        What messages call it, without folders.
    path
        The file; None if it was read from a server.
    dataset
        Binned trials, with context if it was asked for.
    trials
        The trials they were binned from; None if the file holds counts.
    """

    name: str
    path: Path | None
    dataset: xr.Dataset
    trials: Trials | None

    @property
    def session_id(self) -> str:
        """Id of the session, or the file's name where it has none."""
        return str(self.dataset.attrs.get("session_id") or Path(self.name).stem)


def load_source(place: Place | RemoteFile, config: BenchmarkConfig, progress: Progress | None = None) -> LoadedSource:
    """Read, select and bin one session as ``config`` says.

    Parameters
    ----------
    place
        A path, the id of a public session, an address, or a file on a server that was found before.
    config
        What to do.
    progress
        Hears how far the reading from a server is.

    Raises
    ------
    SpikesightError
        If the file cannot be read, lacks what is asked for, or an option cannot be honoured for it.
    """
    located = place if isinstance(place, RemoteFile) else located_source(place, config, progress)
    if isinstance(located, Path) and holds_counts(located):
        loaded = _load_counts(located, config)
    else:
        loaded = _load_spikes(located, config, progress)
    if config.context is not None:
        loaded = replace(loaded, dataset=add_context(loaded.dataset, *config.context))
    return loaded if config.running == "all" else _by_running(loaded, config.running)


def _by_running(loaded: LoadedSource, state: Running) -> LoadedSource:
    """Keep trials by running speed, after context was added: a trial's neighbours may be of either state."""
    dataset, trials = select_running(loaded.dataset, state), loaded.trials
    if trials is not None:
        trials = replace(trials, table=trials.table[trials.table.index.isin(dataset[TRIAL].to_numpy())])
    return replace(loaded, dataset=dataset, trials=trials)


def located_source(place: Place, config: BenchmarkConfig, progress: Progress | None = None) -> Located:
    """Find the file of a source; the whole file of a public session is fetched if it is to be kept.

    Raises
    ------
    ConfigError
        If it is a file of counts that is not here.
    SpikesightError
        If there is none, or a server does not give it.
    """
    place = as_place(place)
    if is_streamed(place):
        if holds_counts(place):
            raise ConfigError(f"binned trials are read from files; fetch {name_of(place)} first, and give its path.")
        if config.keep_files and isinstance(place, str) and is_session_id(place):
            return fetch_session(int(place), source=config.archive, progress=progress)
    return find(place, config.archive, patience=http.telling(progress))


def _load_spikes(located: Located, config: BenchmarkConfig, progress: Progress | None) -> LoadedSource:
    session = open_session(located, config, progress)
    stimulus = config.stimulus or DEFAULT_STIMULUS
    trials = select_trials(session, stimulus, config.target, blanks=config.blanks, probe_invalid=config.probe_invalid)
    if isinstance(located, RemoteFile):
        # They are looked at several times: trials, a raster, rates.
        spikes = trials.session.spike_times.select(trials.session.units.index.to_numpy()).in_memory()
        trials = replace(trials, session=replace(trials.session, spike_times=spikes))
    if config.window is not None:
        start, stop = config.window
        dataset = bin_spikes(trials, bin_size=config.bin_size or stop - start, window=config.window)
    elif config.n_bins is None and trials.window is not None:
        start, stop = trials.window
        dataset = bin_spikes(trials, bin_size=stop - start, window=trials.window)
    else:
        dataset = bin_spikes(trials, n_bins=config.n_bins or 1)
    return LoadedSource(_name(located), located if isinstance(located, Path) else None, dataset, trials)


def _name(located: Located) -> str:
    return name_of(located if isinstance(located, Path) else located.url)


def open_session(place: Place | RemoteFile, config: BenchmarkConfig, progress: Progress | None = None) -> Session:
    """Read an NWB file with the quality filters and areas of ``config``."""
    filters = None if config.quality is False else UnitFilters(**config.units.model_dump())
    located = place if isinstance(place, RemoteFile) else located_source(place, config, progress)
    session = read_session(located, filters=filters, progress=progress)
    if config.areas is None:
        return session
    inside = session.units[AREA].isin(config.areas).to_numpy()
    if not inside.any():
        there = ", ".join(sorted({str(area) for area in session.units[AREA] if area}))
        raise NoUnitsError(f"no unit of {_name(located)} lies in {', '.join(config.areas)}; its areas are: {there}.")
    chosen = session.select_units(session.units.index[inside].to_numpy())
    return replace(
        chosen,
        dropped_units={**session.dropped_units, "areas": int((~inside).sum())},
        unit_filters={**session.unit_filters, "areas": list(config.areas)},
    )


def _load_counts(path: Path, config: BenchmarkConfig) -> LoadedSource:
    """Read binned trials; options that only spike times could honour are refused."""
    for name, unset in (("n_bins", None), ("bin_size", None), ("window", None), ("blanks", "keep")):
        if getattr(config, name) != unset:
            raise ConfigError(
                f"{path.name} holds binned trials; {name} can only be chosen for spike times. Leave it out."
            )
    dataset = read_counts(path, target=config.target, quality=bool(config.quality), areas=config.areas)
    shown = str(dataset.attrs.get("stimulus_name", ""))
    if config.stimulus is not None and shown and config.stimulus != shown:
        raise StimulusNotFoundError(f"{path.name} holds no trials of {config.stimulus!r}. It holds: {shown}.")
    return LoadedSource(path.name, path, dataset, None)

"""What a config says of a file becomes a session, trials and spike counts."""

from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from spikesight.config import DEFAULT_STIMULUS, BenchmarkConfig, holds_counts
from spikesight.data.behaviour import Running, select_running
from spikesight.data.binning import bin_spikes
from spikesight.data.context import add_context
from spikesight.data.counts import read_counts
from spikesight.data.nwb import read_session
from spikesight.data.presentations import Trials, select_trials
from spikesight.data.session import Session
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import ConfigError, FileFormatError, NoUnitsError, StimulusNotFoundError
from spikesight.schema import AREA, TRIAL


@dataclass(frozen=True, eq=False)
class LoadedSource:
    """One session, binned.

    Attributes
    ----------
    path
        The file.
    dataset
        Binned trials, with context if it was asked for.
    trials
        The trials they were binned from; None if the file holds counts.
    """

    path: Path
    dataset: xr.Dataset
    trials: Trials | None

    @property
    def session_id(self) -> str:
        """Id of the session, or the file's name where it has none."""
        return str(self.dataset.attrs.get("session_id") or self.path.stem)


def load_source(path: Path, config: BenchmarkConfig) -> LoadedSource:
    """Read, select and bin one session as ``config`` says.

    Raises
    ------
    SpikesightError
        If the file cannot be read, lacks what is asked for, or an option cannot be honoured for it.
    """
    if not path.is_file():
        raise FileFormatError(f"expected a session file, there is none at {path}. Check the path.")
    loaded = _load_counts(path, config) if holds_counts(path) else _load_spikes(path, config)
    if config.context is not None:
        loaded = replace(loaded, dataset=add_context(loaded.dataset, *config.context))
    return loaded if config.running == "all" else _by_running(loaded, config.running)


def _by_running(loaded: LoadedSource, state: Running) -> LoadedSource:
    """Keep trials by running speed, after context was added: a trial's neighbours may be of either state."""
    dataset, trials = select_running(loaded.dataset, state), loaded.trials
    if trials is not None:
        trials = replace(trials, table=trials.table[trials.table.index.isin(dataset[TRIAL].to_numpy())])
    return replace(loaded, dataset=dataset, trials=trials)


def _load_spikes(path: Path, config: BenchmarkConfig) -> LoadedSource:
    session = open_session(path, config)
    stimulus = config.stimulus or DEFAULT_STIMULUS
    trials = select_trials(session, stimulus, config.target, blanks=config.blanks, probe_invalid=config.probe_invalid)
    if config.window is not None:
        start, stop = config.window
        dataset = bin_spikes(trials, bin_size=config.bin_size or stop - start, window=config.window)
    else:
        dataset = bin_spikes(trials, n_bins=config.n_bins or 1)
    return LoadedSource(path, dataset, trials)


def open_session(path: Path, config: BenchmarkConfig) -> Session:
    """Read an NWB file with the quality filters and areas of ``config``."""
    filters = None if config.quality is False else UnitFilters(**config.units.model_dump())
    session = read_session(path, filters=filters)
    if config.areas is None:
        return session
    inside = session.units[AREA].isin(config.areas).to_numpy()
    if not inside.any():
        there = ", ".join(sorted({str(area) for area in session.units[AREA] if area}))
        raise NoUnitsError(f"no unit of {path.name} lies in {', '.join(config.areas)}; its areas are: {there}.")
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
    return LoadedSource(path, dataset, None)

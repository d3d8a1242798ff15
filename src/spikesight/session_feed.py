"""Sessions of a benchmark that are read while others are decoded: the next one ahead, and no more."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import xarray as xr

from spikesight.config import DEFAULT_STIMULUS, BenchmarkConfig
from spikesight.data.context import own_bins
from spikesight.data.location import Located, identity
from spikesight.data.public_source import RemoteFile
from spikesight.data.simulation import GroundTruth, truth_path
from spikesight.decoders.on_bins import OnBins
from spikesight.decoders.oracle import Oracle
from spikesight.errors import ConfigError, SpikesightError
from spikesight.evaluation.sources import LoadedSource, load_source, located_source
from spikesight.kept_sessions import KeptSession, key_of, read_kept, write_kept
from spikesight.places import Place, name_of
from spikesight.quality.label_check import check_labels
from spikesight.records.run_record import SESSIONS
from spikesight.records.session_overview import area_rates, panels_file, raster_excerpt, session_card
from spikesight.schema import TIME, UNIT
from spikesight.tracking.progress import Progress
from spikesight.tracking.provenance import identify_file
from spikesight.tracking.run_directory import RunDirectory

NO_SPIKE_TIMES: Final = "the file holds spike counts, not spike times"
READING: Final = "reading sessions"


@dataclass(frozen=True, eq=False)
class DescribedSession:
    """One session as the decoders get it, and what a reader sees of it before its numbers.

    Attributes
    ----------
    session_id, dataset
        Its id and its binned trials.
    card, panels
        JSON-able: what went into the decoders; raster and rates.
    references
        Reference decoders that it allows, by name.
    key
        Name under which it is to be kept; None: it is not.
    """

    session_id: str
    dataset: xr.Dataset
    card: dict[str, Any]
    panels: dict[str, Any]
    references: dict[str, Any]
    key: str | None = None


def describe_session(loaded: LoadedSource, config: BenchmarkConfig, tell: Progress) -> DescribedSession:
    """Look at a session before it is decoded."""
    panels, left_out = _panels(loaded)
    own = loaded.dataset.isel({TIME: list(own_bins(loaded.dataset))})
    labels = str(check_labels(own, seed=config.seed))
    card = {
        **session_card(loaded.dataset),
        "labels": labels,
        "session_id": loaded.session_id,
        "panels_left_out": left_out,
    }
    for area in sorted(set(config.areas or ()) - set(card["units_per_area"])):
        tell.note(f"session {loaded.session_id} has no unit in {area}")
    oracle = _oracle(loaded, config, tell)
    references = {} if oracle is None else {"oracle": oracle}
    return DescribedSession(loaded.session_id, loaded.dataset, card, panels, references)


def write_panels(run: RunDirectory, described: DescribedSession) -> None:
    """Write the panels of a session, if it has any."""
    if described.panels:
        run.write_json(panels_file(described.session_id), {"session_id": described.session_id, **described.panels})


class SessionFeed(Mapping[str, xr.Dataset]):
    """Binned sessions by id, in the order of the sources. It is iterated once; only the current one can be had.

    While one is decoded the next is read. One that cannot be read is told of, and the others go on.

    Parameters
    ----------
    run
        Gets cards, panels and the identity of the files.
    config
        What to do.
    places
        Where the sessions are.
    tell
        Hears how far it is.

    Attributes
    ----------
    references
        Reference decoders by session id; filled as sessions come.
    lost
        Sessions that could not be read: their names and the errors.
    """

    def __init__(self, run: RunDirectory, config: BenchmarkConfig, places: tuple[Place, ...], tell: Progress) -> None:
        self.references: dict[str, dict[str, Any]] = {}
        self.lost: list[tuple[str, Exception]] = []
        self._run = run
        self._config = config
        self._places = places
        self._tell = tell
        self._cards: list[dict[str, Any]] = []
        self._current: DescribedSession | None = None
        self._n_come = 0

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, session_id: str) -> xr.Dataset:
        if self._current is None or self._current.session_id != session_id:
            raise KeyError(session_id)
        return self._current.dataset

    def __iter__(self) -> Iterator[str]:
        ahead: _Reading | None = None
        for number, place in enumerate(self._places, 1):
            reading = ahead or self._begin(place)
            found = reading.result()
            self._n_come = number
            ahead = None
            self._tell.advance(READING, number, len(self._places))
            if isinstance(found, Exception):
                self.lose(name_of(place), found)
                continue
            located, described = found
            if described.session_id in self.references:
                self.lose(name_of(place), ConfigError(f"it is session {described.session_id} once more; name it once."))
                continue
            self._keep(located, described)
            # Not before: what is kept goes through HDF5, whose lock the next reading has while it waits for its server.
            ahead = self._begin(self._places[number]) if number < len(self._places) else None
            self._current = described
            del found, reading, described  # what is decoded and what is read ahead: no third one
            yield self._current.session_id
            self._current = None

    def lose(self, name: str, error: Exception) -> None:
        """Hear that a session cannot be decoded."""
        self.lost.append((name, error))
        self._tell.note(f"session {name} is left out: {error}")
        self._run.log("session left out", session=name, error=str(error))

    def give_up(self, error: Exception) -> None:
        """Read no more sessions: those that have not come are lost."""
        for place in self._places[self._n_come :]:
            self.lose(name_of(place), error)

    def refuse_nothing(self) -> None:
        """Raise the first error if it left no session."""
        if len(self.lost) == len(self._places):
            raise self.lost[0][1]

    def _begin(self, place: Place) -> "_Reading":
        return _Reading(place, self._config, self._tell, self._run.path)

    def _keep(self, located: Located, described: DescribedSession) -> None:
        if described.key is not None:
            write_kept(self._run, described.key, KeptSession(described.dataset, described.card, described.panels))
        self.references[described.session_id] = described.references
        self._cards.append(described.card)
        write_panels(self._run, described)
        self._run.write_json(SESSIONS, self._cards)
        where = identity(located)
        self._run.add_input(where if isinstance(where, dict) else identify_file(where))


class _Reading:
    """One session that is read in the background.

    The thread ends with the process: whoever stops a run does not wait for a server.
    """

    def __init__(self, place: Place, config: BenchmarkConfig, tell: Progress, run: Path) -> None:
        self._asked = (place, config, tell, run)
        self._found: tuple[Located, DescribedSession] | Exception | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read, daemon=True, name="spikesight-read-ahead")
        self._thread.start()

    def _read(self) -> None:
        place, config, tell, run = self._asked
        try:
            located = located_source(place, config, tell)
            self._found = located, _described(located, config, tell, run)
        except (SpikesightError, OSError, MemoryError) as error:
            self._found = error
        except BaseException as error:  # a mistake of ours: it is raised where it is seen
            self._failure = error

    def result(self) -> tuple[Located, DescribedSession] | Exception:
        """Wait for it; an error that costs this session alone is returned."""
        self._thread.join()
        found, self._found = self._found, None
        if found is None:
            raise self._failure or RuntimeError("a session was asked for twice.")
        return found


def _described(located: Located, config: BenchmarkConfig, tell: Progress, run: Path) -> DescribedSession:
    """Take what an earlier run kept of a file on a server, else read it."""
    key = key_of(located, config) if isinstance(located, RemoteFile) else None
    kept = None if key is None else read_kept(run, key)
    if kept is not None:
        return DescribedSession(str(kept.card["session_id"]), kept.dataset, kept.card, kept.panels, {})
    return replace(describe_session(load_source(located, config, tell), config, tell), key=key)


def _oracle(loaded: LoadedSource, config: BenchmarkConfig, tell: Progress) -> Oracle | OnBins | None:
    """Make the reference that knows the truth, if the truth of a simulated session lies beside its file."""
    if loaded.path is None or loaded.trials is None or not truth_path(loaded.path).is_file():
        return None
    dataset, trials = loaded.dataset, loaded.trials
    if config.detrend is not None:
        tell.note(f"no oracle for {loaded.name}: it knows counts as they were fired, not detrended ones")
        return None
    by_presentation = isinstance(dataset.attrs["window"], str)
    if trials.stimulus != DEFAULT_STIMULUS or trials.target != "frame" or not by_presentation:
        tell.note(f"no oracle for {loaded.name}: it knows frames of natural scenes in bins over each presentation")
        return None
    own = own_bins(dataset)
    truth = GroundTruth.load(truth_path(loaded.path))
    oracle = Oracle.from_truth(truth, dataset[UNIT].to_numpy(), n_bins=len(own))
    return oracle if len(own) == dataset.sizes[TIME] else OnBins(oracle, own)


def _panels(loaded: LoadedSource) -> tuple[dict[str, Any], dict[str, str]]:
    """Make the panels that need spike times, or say why they are left out."""
    if loaded.trials is None:
        return {}, {"raster": NO_SPIKE_TIMES, "rates": NO_SPIKE_TIMES}
    return {"raster": raster_excerpt(loaded.trials), "rates": area_rates(loaded.trials)}, {}

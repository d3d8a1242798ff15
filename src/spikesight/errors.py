"""Every error that spikesight raises on purpose.

A message says what was expected, what came, and what to do about it::

    SpikesightError
    |-- DataError                      the input cannot be used as it is
    |   |-- FileFormatError            not NWB / npz / nc, truncated, or refuses to be read safely
    |   |-- StimulusNotFoundError      the session was never shown that stimulus
    |   |-- TargetNotFoundError        the stimulus has no such column to decode
    |   |-- NoUnitsError               no unit is left after selection
    |   |-- NoTrialsError              no trial is left after selection
    |   |-- SpikeTimesError            NaN, infinite or unsorted spike times
    |   |-- PresentationsError         impossible start or stop times
    |   |-- UnitIdsError               duplicated, missing or other units than asked
    |   `-- TooFewRepeatsError         a class has fewer repeats than the folds need
    |-- ConfigError                    an option that cannot be honoured
    |   `-- UnknownNameError           no decoder, preset or splitter of that name
    |-- DecoderError                   a fitted decoder that does not fit the question put to it
    |-- TrainingError                  a network whose loss is no longer finite, or a damaged checkpoint
    |-- OutputError                    a file that cannot be written: it exists, no folder, no permission, no space
    |-- RemoteError                    a server that cannot be reached, refuses, or sends something else
    |-- WorkerError                    a worker process died
    |-- ClusterError                   no Ray cluster answers, it refuses, or its nodes do not fit the work
    |-- TrackingError                  a W&B run that could not be written; it is warned of and ends nothing
    `-- RunDirectoryError              a run directory in use, of another config, or not writable
"""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the nearest of the ``known`` names, or "" if none is near ``name``."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def brief(error: object, length: int = 300) -> str:
    """Write out what another library raised, cut to ``length``: it may quote megabytes of a damaged file."""
    text = str(error) or type(error).__name__
    return text if len(text) <= length else f"{text[:length]} ..."


class SpikesightError(Exception):
    """Base of all errors raised on purpose by spikesight."""


class DataError(SpikesightError, ValueError):
    """The input cannot be used as it is."""


class FileFormatError(DataError):
    """A file that is not what its reader expects, is damaged, or refuses to be read safely."""


class StimulusNotFoundError(DataError):
    """The session was never shown the stimulus that was asked for."""


class TargetNotFoundError(DataError):
    """The stimulus table has no column of the name that should be decoded."""


class NoUnitsError(DataError):
    """No unit is left after selection."""


class NoTrialsError(DataError):
    """No trial is left after selection."""


class SpikeTimesError(DataError):
    """Spike times that are NaN, infinite or not in ascending order."""


class PresentationsError(DataError):
    """Presentations whose start or stop times are impossible."""


class UnitIdsError(DataError):
    """Unit ids that are duplicated, missing or not those that were expected."""


class TooFewRepeatsError(DataError):
    """A class is repeated too rarely for the folds that were asked for."""


class ConfigError(SpikesightError, ValueError):
    """An option that cannot be honoured."""


class UnknownNameError(ConfigError):
    """A name that is not in a table of names; offers the nearest one that is."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Describe ``name``, an unknown ``kind`` (for example ``"decoder"``), beside the ``known`` names."""
        names = sorted(known)
        super().__init__(f"unknown {kind} {name!r}.{did_you_mean(name, names)} Known: {', '.join(names)}.")


class DecoderError(SpikesightError, ValueError):
    """A fitted decoder that does not fit the question put to it."""


class TrainingError(SpikesightError):
    """A network whose loss is no longer finite, or whose unfinished fit cannot be read."""


class OutputError(SpikesightError, OSError):
    """A file that cannot be written: it exists already, or there is no folder, permission or space for it."""


class RemoteError(SpikesightError):
    """A server that cannot be reached, refuses, or sends something else than it announced.

    Attributes
    ----------
    status
        The HTTP status it answered with; None if it did not answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WorkerError(SpikesightError):
    """A worker process died, most likely because memory ran out."""


class ClusterError(SpikesightError):
    """A Ray cluster that does not answer, refuses this process, or whose nodes do not fit the work."""


class TrackingError(SpikesightError):
    """A run of Weights & Biases that could not be written or uploaded. It never ends a run of ours."""


class RunDirectoryError(SpikesightError):
    """A run directory that is in use, belongs to another config, or cannot be written."""

"""Several sessions are fetched one after the other; one that fails does not keep the others away."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spikesight.data import http
from spikesight.data.fetch import PATIENT, FetchRecord, fetch
from spikesight.data.public_source import Source
from spikesight.errors import OutputError, RemoteError
from spikesight.tracking.progress import Progress, Silent


@dataclass(frozen=True)
class FailedFetch:
    """A session that could not be fetched, and why."""

    session_id: int
    source: str
    error: str


def fetch_many(
    session_ids: Iterable[int],
    source: Source = "s3",
    *,
    base: str | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    patience: http.Patience = PATIENT,
) -> list[FetchRecord | FailedFetch]:
    """Fetch public sessions; see :func:`spikesight.data.fetch.fetch_session` for the options.

    Returns
    -------
    list of FetchRecord or FailedFetch
        One a session, in the order that was asked for; ids that are named twice count once.
    """
    hears, asked = progress or Silent(), list(dict.fromkeys(session_ids))
    done: list[FetchRecord | FailedFetch] = []
    for session_id in asked:
        try:
            done.append(fetch(session_id, source, base=base, cache=cache, progress=hears, patience=patience))
        except (RemoteError, OutputError) as error:
            hears.note(f"session {session_id} was not fetched: {error}")
            done.append(FailedFetch(session_id, source, str(error)))
        if len(asked) > 1:
            hears.advance("sessions", len(done), len(asked))
    return done

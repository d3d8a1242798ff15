"""Requests over HTTP that are patient with what passes, and clear about what does not."""

import email.utils
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import requests
import urllib3.exceptions

from spikesight import __version__
from spikesight.errors import RemoteError
from spikesight.places import without_secrets
from spikesight.tracking.progress import Progress

WORTH_TELLING: Final = 2.0
"""Pauses that somebody who waits should hear of (s)."""
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say: try again."""
WHAT_TO_DO: Final = {
    401: "It asks for an account; public data needs none. Check the address.",
    403: "It refuses: a file that is not public, or that does not exist. Check the session id and the address.",
    404: "There is no such file. Check the session id and the address.",
    410: "The file was taken away. Check the session id and the address.",
}

_sessions = threading.local()


def _to_nobody(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to try again.

    Attributes
    ----------
    connect
        Time for a connection to be made (s).
    read
        Time without a byte after which a server is given up on (s).
    retries
        Tries after the first, in a row without any progress.
    first_wait, longest_wait
        Pause before the first retry, and the longest (s). It doubles each time; up to half of it is left to chance, so
        that many clients do not come back at once.
    told
        Hears of a longer pause in one line: why, and how long.
    """

    connect: float = 10.0
    read: float = 30.0
    retries: int = 5
    first_wait: float = 0.5
    longest_wait: float = 30.0
    told: Callable[[str], None] = field(default=_to_nobody, compare=False, repr=False)


PATIENT: Final = Patience()


def telling(progress: Progress | None, patience: Patience = PATIENT) -> Patience:
    """Return a patience whose longer pauses ``progress`` hears of."""
    return patience if progress is None else replace(patience, told=progress.note)


class PassingError(RemoteError):
    """A failure that may be gone on the next try.

    Attributes
    ----------
    retry_after
        Seconds the server asks to wait; None if it does not say.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after


class Backoff:
    """Counts failures in a row and waits between them."""

    def __init__(self, patience: Patience = PATIENT) -> None:
        self._patience = patience
        self._failures = 0

    def progressed(self) -> None:
        """Hear that something came through: failures are counted anew."""
        self._failures = 0

    def wait(self, error: PassingError) -> None:
        """Wait before the next try.

        Raises
        ------
        RemoteError
            If it has failed too often in a row.
        """
        self._failures += 1
        if self._failures > self._patience.retries:
            raise RemoteError(
                f"{error} Gave up after {self._failures} tries; try again later.", error.status
            ) from error
        pause = min(self._patience.first_wait * 2 ** (self._failures - 1), self._patience.longest_wait)
        pause *= random.uniform(0.5, 1.0)
        if error.retry_after is not None:
            # A server may ask for hours; nobody would know why nothing happens.
            pause = max(pause, min(error.retry_after, 2 * self._patience.longest_wait))
        if pause >= WORTH_TELLING:
            self._patience.told(f"{error} Trying again in {pause:.0f} s.")
        time.sleep(pause)


def attempt(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    stream: bool = False,
    patience: Patience = PATIENT,
) -> requests.Response:
    """Ask once.

    Parameters
    ----------
    method, url, headers, params
        The request. Redirects are followed.
    stream
        Leave the body unread; the caller closes the response.
    patience
        Its times are used.

    Returns
    -------
    requests.Response
        With a status below 400, or 412 or 416, which answer a question about ranges.

    Raises
    ------
    PassingError
        If another try may help.
    RemoteError
        If none will.
    """
    # Compressed bodies would have other lengths and ranges than the file.
    sent = {"Accept-Encoding": "identity", **(headers or {})}
    try:
        answer = _session().request(
            method, url, headers=sent, params=params, stream=stream, allow_redirects=True,
            timeout=(patience.connect, patience.read),
        )  # fmt: skip
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise explained(error, url) from error
    if answer.status_code < 400 or answer.status_code in (412, 416):
        return answer
    answer.close()
    raise _refusal(answer, url)


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    stream: bool = False,
    patience: Patience = PATIENT,
) -> requests.Response:
    """Ask, and ask again as long as ``patience`` allows. The parameters are those of :func:`attempt`.

    Raises
    ------
    RemoteError
        If the server refuses, or cannot be reached.
    """
    backoff = Backoff(patience)
    while True:
        try:
            return attempt(method, url, headers=headers, params=params, stream=stream, patience=patience)
        except PassingError as error:
            backoff.wait(error)


def ask_json(url: str, *, params: Mapping[str, str] | None = None, patience: Patience = PATIENT) -> Any:
    """Return the JSON at ``url``.

    Raises
    ------
    RemoteError
        If the server refuses, cannot be reached, or sends something else than JSON.
    """
    answer = ask("GET", url, params=params, headers={"Accept": "application/json"}, patience=patience)
    try:
        return answer.json()
    except ValueError as error:
        raise RemoteError(
            f"expected JSON from {without_secrets(url)}, got {answer.text[:60]!r}. Check the address."
        ) from error


def explained(error: Exception, url: str) -> RemoteError:
    """Return what to raise for ``error``, which a request to ``url`` or the reading of its body ended with."""
    where = without_secrets(url)
    if isinstance(error, requests.exceptions.SSLError):
        return RemoteError(
            f"{where} cannot prove who it is: {_said(_innermost(error))}. Check the address and the clock."
        )
    if isinstance(
        error,
        (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL),
    ):
        return RemoteError(f"{where} is no address of a web server. It should begin with https://.")
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return RemoteError(f"{where} sends from address to address without an end. Check the address.")
    if isinstance(error, (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError)) or "timed out" in str(
        error
    ):
        return PassingError(f"{where} went silent.")
    innermost = _innermost(error)
    if isinstance(innermost, socket.gaierror):
        return PassingError(f"{where} cannot be reached, the server's name is not found: is there a network?")
    return PassingError(f"{where} cannot be reached or broke off: {_said(innermost)}.")


def _refusal(answer: requests.Response, url: str) -> RemoteError:
    status, where = answer.status_code, without_secrets(url)
    said = f"{where} answers {status} {answer.reason or ''}".rstrip() + "."
    if status in PASSING:
        return PassingError(said, status, _retry_after(answer.headers.get("Retry-After")))
    return RemoteError(f"{said} {WHAT_TO_DO.get(status, 'Check the address.')}", status)


def _retry_after(text: str | None) -> float | None:
    """Return the seconds a server asks to wait: it sends a number or a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max((until - datetime.now(UTC)).total_seconds(), 0.0)


def _innermost(error: BaseException) -> BaseException:
    """Return what is at the bottom of an error that libraries have wrapped many times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _said(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__


class _Anonymous(requests.Session):
    """A session that shows no account: requests would send what a ``.netrc`` has for any server, and S3 refuses it."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = _unchanged

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """After a redirect: add nothing."""


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _session() -> requests.Session:
    """Return this thread's session; a process that was forked does not share its parent's connections."""
    if getattr(_sessions, "owner", None) != os.getpid():
        session = _Anonymous()
        session.headers["User-Agent"] = f"spikesight/{__version__}"
        _sessions.session, _sessions.owner = session, os.getpid()
    found: requests.Session = _sessions.session
    return found

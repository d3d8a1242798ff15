"""What may stand where a FILE is asked: a path, the id of a public session, or an address."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from spikesight.errors import ConfigError

Place = Path | str
"""A path; or, as text, the id of a public session or an address. A path would make ``https:/`` of ``https://``."""

SCHEMES: Final = ("https", "http", "s3")
DANDI: Final = "dandi:"
COUNT_SUFFIXES: Final = (".npz", ".nc")
"""Files that hold binned trials already; anything else is read as NWB."""
READ_AHEAD: Final = "spikesight-read-ahead"
"""Name of the threads that read a session while another one is decoded."""
WHAT_IS_ONE: Final = "a path, the id of a public session, or an address (s3://, https:// or dandi:000021/<session>)"

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://?")


def as_place(value: Any) -> Place:
    """Take what a user wrote: text and numbers become a path, an id or an address.

    Raises
    ------
    ConfigError
        If it is neither; an address whose slashes a path has eaten is one.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # YAML takes an id for a number
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"expected {WHAT_IS_ONE}, got {value!r}.")
    text = os.fspath(value)
    if not isinstance(text, str):
        raise ConfigError(f"expected {WHAT_IS_ONE}, got {value!r}.")
    if not text.strip():
        raise ConfigError(f"expected {WHAT_IS_ONE}, got an empty text.")
    if is_session_id(text) or text.startswith(DANDI):
        return text
    found = _SCHEME.match(text)
    if found is None or len(found[1]) == 1:  # C:/ is a drive
        return Path(value)
    if found[1].lower() not in SCHEMES:
        raise ConfigError(f"expected an address with s3://, https:// or dandi:, got {text!r}.")
    if isinstance(value, os.PathLike) or not found[0].endswith("//"):
        raise ConfigError(f"expected an address as text, with two slashes after {found[1]}:, got {text!r}.")
    return text


FilePlace = Annotated[Path | str, BeforeValidator(as_place)]
"""The type of an option that names a file."""


def is_session_id(text: str) -> bool:
    """Tell if a text is the id of a session: digits."""
    return text.isascii() and text.isdigit()


def resolved(place: Place) -> Place:
    """Make a path absolute, so that it stays the same from another folder; an id that is a file's name is that file."""
    if isinstance(place, str) and not (is_session_id(place) and Path(place).exists()):
        return place
    return Path(place).expanduser().resolve()


def name_of(place: Place) -> str:
    """Say in short which place it is: the last part, without folders, hosts and signatures."""
    if isinstance(place, Path):
        return place.name
    return Path(place.removeprefix(DANDI) if place.startswith(DANDI) else urlsplit(place).path).name or place


def stem_of(place: Place) -> str:
    """Say in short which place it is, for the name of a folder: as ``name_of``, without what follows the last dot."""
    return Path(name_of(place)).stem


def holds_counts(place: Place) -> bool:
    """Whether a place is named like a file of binned trials (else it is read as NWB)."""
    return Path(name_of(place)).suffix.lower() in COUNT_SUFFIXES

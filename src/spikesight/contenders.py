"""A registered decoder as a contender of a leaderboard."""

from collections.abc import Mapping
from typing import Any

from spikesight.decoders import registry
from spikesight.errors import ConfigError
from spikesight.fitting import DEFAULT, REFERENCE, SEARCHED, TUNED, Contender, Search, with_constants


def contender(
    name: str, selection: str, params: Mapping[str, Any] | None = None, search: Search | None = None
) -> Contender:
    """Look a registered decoder up.

    Parameters
    ----------
    name
        Its registered name.
    selection
        ``"tuned"``, ``"searched"``, ``"default"`` or ``"reference"``.
    params
        Constants in place of its defaults.
    search
        What looks for constants, if the selection is ``"searched"``.

    Raises
    ------
    UnknownNameError
        If no decoder has that name.
    ConfigError
        If there is no such selection, the decoder does not take such constants, or there is nothing that searches.
    """
    known = (TUNED, SEARCHED, DEFAULT, REFERENCE)
    if selection not in known:
        raise ConfigError(f"expected a selection among {', '.join(map(repr, known))}, got {selection!r}.")
    if (selection == SEARCHED) != (search is not None):
        raise ConfigError(f"expected a search with the selection {SEARCHED!r} and with no other, got {search!r}.")
    given = dict(params or {})
    try:
        made = with_constants(registry.make(name), given)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{name} cannot be made with {given}: {' '.join(str(error).split())}") from error
    if search is not None:
        search.check(made)
    return Contender(name, selection, made, tuple(registry.spec(name).candidates), search, tuple(given))

"""A registered decoder as a contender of a leaderboard, alone or behind an encoder."""

from collections.abc import Mapping
from typing import Any

from spikesight.decoders import registry
from spikesight.encoders import registry as encoders
from spikesight.errors import ConfigError
from spikesight.evaluation.fitting import DEFAULT, REFERENCE, SEARCHED, TUNED, Contender, Search, with_constants
from spikesight.records.leaderboard import BEHIND


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


def encoded_contender(
    encoder: str,
    name: str,
    selection: str,
    params: Mapping[str, Any] | None = None,
    encoder_params: Mapping[str, Any] | None = None,
) -> Contender:
    """Put a registered decoder behind an encoder.

    Parameters
    ----------
    encoder
        Registered name of an encoder, or the path of a transformer.
    name, selection, params
        As of `contender`; constants are those of the decoder. It chooses among its own candidates, and the encoder is
        fitted anew for each.
    encoder_params
        Constants of the encoder in place of its defaults.

    Raises
    ------
    UnknownNameError
        If there is no such decoder or encoder.
    ConfigError
        If the decoder makes no sense behind an encoder, constants are not taken, or a search is asked for.
    """
    from spikesight.decoders.encoded import EncodedDecoder, refusal  # most leaderboards do without

    if selection == SEARCHED:
        raise ConfigError(f"constants behind an encoder are not searched; ask for {TUNED!r} or {DEFAULT!r}.")
    bare = contender(name, selection, params)
    why = refusal(type(bare.estimator), bare.estimator.get_params(deep=False))
    if why:
        raise ConfigError(f"{name} cannot stand behind an encoder: {why}.")
    return Contender(
        encoded_name(encoder, name),
        selection,
        EncodedDecoder(encoders.make(encoder, encoder_params), bare.estimator),
        tuple({f"decoder__{key}": value for key, value in candidate.items()} for candidate in bare.candidates),
        given=tuple(f"decoder__{key}" for key in bare.given) + tuple(f"encoder__{key}" for key in encoder_params or ()),
    )


def encoded_name(encoder: str, decoder: str) -> str:
    """Name the row of a decoder behind an encoder."""
    return f"{encoders.label_of(encoder)}{BEHIND}{decoder}"

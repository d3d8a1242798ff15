"""Who is in a leaderboard: references and controls first, then every decoder with every way to set its constants."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from spikesight.decoders import registry
from spikesight.decoders.behaviour import BehaviourLogistic
from spikesight.decoders.on_bins import OnBins
from spikesight.errors import DataError
from spikesight.evaluation.contenders import contender, encoded_contender
from spikesight.evaluation.fitting import DEFAULT, FEWEST_CANDIDATES, REFERENCE, SEARCHED, TUNED, Contender, Search
from spikesight.evaluation.folds import Problem
from spikesight.schema import PUPIL_AREA, PUPIL_X, PUPIL_Y, RUNNING_SPEED

CHANCE: Final = "chance"
NEIGHBOURS: Final = "neighbours alone"
"""Name of the control of a leaderboard with context: the default decoder, without a trial's own bins."""
_PUPIL: Final = (PUPIL_AREA, PUPIL_X, PUPIL_Y)
CONTROLS: Final = {"behaviour": (RUNNING_SPEED, *_PUPIL), "running": (RUNNING_SPEED,), "pupil": _PUPIL}
"""What each control sees of what the mouse did, as far as the session knows it; its row is named "running alone"."""

Searches = Callable[[str, Problem], Search]
"""Makes what looks for the constants of a named decoder on a session."""


def entrants(
    decoders: Sequence[str],
    selections: Sequence[str],
    references: Mapping[str, Any],
    problem: Problem,
    *,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    searches: Searches | None = None,
    controls: Sequence[str] = (),
    encoders: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Contender]:
    """List the contenders of one session.

    Parameters
    ----------
    decoders
        Registered names.
    selections
        ``"tuned"``, ``"searched"``, ``"default"``, or several. A decoder with fewer than two candidates has no tuned
        row, one without a search space no searched one: in their place it has a default row.
    references
        Unfitted estimators by name.
    problem
        The session's trials.
    params
        Constants in place of defaults, by decoder.
    searches
        Makes searches, if there are any.
    controls
        Names of ``CONTROLS``: rows that see what the mouse did and no spike.
    encoders
        Constants of encoders by name: behind each stand the decoders that make sense there, beside themselves alone.
        They have a default row in place of a searched one.

    Returns
    -------
    list of Contender
        Chance and the references, the controls, with context what the neighbours alone tell, the identity graph in
        place of each graph decoder's own; then the decoders, and those behind encoders.

    Raises
    ------
    DataError
        If the session does not know what a control is to see.
    """
    given = params or {}
    return [
        contender(CHANCE, REFERENCE),
        *(Contender(name, REFERENCE, estimator) for name, estimator in references.items()),
        *(_behaviour_alone(name, problem) for name in controls),
        *_neighbours_alone(problem),
        *(_without_graph(name, given.get(name, {})) for name in decoders if has_graph(registry.get(name))),
        *(
            contender(name, how, given.get(name), searches(name, problem) if searches and how == SEARCHED else None)
            for name in decoders
            if name != CHANCE
            for how in _selections_of(name, selections)
        ),
        *(
            encoded_contender(encoder, name, how, given.get(name), constants)
            for encoder, constants in (encoders or {}).items()
            for name in decoders
            if not why_not_behind(name, given.get(name, {}))
            for how in dict.fromkeys(DEFAULT if one == SEARCHED else one for one in _selections_of(name, selections))
        ),
    ]


def why_not_behind(name: str, params: Mapping[str, Any]) -> str:
    """Say why a decoder makes no sense behind an encoder; "" if it does."""
    from spikesight.decoders.encoded import refusal

    return refusal(registry.get(name), dict(params))


def has_graph(decoder: type[Any]) -> bool:
    """Whether a class of decoders has a graph as a parameter."""
    return "graph" in inspect.signature(decoder).parameters


def _behaviour_alone(name: str, problem: Problem) -> Contender:
    """Make a control that sees no spike."""
    measures = tuple(measure for measure in CONTROLS[name] if measure in problem.behaviour)
    if not measures:
        raise DataError(
            f"expected {' or '.join(CONTROLS[name])} for the control {name!r}; session {problem.session} holds "
            f"{', '.join(problem.behaviour) or 'none of what the mouse did'}. Leave the control out (--control)."
        )
    return Contender(f"{name} alone", REFERENCE, BehaviourLogistic(), sees=measures)


def _neighbours_alone(problem: Problem) -> list[Contender]:
    """Make the control of context: how much the neighbours tell of the trial between them."""
    if not any(problem.context):
        return []
    others = tuple(int(place) for place in np.flatnonzero(~problem.own_bins))
    return [Contender(NEIGHBOURS, REFERENCE, OnBins(registry.make(registry.DEFAULT), others))]


def _without_graph(name: str, params: Mapping[str, Any]) -> Contender:
    """Make the control of a graph decoder: each unit is joined to itself alone."""
    others = {key: value for key, value in params.items() if key.partition("__")[0] != "graph"}
    return Contender(f"{name}, identity graph", REFERENCE, registry.make(name, graph="identity", **others))


def _selections_of(name: str, selections: Sequence[str]) -> Sequence[str]:
    spec = registry.spec(name)
    nothing_to_choose = {TUNED: len(spec.candidates) < FEWEST_CANDIDATES, SEARCHED: not spec.search_space}
    return list(dict.fromkeys(DEFAULT if nothing_to_choose.get(how) else how for how in selections))

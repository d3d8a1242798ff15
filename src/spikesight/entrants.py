"""Who is in a leaderboard: references and controls first, then every decoder with every way to set its constants."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from spikesight.decoders import registry
from spikesight.decoders.on_bins import OnBins
from spikesight.evaluation import Problem, contender
from spikesight.fitting import DEFAULT, FEWEST_CANDIDATES, REFERENCE, Contender

CHANCE: Final = "chance"
NEIGHBOURS: Final = "neighbours alone"
"""Name of the control of a leaderboard with context: the default decoder, without a trial's own bins."""


def entrants(
    decoders: Sequence[str], selections: Sequence[str], references: Mapping[str, Any], problem: Problem
) -> list[Contender]:
    """List the contenders of one session.

    Parameters
    ----------
    decoders
        Registered names.
    selections
        ``"tuned"``, ``"default"`` or both. A decoder with fewer than two candidates has a default row in any case and
        never a tuned one: the two would be the same.
    references
        Unfitted estimators by name.
    problem
        The session's trials.

    Returns
    -------
    list of Contender
        Chance and the references, the identity graph in place of each graph decoder's own, with context what the
        neighbours alone tell; then the decoders.
    """
    return [
        contender(CHANCE, REFERENCE),
        *(Contender(name, REFERENCE, estimator) for name, estimator in references.items()),
        *_neighbours_alone(problem),
        *(_without_graph(name) for name in decoders if has_graph(registry.get(name))),
        *(contender(name, how) for name in decoders if name != CHANCE for how in _selections_of(name, selections)),
    ]


def has_graph(decoder: type[Any]) -> bool:
    """Whether a class of decoders has a graph as a parameter."""
    return "graph" in inspect.signature(decoder).parameters


def _neighbours_alone(problem: Problem) -> list[Contender]:
    """Make the control of context: how much the neighbours tell of the trial between them."""
    if not any(problem.context):
        return []
    others = tuple(int(place) for place in np.flatnonzero(~problem.own_bins))
    return [Contender(NEIGHBOURS, REFERENCE, OnBins(registry.make(registry.DEFAULT), others))]


def _without_graph(name: str) -> Contender:
    """Make the control of a graph decoder: each unit is joined to itself alone."""
    return Contender(f"{name}, identity graph", REFERENCE, registry.make(name, graph="identity"))


def _selections_of(name: str, selections: Sequence[str]) -> Sequence[str]:
    return selections if len(registry.spec(name).candidates) >= FEWEST_CANDIDATES else (DEFAULT,)

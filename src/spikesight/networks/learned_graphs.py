"""A graph that is learned together with the network, and where it starts from.

A learned graph is what helped the decoder. It is no estimate of connectivity: in simulations of known couplings, such a
matrix finds them no better than chance.
"""

import zlib
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from spikesight.errors import ConfigError, UnknownNameError
from spikesight.networks.correlations import (
    absolute_correlations,
    mean_in_strength,
    non_negative_factors,
    strongest_share,
)
from spikesight.networks.graph_estimator import Graph, checked_quantile, checked_trials, entry
from spikesight.networks.graph_module import GraphModule
from spikesight.networks.learned_modules import FullGraph, Learning, LowRankGraph

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "single": (),
    "per-class": ("class",),
    "per-trial": ("trial",),
    "per-bin": ("bin",),
    "per-class-per-bin": ("class", "bin"),
}
"""What a learned graph is learned per."""

DEFAULT_RANK: Final = 8
"""Rank of graphs per class where none is asked for: a full matrix for each of a hundred classes would be too many."""

_INITS: Final = ("constant", "correlation")
_REFERENCE: Final = 32
"""Training trials over which the mean of graphs per trial is taken."""
_FULL_JITTER, _FACTOR_JITTER, _CORRELATED_JITTER = 0.1, 0.5, 0.1
"""Largest starting deviation from 1, so that directions and ranks part; factors of a constant need more of it."""


class LearnedGraph(Graph):
    """A graph that is learned with the network, by the loss of the decoder.

    Parameters
    ----------
    scope
        ``"single"``: one graph. ``"per-bin"``: one for each bin. ``"per-class"``: one for each class, by which that
        class is scored in every trial, whatever its label. ``"per-class-per-bin"``: both. ``"per-trial"``: one for
        each trial, from its activity.
    rank
        Rank of the factors; None for a weight per pair of units. Graphs per class are always of low rank, 8 if None.
    init
        ``"constant"``: all edges alike, but for a small random part. ``"correlation"``: the absolute correlations of
        the training trials (low rank: non-negative factors of them).
    threshold
        Edges at or below this many mean starting weights are removed, and can come back; from 0 to below 1. In graphs
        of low rank it holds for the entries of the factors.
    refine_rounds
        How often the block's output changes the graph of its trial.
    quantile
        With ``init="correlation"``: share of pairs that start without an edge.
    """

    def __init__(
        self,
        scope: str = "single",
        rank: int | None = None,
        init: str = "constant",
        threshold: float = 0.1,
        refine_rounds: int = 0,
        quantile: float = 0.0,
    ) -> None:
        self.scope = scope
        self.rank = rank
        self.init = init
        self.threshold = threshold
        self.refine_rounds = refine_rounds
        self.quantile = quantile

    def build(
        self, rows: NDArray[Any], n_classes: int, seed: int, n_channels: int = 1, seen: NDArray[Any] | None = None
    ) -> GraphModule:
        """Return the graph as it starts, to be trained."""
        trials = checked_trials(rows)
        per = entry("scope", self.scope, SCOPES)
        rank = self._checked_rank(per)
        learning = self._checked_learning(n_channels)
        start = self._correlations(trials)
        # other trials, another start: two graphs that agree have learned alike, and did not only begin alike
        generator = torch.Generator().manual_seed(seed ^ zlib.crc32(trials.data))
        reference = torch.from_numpy(evenly_spaced(trials) if seen is None else checked_trials(seen))
        if rank is None:
            n_matrices = trials.shape[1] if "bin" in per else 1
            weights = _full_start(start, n_matrices, trials.shape[2], generator)
            return FullGraph(weights, per, reference, n_classes, learning, generator)
        factors = _factor_start(start, rank, trials.shape[2], seed, generator)
        return LowRankGraph(factors, per, reference, n_classes, learning, generator)

    def _checked_rank(self, per: tuple[str, ...]) -> int | None:
        if self.rank is None:
            return DEFAULT_RANK if "class" in per else None
        if not _whole(self.rank) or self.rank < 1:
            raise ConfigError(f"expected a rank of 1 or more, or None for a full matrix, got {self.rank!r}.")
        return self.rank

    def _checked_learning(self, n_channels: int) -> Learning:
        if not 0 <= self.threshold < 1:
            raise ConfigError(f"expected a threshold from 0 to below 1 mean starting weights, got {self.threshold!r}.")
        if not _whole(self.refine_rounds) or self.refine_rounds < 0:
            raise ConfigError(f"expected refine_rounds of 0 or more, got {self.refine_rounds!r}.")
        return Learning(self.threshold, self.refine_rounds, n_channels)

    def _correlations(self, trials: NDArray[Any]) -> NDArray[Any] | None:
        """Return what edges start from, or None for a constant."""
        quantile = checked_quantile(self.quantile)
        if self.init not in _INITS:
            raise UnknownNameError("start of a graph", str(self.init), _INITS)
        if self.init == "constant":
            return None
        weights = strongest_share(absolute_correlations(trials), quantile)
        return weights if weights.any() else None


def evenly_spaced(trials: NDArray[Any]) -> NDArray[Any]:
    """Return a few trials from first to last; without any, one at the mean of them all, which is 0."""
    if len(trials) == 0:
        return np.zeros((1, *trials.shape[1:]), trials.dtype)
    rows = np.linspace(0, len(trials) - 1, min(_REFERENCE, len(trials))).astype(int)
    return np.asarray(trials[rows])


def _full_start(start: NDArray[Any] | None, n_matrices: int, n_units: int, generator: torch.Generator) -> torch.Tensor:
    """Return (n_matrices, N, N) weights of mean 1 off the diagonal, alike but for a small random part."""
    random = 1 + _FULL_JITTER * _uniform((n_matrices, n_units, n_units), generator)
    if start is None:
        return random
    return random * torch.from_numpy(start * np.float32((n_units - 1) / mean_in_strength(start)))


def _factor_start(
    start: NDArray[Any] | None, rank: int, n_units: int, seed: int, generator: torch.Generator
) -> torch.Tensor:
    """Return source and target factors (2, N, R) whose products have mean R over pairs of units."""
    if start is None:
        return 1 + _FACTOR_JITTER * _uniform((2, n_units, rank), generator)
    factors = non_negative_factors(start, rank, np.random.default_rng(seed))
    products = factors @ factors.T
    np.fill_diagonal(products, 0)
    factors = factors * np.float32(np.sqrt(rank * (n_units - 1) / mean_in_strength(products)))
    return torch.from_numpy(factors) * (1 + _CORRELATED_JITTER * _uniform((2, n_units, rank), generator))


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Return numbers from -1 to 1."""
    return 2 * torch.rand(shape, generator=generator) - 1


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)

"""Directed couplings between units: sparse, delayed, and known exactly.

A spike of the source at ``t`` multiplies the target's rate by ``1 + weight`` for one millisecond from ``t + delay``,
and by ``1 + weight * k`` with the smaller ``k`` of ``TIME_COURSE`` in the milliseconds after. Weights of inhibitory
sources lie between -1 and 0 (a rate never falls below nothing). Several inputs add up.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikesight.data.simulation.areas import AREAS
from spikesight.data.simulation.population import Population
from spikesight.data.simulation.presets import Responses
from spikesight.data.simulation.streams import stream

TIME_COURSE: Final = (1.0, 0.6, 0.3)
"""Effect in the milliseconds after the delay, relative to the weight."""
LARGEST_WEIGHT: Final = 12.0
REACH: Final = 1.5
"""How far along the hierarchy couplings between areas reach: the chance falls by 1/e for every such step."""


@dataclass(frozen=True)
class Couplings:
    """Edges; arrays of shape (n_edges,), sorted by source, each (source, target) at most once, none onto itself.

    Attributes
    ----------
    source, target
        Rows of the units, not ids.
    weight
        Relative change of the target's rate at the peak.
    delay
        From the source's spike to the start of the effect, s.
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    delay: NDArray[np.float64]


def make_couplings(population: Population, constants: Responses, seed: int) -> Couplings:
    """Draw who drives whom, how strongly and after which delay.

    Within an area delays are 1 to 3 ms; between areas 2.5 to 5 ms, and 1 ms more for every step of the hierarchy, up to
    9.5 ms. Fast-spiking sources inhibit, all others excite.
    """
    rng = stream(seed, "couplings")
    n_units = len(population.ids)
    level = np.array([AREAS[area].level for area in population.area])
    within = population.area[:, None] == population.area[None, :]
    near = np.exp(-np.abs(level[:, None] - level[None, :]) / REACH)
    probability = np.zeros((n_units, n_units))
    for kind, wanted in ((within, constants.inputs_within), (~within, constants.inputs_between)):
        affinity = np.where(kind, near, 0.0)
        np.fill_diagonal(affinity, 0.0)
        incoming = affinity.sum(0)
        probability += np.where(incoming > 0, wanted * affinity / np.where(incoming > 0, incoming, 1.0), 0.0)
    source, target = np.nonzero(rng.random((n_units, n_units)) < probability)
    strength = constants.coupling_median * np.exp(constants.coupling_spread * rng.standard_normal(len(source)))
    weight = np.where(population.fast_spiking[source], -strength / (1 + strength), np.minimum(strength, LARGEST_WEIGHT))
    far = np.abs(level[source] - level[target])
    same = population.area[source] == population.area[target]
    delay = np.where(
        same, rng.uniform(1.0, 3.0, len(source)), rng.uniform(2.5, 5.0, len(source)) + np.minimum(far, 4.5)
    )
    return Couplings(source.astype(np.int64), target.astype(np.int64), weight, 1e-3 * delay)

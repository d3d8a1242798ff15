"""What multiplies every unit's rate besides the stimulus: running, shared fluctuations, its own noise, slow drift."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from spikesight.data.simulation.areas import AREAS
from spikesight.data.simulation.behaviour import STATE_BIN, ornstein_uhlenbeck
from spikesight.data.simulation.population import Population
from spikesight.data.simulation.presets import Responses
from spikesight.data.simulation.streams import stream

Floats = NDArray[np.float64]
CHUNK: Final = 10.0
"""Seconds that are simulated at a time."""
STATES_A_CHUNK: Final = round(CHUNK / STATE_BIN)
NORMALISING_STEP: Final = 37
"""Every so many states enter the mean that gains are divided by."""


@dataclass(frozen=True)
class Gain:
    """The gain of unit ``u`` at state ``i`` is ``exp(offset[u] + states[i] @ loadings[u])`` times its noise and drift.

    Attributes
    ----------
    states
        Running (column 0) and the shared latents, one row per STATE_BIN, shape (n_states, 1 + n_latents).
    loadings
        Shape (n_units, 1 + n_latents).
    offset
        Makes the mean gain over the session 1, shape (n_units,).
    private
        Standard deviation of each unit's own fluctuation in log gain, shape (n_units,).
    private_seconds
        Its time constant.
    drift
        Slow factor at the edges of the chunks, linear between, shape (n_chunks + 1, n_units).
    """

    states: Floats
    loadings: Floats
    offset: Floats
    private: Floats
    private_seconds: float
    drift: Floats

    def chunks(self, seed: int) -> Iterator[NDArray[np.float32]]:
        """Yield the whole gain of one chunk after another, shape (STATES_A_CHUNK, n_units), without end.

        Each chunk's noise has a random stream of its own; only the state of the filter is carried over.
        """
        keep = float(np.exp(-STATE_BIN / self.private_seconds))
        forward, back = np.array([np.sqrt(1 - keep**2)], np.float32), np.array([1, -keep], np.float32)
        n_units = len(self.offset)
        last = stream(seed, "private start").standard_normal((1, n_units), np.float32)
        between = ((np.arange(STATES_A_CHUNK) + 0.5) / STATES_A_CHUNK)[:, None].astype(np.float32)
        loadings, states = self.loadings.T.astype(np.float32), self.states.astype(np.float32)
        base = (self.offset - self.private**2 / 2).astype(np.float32)
        private = self.private.astype(np.float32)
        for number in range(len(self.drift) - 1):
            noise = stream(seed, "private", number).standard_normal((STATES_A_CHUNK, n_units), np.float32)
            noise, _ = lfilter(forward, back, noise, axis=0, zi=np.float32(keep) * last)
            last = noise[-1:].copy()
            rows = slice(number * STATES_A_CHUNK, (number + 1) * STATES_A_CHUNK)
            part = states[rows]
            log_gain = base + private * noise
            log_gain[: len(part)] += part @ loadings
            first, second = self.drift[number].astype(np.float32), self.drift[number + 1].astype(np.float32)
            yield np.exp(log_gain) * (first + between * (second - first))


def make_gain(population: Population, constants: Responses, running_state: Floats, seed: int) -> Gain:
    """Draw the shared latents and every unit's loadings on them.

    The first latent is arousal beyond running: all units load on it. The others are zero on average over units; half of
    their loadings are shared by the units of an area.
    """
    rng = stream(seed, "gain")
    n_units, n_states = len(population.ids), len(running_state)
    seconds = np.geomspace(*constants.latent_seconds, constants.latents)
    latents = np.stack([ornstein_uhlenbeck(rng, n_states, float(tau)) for tau in seconds], axis=1)
    names = list(AREAS)
    area = np.array([names.index(acronym) for acronym in population.area])
    of_area = rng.standard_normal((len(names), constants.latents))[area]
    own = rng.standard_normal((n_units, constants.latents))
    loadings = constants.latent_strength * (of_area + own) / np.sqrt(2)
    loadings[:, 0] += constants.arousal_strength
    preference = np.array([AREAS[acronym].running for acronym in population.area])
    running = constants.running_mean + preference + constants.running_spread * rng.standard_normal(n_units)
    states = np.concatenate([running_state[:, None], latents], axis=1)
    loadings = np.concatenate([running[:, None], loadings], axis=1)
    offset = -np.log(np.exp(states[::NORMALISING_STEP] @ loadings.T).mean(0))
    private = constants.private_median * np.exp(constants.private_spread * rng.standard_normal(n_units))
    return Gain(
        states,
        loadings,
        offset,
        np.minimum(private, 1.2),
        constants.private_seconds,
        _drift(rng, constants, n_units, n_states),
    )


def _drift(rng: np.random.Generator, constants: Responses, n_units: int, n_states: int) -> Floats:
    n_knots = -(-n_states // STATES_A_CHUNK) + 1
    keep = np.exp(-CHUNK / constants.drift_seconds)
    noise = rng.standard_normal((n_knots, n_units)) * np.sqrt(1 - keep**2)
    noise[0] /= np.sqrt(1 - keep**2)
    walk = lfilter([1.0], [1.0, -keep], noise, axis=0)
    return np.asarray(np.exp(constants.drift_strength * walk - constants.drift_strength**2 / 2), np.float64)

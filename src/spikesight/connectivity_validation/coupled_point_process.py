"""Coupled point processes: each spike raises or lowers the rate of the units that it drives, after a delay.

A unit fires at its base rate times its response to the stimulus, times a slow gain that all units share in part, times
``1 + push`` (never below 0). A spike of a source at ``t`` adds ``weight`` to the push of its target from ``t + delay``
for 1 ms, then ``0.6 weight`` and ``0.3 weight`` in the two milliseconds after (``TIME_COURSE``), to the nearest
millisecond. After each spike a unit is silent for the refractory period. Spikes are exact within steps of 1 ms, by time
rescaling (Brown et al. 2002, Neural Comput. 14:325).

The reference network is frozen. Its coupling strength was set once, with the correlation of counts in bins of 25 ms as
the only yardstick (AUROC 0.70 to 0.76 for "does i drive j"), before any estimator was run on it; the sha256 of its
parameters stands in the tests.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.connectivity_validation.point_process_kernel import COURSE_STEPS, GAIN_STEPS, STEP, run
from spikesight.connectivity_validation.simulated_network import SimulatedNetwork, draw_edges, split_spikes
from spikesight.data.simulation.coupling import LARGEST_WEIGHT, TIME_COURSE
from spikesight.data.simulation.streams import stream
from spikesight.errors import ConfigError
from spikesight.schema import START, STOP, TARGET

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PointProcess:
    """Constants of a network of coupled point processes. The defaults are those of the reference network.

    Parameters
    ----------
    n_units, duration
        Number of units; length of the recording, s.
    edge_probability, inhibitory
        Chance of an edge between two units, in each direction; fraction of units that inhibit, with all their edges.
    strength_median, strength_spread
        Of a log-normal strength ``s`` (spread: standard deviation of its logarithm). Excitatory weights are ``s``, at
        most 12; inhibitory ones are ``-s / (1 + s)``.
    shortest_delay, longest_delay
        Of the effect of a spike, s; uniform between them.
    rate_median, rate_spread, rate_range
        Of log-normal base rates, spikes/s; none is below or above these multiples of the median.
    refractory
        Seconds of silence after a spike; at least 1 ms.
    n_conditions, trial
        Stimuli, shown in random order one after the other for ``trial`` seconds each.
    response_depth, response_shared
        Standard deviation of the logarithm of the response over conditions, at its peak; fraction of its variance that
        units share (three patterns, each unit with a mixture of its own).
    gain_loading, gain_times
        Root mean square over units of the loading on each factor of the slow gain; correlation times of the factors,
        s.
    couplings, stimulus, gain
        Whether there are any.
    """

    n_units: int = 60
    duration: float = 1500.0
    edge_probability: float = 0.06
    inhibitory: float = 0.2
    strength_median: float = 2.7
    strength_spread: float = 0.5
    shortest_delay: float = 0.001
    longest_delay: float = 0.005
    rate_median: float = 6.0
    rate_spread: float = 0.6
    rate_range: tuple[float, float] = (1 / 3, 10 / 3)
    refractory: float = 0.002
    n_conditions: int = 20
    trial: float = 0.25
    response_depth: float = 0.5
    response_shared: float = 0.5
    gain_loading: float = 0.25
    gain_times: tuple[float, ...] = (1.5, 8.0)
    couplings: bool = True
    stimulus: bool = True
    gain: bool = True

    def __post_init__(self) -> None:
        """Refuse impossible constants.

        Raises
        ------
        ConfigError
            If a constant is impossible.
        """
        if self.n_units < 2 or not self.duration >= self.trial > 0:
            raise ConfigError(
                f"expected at least 2 units for at least one trial of {self.trial:g} s, got {self.n_units} units for "
                f"{self.duration:g} s."
            )
        if not 0 < self.shortest_delay <= self.longest_delay <= MAX_DELAY or self.refractory < STEP:
            raise ConfigError(
                f"expected delays above 0 and up to {MAX_DELAY:g} s and a refractory period from {STEP:g} s, got "
                f"{self.shortest_delay:g} to {self.longest_delay:g} s and {self.refractory:g} s."
            )


MAX_DELAY: Final = 0.012
"""What the kernel's ring of 16 ms holds, s."""
N_PATTERNS: Final = 3
"""Response patterns over conditions that units share."""
REFERENCE: Final = PointProcess()


class _Responses(NamedTuple):
    """Rate over base rate, (n_conditions, bins of 5 ms of a trial, n_units), and the condition of each trial."""

    factor: NDArray[np.float32]
    condition: NDArray[np.int64]


def coupled_point_process(*, seed: int = 0, **constants: Any) -> SimulatedNetwork:
    """Simulate a network of coupled point processes.

    Parameters
    ----------
    seed
        Of everything random.
    **constants
        Of `PointProcess`; those that are not given are the reference network's.

    Returns
    -------
    SimulatedNetwork
        ``weight`` is the relative change of the target's rate in the first millisecond of the effect.

    Raises
    ------
    ConfigError
        If there is no such constant, or it is impossible.
    """
    unknown = set(constants) - {field.name for field in fields(PointProcess)}
    if unknown:
        known = ", ".join(field.name for field in fields(PointProcess))
        raise ConfigError(f"a coupled point process has no constant {', '.join(sorted(unknown))}. It has: {known}.")
    return simulate(PointProcess(**constants), seed)


def reference_network(seed: int = 0) -> SimulatedNetwork:
    """Simulate the frozen reference network: 60 units, 25 minutes, 6 % edges, delays of 1 to 5 ms."""
    return simulate(REFERENCE, seed)


def digest(constants: Any, *shared: object) -> str:
    """Return the sha256 of the constants of a network (a dataclass), and of what else decides its numbers."""
    text = json.dumps([asdict(constants), *shared], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def reference_digest() -> str:
    """Return the sha256 of the reference network's constants."""
    return digest(REFERENCE, TIME_COURSE, LARGEST_WEIGHT, N_PATTERNS)


def simulate(constants: PointProcess, seed: int) -> SimulatedNetwork:
    """Simulate the network of these constants."""
    n_units = constants.n_units
    weight, delay = _couplings(constants, stream(seed, "couplings"))
    base = _base_rates(constants, stream(seed, "rates"))
    responses = _responses(constants, stream(seed, "responses"))
    gain = _gain(constants, stream(seed, "gain"))
    source, target = np.nonzero(weight)
    unit, time = run(
        base,
        responses.factor,
        responses.condition,
        round(constants.trial / STEP),
        gain,
        round(constants.duration / STEP),
        constants.refractory,
        np.searchsorted(source, np.arange(n_units + 1)),
        target,
        weight[source, target],
        delay[source, target],
        np.array(TIME_COURSE),
        stream(seed, "spikes"),
    )
    starts = constants.trial * np.arange(len(responses.condition) if constants.stimulus else 0)
    shown = responses.condition[: len(starts)]
    return SimulatedNetwork(
        spike_times=split_spikes(unit, time, n_units),
        duration=constants.duration,
        presentations=pd.DataFrame({START: starts, STOP: starts + constants.trial, TARGET: shown}),
        weight=weight,
        delay=delay,
        observed=np.arange(n_units),
        n_simulated=n_units,
        common_input=np.zeros((n_units, n_units), bool),
    )


def _couplings(constants: PointProcess, rng: np.random.Generator) -> tuple[Floats, Floats]:
    n_units = constants.n_units
    edges, inhibits = draw_edges(n_units, constants.edge_probability, constants.inhibitory, rng)
    noise = rng.standard_normal((n_units, n_units))
    strength = constants.strength_median * np.exp(constants.strength_spread * noise)
    signed = np.where(inhibits[:, None], -strength / (1 + strength), np.minimum(strength, LARGEST_WEIGHT))
    delay = rng.uniform(constants.shortest_delay, constants.longest_delay, (n_units, n_units))
    present = edges & constants.couplings
    return np.where(present, signed, 0.0), np.where(present, delay, np.nan)


def _base_rates(constants: PointProcess, rng: np.random.Generator) -> Floats:
    relative = np.exp(constants.rate_spread * rng.standard_normal(constants.n_units))
    return np.asarray(constants.rate_median * np.clip(relative, *constants.rate_range), np.float64)


def _responses(constants: PointProcess, rng: np.random.Generator) -> _Responses:
    """Draw what each condition does to each unit: a transient and a sustained part, each with its own tuning."""
    n_conditions, n_units = constants.n_conditions, constants.n_units
    n_bins = max(1, round(constants.trial / STEP / COURSE_STEPS))
    time = (np.arange(n_bins) + 0.5) * COURSE_STEPS * STEP
    n_trials = int(constants.duration / constants.trial + 1e-9)
    condition = rng.permutation(np.arange(n_trials) % n_conditions)
    latency = rng.uniform(0.03, 0.06, n_units)
    after = np.maximum(time[:, None] - latency, 0.0)
    transient = after / 0.02 * np.exp(1 - after / 0.02)
    sustained = 1 - np.exp(-after / 0.04)
    exponent = transient * _tuning(constants, rng)[:, None] + 0.5 * sustained * _tuning(constants, rng)[:, None]
    depth = constants.response_depth if constants.stimulus else 0.0
    factor = np.exp(depth * exponent - 0.5 * (depth * transient) ** 2)
    return _Responses(np.ascontiguousarray(factor, np.float32), condition)


def _tuning(constants: PointProcess, rng: np.random.Generator) -> Floats:
    """Draw standardised responses to the conditions, (n_conditions, n_units), of which units share a part."""
    patterns = rng.standard_normal((constants.n_conditions, N_PATTERNS))
    mixture = rng.standard_normal((N_PATTERNS, constants.n_units)) / np.sqrt(N_PATTERNS)
    own = rng.standard_normal((constants.n_conditions, constants.n_units))
    shared = constants.response_shared
    return np.asarray(np.sqrt(shared) * patterns @ mixture + np.sqrt(1 - shared) * own, np.float64)


def _gain(constants: PointProcess, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the slow gain of each unit, (steps of 50 ms, n_units); its mean is 1."""
    n_steps = -(-round(constants.duration / STEP) // GAIN_STEPS)
    loading = rng.standard_normal((len(constants.gain_times), constants.n_units))
    # The root mean square is exact, so that networks of several seeds are alike in how much their units share.
    loading *= constants.gain_loading / np.sqrt((loading**2).mean(axis=1, keepdims=True))
    if not constants.gain:
        return np.ones((n_steps, constants.n_units), np.float32)
    factors = slow_factors(constants.gain_times, n_steps, GAIN_STEPS * STEP, rng)
    return np.asarray(np.exp(factors @ loading - 0.5 * (loading**2).sum(0)), np.float32)


def slow_factors(times: Sequence[float], n_steps: int, step: float, rng: np.random.Generator) -> Floats:
    """Draw Ornstein-Uhlenbeck processes of variance 1 in steps of ``step`` s, (n_steps, n_factors)."""
    from scipy.signal import lfilter

    factors = np.empty((n_steps, len(times)))
    for column, seconds in enumerate(times):
        keep = np.exp(-step / seconds)
        noise = rng.standard_normal(n_steps)
        noise[1:] *= np.sqrt(1 - keep**2)
        factors[:, column] = lfilter([1.0], [1.0, -keep], noise)
    return factors

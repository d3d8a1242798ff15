"""Leaky integrate-and-fire networks with hidden units and common input: another family than any estimator's model.

The voltage of a unit relaxes with the membrane time constant towards its input: a constant drive, white noise of its
own, coloured noise that it shares with the units of its group, and exponential synaptic currents. It fires at the
threshold, is reset to rest and is silent for the refractory period (Gerstner et al. 2014, Neuronal Dynamics, ch. 1).
Voltages are in units of the distance from rest to threshold. The drive is set so that units fire at log-normal rates in
spite of what the network adds. The recording has no stimulus; half of the units are not seen.

The constants were set by the firing alone (rates, no synchrony, an excitatory synapse that raises its target's rate
visibly in 25 minutes) and are frozen; the sha256 of them stands in the tests.
"""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.connectivity_validation.coupled_point_process import digest
from spikesight.connectivity_validation.integrate_and_fire_kernel import NOISE_STEPS, RING, STEP, run
from spikesight.connectivity_validation.simulated_network import SimulatedNetwork, draw_edges, split_spikes
from spikesight.data.simulation.streams import stream
from spikesight.errors import ConfigError
from spikesight.schema import START, STOP, TARGET

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class IntegrateAndFire:
    """Constants of a network of integrate-and-fire units.

    Parameters
    ----------
    n_units, n_observed, duration
        Number of units; how many of them are seen; length of the recording, s.
    edge_probability, inhibitory
        Chance of an edge between two units, in each direction; fraction of units that inhibit, with all their edges.
    psp_median, psp_spread, largest_psp
        Peak of a postsynaptic potential, log-normal (spread: standard deviation of its logarithm), and its bound.
    inhibition
        Peak of inhibitory potentials over that of excitatory ones.
    shortest_delay, longest_delay
        From a spike to the beginning of its effect, s; uniform between them.
    rate_median, rate_spread, rate_range
        Of log-normal rates that the drive aims at, spikes/s; none is below or above these multiples of the median.
    membrane, excitatory_decay, inhibitory_decay, refractory
        Time constants of the membrane and of synaptic currents, and the refractory period, s.
    noise
        Standard deviation of the voltage without threshold and network.
    common
        Fraction of its variance that is common to the group.
    n_groups, common_times
        Number of groups of units with common noise; its shortest and longest correlation time over groups, s.
    couplings
        Whether there are any.
    """

    n_units: int = 120
    n_observed: int = 60
    duration: float = 1500.0
    edge_probability: float = 0.06
    inhibitory: float = 0.2
    psp_median: float = 0.06
    psp_spread: float = 0.5
    largest_psp: float = 0.3
    inhibition: float = 1.5
    shortest_delay: float = 0.001
    longest_delay: float = 0.005
    rate_median: float = 7.0
    rate_spread: float = 0.5
    rate_range: tuple[float, float] = (0.4, 2.5)
    membrane: float = 0.015
    excitatory_decay: float = 0.0015
    inhibitory_decay: float = 0.004
    refractory: float = 0.002
    noise: float = 0.25
    common: float = 0.2
    n_groups: int = 12
    common_times: tuple[float, float] = (0.005, 0.02)
    couplings: bool = True

    def __post_init__(self) -> None:
        """Refuse impossible constants.

        Raises
        ------
        ConfigError
            If a constant is impossible.
        """
        if not 2 <= self.n_observed <= self.n_units or not self.duration > 0 or self.n_groups < 1:
            raise ConfigError(
                f"expected 2 to {self.n_units} units in sight, a duration above 0 s and at least one group, got "
                f"{self.n_observed} units, {self.duration:g} s and {self.n_groups} groups."
            )
        if not STEP <= self.shortest_delay <= self.longest_delay <= (RING - 2) * STEP:
            raise ConfigError(
                f"expected delays of {STEP:g} to {(RING - 2) * STEP:g} s, got {self.shortest_delay:g} to "
                f"{self.longest_delay:g} s."
            )


FROZEN: Final = IntegrateAndFire()
N_DRIVES: Final = 40
"""Drives at which the rate of a unit alone is measured."""
DRIVES: Final = (-0.4, 1.6)
"""Their range."""
DRIVE_SECONDS: Final = 40.0


def integrate_and_fire(*, seed: int = 0, **constants: Any) -> SimulatedNetwork:
    """Simulate a network of integrate-and-fire units and hide a part of it.

    Parameters
    ----------
    seed
        Of everything random.
    **constants
        Of `IntegrateAndFire`; those that are not given are the frozen ones.

    Returns
    -------
    SimulatedNetwork
        ``weight`` is the peak of the postsynaptic potential in units of the distance from rest to threshold.

    Raises
    ------
    ConfigError
        If there is no such constant, or it is impossible.
    """
    known = [field.name for field in fields(IntegrateAndFire)]
    unknown = sorted(set(constants) - set(known))
    if unknown:
        raise ConfigError(
            f"an integrate-and-fire network has no constant {', '.join(unknown)}. It has: {', '.join(known)}."
        )
    return simulate(IntegrateAndFire(**constants), seed)


def integrate_and_fire_digest() -> str:
    """Return the sha256 of the frozen constants."""
    return digest(FROZEN, N_DRIVES, DRIVES, DRIVE_SECONDS, STEP, NOISE_STEPS)


def simulate(constants: IntegrateAndFire, seed: int) -> SimulatedNetwork:
    """Simulate the network of these constants."""
    n_units = constants.n_units
    rng = stream(seed, "couplings")
    edges, inhibits = draw_edges(n_units, constants.edge_probability, constants.inhibitory, rng)
    weight, delay = _synapses(constants, edges & constants.couplings, inhibits, rng)
    group = stream(seed, "groups").permutation(np.arange(n_units) % constants.n_groups)
    drive = _drive(constants, weight, inhibits, seed)
    unit, time = _run(constants, drive, group, weight, delay, inhibits, constants.duration, stream(seed, "spikes"))
    shared = (group[:, None] == group[None, :]) & (constants.common > 0)
    np.fill_diagonal(shared, False)
    whole = SimulatedNetwork(
        spike_times=split_spikes(unit, time, n_units),
        duration=constants.duration,
        presentations=pd.DataFrame({START: np.empty(0), STOP: np.empty(0), TARGET: np.empty(0, np.int64)}),
        weight=weight,
        delay=delay,
        observed=np.arange(n_units),
        n_simulated=n_units,
        common_input=shared,
    )
    return whole.observe(constants.n_observed, seed)


def _synapses(
    constants: IntegrateAndFire, edges: NDArray[np.bool_], inhibits: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    noise = rng.standard_normal(edges.shape)
    peak = np.minimum(constants.psp_median * np.exp(constants.psp_spread * noise), constants.largest_psp)
    signed = np.where(inhibits[:, None], -constants.inhibition * peak, peak)
    # In whole steps, as they are simulated.
    delay = np.round(rng.uniform(constants.shortest_delay, constants.longest_delay, edges.shape) / STEP) * STEP
    return np.where(edges, signed, 0.0), np.where(edges, delay, np.nan)


def _drive(constants: IntegrateAndFire, weight: Floats, inhibits: NDArray[np.bool_], seed: int) -> Floats:
    """Choose constant inputs for log-normal rates: what a unit alone needs, less what the network adds on average."""
    relative = np.exp(constants.rate_spread * stream(seed, "rates").standard_normal(constants.n_units))
    wanted = constants.rate_median * np.clip(relative, *constants.rate_range)
    drives = np.linspace(*DRIVES, N_DRIVES)
    alone = np.zeros((N_DRIVES, N_DRIVES))
    group = np.arange(N_DRIVES) % constants.n_groups
    nobody = np.zeros(N_DRIVES, bool)
    unit, _ = _run(constants, drives, group, alone, alone, nobody, DRIVE_SECONDS, stream(seed, "drives"))
    rates = np.maximum.accumulate(np.bincount(unit, minlength=N_DRIVES) / DRIVE_SECONDS)
    # Drives below the first spike all have rate 0; the last of them is where the curve begins.
    first = max(int(np.searchsorted(rates, 0.0, side="right")) - 1, 0)
    needed = np.interp(wanted, rates[first:], drives[first:])
    charge = current_per_peak(constants, inhibits) * STEP / (1 - np.exp(-STEP / _decay(constants, inhibits)))
    return np.asarray(needed - (wanted * charge) @ weight, np.float64)


def _decay(constants: IntegrateAndFire, inhibits: NDArray[np.bool_]) -> Floats:
    """Return the time constant of the synaptic currents of each source, s, (n_units,)."""
    return np.where(inhibits, constants.inhibitory_decay, constants.excitatory_decay)


def current_per_peak(constants: IntegrateAndFire, inhibits: NDArray[np.bool_]) -> Floats:
    """Return the jump of each source's synaptic current that makes a postsynaptic potential of peak 1, (n_units,)."""
    decay, membrane = _decay(constants, inhibits), constants.membrane
    peak_time = membrane * decay / (membrane - decay) * np.log(membrane / decay)
    peak = decay / (membrane - decay) * (np.exp(-peak_time / membrane) - np.exp(-peak_time / decay))
    # A current that is held for each step carries more than one that decays within it.
    held = STEP / decay / (1 - np.exp(-STEP / decay))
    return np.asarray(1 / peak / held, np.float64)


def _run(
    constants: IntegrateAndFire,
    drive: Floats,
    group: NDArray[np.int64],
    weight: Floats,
    delay: Floats,
    inhibits: NDArray[np.bool_],
    duration: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], Floats]:
    """Turn constants into what the kernel takes, and simulate."""
    n_units = len(drive)
    source, target = np.nonzero(weight)
    jump = weight[source, target] * current_per_peak(constants, inhibits)[source]
    keep = np.exp(-STEP / np.array([constants.membrane, constants.excitatory_decay, constants.inhibitory_decay]))
    hold = NOISE_STEPS * STEP
    left = np.exp(-hold / constants.membrane)
    # Of the input, so that the voltage has the variance that is asked for.
    own = constants.noise * np.sqrt((1 - constants.common) * (1 + left) / (1 - left))
    times = np.geomspace(*constants.common_times, constants.n_groups)
    common = constants.noise * np.sqrt(constants.common * (times + constants.membrane) / times)
    unit, time = run(
        drive,
        np.full(n_units, own),
        group,
        common,
        np.exp(-hold / times),
        round(duration / STEP),
        keep,
        round(constants.refractory / STEP),
        np.searchsorted(source, np.arange(n_units + 1)),
        target,
        jump,
        np.round(delay[source, target] / STEP).astype(np.int64),
        inhibits,
        rng,
    )
    return unit, time

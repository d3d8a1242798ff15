"""The compiled loop of leaky integrate-and-fire units."""

from typing import Any, Final

import numpy as np

from spikesight.data.count_kernels import compiled

STEP: Final = 0.0001
"""Seconds."""
NOISE_STEPS: Final = 5
"""Steps for which noise stays as it is."""
RING: Final = 128
"""Steps ahead that a spike may take to arrive; a power of two."""


@compiled
def _draw_input(
    drive: Any, noise: Any, group: Any, common: Any, common_keep: Any, shared: Any, given: Any, rng: Any
) -> None:
    """Draw what every unit is given for NOISE_STEPS, into ``given``; ``shared`` is the noise of each group."""
    for g in range(common.size):
        fresh = common[g] * np.sqrt(1.0 - common_keep[g] ** 2)
        shared[g] = common_keep[g] * shared[g] + fresh * rng.standard_normal()
    for unit in range(drive.size):
        given[unit] = drive[unit] + noise[unit] * rng.standard_normal() + shared[group[unit]]


@compiled
def run(
    drive: Any,
    noise: Any,
    group: Any,
    common: Any,
    common_keep: Any,
    n_steps: int,
    keep: Any,
    refractory_steps: int,
    first_edge: Any,
    target: Any,
    jump: Any,
    delay_steps: Any,
    inhibits: Any,
    rng: Any,
) -> Any:
    """Simulate all units; voltages count from rest (0, also the reset) to threshold (1).

    The voltage decays towards the input exactly, with the input held for a step.

    Parameters
    ----------
    drive, noise
        Constant input and standard deviation of the own white noise, held for NOISE_STEPS, (n_units,).
    group, common, common_keep
        Group of each unit, (n_units,); standard deviation of the noise that a group shares, and what is left of it
        after NOISE_STEPS, (n_groups,).
    n_steps
        Number of steps.
    keep
        What is left after a step of the voltage, of excitatory and of inhibitory currents, (3,).
    refractory_steps
        Steps after a spike for which the voltage stays at rest.
    first_edge, target, jump, delay_steps
        Edges of unit ``i`` are ``first_edge[i]`` to ``first_edge[i + 1]``; what a spike adds to the target's current,
        with its sign, after how many steps.
    inhibits
        Whether a unit is inhibitory, (n_units,).
    rng
        `numpy.random.Generator`.

    Returns
    -------
    unit, time
        Of every spike, (n_spikes,); s, where the voltage crosses the threshold on a line between steps.
    """
    n_units = drive.size
    keep_voltage, keep_excitation, keep_inhibition = keep[0], keep[1], keep[2]
    voltage, given = np.zeros(n_units), np.zeros(n_units)
    excitation, inhibition = np.zeros(n_units), np.zeros(n_units)
    ring = np.zeros((RING, 2, n_units))
    ready = np.zeros(n_units, np.int64)
    shared = np.empty(common.size)
    for g in range(common.size):
        shared[g] = common[g] * rng.standard_normal()
    spike_unit, spike_time = np.empty(1 << 16, np.int32), np.empty(1 << 16, np.float64)
    n_spikes = 0
    for step in range(n_steps):
        if step % NOISE_STEPS == 0:
            _draw_input(drive, noise, group, common, common_keep, shared, given, rng)
        excited, inhibited = ring[step % RING, 0], ring[step % RING, 1]
        # Plain loops over few arrays each: these the compiler turns into vector instructions.
        for unit in range(n_units):
            excitation[unit] = excitation[unit] * keep_excitation + excited[unit]
            inhibition[unit] = inhibition[unit] * keep_inhibition + inhibited[unit]
        excited[:] = 0.0
        inhibited[:] = 0.0
        n_crossed = 0
        for unit in range(n_units):
            toward = given[unit] + excitation[unit] + inhibition[unit]
            after = toward + (voltage[unit] - toward) * keep_voltage
            voltage[unit] = after if step >= ready[unit] else 0.0
            n_crossed += voltage[unit] >= 1.0
        if n_crossed == 0:
            continue
        for unit in range(n_units):
            if voltage[unit] < 1.0:
                continue
            toward = given[unit] + excitation[unit] + inhibition[unit]
            before = toward + (voltage[unit] - toward) / keep_voltage
            if n_spikes == spike_unit.size:
                spike_unit = np.concatenate((spike_unit, np.empty_like(spike_unit)))
                spike_time = np.concatenate((spike_time, np.empty_like(spike_time)))
            spike_unit[n_spikes] = unit
            spike_time[n_spikes] = (step + (1.0 - before) / (voltage[unit] - before)) * STEP
            n_spikes += 1
            voltage[unit] = 0.0
            ready[unit] = step + 1 + refractory_steps
            kind = 1 if inhibits[unit] else 0
            for edge in range(first_edge[unit], first_edge[unit + 1]):
                ring[(step + delay_steps[edge]) % RING, kind, target[edge]] += jump[edge]
    return spike_unit[:n_spikes], spike_time[:n_spikes]

"""The compiled loop of coupled point processes."""

from typing import Any, Final

import numpy as np

from spikesight.data.count_kernels import compiled

STEP: Final = 0.001
"""Seconds."""
COURSE_STEPS: Final = 5
"""Steps for which a response to the stimulus stays as it is."""
GAIN_STEPS: Final = 50
"""Steps for which the slow gain stays as it is."""
RING: Final = 16
"""Steps ahead that a coupling may reach; a power of two."""


@compiled
def run(
    base: Any,
    response: Any,
    condition: Any,
    trial_steps: int,
    gain: Any,
    n_steps: int,
    refractory: float,
    first_edge: Any,
    target: Any,
    weight: Any,
    delay: Any,
    course: Any,
    rng: Any,
) -> Any:
    """Simulate all units.

    Each unit has a budget drawn from Exp(1). Its rate uses the budget up; where it runs out there is a spike, at its
    exact place within the step, and a new budget is drawn.

    Parameters
    ----------
    base
        Rates, spikes/s, (n_units,).
    response, condition, trial_steps
        Rate over base rate, (n_conditions, bins of COURSE_STEPS, n_units), float32; condition of each trial,
        (n_trials,); steps of a trial. After the last trial there is no response.
    gain
        (bins of GAIN_STEPS, n_units), float32.
    n_steps, refractory
        Number of steps; seconds, at least one step, so that no unit fires twice in a step.
    first_edge, target, weight, delay, course
        Edges of unit ``i`` are ``first_edge[i]`` to ``first_edge[i + 1]``; their targets, weights and delays (s); the
        effect in the steps after the delay over the weight.
    rng
        `numpy.random.Generator`.

    Returns
    -------
    unit, time
        Of every spike, (n_spikes,); s; in order of steps.
    """
    n_units = base.size
    budget, ready = np.empty(n_units), np.zeros(n_units)
    for unit in range(n_units):
        budget[unit] = rng.standard_exponential()
    ring = np.zeros((RING, n_units))
    drive = np.empty(n_units)
    spike_unit, spike_time = np.empty(1 << 16, np.int32), np.empty(1 << 16, np.float64)
    n_spikes = 0
    for step in range(n_steps):
        trial, within = step // trial_steps, step % trial_steps
        if within % COURSE_STEPS == 0 or step % GAIN_STEPS == 0:
            at = min(within // COURSE_STEPS, response.shape[1] - 1)
            for unit in range(n_units):
                shown = response[condition[trial], at, unit] if trial < condition.size else np.float32(1.0)
                drive[unit] = base[unit] * shown * gain[step // GAIN_STEPS, unit]
        push = ring[step % RING]
        stop = (step + 1) * STEP
        for unit in range(n_units):
            # Seconds of the step in which the unit is not refractory.
            free = min(max(stop - ready[unit], 0.0), STEP)
            budget[unit] -= free * drive[unit] * max(0.0, 1.0 + push[unit])
        for unit in range(n_units):
            if budget[unit] >= 0.0:
                continue
            when = min(stop + budget[unit] / (drive[unit] * max(0.0, 1.0 + push[unit])), np.nextafter(stop, 0.0))
            if n_spikes == spike_unit.size:
                spike_unit = np.concatenate((spike_unit, np.empty_like(spike_unit)))
                spike_time = np.concatenate((spike_time, np.empty_like(spike_time)))
            spike_unit[n_spikes], spike_time[n_spikes] = unit, when
            n_spikes += 1
            ready[unit] = when + refractory
            budget[unit] = rng.standard_exponential()
            for edge in range(first_edge[unit], first_edge[unit + 1]):
                # Rounded to the nearest step: on average the effect begins at the delay.
                arrival = max(int((when + delay[edge]) / STEP + 0.5), step + 1)
                for after in range(course.size):
                    ring[(arrival + after) % RING, target[edge]] += weight[edge] * course[after]
        push[:] = 0.0
    return spike_unit[:n_spikes], spike_time[:n_spikes]

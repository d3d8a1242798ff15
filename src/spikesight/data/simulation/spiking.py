"""From rates to spikes: exact time rescaling in steps of 1 ms, with refractoriness and couplings.

Each unit has a budget drawn from Exp(1). Its rate uses the budget up; where it runs out there is a spike, at its exact
place within the step, and a new budget is drawn (Brown et al. 2002, time rescaling). So random numbers are needed per
spike, not per step, and each unit draws from a stream of its own. While a unit is refractory its rate is zero. The
kernel runs in one thread, so that spikes depend on the seed alone; the drive is computed in another, one chunk ahead.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesight.data.ragged import RaggedArray
from spikesight.data.simulation.behaviour import STATE_BIN
from spikesight.data.simulation.coupling import TIME_COURSE, Couplings
from spikesight.data.simulation.gain import CHUNK, Gain
from spikesight.data.simulation.inputs import DRIVE_BIN, N_LAGS, Inputs
from spikesight.data.simulation.population import Population
from spikesight.data.simulation.schedule import Events

STEP: Final = 0.001
SAMPLING_RATE: Final = 29999.9654
"""Samples a second of the probes' clock: spike times lie on its samples."""
RING: Final = 16
"""Steps ahead that a coupling may reach; a power of two."""
LOWEST: Final = 0.02
"""A response never falls below this part of the mean response."""

Floats32 = NDArray[np.float32]
Samples = NDArray[np.uint32]


class SampleTimes:
    """Spike times in seconds, kept as sample numbers: a third of the memory of float64 and of a copy."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __getitem__(self, key: slice, /) -> NDArray[np.floating]:
        return self._samples[key] / SAMPLING_RATE


def simulate_spikes(
    population: Population, inputs: Inputs, events: Events, gain: Gain, couplings: Couplings, duration: float, seed: int
) -> RaggedArray:
    """Simulate the spikes of all units from 0 s to ``duration``; seconds, ascending per unit."""
    state = _KernelState(population, couplings, seed)
    parts = []
    for number, drive in enumerate(_ahead(_drives(population, inputs, events, gain, seed))):
        unit, sample = state.run(number, drive)
        # The last chunk reaches beyond the end of the recording.
        inside = sample <= duration * SAMPLING_RATE
        parts.append(_by_unit(unit[inside], sample[inside], len(population.ids)))
    return _join(parts, population.ids)


def _drives(population: Population, inputs: Inputs, events: Events, gain: Gain, seed: int) -> Iterator[Floats32]:
    """Yield spikes per step expected of each unit, shape (bins in a chunk, n_units), chunk after chunk."""
    n_bins, per_state = round(CHUNK / DRIVE_BIN), round(STATE_BIN / DRIVE_BIN)
    base = (population.rate * STEP).astype(np.float32)
    grey = population.grey.astype(np.float32)
    weight = events.weight.astype(np.float32)
    reach = N_LAGS * DRIVE_BIN
    for number, factor in enumerate(gain.chunks(seed)):
        start = number * CHUNK
        # Events in reach: those that began up to a kernel's length before the chunk.
        low, high = np.searchsorted(events.time, [start - reach, start + CHUNK])
        chosen = slice(int(low), int(high))
        first_bin = np.ceil((events.time[chosen] - start) / DRIVE_BIN - 0.5).astype(np.int64)
        drive = np.empty((n_bins, len(base)), np.float32)
        _fill_drive(
            drive,
            first_bin,
            events.input[chosen],
            weight[chosen],
            inputs.early,
            inputs.late,
            inputs.early_kernel,
            inputs.late_kernel,
            grey,
            base,
            factor,
            per_state,
            np.float32(LOWEST),
        )
        yield drive


@njit(cache=True, nogil=True)
def _fill_drive(  # type: ignore[no-untyped-def]  # pragma: no cover
    drive, first_bin, which, weight, early, late, early_kernel, late_kernel, grey, base, factor, per_state, lowest
):
    n_bins, n_units = drive.shape
    n_lags = early_kernel.shape[0]
    for step in range(n_bins):
        drive[step, :] = grey
    for event in range(first_bin.size):
        row, strength = which[event], weight[event]
        for lag in range(max(0, -first_bin[event]), min(n_lags, n_bins - first_bin[event])):
            step = first_bin[event] + lag
            for unit in range(n_units):
                drive[step, unit] += strength * (
                    (early[row, unit] - grey[unit]) * early_kernel[lag, unit]
                    + (late[row, unit] - grey[unit]) * late_kernel[lag, unit]
                )
    for step in range(n_bins):
        state = step // per_state
        for unit in range(n_units):
            drive[step, unit] = max(drive[step, unit], lowest) * base[unit] * factor[state, unit]


def _ahead(chunks: Iterator[Floats32]) -> Iterator[Floats32]:
    """Yield the same, computing the next chunk in a second thread while the caller works on this one."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, chunks, None)
        while (chunk := waiting.result()) is not None:
            waiting = pool.submit(next, chunks, None)
            yield chunk


class _KernelState:
    """What the kernel carries from chunk to chunk."""

    def __init__(self, population: Population, couplings: Couplings, seed: int) -> None:
        n_units = len(population.ids)
        sequence = np.random.SeedSequence([seed, 0x5917E])
        self._random = sequence.generate_state(n_units, np.uint64)
        self._budget = np.full(n_units, -1.0)
        self._ready = np.zeros(n_units)
        self._refractory = population.refractory
        self._ring = np.zeros((RING, n_units), np.float32)
        self._first_edge = np.searchsorted(couplings.source, np.arange(n_units + 1))
        self._couplings = couplings
        _first_budgets(self._budget, self._random)

    def run(self, number: int, drive: Floats32) -> tuple[NDArray[np.uint16], Samples]:
        """Simulate one chunk: unit and sample of every spike, in order of time."""
        steps = round(DRIVE_BIN / STEP)
        couplings = self._couplings
        unit, sample = _run_chunk(
            drive,
            number * len(drive) * steps,
            steps,
            self._budget,
            self._ready,
            self._refractory,
            self._random,
            self._ring,
            self._first_edge,
            couplings.target,
            couplings.weight.astype(np.float32),
            couplings.delay,
            np.array(TIME_COURSE, np.float32),
        )
        return unit, sample


@njit(cache=True, nogil=True)
def _exponential(random, unit):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw from Exp(1) with the unit's own splitmix64 stream (Steele, Lea & Flood 2014)."""
    random[unit] += np.uint64(0x9E3779B97F4A7C15)
    mixed = random[unit]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    uniform = (np.float64(mixed >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)
    return -np.log(uniform)


@njit(cache=True, nogil=True)
def _first_budgets(budget, random):  # type: ignore[no-untyped-def]  # pragma: no cover
    for unit in range(budget.size):
        budget[unit] = _exponential(random, unit)


@njit(cache=True, nogil=True)
def _run_chunk(  # type: ignore[no-untyped-def]  # pragma: no cover
    drive, first_step, steps, budget, ready, refractory, random, ring, first_edge, target, weight, delay, course
):
    n_bins, n_units = drive.shape
    spike_unit = np.empty(1 << 16, np.uint16)
    spike_sample = np.empty(1 << 16, np.uint32)
    n_spikes = 0
    for number in range(n_bins * steps):
        step = first_step + number
        rate, push = drive[number // steps], ring[step % RING]
        start = step * STEP
        stop = start + STEP
        for unit in range(n_units):
            # The part of the step in which the unit is not refractory.
            free = min(max(stop - ready[unit], 0.0), STEP) / STEP
            budget[unit] -= free * rate[unit] * max(np.float32(0.0), np.float32(1.0) + push[unit])
        for unit in range(n_units):
            if budget[unit] >= 0.0:
                continue
            begin = max(start, ready[unit])
            used = (stop - begin) / STEP * rate[unit] * max(np.float32(0.0), np.float32(1.0) + push[unit])
            when = begin + (stop - begin) * (1.0 + budget[unit] / used)
            sample = np.uint32(np.ceil(when * SAMPLING_RATE))
            if n_spikes == spike_unit.size:
                spike_unit = np.concatenate((spike_unit, np.empty_like(spike_unit)))
                spike_sample = np.concatenate((spike_sample, np.empty_like(spike_sample)))
            spike_unit[n_spikes], spike_sample[n_spikes] = unit, sample
            n_spikes += 1
            # From the sample, not from the moment: no interval in the file is shorter than the refractory period.
            ready[unit] = sample / SAMPLING_RATE + refractory[unit]
            budget[unit] = _exponential(random, unit)
            for edge in range(first_edge[unit], first_edge[unit + 1]):
                arrival = max(int((when + delay[edge]) / STEP), step + 1)
                for after in range(course.size):
                    ring[(arrival + after) % RING, target[edge]] += weight[edge] * course[after]
        push[:] = 0.0
    return spike_unit[:n_spikes], spike_sample[:n_spikes]


@njit(cache=True, nogil=True)
def _by_unit(unit, sample, n_units):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sort samples by unit (counting sort), in order of time within each; also the offsets between units."""
    offsets = np.zeros(n_units + 1, np.int64)
    for spike in range(unit.size):
        offsets[unit[spike] + 1] += 1
    offsets = np.cumsum(offsets)
    place = offsets[:-1].copy()
    ordered = np.empty_like(sample)
    for spike in range(unit.size):
        ordered[place[unit[spike]]] = sample[spike]
        place[unit[spike]] += 1
    return ordered, offsets


def _join(parts: list[tuple[Samples, NDArray[np.int64]]], ids: NDArray[np.int64]) -> RaggedArray:
    """Put the chunks of each unit end to end; empties ``parts`` on the way, so that memory is not needed twice."""
    sizes = np.sum([np.diff(offsets) for _, offsets in parts], axis=0, dtype=np.int64)
    stops = np.cumsum(sizes)
    place = stops - sizes
    joined = np.empty(int(stops[-1]), np.uint32)
    parts.reverse()
    while parts:
        samples, offsets = parts.pop()
        _place(joined, place, samples, offsets)
    return RaggedArray(ids, stops - sizes, stops, SampleTimes(joined))


@njit(cache=True, nogil=True)
def _place(joined, place, samples, offsets):  # type: ignore[no-untyped-def]  # pragma: no cover
    for unit in range(place.size):
        size = offsets[unit + 1] - offsets[unit]
        joined[place[unit] : place[unit] + size] = samples[offsets[unit] : offsets[unit + 1]]
        place[unit] += size

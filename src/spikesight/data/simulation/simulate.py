"""From a preset and a seed to a whole session and its truth."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from spikesight.data.session import Session
from spikesight.data.simulation.behaviour import make_behaviour
from spikesight.data.simulation.coupling import Couplings, make_couplings
from spikesight.data.simulation.gain import Gain, make_gain
from spikesight.data.simulation.inputs import Inputs, make_inputs
from spikesight.data.simulation.population import Population, make_population
from spikesight.data.simulation.presets import Preset, get_preset
from spikesight.data.simulation.probes import make_channels, probe_ids
from spikesight.data.simulation.schedule import Schedule, invalid_times, make_schedule
from spikesight.data.simulation.spiking import simulate_spikes
from spikesight.data.simulation.truth import GroundTruth
from spikesight.data.simulation.unit_table import lazy_amplitudes, lazy_waveforms, make_unit_table
from spikesight.errors import ConfigError

FIRST_SESSION_ID: Final = 900000000
START_TIME: Final = "2019-01-19T08:54:18+00:00"
SUBJECT: Final = {
    "genotype": "wt/wt",
    "sex": "M",
    "age": "P118D",
    "age_in_days": "118.0",
    "species": "Mus musculus",
    "subject_id": "000000001",
    "specimen_name": "simulated",
    "strain": "C57BL/6J",
}


@dataclass(frozen=True)
class Simulation:
    """A simulated session and what is true of it."""

    session: Session
    truth: GroundTruth


def simulate_session(preset: str, seed: int = 0, *, n_units: int | None = None) -> Simulation:
    """Simulate a Neuropixels session in the form of the Allen Brain Observatory.

    Scenes drive Gabor-energy receptive fields; rates are log-normal and modulated by running, shared fluctuations,
    noise and drift; spikes are refractory and drive those of other units. The same arguments give the same session, bit
    for bit, whatever the number of threads.

    Parameters
    ----------
    preset
        A name in ``PRESETS``: "tiny", "demo", "scenes", "allen" or "functional_connectivity".
    seed
        Not negative.
    n_units
        Number of good units instead of the preset's own.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    ConfigError
        If ``seed`` is negative or ``n_units`` not positive.
    """
    plan = get_preset(preset)
    if seed < 0:
        raise ConfigError(f"expected a seed that is not negative, got {seed}.")
    # One BLAS thread: with several, sums come out a little differently, and with them spikes.
    with threadpool_limits(1, user_api="blas"):
        return _simulate(preset, plan, seed, n_units)


def _simulate(preset: str, plan: Preset, seed: int, n_units: int | None) -> Simulation:
    session_id = str(FIRST_SESSION_ID + seed)
    channels = make_channels(plan)
    population = make_population(plan, channels, n_units, seed)
    schedule = make_schedule(plan, seed)
    inputs = make_inputs(schedule, population, plan.n_scenes, seed)
    behaviour = make_behaviour(schedule.duration, seed)
    gain = make_gain(population, plan.responses, behaviour.state, seed)
    couplings = make_couplings(population, plan.responses, seed)
    spikes = simulate_spikes(population, inputs, schedule.events, gain, couplings, schedule.duration, seed)
    units = make_unit_table(population, channels, spikes.sizes() / schedule.duration, seed)
    session = Session(
        session_id=session_id,
        units=units,
        spike_times=spikes,
        stimulus_presentations=schedule.presentations,
        invalid_times=invalid_times(schedule, plan.invalid, probe_ids(plan), session_id),
        channels=channels,
        running=behaviour.running,
        pupil=behaviour.pupil,
        spike_amplitudes=lazy_amplitudes(units, spikes.sizes(), seed),
        mean_waveforms=lazy_waveforms(units, channels, seed),
        subject=SUBJECT,
        session_type=plan.session_type,
        start_time=START_TIME,
        source=f"simulation: preset {preset}, seed {seed}, {int(population.good.sum())} good units",
    )
    return Simulation(session, _truth(preset, seed, schedule, population, inputs, gain, couplings))


def _truth(
    preset: str,
    seed: int,
    schedule: Schedule,
    population: Population,
    inputs: Inputs,
    gain: Gain,
    couplings: Couplings,
) -> GroundTruth:
    shown = schedule.stimuli.get("natural_scenes")
    frames = np.empty(0) if shown is None else shown.conditions["frame"].to_numpy()
    first = schedule.first_input.get("natural_scenes", 0)
    rows = slice(first, first + len(frames))
    fields = population.receptive_fields
    return GroundTruth(
        preset=preset,
        seed=seed,
        unit_ids=population.ids,
        area=population.area,
        good=population.good,
        frames=frames.astype(np.int64),
        scenes=inputs.scenes if len(frames) else inputs.scenes[:0],
        rate=population.rate,
        grey=population.grey,
        tuning_early=inputs.early[rows],
        tuning_late=inputs.late[rows],
        kernel_early=inputs.early_kernel,
        kernel_late=inputs.late_kernel,
        refractory=population.refractory,
        rf_azimuth=fields.azimuth,
        rf_elevation=fields.elevation,
        rf_size=fields.size,
        rf_orientation=fields.orientation,
        rf_spatial_frequency=fields.spatial_frequency,
        rf_phase=fields.phase,
        rf_complexity=fields.complexity,
        gain_states=gain.states,
        gain_loadings=gain.loadings,
        gain_offset=gain.offset,
        gain_private=gain.private,
        private_seconds=gain.private_seconds,
        drift=gain.drift,
        coupling_source=population.ids[couplings.source],
        coupling_target=population.ids[couplings.target],
        coupling_weight=couplings.weight,
        coupling_delay=couplings.delay,
    )

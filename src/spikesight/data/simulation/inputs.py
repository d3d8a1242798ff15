"""How strongly every unit answers to everything that can be shown: the input table, and the kernels in time.

Row ``i`` of the table is one input (a scene, a grating at one phase, a stretch of a movie); its two responses per unit
are relative to the unit's mean response over the natural scenes. An event adds, to the grey response of unit ``u``,
``weight * ((early[i, u] - grey[u]) * early_kernel[lag, u] + (late[i, u] - grey[u]) * late_kernel[lag, u])``.
Both kernels outlast the 250 ms of a presentation, so a response runs into the next one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.simulation import scenes
from spikesight.data.simulation.population import Population
from spikesight.data.simulation.receptive_fields import drive, fit_nonlinearity
from spikesight.data.simulation.schedule import EVENT_SECONDS, Schedule, is_movie, n_inputs_of
from spikesight.data.simulation.stimuli import PHASES, Stimulus
from spikesight.data.simulation.streams import stream

DRIVE_BIN: Final = 0.005
"""Resolution of the drive, s."""
N_LAGS: Final = 100
"""Bins of a kernel: 0.5 s."""

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """Responses of all units to all inputs.

    Attributes
    ----------
    early, late
        Shape (n_inputs, n_units), relative to the mean over scenes.
    early_kernel, late_kernel
        Shape (N_LAGS, n_units); each unit's two kernels together add up to 0.25 s / DRIVE_BIN.
    scenes
        The natural scenes, shape (n_scenes, height, width).
    """

    early: Floats32
    late: Floats32
    early_kernel: Floats32
    late_kernel: Floats32
    scenes: scenes.Images


def make_inputs(schedule: Schedule, population: Population, n_scenes: int, seed: int) -> Inputs:
    """Draw the scenes and compute the response of every unit to every input of ``schedule``."""
    images = scenes.natural_scenes(stream(seed, "scenes"), n_scenes)
    fields = population.receptive_fields
    surround = fields.surround()
    scene_drive = drive(images, fields), drive(images, surround, coarseness=2)
    respond = fit_nonlinearity(scene_drive[0], population.variation, population.peaked)
    respond_late = fit_nonlinearity(scene_drive[1], population.late_variation, population.late_peaked)
    n_inputs = sum(n_inputs_of(stimulus) for stimulus in schedule.stimuli.values())
    early = np.empty((n_inputs, len(population.ids)), np.float32)
    late = np.empty_like(early)
    for name, stimulus in schedule.stimuli.items():
        rows = slice(schedule.first_input[name], schedule.first_input[name] + n_inputs_of(stimulus))
        if name == "natural_scenes":
            early[rows][1:] = respond(scene_drive[0])
            late[rows][1:] = respond_late(scene_drive[1])
            early[rows][0] = late[rows][0] = population.grey
        elif name in ("flashes", "dot_motion"):
            early[rows] = late[rows] = _without_pattern(stimulus, population)
        else:
            pictures = _pictures(stimulus, seed)
            early[rows] = respond(drive(pictures, fields))
            late[rows] = respond_late(drive(pictures, surround, coarseness=2))
            _modulate(stimulus, population, early[rows], late[rows])
    early_kernel, late_kernel = _kernels(population)
    return Inputs(early, late, early_kernel, late_kernel, images)


def _pictures(stimulus: Stimulus, seed: int) -> scenes.Images:
    table = stimulus.conditions
    if is_movie(stimulus):
        # Frames of the same movie, shuffled or repeated more often, are the same pictures.
        which = 3 if stimulus.name == "natural_movie_three" else 1
        frames = scenes.movie(stream(seed, "movie", which), n_inputs_of(stimulus))
        return frames
    if stimulus.name == "gabors":
        return scenes.gabor_patches(
            table["x_position"].to_numpy(), table["y_position"].to_numpy(), table["orientation"].to_numpy()
        )
    orientation = table["orientation"].fillna(0.0).to_numpy()
    contrast = table["contrast"].to_numpy() * table["orientation"].notna().to_numpy()
    if stimulus.drifting is not None:
        phases = np.tile(np.arange(PHASES) / PHASES, len(table))
        images = scenes.gratings(np.repeat(orientation, PHASES), np.full(len(phases), 0.04), phases, 1.0)
        return images * np.repeat(contrast, PHASES)[:, None, None].astype(np.float32)
    frequency = table["spatial_frequency"].fillna(0.0).to_numpy()
    phase = pd.to_numeric(table["phase"], errors="coerce").fillna(0.0).to_numpy()
    images = scenes.gratings(orientation, frequency, phase, 1.0)
    return images * contrast[:, None, None].astype(np.float32)


def _modulate(stimulus: Stimulus, population: Population, early: Floats32, late: Floats32) -> None:
    """Apply temporal-frequency tuning, and let blank sweeps be grey. In place."""
    orientation = stimulus.conditions.get("orientation")
    repeats = PHASES if stimulus.drifting is not None else 1
    if stimulus.drifting is not None:
        octaves = np.log2(np.maximum(stimulus.drifting, 0.1))[:, None] - np.log2(population.temporal_frequency)
        factor = np.repeat(np.exp(-0.5 * (octaves / 1.5) ** 2), repeats, axis=0)
        for part in (early, late):
            part[:] = population.grey + factor * (part - population.grey)
    if orientation is not None:
        blank = np.repeat(orientation.isna().to_numpy(), repeats)
        early[blank] = late[blank] = population.grey


def _without_pattern(stimulus: Stimulus, population: Population) -> Floats:
    """Responses to full-field flashes (ON and OFF units) and to moving dots (direction and speed tuning)."""
    table = stimulus.conditions
    if stimulus.name == "flashes":
        bright = np.where(table["color"].to_numpy() == "1.0", 1.0, -1.0)[:, None]
        preference = np.maximum(0.0, 1 + bright * population.polarity)
        return population.grey + population.full_field * preference
    direction = np.deg2rad(table["Dir"].to_numpy(np.float64))[:, None]
    speed = np.log(table["Speed"].to_numpy(np.float64) / 0.01)[:, None]
    turn = np.exp(np.cos(direction - population.receptive_fields.orientation) - 1)
    moving = population.full_field * turn * np.exp(-0.5 * (speed / 1.5) ** 2)
    return np.asarray(population.grey + moving, np.float64)


def _kernels(population: Population) -> tuple[Floats32, Floats32]:
    lag = (np.arange(N_LAGS) + 0.5)[:, None] * DRIVE_BIN - population.latency
    total = EVENT_SECONDS / DRIVE_BIN
    parts = []
    for width, part in ((population.early_width, 1 - population.late), (population.late_width, population.late)):
        phase = np.maximum(lag / width, 0.0)
        shape = phase**2 * np.exp(-phase)
        parts.append((part * total * shape / shape.sum(0)).astype(np.float32))
    return parts[0], parts[1]

"""What each stimulus shows: its conditions, their columns in the Allen tables, and how one presentation unfolds.

A condition is one row of a stimulus' parameter table (one scene, one grating). A presentation of a condition is one or
several events: moments at which the units get a new input for ``event_seconds``. Scenes are one event of 0.25 s; a
drifting grating of 2 s is twenty, each with the phase it has reached.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.simulation.presets import Preset
from spikesight.schema import BLANK_FRAME

FRAME_SECONDS: Final = 1 / 59.95
"""The monitor's frame."""
FLASH: Final = 15 * FRAME_SECONDS
"""How long a scene, a static grating, a Gabor patch or a flash is shown, s."""
DRIFTING: Final = 120 * FRAME_SECONDS
GAP: Final = 60 * FRAME_SECONDS
FLASH_GAP: Final = 105 * FRAME_SECONDS
MOVIE: Final = 2 * FRAME_SECONDS
DOTS: Final = 60 * FRAME_SECONDS
MOVIE_FRAMES_AN_EVENT: Final = 5
PHASES: Final = 8
"""Phases of a drifting grating that are told apart."""
DRIFTING_BLANKS: Final = 1 / 20
STATIC_BLANKS: Final = 1 / 25
"""About how often a blank sweep comes among the gratings of a real session."""
_COMMON: Final = {"color": "[1.0, 1.0, 1.0]", "contrast": 0.8, "mask": "None", "opacity": 1.0}


@dataclass(frozen=True)
class Stimulus:
    """One stimulus of a session.

    Attributes
    ----------
    name, index
        Name and ``stimulus_index`` in the tables.
    conditions
        The stimulus' own columns, one row per condition.
    seconds, gap
        How long a presentation lasts, and the grey pause after it.
    drifting
        Cycles per second at which each condition's phase advances, or None.
    ordered
        Whether conditions follow each other in order (movies), or are shuffled over the whole session.
    blank
        The condition that is a blank sweep, or None.
    blank_share
        Part of the presentations that rows left over may raise blank sweeps to.
    """

    name: str
    index: int
    conditions: pd.DataFrame
    seconds: float
    gap: float = 0.0
    drifting: NDArray[np.float64] | None = None
    ordered: bool = False
    blank: int | None = None
    blank_share: float = 0.0

    def sequence(self, rng: np.random.Generator, n_rows: int) -> NDArray[np.int64]:
        """Draw the conditions of ``n_rows`` presentations.

        Every condition comes equally often as far as ``n_rows`` allows. What is left over are blank sweeps up to their
        share where the stimulus has any, then conditions spread over the table; else the first conditions.
        """
        order = np.arange(n_rows) % len(self.conditions)
        if self.ordered:
            return order
        if self.blank is not None:
            rounds, n_left = divmod(n_rows, len(self.conditions))
            order[n_rows - n_left :] = self._left_over(n_left, int(n_rows * self.blank_share) - rounds)
        return rng.permutation(order)

    def _left_over(self, n_rows: int, most_blanks: int) -> NDArray[np.int64]:
        """Fill ``n_rows``, fewer than there are conditions, with up to ``most_blanks`` blank sweeps and others."""
        shown = np.flatnonzero(np.arange(len(self.conditions)) != self.blank)
        n_shown = n_rows - min(max(most_blanks, 0), n_rows)
        order = np.full(n_rows, self.blank, np.int64)
        order[:n_shown] = shown[np.arange(n_shown) * len(shown) // max(n_shown, 1)]
        return order


def stimuli(preset: Preset) -> dict[str, Stimulus]:
    """Describe the stimuli that occur in the preset's schedule, in order of first appearance."""
    names = dict.fromkeys(block.stimulus for block in preset.schedule if block.stimulus != "spontaneous")
    return {name: _BUILDERS[name](preset, name) for name in names}


def _scenes(preset: Preset, name: str) -> Stimulus:
    frames = np.arange(BLANK_FRAME, preset.n_scenes, dtype=np.float64)
    return Stimulus(name, 6, pd.DataFrame({"frame": frames}), FLASH, blank=0)


def _gabors(preset: Preset, name: str) -> Stimulus:
    places = 10.0 * (np.arange(preset.gabor_grid) - preset.gabor_grid // 2)
    grid = pd.MultiIndex.from_product([[0.0, 45.0, 90.0], places, places]).to_frame(index=False)
    table = _with_columns(
        len(grid),
        **{**_COMMON, "mask": "circle"},
        orientation=grid[0].to_numpy(),
        phase="[3644.93333333, 3644.93333333]",
        size="[20.0, 20.0]",
        spatial_frequency="0.08",
        temporal_frequency=4.0,
        units="deg",
        x_position=grid[1].to_numpy(),
        y_position=grid[2].to_numpy(),
    )
    return Stimulus(name, 0, table, FLASH)


def _flashes(preset: Preset, name: str) -> Stimulus:
    table = _with_columns(
        2,
        **{**_COMMON, "color": np.array(["-1.0", "1.0"], "O")},
        orientation=0.0,
        phase="[0.0, 0.0]",
        size="[300.0, 300.0]",
        spatial_frequency="[0.0, 0.0]",
        units="deg",
    )
    return Stimulus(name, 1, table, FLASH, FLASH_GAP)


def _static_gratings(preset: Preset, name: str) -> Stimulus:
    orientations = [0.0, 30.0, 60.0, 90.0, 120.0, 150.0]
    frequencies = [0.02, 0.04, 0.08, 0.16, 0.32]
    grid = pd.MultiIndex.from_product([[0.0, 0.25, 0.5, 0.75], frequencies, orientations]).to_frame(index=False)
    table = _with_columns(
        len(grid) + 1,
        **_COMMON,
        orientation=np.append(grid[2].to_numpy(), np.nan),
        phase=np.array([*(str(phase) for phase in grid[0]), "N/A"], "O"),
        size="[250.0, 250.0]",
        spatial_frequency=np.append(grid[1].to_numpy(), np.nan),
        units="deg",
    )
    return Stimulus(name, 5, table, FLASH, blank=len(grid), blank_share=STATIC_BLANKS)


def _drifting_gratings(preset: Preset, name: str) -> Stimulus:
    orientations = np.arange(8) * 45.0
    contrasts, frequencies, blank = [0.8], [1.0, 2.0, 4.0, 8.0, 15.0], True
    if name == "drifting_gratings_contrast":
        orientations, frequencies, blank = np.arange(4) * 45.0, [2.0], False
        contrasts = [0.01, 0.02, 0.04, 0.08, 0.13, 0.2, 0.35, 0.6, 1.0]
    elif name == "drifting_gratings_75_repeats":
        orientations, frequencies, blank = np.arange(4) * 90.0, [2.0], False
    grid = pd.MultiIndex.from_product([contrasts, frequencies, orientations]).to_frame(index=False)
    empty = [np.nan] if blank else []
    table = _with_columns(
        len(grid) + len(empty),
        **{**_COMMON, "contrast": np.array([*grid[0], *([0.8] * len(empty))])},
        orientation=np.array([*grid[2], *empty]),
        phase="[21211.93333333, 21211.93333333]",
        size="[250.0, 250.0]",
        spatial_frequency="0.04",
        temporal_frequency=np.array([*grid[1], *empty]),
        units="deg",
    )
    speeds = table["temporal_frequency"].fillna(0.0).to_numpy()
    last = len(grid) if blank else None
    return Stimulus(name, 2, table, DRIFTING, GAP, drifting=speeds, blank=last, blank_share=DRIFTING_BLANKS)


def _movie(preset: Preset, name: str) -> Stimulus:
    n_frames = preset.movie_three_frames if name == "natural_movie_three" else preset.movie_one_frames
    table = pd.DataFrame({"frame": np.arange(n_frames, dtype=np.float64)})
    index = 3 if name == "natural_movie_three" else 4
    return Stimulus(name, index, table, MOVIE, ordered=name != "natural_movie_one_shuffled")


def _dot_motion(preset: Preset, name: str) -> Stimulus:
    speeds = [0.0005, 0.001, 0.005, 0.0075, 0.01, 0.03, 0.05]
    grid = pd.MultiIndex.from_product([[0.0, 90.0, 180.0, 270.0], speeds]).to_frame(index=False)
    table = _with_columns(
        len(grid),
        contrast=0.8,
        mask="None",
        opacity=1.0,
        Dir=grid[0].to_numpy(),
        Speed=grid[1].to_numpy(),
        nDots=200.0,
        fieldSize="[200.0, 200.0]",
        units="deg",
    )
    return Stimulus(name, 7, table, DOTS, DOTS)


def _with_columns(n_rows: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.RangeIndex(n_rows))


_BUILDERS: Final[dict[str, Callable[[Preset, str], Stimulus]]] = {
    "natural_scenes": _scenes,
    "gabors": _gabors,
    "flashes": _flashes,
    "static_gratings": _static_gratings,
    "drifting_gratings": _drifting_gratings,
    "drifting_gratings_contrast": _drifting_gratings,
    "drifting_gratings_75_repeats": _drifting_gratings,
    "natural_movie_one": _movie,
    "natural_movie_three": _movie,
    "natural_movie_one_more_repeats": _movie,
    "natural_movie_one_shuffled": _movie,
    "dot_motion": _dot_motion,
}

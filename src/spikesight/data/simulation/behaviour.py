"""What the mouse does: running, pupil, and the arousal that both share with the neurons' gain."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from spikesight.data.simulation.streams import stream

Floats = NDArray[np.float64]
STATE_BIN: Final = 0.05
"""Resolution of all slow variables, s."""
FRAME: Final = 1 / 59.95
RUNNING_BOUT: Final = 12.0
"""Mean length of a bout of running, s."""
FULL_SPEED: Final = 20.0
"""Speed at which the effect of running on the gain is at 76 % of its maximum, cm/s."""


@dataclass(frozen=True)
class Behaviour:
    """Running, pupil and arousal.

    Attributes
    ----------
    running, pupil
        As in ``Session``.
    state
        Running as neurons feel it, 0 = still, towards 1 = fast; one value per ``STATE_BIN``, shape (n_states,).
    """

    running: pd.DataFrame
    pupil: pd.DataFrame
    state: Floats


def make_behaviour(duration: float, seed: int) -> Behaviour:
    """Draw bouts of running (part of the time: 25 to 60 % by seed), their speed, and a pupil that follows arousal."""
    rng = stream(seed, "behaviour")
    part = rng.uniform(0.25, 0.6)
    n_states = int(np.ceil(duration / STATE_BIN)) + 1
    bouts = _bouts(rng, n_states, part)
    cruising = 15.0 * np.exp(0.4 * ornstein_uhlenbeck(rng, n_states, 3.0))
    speed = smooth(np.where(bouts, np.clip(cruising, 2.0, 70.0), 0.0), 0.4)
    state = np.tanh(smooth(speed, 0.5) / FULL_SPEED)
    frames = np.arange(0.0, duration, FRAME)
    at = np.minimum((frames / STATE_BIN).astype(int), n_states - 1)
    jitter = rng.standard_normal(len(frames))
    velocity = speed[at] * (1 + 0.05 * jitter) + 0.05 * rng.standard_normal(len(frames))
    running = pd.DataFrame({"start_time": frames, "stop_time": frames + FRAME, "velocity": velocity})
    eye = np.arange(0.0, duration, 2 * FRAME)
    arousal = smooth(state, 2.0) + 0.2 * ornstein_uhlenbeck(rng, n_states, 8.0)
    area = 4200.0 * np.exp(0.5 * arousal[np.minimum((eye / STATE_BIN).astype(int), n_states - 1)])
    pupil = pd.DataFrame({"time": eye, "area": area * (1 + 0.01 * rng.standard_normal(len(eye)))})
    return Behaviour(running, pupil, state)


def ornstein_uhlenbeck(rng: np.random.Generator, n_steps: int, seconds: float, n_processes: int = 1) -> Floats:
    """Draw stationary Gaussian processes, standard deviation 1, correlation time ``seconds``, one value per STATE_BIN.

    Returns
    -------
    Shape (n_steps,), or (n_steps, n_processes) for more than one.
    """
    keep = np.exp(-STATE_BIN / seconds)
    noise = rng.standard_normal((n_steps, n_processes)) * np.sqrt(1 - keep**2)
    noise[0] /= np.sqrt(1 - keep**2)
    result = lfilter([1.0], [1.0, -keep], noise, axis=0)
    return np.asarray(result[:, 0] if n_processes == 1 else result, np.float64)


def smooth(values: Floats, seconds: float) -> Floats:
    """Low-pass with time constant ``seconds``; values are one per STATE_BIN."""
    keep = np.exp(-STATE_BIN / seconds)
    return np.asarray(lfilter([1 - keep], [1.0, -keep], values), np.float64)


def _bouts(rng: np.random.Generator, n_states: int, part: float) -> NDArray[np.bool_]:
    still = RUNNING_BOUT * (1 - part) / part
    n_bouts = int(3 * n_states * STATE_BIN / (RUNNING_BOUT + still)) + 10
    lengths = np.stack([rng.exponential(still, n_bouts), rng.exponential(RUNNING_BOUT, n_bouts)], axis=1).ravel()
    edges = np.cumsum(lengths)
    number = np.searchsorted(edges, np.arange(n_states) * STATE_BIN, side="right")
    return np.asarray(number % 2 == 1, bool)

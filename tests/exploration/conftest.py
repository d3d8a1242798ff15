"""A session small enough to count by hand, and the tiny simulated one."""

import numpy as np
import pandas as pd
import pytest

from spikesight.data.presentations import Trials, select_trials
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.data.simulation import simulate_session


@pytest.fixture(scope="session")
def simulated() -> Session:
    return simulate_session("tiny", 0).session


@pytest.fixture(scope="session")
def scenes(simulated: Session) -> Trials:
    return select_trials(simulated, "natural_scenes")


@pytest.fixture
def by_hand() -> Session:
    """Two units of VISp, one without an area; four presentations of 100 ms of two pictures, one second apart."""
    start = np.array([1.0, 2.0, 3.0, 4.0])
    shown = pd.DataFrame(
        {"start_time": start, "stop_time": start + 0.1, "frame": [5, 7, 5, 7]},
        index=pd.Index([10, 11, 12, 13], name="stimulus_presentation_id"),
    )
    spikes = {
        1: np.array([1.005, 1.015, 2.025, 3.005, 4.095]),
        2: np.array([0.97, 1.055, 3.056]),
        3: np.array([2.01, 2.02, 4.01, 4.02]),
    }
    units = pd.DataFrame(
        {"area": ["VISp", "VISp", ""], "probe": "probeA", "probe_vertical_position": [100.0, 300.0, 200.0]},
        index=pd.Index([1, 2, 3], name="unit_id"),
    )
    none = pd.DataFrame({"start_time": [], "stop_time": [], "tags": []})
    return Session("by hand", units, RaggedArray.from_arrays(spikes), {"natural_scenes": shown}, none)


@pytest.fixture
def by_hand_trials(by_hand: Session) -> Trials:
    return select_trials(by_hand, "natural_scenes")

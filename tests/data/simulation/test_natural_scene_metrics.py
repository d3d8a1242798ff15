"""Unit metrics: small cases worked by hand, after AllenSDK's definitions."""

import numpy as np
import pandas as pd
import pytest

from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.data.simulation.natural_scene_metrics import (
    image_selectivity,
    lifetime_sparseness,
    natural_scene_metrics,
    running_modulation,
)
from spikesight.errors import StimulusNotFoundError


def test_image_selectivity_of_one_scene_among_many_is_near_one():
    means = np.zeros(100)
    means[3] = 5.0
    assert image_selectivity(means) == pytest.approx(1 - 2 / 100, abs=1e-3)


def test_image_selectivity_of_evenly_spread_responses_is_zero():
    assert image_selectivity(np.linspace(1.0, 3.0, 1001)) == pytest.approx(0, abs=2e-3)


def test_image_selectivity_counts_as_allensdk_loops():
    means = np.random.default_rng(0).exponential(size=118)
    thresholds = means.min() + np.arange(1000) * ((means.max() - means.min()) / 1000)
    looped = 1 - 2 * np.mean([np.mean(means > threshold) for threshold in thresholds])
    assert image_selectivity(means) == pytest.approx(looped)


def test_lifetime_sparseness_runs_from_zero_to_one():
    assert lifetime_sparseness(np.full(10, 3.0)) == pytest.approx(0)
    assert lifetime_sparseness(np.eye(10)[0]) == pytest.approx(1)
    assert np.isnan(lifetime_sparseness(np.zeros(10)))


def test_running_modulation_is_relative_to_the_larger_mean():
    speed = np.array([0.0, 0.5, 5.0, 6.0])
    assert running_modulation(np.array([1.0, 1.0, 4.0, 4.0]), speed) == pytest.approx(0.75)
    assert running_modulation(np.array([4.0, 4.0, 1.0, 1.0]), speed) == pytest.approx(-0.75)


def test_running_modulation_needs_two_trials_of_each_kind():
    assert np.isnan(running_modulation(np.ones(4), np.array([0.0, 0.0, 0.0, 5.0])))
    assert np.isnan(running_modulation(np.zeros(4), np.array([0.0, 0.0, 5.0, 5.0])))


def session(times, frames):
    start = 10.0 + 0.25 * np.arange(len(frames))
    table = pd.DataFrame({"start_time": start, "stop_time": start + 0.25, "frame": np.asarray(frames, float)})
    running = pd.DataFrame({"start_time": np.arange(0, 20, 0.1), "velocity": 0.0})
    running.loc[running["start_time"] > 10.99, "velocity"] = 10.0
    return Session(
        session_id="1",
        units=pd.DataFrame({"area": ["VISp"]}, index=[7]),
        spike_times=RaggedArray.from_arrays({7: np.asarray(times, float)}),
        stimulus_presentations={"natural_scenes": table},
        invalid_times=pd.DataFrame(),
        running=running,
    )


def test_metrics_of_a_unit_that_answers_to_one_scene_only():
    # Scene 1 is shown first, third, fifth and seventh; its spikes come 100 ms after onset, two per running trial.
    frames = [1, -1, 1, 0, 1, -1, 1, 0]
    times = [10.1005, 10.6005, 11.1005, 11.11, 11.6005, 11.61]
    metrics = natural_scene_metrics(session(times, frames)).loc[7]
    assert metrics["firing_rate_ns"] == pytest.approx(6 / 2.0)
    assert metrics["fano_ns"] == pytest.approx(0.25 / 1.5)
    assert metrics["lifetime_sparseness_ns"] == pytest.approx(1)
    assert metrics["time_to_peak_ns"] == pytest.approx(0.1005)
    assert metrics["run_mod_ns"] == pytest.approx(0.5)


def test_the_blank_is_never_the_preferred_scene():
    metrics = natural_scene_metrics(session([10.01, 10.02, 10.03, 10.3], [-1, 0, -1, 1])).loc[7]
    assert metrics["time_to_peak_ns"] == pytest.approx(0.0495, abs=0.0011)


def test_a_session_without_scenes_names_what_it_has():
    without = session([10.0], [0])
    without.stimulus_presentations["gabors"] = without.stimulus_presentations.pop("natural_scenes")
    with pytest.raises(StimulusNotFoundError, match="it has: gabors"):
        natural_scene_metrics(without)

"""Simulated units against real ones, and known against simulated responses, in the full natural-scene design."""

import numpy as np
import pandas as pd
import pytest

from spikesight.data.arrays import to_arrays
from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import select_trials
from spikesight.data.simulation import simulate_session
from spikesight.data.simulation.natural_scene_metrics import natural_scene_metrics
from spikesight.data.simulation.real_units import (
    N_REAL_UNITS,
    REAL_QUARTILES,
    VISUAL_CORTEX,
    Quartiles,
    relative_deviation,
)

LIMIT = 0.25
pytestmark = pytest.mark.slow  # a session of full length takes half a minute


@pytest.fixture(scope="module")
def simulation():
    return simulate_session("scenes", 0, n_units=450)


def cortical_metrics(simulation):
    units = simulation.session.units
    cortical = units.index[units["area"].isin(VISUAL_CORTEX)]
    return natural_scene_metrics(simulation.session.select_units(cortical))


@pytest.fixture(scope="module")
def metrics(simulation):
    return cortical_metrics(simulation)


@pytest.mark.parametrize("name", REAL_QUARTILES)
def test_quartiles_are_within_a_quarter_of_the_real_ones(metrics, name):
    deviation = relative_deviation(name, Quartiles(*metrics[name].quantile([0.25, 0.5, 0.75])))
    assert np.abs(deviation).max() < LIMIT


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quartiles_hold_for_other_seeds(seed):
    metrics = cortical_metrics(simulate_session("scenes", seed, n_units=600))
    for name in REAL_QUARTILES:
        deviation = relative_deviation(name, Quartiles(*metrics[name].quantile([0.25, 0.5, 0.75])))
        assert np.abs(deviation).max() < LIMIT, name


def test_the_stored_quartiles_are_those_of_the_real_units(recordings):
    units = pd.read_parquet(recordings / "allen-npx-gabors" / "units_all_sessions.parquet")
    units = units[
        (units["session_type"] == "brain_observatory_1.1")
        & (units["quality"] == "good")
        & (units["amplitude_cutoff"] <= 0.1)
        & (units["presence_ratio"] >= 0.95)
        & (units["isi_violations"] <= 0.5)
    ]
    assert len(units) == N_REAL_UNITS
    for name, quartiles in REAL_QUARTILES.items():
        np.testing.assert_allclose(units[name].quantile([0.25, 0.5, 0.75]), quartiles, rtol=1e-3, atol=1e-4)


def test_mean_counts_are_those_that_the_truth_expects(simulation):
    counts, frames, _ = to_arrays(bin_spikes(select_trials(simulation.session, "natural_scenes"), n_bins=1))
    expected = simulation.truth.expected_counts()[:, 0]
    means = np.stack([counts[frames == frame, 0].mean(0) for frame in simulation.truth.frames])
    ratio = means.mean(0) / expected.mean(0)
    assert np.median(ratio) == pytest.approx(1, abs=0.05)
    tuned = expected.std(0) * np.sqrt(50) > 5 * np.sqrt(expected.mean(0))
    correlations = [np.corrcoef(means[:, unit], expected[:, unit])[0, 1] for unit in np.flatnonzero(tuned)]
    assert len(correlations) > 20
    assert np.median(correlations) > 0.9


def test_responses_begin_in_the_order_of_the_hierarchy(simulation):
    truth = simulation.truth
    onset = (truth.kernel_early > 0).argmax(0)
    medians = [np.median(onset[truth.area == area]) for area in ("LGd", "VISp", "VISam", "CA1")]
    assert (np.diff(medians) > 0).all()


def test_responses_run_into_the_next_presentation(simulation):
    truth = simulation.truth
    after = truth.kernel_early[50:].sum(0) + truth.kernel_late[50:].sum(0)
    assert np.median(after / 50) > 0.05


def test_scene_decodes_from_the_bins_of_the_next_presentation(simulation):
    counts, frames, blocks = to_arrays(bin_spikes(select_trials(simulation.session, "natural_scenes"), n_bins=5))
    first_bins = counts[:, :2].sum(1).astype(float)
    same_block = blocks[1:] == blocks[:-1]
    tuning = simulation.truth.tuning_late - simulation.truth.grey
    # Counts in the first 100 ms go with the tuning to the scene before: the response has not ended.
    goes_with = (tuning[frames[:-1] + 1] * (first_bins[1:] - first_bins.mean(0)))[same_block].sum(1)
    assert goes_with.mean() > 5 * goes_with.std() / np.sqrt(len(goes_with))


def test_gain_of_running_is_positive_in_most_units_and_negative_in_some(simulation):
    running = simulation.truth.gain_loadings[:, 0]
    assert 0.02 < (running < 0).mean() < 0.4


def test_shared_gain_is_one_on_average(simulation):
    times = np.arange(15.0, 1500.0, 0.5)
    np.testing.assert_allclose(simulation.truth.shared_gain(times).mean(0), 1, atol=0.1)

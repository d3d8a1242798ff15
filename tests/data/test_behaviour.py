"""What the mouse did, by trial and by bin."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from small_session import make_session

from spikesight.config import BenchmarkConfig
from spikesight.data.behaviour import RUNNING_THRESHOLD, Signal, behaviour_arrays, behaviour_signals, select_running
from spikesight.data.binning import bin_spikes
from spikesight.data.context import add_context
from spikesight.data.counts import read_counts, write_counts
from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.data.simulation import simulate_session
from spikesight.errors import ConfigError, NoTrialsError, TargetNotFoundError
from spikesight.evaluation.sources import load_source
from spikesight.schema import BEHAVIOUR_UNITS

BEHAVIOUR = ("running_speed", "pupil_area")


def edges(*values):
    return np.array([values], float)


def mean_of(signal, *values):
    return signal.mean(edges(*values))[0].tolist()


def scenes(session, **how):
    return bin_spikes(select_trials(session, "natural_scenes"), **(how or {"n_bins": 2}))


def running(starts, stops, velocity):
    return pd.DataFrame({"start_time": starts, "stop_time": stops, "velocity": velocity}, dtype=float)


@pytest.fixture(scope="module")
def simulated():
    return simulate_session("tiny", 0).session


# ---------------------------------------------------------------- means


def test_a_bin_takes_each_sample_by_as_much_as_the_two_overlap():
    signal = Signal(np.array([0.0, 1.0]), np.array([1.0, 4.0]), np.array([10.0, 2.0]))
    assert mean_of(signal, 0.0, 4.0) == [4.0]
    assert mean_of(signal, 0.5, 1.5) == [6.0]


def test_a_bin_shorter_than_a_sample_has_its_value():
    signal = Signal(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    assert mean_of(signal, 0.1, 0.2, 0.3, 1.0, 1.1) == pytest.approx([3.0, 3.0, 3.0, 5.0])


def test_a_bin_of_which_less_than_half_was_measured_has_no_value():
    signal = Signal(np.array([0.0, 3.0]), np.array([1.0, 4.0]), np.array([3.0, 5.0]))
    found = signal.mean(np.array([[0.5, 1.4], [0.5, 1.6], [1.5, 2.5], [9.0, 10.0]]))[:, 0]
    np.testing.assert_allclose(found, [3.0, np.nan, np.nan, np.nan])


def test_samples_that_are_nan_or_do_not_last_are_not_measured():
    bad = Signal(np.array([0.0, 1.0, 2.0, np.nan]), np.array([1.0, 2.0, 2.0, 9.0]), np.array([1.0, np.nan, 7.0, 7.0]))
    found = bad.mean(edges(0.0, 1.0, 2.0, 3.0))[0]
    np.testing.assert_array_equal(found, [1.0, np.nan, np.nan])


def test_samples_in_any_order_and_overlapping_count_once():
    signal = Signal(np.array([2.0, 0.0]), np.array([4.0, 9.0]), np.array([6.0, 2.0]))
    assert mean_of(signal, 0.0, 2.0, 4.0) == [2.0, 6.0]


def test_nothing_measured_is_nan_everywhere():
    empty = Signal(*np.empty((3, 0)))
    assert np.isnan(empty.mean(edges(0.0, 1.0, 2.0))).all()


def test_small_differences_survive_a_large_mean_over_hours():
    start = np.arange(0, 10_000, 0.02)
    value = 1e6 + np.sin(start)
    found = Signal(start, start + 0.02, value).mean(edges(9_000.0, 9_000.02))[0, 0]
    assert found == pytest.approx(1e6 + np.sin(9_000.0), abs=1e-5)


def test_a_moment_of_the_pupil_does_not_stand_for_a_long_pause():
    session = replace(
        make_session(), running=None, pupil=pd.DataFrame({"time": [0.0, 1.0, 2.0, 12.0], "area": [1.0, 3.0, 5.0, 9.0]})
    )
    pupil = behaviour_signals(session)["pupil_area"]
    assert mean_of(pupil, 0.5, 1.5) == [3.0]
    assert mean_of(pupil, 1.5, 2.5) == [5.0]
    assert np.isnan(mean_of(pupil, 5.0, 6.0)).all()


# ---------------------------------------------------------------- coordinates


def test_a_dataset_has_running_and_pupil_by_trial_and_by_bin(simulated):
    dataset = scenes(simulated)
    for name in BEHAVIOUR:
        assert dataset[name].dims == ("trial",)
        assert dataset[f"{name}_by_bin"].dims == ("trial", "time")
        assert dataset[name].attrs["units"] == dataset[f"{name}_by_bin"].attrs["units"] == BEHAVIOUR_UNITS[name]
        np.testing.assert_allclose(dataset[f"{name}_by_bin"].mean("time"), dataset[name], rtol=1e-6)


def test_the_speed_of_a_trial_is_the_mean_of_its_samples(simulated):
    dataset = scenes(simulated, n_bins=1)
    samples = simulated.running
    for trial in (0, 50, -1):
        start, stop = (float(dataset[name][trial]) for name in ("start_time", "stop_time"))
        low, high = samples["start_time"].clip(lower=start), samples["stop_time"].clip(upper=stop)
        weight = (high - low).clip(lower=0)
        assert float(dataset["running_speed"][trial]) == pytest.approx(np.average(samples["velocity"], weights=weight))


def test_a_window_moves_the_bins_and_not_the_trial(simulated):
    own, moved = scenes(simulated), scenes(simulated, bin_size=0.1, window=(-0.1, 0.1))
    np.testing.assert_array_equal(own["running_speed"], moved["running_speed"])
    assert not np.allclose(own["running_speed_by_bin"], moved["running_speed_by_bin"])


def test_what_the_session_does_not_know_is_no_coordinate(simulated):
    dataset = scenes(replace(simulated, running=None, pupil=None))
    assert not [name for name in dataset.coords if str(name).startswith(("running", "pupil"))]


def test_what_was_not_measured_in_a_trial_is_nan(simulated):
    first = float(simulated.stimulus_presentations["natural_scenes"]["start_time"].iloc[0])
    samples = simulated.running
    gone = samples[(samples["start_time"] < first - 1) | (samples["start_time"] > first + 2)]
    dataset = scenes(replace(simulated, running=gone))
    assert np.isnan(dataset["running_speed"][:8]).all()
    assert np.isfinite(dataset["running_speed"][10:]).all()


def test_context_puts_the_behaviour_of_neighbours_beside_that_of_the_trial(simulated):
    dataset = scenes(simulated)
    both = add_context(dataset, 1, 1)
    place = int(np.flatnonzero(dataset["trial"] == both["trial"][3])[0])
    expected = dataset["running_speed_by_bin"].to_numpy()[place - 1 : place + 2].ravel()
    np.testing.assert_array_equal(both["running_speed_by_bin"][3], expected)
    assert float(both["running_speed"][3]) == float(dataset["running_speed"][place])


def test_behaviour_survives_netcdf(simulated, tmp_path):
    dataset = scenes(simulated)
    dataset["pupil_area"][0] = np.nan
    write_counts(dataset, tmp_path / "trials.nc")
    xr.testing.assert_identical(read_counts(tmp_path / "trials.nc").drop_attrs(), dataset.drop_attrs())
    assert read_counts(tmp_path / "trials.nc")["running_speed_by_bin"].attrs["units"] == "cm/s"


def test_behaviour_is_no_label(simulated, tmp_path):
    write_counts(scenes(simulated), tmp_path / "trials.nc")
    with pytest.raises(TargetNotFoundError, match="running_speed"):
        read_counts(tmp_path / "trials.nc", target="running_speed")


def test_what_is_known_by_trial_only_is_the_same_in_every_bin(simulated):
    dataset = scenes(simulated).drop_vars("running_speed_by_bin")
    np.testing.assert_array_equal(
        behaviour_arrays(dataset)["running_speed"], np.repeat(dataset["running_speed"].to_numpy()[:, None], 2, axis=1)
    )


def test_a_file_of_allensdk_tells_where_the_pupil_is(recordings):
    pupil = read_session(recordings / "allensdk-written" / "session_sdk200.nwb").pupil
    assert list(pupil) == ["time", "area", "x", "y"]
    seen = pupil["area"].notna()
    assert seen.any()
    assert pupil.loc[seen, "x"].between(250, 400).all()
    assert pupil.loc[~seen, ["x", "y"]].isna().all(axis=None)


# ---------------------------------------------------------------- trials by running


def with_speeds(simulated, speeds):
    dataset = scenes(simulated).isel(trial=slice(0, len(speeds)))
    return dataset.assign_coords(running_speed=("trial", np.array(speeds)))


def test_a_trial_at_the_threshold_is_one_of_running(simulated):
    dataset = with_speeds(simulated, [0.0, RUNNING_THRESHOLD, 0.999, -5.0, 20.0])
    assert (
        select_running(dataset, "running")["trial"].to_numpy().tolist() == dataset["trial"].to_numpy()[[1, 4]].tolist()
    )
    still = select_running(dataset, "stationary")["trial"].to_numpy().tolist()
    assert still == dataset["trial"].to_numpy()[[0, 2, 3]].tolist()
    assert select_running(dataset, "all") is dataset


def test_what_was_left_out_is_counted_by_reason(simulated):
    dataset = with_speeds(simulated, [0.0, np.nan, 3.0, 4.0])
    dropped = json.loads(select_running(dataset, "stationary").attrs["dropped_trials"])
    assert dropped == {"running (mean speed, 1 cm/s)": 2, "running speed not known": 1}


def test_no_trial_of_that_kind_is_an_error(simulated):
    with pytest.raises(NoTrialsError, match=r"expected running trials; none of 2 is.*'stationary"):
        select_running(with_speeds(simulated, [0.0, 0.1]), "running")


def test_a_file_without_speed_cannot_be_asked_for_running_trials(tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "lab.npz"
    np.savez(file, X=rng.poisson(2, (30, 4)), y=np.arange(30) % 3)
    with pytest.raises(ConfigError, match=r"lab\.npz holds none.*--running"):
        load_source(file, BenchmarkConfig(sources=(file,), running="stationary"))


def test_a_file_of_counts_may_bring_its_own_speed(tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "lab.npz"
    np.savez(file, X=rng.poisson(2, (30, 4)), y=np.arange(30) % 3, running_speed=np.arange(30.0) / 10)
    dataset = load_source(file, BenchmarkConfig(sources=(file,), running="running")).dataset
    assert dataset.sizes["trial"] == 20


def test_running_and_stationary_trials_are_all_trials(tmp_path, simulated):
    from spikesight.data.nwb_write import write_session

    file = tmp_path / "session.nwb"
    write_session(simulated, file)
    whole, ran, stood = (
        load_source(file, BenchmarkConfig(sources=(file,), running=state)) for state in ("all", "running", "stationary")
    )
    assert sorted([*ran.dataset["trial"].values, *stood.dataset["trial"].values]) == sorted(
        whole.dataset["trial"].values
    )
    assert (ran.dataset["running_speed"] >= RUNNING_THRESHOLD).all()
    assert len(ran.trials) == ran.dataset.sizes["trial"] > 0


@pytest.mark.parametrize("speeds", [np.array(["fast"] * 8), np.ones(8, bool)], ids=["text", "bool"])
def test_a_speed_that_is_no_number_is_none(tmp_path, speeds):
    np.savez(tmp_path / "counts.npz", X=np.ones((8, 3)), y=np.arange(8) % 2, groups=np.zeros(8), running_speed=speeds)
    dataset = read_counts(tmp_path / "counts.npz")
    with pytest.raises(ConfigError, match="expected a running speed to choose running trials by"):
        select_running(dataset, "running")
    assert behaviour_arrays(dataset) == {}


def test_an_infinite_speed_is_not_known(simulated):
    chosen = select_running(with_speeds(simulated, [np.inf, 5.0, -np.inf, 0.0]), "running")
    assert chosen.sizes["trial"] == 1
    dropped = json.loads(chosen.attrs["dropped_trials"])
    assert dropped["running speed not known"] + dropped["stationary (mean speed, 1 cm/s)"] == 3


def test_measures_by_bin_that_are_none_of_ours_are_left_alone(simulated):
    dataset = scenes(simulated)
    odd = dataset.assign_coords(running_speed_by_bin=("trial", np.full(dataset.sizes["trial"], "x")))
    assert behaviour_arrays(odd)["running_speed"].shape == (dataset.sizes["trial"], 2)

"""Whole simulated sessions: form, quality, repeatability, and that the truth stays outside."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from spikesight.data.nwb_write.units import METRICS
from spikesight.data.simulation import GroundTruth, simulate_session, truth_path
from spikesight.data.simulation.presets import PRESETS
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import ConfigError, FileFormatError, StimulusNotFoundError, UnitIdsError, UnknownNameError


@pytest.fixture(scope="module")
def tiny():
    return simulate_session("tiny", 0)


def test_the_same_seed_gives_the_same_spikes(tiny):
    again = simulate_session("tiny", 0).session
    for ours, theirs in zip(tiny.session.checked_spike_times(), again.checked_spike_times(), strict=True):
        assert np.array_equal(ours, theirs)
    pd.testing.assert_frame_equal(tiny.session.units, again.units)


def test_another_seed_gives_other_spikes(tiny):
    other = simulate_session("tiny", 1).session
    assert not np.array_equal(tiny.session.spike_times.sizes(), other.spike_times.sizes())


def test_spikes_do_not_depend_on_the_number_of_threads():
    code = (
        "from spikesight.data.simulation import simulate_session; import hashlib;"
        "print(hashlib.sha256(simulate_session('tiny', 0).session.checked_spike_times()[0].tobytes()).hexdigest())"
    )
    digests = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        digests.add(ran.stdout.strip())
    assert len(digests) == 1


def test_the_units_table_has_the_columns_of_the_files_in_their_order(tiny):
    assert [name for name in tiny.session.units if name in METRICS] == list(METRICS)
    assert tiny.session.units["peak_channel_id"].isin(tiny.session.channels.index).all()


def test_good_units_pass_the_default_filters_and_poor_ones_fail():
    simulation = simulate_session("demo", 0, n_units=60)
    kept, _ = UnitFilters().apply(simulation.session.units)
    assert set(kept.index) == set(simulation.truth.unit_ids[simulation.truth.good])
    assert len(kept) == 60
    assert len(simulation.session.units) == 60 + PRESETS["demo"].n_poor_units


def test_no_unit_violates_its_refractory_period(tiny):
    times, offsets = tiny.session.checked_spike_times()
    for unit, period in enumerate(tiny.truth.refractory):
        assert np.diff(times[offsets[unit] : offsets[unit + 1]]).min(initial=1) >= period - 1e-9


def test_spikes_lie_within_the_recording(tiny):
    times, _ = tiny.session.checked_spike_times()
    last = max(table["stop_time"].max() for table in tiny.session.stimulus_presentations.values())
    assert times.min() > 0
    assert last < times.max() < last + 10.1


def test_the_tiny_preset_has_all_stimuli_and_each_kind_of_invalid_time(tiny):
    assert set(tiny.session.stimulus_presentations) == {
        *["spontaneous", "gabors", "flashes", "drifting_gratings", "natural_movie_three", "natural_movie_one"],
        *["static_gratings", "natural_scenes"],
    }
    assert {tags[2] for tags in tiny.session.invalid_times["tags"]} == {"probeB", "all_probes", "stimulus"}


def test_invalid_times_overlap_the_presentations_they_are_laid_over_and_no_others(tiny):
    row = next(row for row in tiny.session.invalid_times.itertuples() if row.tags[2] == "probeB")
    table = tiny.session.stimulus_presentations["gabors"]
    overlapped = (table["start_time"] < row.stop_time) & (table["stop_time"] > row.start_time)
    assert np.flatnonzero(overlapped).tolist() == [10, 11, 12]


def test_amplitudes_and_waveforms_are_computed_alike_each_time(tiny):
    session = tiny.session
    unit_id = session.units.index[3]
    amplitudes = session.spike_amplitudes[unit_id]
    assert amplitudes.shape == session.spike_times[unit_id].shape
    assert np.array_equal(amplitudes, session.spike_amplitudes[unit_id])
    assert session.mean_waveforms[unit_id].shape == (48, 82)
    assert np.array_equal(session.mean_waveforms[unit_id], session.mean_waveforms[unit_id])
    with pytest.raises(KeyError):
        session.spike_amplitudes[1]


def test_the_number_of_good_units_can_be_chosen_and_covers_the_areas():
    session = simulate_session("tiny", 0, n_units=48).session
    assert len(session.units) == 52
    assert set(session.units["area"]) == {"CA1", "LGd", "VISp", "VISpm"}


def test_the_other_session_type_has_no_natural_scenes_and_says_so():
    simulation = simulate_session("functional_connectivity", 0, n_units=12)
    assert "natural_scenes" not in simulation.session.stimulus_presentations
    assert simulation.session.session_type == "functional_connectivity"
    with pytest.raises(StimulusNotFoundError):
        simulation.truth.expected_counts()


@pytest.mark.parametrize(
    ("preset", "options", "error"),
    [
        ("tyni", {}, UnknownNameError),
        ("tiny", {"seed": -1}, ConfigError),
        ("tiny", {"n_units": 0}, ConfigError),
    ],
)
def test_bad_arguments_are_refused(preset, options, error):
    with pytest.raises(error):
        simulate_session(preset, **options)


def test_the_truth_survives_saving_and_loading(tiny, tmp_path):
    path = truth_path(tmp_path / "session.nwb")
    assert path.name == "session.nwb.truth.npz"
    tiny.truth.save(path)
    loaded = GroundTruth.load(path)
    assert (loaded.preset, loaded.seed) == ("tiny", 0)
    np.testing.assert_array_equal(loaded.expected_counts(), tiny.truth.expected_counts())
    np.testing.assert_array_equal(loaded.coupling_weight, tiny.truth.coupling_weight)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_truth_file_has_the_permissions_that_the_umask_gives(tiny, tmp_path):
    before = os.umask(0o027)
    try:
        path = tiny.truth.save(tmp_path / "session.nwb.truth.npz")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_is_no_truth_is_refused(tmp_path):
    garbage = tmp_path / "x.truth.npz"
    garbage.write_bytes(b"not an archive")
    with pytest.raises(FileFormatError):
        GroundTruth.load(garbage)
    np.savez(garbage, rate=np.zeros(3))
    with pytest.raises(FileFormatError, match="lacks"):
        GroundTruth.load(garbage)


def test_pickled_objects_in_a_truth_file_are_refused(tiny, tmp_path):
    path = tiny.truth.save(tmp_path / "x.truth.npz")
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "area": np.array([{}], object)})
    with pytest.raises(FileFormatError):
        GroundTruth.load(path)


def test_bins_of_the_expected_counts_add_up(tiny):
    one, five = tiny.truth.expected_counts(n_bins=1), tiny.truth.expected_counts(n_bins=5)
    assert five.shape == (9, 5, 28)
    np.testing.assert_allclose(five.sum(1), one[:, 0])


def test_couplings_have_the_promised_delays_and_signs():
    truth = simulate_session("demo", 0).truth
    area = dict(zip(truth.unit_ids, truth.area, strict=True))
    same = np.array([area[s] == area[t] for s, t in zip(truth.coupling_source, truth.coupling_target, strict=True)])
    assert same.any()
    assert (~same).any()
    assert (truth.coupling_source != truth.coupling_target).all()
    assert truth.coupling_delay.min() >= 0.001
    assert truth.coupling_delay[same].max() <= 0.003
    assert 0.0025 <= truth.coupling_delay[~same].min() < truth.coupling_delay[~same].max() <= 0.0095
    assert truth.coupling_weight.min() > -1
    for source in np.unique(truth.coupling_source):
        assert len(set(np.sign(truth.coupling_weight[truth.coupling_source == source]))) == 1


def test_the_coupling_matrix_has_sources_as_rows(tiny):
    truth = tiny.truth
    weights, delays = truth.coupling_matrix()
    rows = truth.rows(truth.coupling_source), truth.rows(truth.coupling_target)
    np.testing.assert_array_equal(weights[rows], truth.coupling_weight)
    np.testing.assert_array_equal(delays[rows], truth.coupling_delay)
    assert np.count_nonzero(weights) == np.isfinite(delays).sum() == len(truth.coupling_weight)
    chosen = truth.unit_ids[[5, 2]]
    np.testing.assert_array_equal(truth.coupling_matrix(chosen)[0], weights[np.ix_([5, 2], [5, 2])])


def test_unknown_units_are_refused(tiny):
    with pytest.raises(UnitIdsError):
        tiny.truth.rows(np.array([1, 2]))

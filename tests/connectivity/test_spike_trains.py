import numpy as np
import pytest
import xarray as xr

from coupled_units import independent, presentations, recording
from spikesight.connectivity.spike_trains import read_trains
from spikesight.errors import DataError, NoUnitsError, PresentationsError, UnitIdsError


def test_periods_are_segments_end_to_end():
    trains = read_trains(recording([[1, 0], [0, 2], [0, 0], [3, 0]], periods=[3, 1]))

    assert trains.counts.tolist() == [[1, 0, 0, 3], [0, 2, 0, 0]]
    assert trains.offsets.tolist() == [0, 3, 4]
    assert trains.segment_of_bin.tolist() == [0, 0, 0, 1]
    assert trains.n_spikes.tolist() == [4, 2]
    assert trains.bin_size == 0.002
    assert trains.conditions is None


def test_spikes_are_in_order_of_time_then_of_units_and_repeat():
    spikes = read_trains(recording([[1, 0], [0, 0], [1, 2], [0, 1]])).spikes

    assert spikes.first.tolist() == [0, 1, 1, 4, 5]
    assert spikes.unit.tolist() == [0, 0, 1, 1, 1]


def test_trials_are_segments_with_conditions():
    counts = np.arange(12).reshape(3, 2, 2)
    trains = read_trains(presentations(counts, ["b", "a", "b"]))

    assert trains.counts.tolist() == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    assert trains.conditions.tolist() == [1, 0, 1]


def test_dims_are_taken_by_name():
    counts = presentations(np.arange(12).reshape(3, 2, 2), [0, 0, 1])

    turned = read_trains(counts.transpose("unit", "trial", "time"))

    np.testing.assert_array_equal(turned.counts, read_trains(counts).counts)


def test_shuffled_trains_permute_trials_within_conditions_unit_by_unit():
    counts = np.zeros((6, 4, 3), np.uint8)
    counts[:] = np.arange(1, 7)[:, None, None]
    trains = read_trains(presentations(counts, [0, 0, 0, 1, 1, 1]))

    seen = {tuple(row[::4]) for seed in range(5) for row in trains.shuffled(np.random.default_rng(seed)).counts}

    assert all(sorted(row[:3]) == [1, 2, 3] and sorted(row[3:]) == [4, 5, 6] for row in seen)
    assert len(seen) > 5


def test_selected_units_keep_their_table():
    area = ("unit", np.array(["VISp", "LGd", "VISp"]))
    trains = read_trains(recording(independent(50, 3, 1.0), area=area)).select(np.array([True, False, True]))

    assert trains.units.index.tolist() == [100, 102]
    assert trains.units.area.tolist() == ["VISp", "VISp"]


@pytest.mark.parametrize(
    ("broken", "error", "said"),
    [
        (lambda c: c.to_numpy(), DataError, "xarray.DataArray, got ndarray"),
        (lambda c: c.rename(unit="cell"), DataError, "expected dims"),
        (lambda c: c * 0.5, DataError, "whole numbers"),
        (lambda c: c.astype(int) - 1, DataError, "0 or more, got -1"),
        (lambda c: c.isel(unit=[0]), NoUnitsError, "at least two units to relate, got 1"),
        (lambda c: c.isel(unit=[0, 0]), UnitIdsError, r"repeated: \[100\]"),
        (lambda c: c.isel(time=slice(0, 0)), DataError, "at least one bin"),
        (lambda c: c.assign_coords(time=c.time**1.5), DataError, "one length"),
        (lambda c: c.assign_coords(time=c.time % 0.05), DataError, "one length"),
        (lambda c: c.drop_vars("time").assign_attrs(bin_size=None), DataError, "neither"),
    ],
)
def test_what_are_no_counts_is_refused(broken, error, said):
    counts = recording(independent(100, 3))
    counts.attrs = {key: value for key, value in counts.attrs.items() if value is not None}
    with pytest.raises(error, match=said):
        read_trains(_without_missing(broken(counts)))


def _without_missing(counts):
    if isinstance(counts, xr.DataArray):
        counts.attrs = {key: value for key, value in counts.attrs.items() if value is not None}
    return counts


def test_overlapping_periods_are_refused():
    counts = recording(independent(100, 3), periods=[50, 50])
    time = counts.time.to_numpy().copy()
    time[50:] = time[40] + 0.002 * np.arange(50)

    with pytest.raises(PresentationsError, match=r"do not overlap.*number 0 ends at 0\.1000 s, after number 1 begins"):
        read_trains(counts.assign_coords(time=time))


def test_overlapping_windows_of_trials_are_refused():
    counts = presentations(independent(60, 3).reshape(3, 20, 3), [0, 1, 0])
    start = counts.start_time.to_numpy() * 0.5

    with pytest.raises(PresentationsError, match="2 overlap"):
        read_trains(counts.assign_coords(start_time=("trial", start), stop_time=("trial", start + 0.04)))

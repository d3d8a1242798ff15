import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.data import ragged
from spikesight.data.ragged import RaggedArray
from spikesight.errors import UnitIdsError


class CountingSource:
    """Values that remember which stretches of them were read."""

    def __init__(self, values):
        self.values = np.asarray(values, np.float64)
        self.reads = []

    def __getitem__(self, key):
        if key.stop > key.start:
            self.reads.append((key.start, key.stop))
        return self.values[key]


def counted(sizes):
    stops = np.cumsum(sizes)
    source = CountingSource(np.arange(stops[-1]))
    return RaggedArray(list(range(len(sizes))), stops - np.array(sizes), stops, source), source


def test_a_unit_is_the_slice_between_its_bounds():
    values = RaggedArray([7, 3, 9], np.array([0, 2, 2]), np.array([2, 2, 5]), np.array([0.5, 1.5, 10.0, 11.0, 12.0]))

    assert values[7].tolist() == [0.5, 1.5]
    assert values[3].tolist() == []
    assert values[9].tolist() == [10.0, 11.0, 12.0]
    assert list(values) == [7, 3, 9]
    assert len(values) == 3
    assert values.sizes().tolist() == [2, 0, 3]


def test_an_unknown_unit_is_a_key_error():
    with pytest.raises(KeyError):
        RaggedArray.from_arrays({1: np.array([1.0])})[2]


def test_select_keeps_the_order_asked_for_and_reads_nothing():
    values, source = counted([3, 2, 4])

    chosen = values.select([2, 0])

    assert source.reads == []
    assert list(chosen) == [2, 0]
    assert chosen[2].tolist() == [5, 6, 7, 8]


def test_flat_joins_units_in_their_order():
    values, offsets = RaggedArray.from_arrays({5: np.array([1.0, 2.0]), 4: np.array([]), 6: np.array([3.0])}).flat()

    assert values.tolist() == [1.0, 2.0, 3.0]
    assert offsets.tolist() == [0, 2, 2, 3]


def test_flat_reads_neighbours_at_once():
    values, source = counted([3, 2, 4])

    values.flat()

    assert source.reads == [(0, 9)]


def test_flat_skips_a_stretch_of_unwanted_values_only_if_it_is_long(monkeypatch):
    monkeypatch.setattr(ragged, "READ_GAP", 2)
    values, source = counted([3, 2, 4, 3, 2])

    values.select([4, 0, 2]).flat()

    assert source.reads == [(0, 9), (12, 14)]


def test_flat_reads_no_more_than_the_limit_at_once(monkeypatch):
    monkeypatch.setattr(ragged, "READ_LIMIT", 5)
    values, source = counted([3, 2, 4, 7, 1])

    flat, _ = values.flat()

    assert source.reads == [(0, 5), (5, 9), (9, 16), (16, 17)]
    assert flat.tolist() == list(range(17))


def test_flat_keeps_further_dimensions():
    waveforms = RaggedArray([1, 2], np.array([2, 0]), np.array([3, 2]), np.arange(12.0).reshape(3, 4))

    values, offsets = waveforms.flat()

    assert values.tolist() == [[8, 9, 10, 11], [0, 1, 2, 3], [4, 5, 6, 7]]
    assert offsets.tolist() == [0, 1, 3]


def test_no_units_are_no_values():
    values, offsets = RaggedArray.from_arrays({}).flat()

    assert values.size == 0
    assert offsets.tolist() == [0]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_flat_of_any_selection_is_the_concatenation_of_its_units(sizes, random):
    values, _ = counted(sizes)
    ids = random.sample(range(len(sizes)), random.randint(1, len(sizes)))

    flat, offsets = values.select(ids).flat()

    assert flat.tolist() == np.concatenate([values[unit_id] for unit_id in ids]).tolist()
    assert np.diff(offsets).tolist() == [sizes[unit_id] for unit_id in ids]


def test_duplicated_unit_ids_are_refused():
    with pytest.raises(UnitIdsError, match="3 ids hold 2 different"):
        RaggedArray([1, 2, 1], np.zeros(3, np.int64), np.zeros(3, np.int64), np.empty(0))


def test_selecting_units_that_are_not_there_names_them():
    with pytest.raises(UnitIdsError, match=r"2 of 3 unit ids are not in the session: \[8, 9\]"):
        RaggedArray.from_arrays({1: np.empty(0)}).select([8, 1, 9])

import numpy as np
import pytest
import xarray as xr

from spikesight.data.unit_order import align_units
from spikesight.errors import UnitIdsError


@pytest.fixture
def dataset():
    counts = xr.DataArray(np.arange(6).reshape(1, 1, 6), dims=("trial", "time", "unit"))
    return xr.Dataset({"spike_counts": counts}, coords={"unit": [5, 3, 9, 7, 1, 2]})


def test_units_come_in_the_order_asked_for(dataset):
    picked = align_units(dataset, [9, 5, 2])
    assert picked["unit"].to_numpy().tolist() == [9, 5, 2]
    assert picked["spike_counts"].to_numpy().tolist() == [[[2, 0, 5]]]


def test_missing_units_are_counted_and_some_named(dataset):
    with pytest.raises(
        UnitIdsError, match=r"expected 4 units by id, the dataset lacks 2 of them, for example \[4, 8\]"
    ):
        align_units(dataset, np.array([5, 4, 3, 8]))


def test_a_unit_asked_for_twice_is_refused(dataset):
    with pytest.raises(UnitIdsError, match="1 that repeat"):
        align_units(dataset, [5, 3, 5])

import numpy as np
import pytest
import xarray as xr

from spikesight.errors import DataError
from spikesight.schema import DIMS, REQUIRED_COORDS, validate_dataset


def valid():
    return xr.Dataset(
        {"spike_counts": (DIMS, np.ones((3, 2, 4), np.uint8))},
        {"unit": [5, 6, 7, 8], **{name: ("trial", np.arange(3)) for name in REQUIRED_COORDS}},
    )


def test_validate_dataset_returns_a_valid_dataset_unchanged():
    dataset = valid()

    assert validate_dataset(dataset) is dataset


def test_validate_dataset_accepts_dimensions_in_any_order():
    dataset = valid().transpose("unit", "trial", "time")
    assert validate_dataset(dataset) is dataset


@pytest.mark.parametrize("name", REQUIRED_COORDS)
def test_validate_dataset_names_the_coordinate_that_is_missing(name):
    with pytest.raises(DataError, match=name):
        validate_dataset(valid().drop_vars(name))


def test_validate_dataset_names_the_coordinate_that_lies_on_another_dimension():
    with pytest.raises(DataError, match="'target' along 'trial'"):
        validate_dataset(valid().assign_coords(target=("unit", np.arange(4))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.rename(spike_counts="counts"), "'spike_counts'"),
        (lambda d: d.rename(time="bin"), "dims"),
        (lambda d: d.isel(time=0), "dims"),
        (lambda d: d.astype(float), "integer"),
        (lambda d: d.assign_coords(unit=[5, 6, 5, 8]), r"\[5\]"),
    ],
)
def test_validate_dataset_says_what_is_wrong(change, message):
    with pytest.raises(DataError, match=message):
        validate_dataset(change(valid()))

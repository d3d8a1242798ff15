"""Writing of .npz files: what comes back, and that objects are refused whatever the version of numpy."""

import numpy as np
import pytest

from spikesight.data.npz_file import read_npz, write_npz


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_written_is_read_and_nothing_else_is_in_the_file(tmp_path, compressed):
    arrays = {"rate": np.arange(6.0).reshape(2, 3), "area": np.array(["VISp", "LGd"]), "seed": np.array(3)}
    with (tmp_path / "a.npz").open("xb") as file:
        write_npz(file, arrays, compressed=compressed)
    read = read_npz(tmp_path / "a.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def test_objects_are_refused_before_a_byte_is_written(tmp_path):
    with (tmp_path / "a.npz").open("xb") as file, pytest.raises(ValueError, match="'coef_' holds Python objects"):
        write_npz(file, {"good": np.zeros(2), "coef_": np.array([{}], dtype=object)})
    assert (tmp_path / "a.npz").stat().st_size == 0

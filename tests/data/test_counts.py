import io
import json
import zipfile

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikesight.data.arrays import to_arrays
from spikesight.data.binning import bin_spikes
from spikesight.data.counts import read_counts, write_counts
from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.errors import (
    DataError,
    FileFormatError,
    NoTrialsError,
    NoUnitsError,
    OutputError,
    PresentationsError,
    TargetNotFoundError,
    UnitIdsError,
)


@pytest.fixture
def save(tmp_path):
    """Write arrays to an .npz file and give its path."""

    def write(name="session_42.npz", **arrays):
        path = tmp_path / name
        np.savez_compressed(path, **arrays)
        return path

    return write


def gabor_arrays(**changes):
    """Three units, four trials, in the layout of the gabor files."""
    arrays = {
        "counts": np.array([[0, 1, 2, 3], [4, 5, 6, 7], [0, 0, 0, 0]], np.uint8),
        "unit_ids": np.array([30, 10, 20]),
        "stimulus_presentation_id": np.array([1, 2, 3, 4], np.int32),
        "start_time": np.array([1.0, 1.25, 1.5, 1.75]),
        "stop_time": np.array([1.25, 1.5, 1.75, 2.0]),
        "x_position": np.array([0, 10, 0, 0], np.int8),
        "y_position": np.array([-20, 0, -20, 0], np.int8),
        "orientation": np.array([0, 45, 90, 0], np.int16),
        "stimulus_condition_id": np.array([1, 2, 3, 1], np.int16),
        "structure": np.array(["VISp", "VISl", "VISp"]),
        "published_like_qc": np.array([True, False, True]),
    }
    return {name: value for name, value in (arrays | changes).items() if value is not None}


# ---------------------------------------------------------------- the gabor files


def test_read_counts_turns_units_by_trials_into_trial_time_unit(save):
    dataset = read_counts(save(**gabor_arrays()))

    assert dataset["spike_counts"].dims == ("trial", "time", "unit")
    assert dataset["spike_counts"].values[:, 0].tolist() == [[0, 4, 0], [1, 5, 0], [2, 6, 0], [3, 7, 0]]
    assert dataset["spike_counts"].dtype == np.uint8
    assert dataset["unit"].values.tolist() == [30, 10, 20]
    assert dataset["area"].values.tolist() == ["VISp", "VISl", "VISp"]
    assert dataset["trial"].values.tolist() == [1, 2, 3, 4]
    assert dataset["stimulus_block"].values.tolist() == [0, 0, 0, 0]
    assert dataset.attrs["session_id"] == "42"


def test_read_counts_decodes_the_position_of_a_gabor_by_default(save):
    dataset = read_counts(save(**gabor_arrays()))

    positions = ["x_position=0, y_position=-20", "x_position=10, y_position=0", "x_position=0, y_position=0"]
    assert dataset["target"].values.tolist() == [positions[0], positions[1], positions[0], positions[2]]
    assert dataset["repeat"].values.tolist() == [0, 0, 1, 0]
    assert dataset.identical(read_counts(dataset.attrs["source"], target="position"))
    assert dataset.identical(read_counts(dataset.attrs["source"], target=("x_position", "y_position")))


@pytest.mark.parametrize(
    ("target", "labels"),
    [("orientation", [0, 45, 90, 0]), ("condition", [1, 2, 3, 1]), ("x_position", [0, 10, 0, 0])],
)
def test_read_counts_decodes_another_column_when_asked(save, target, labels):
    dataset = read_counts(save(**gabor_arrays()), target=target)

    assert dataset["target"].values.tolist() == labels
    assert np.issubdtype(dataset["target"].dtype, np.integer)


def test_read_counts_keeps_silent_units_and_all_qualities_by_default(save):
    assert read_counts(save(**gabor_arrays())).sizes["unit"] == 3


def test_read_counts_keeps_good_units_of_the_asked_areas_and_says_what_it_dropped(save):
    path = save(**gabor_arrays(published_like_qc=np.array([True, False, False])))

    dataset = read_counts(path, quality=True, areas=["VISp"])

    assert dataset["unit"].values.tolist() == [30]
    assert json.loads(dataset.attrs["dropped_units"]) == {"quality": 2, "areas": 0}
    assert json.loads(dataset.attrs["unit_filters"]) == {"quality": True, "areas": ["VISp"]}


def test_read_counts_names_the_areas_there_are_when_no_unit_is_left(save):
    with pytest.raises(NoUnitsError, match=r"'areas': 3.*'VISl', 'VISp'"):
        read_counts(save(**gabor_arrays()), areas=["LGd"])


def test_read_counts_refuses_to_filter_by_a_quality_that_the_file_does_not_have(save):
    with pytest.raises(FileFormatError, match="published_like_qc"):
        read_counts(save(**gabor_arrays(published_like_qc=None)), quality=True)


def test_read_counts_puts_trials_in_time_order(save):
    shuffled = gabor_arrays(start_time=np.array([4.0, 3.0, 1.0, 2.0]))

    dataset = read_counts(save(**shuffled), target="orientation")

    assert dataset["start_time"].values.tolist() == [1, 2, 3, 4]
    assert dataset["trial"].values.tolist() == [3, 4, 2, 1]
    assert dataset["spike_counts"].values[:, 0, 1].tolist() == [6, 7, 5, 4]
    assert dataset["target"].values.tolist() == [90, 0, 45, 0]
    assert dataset["repeat"].values.tolist() == [0, 0, 0, 1]


# ---------------------------------------------------------------- a lab's own X, y, groups


def test_read_counts_takes_a_labs_own_trials_by_units(save):
    dataset = read_counts(save("mine.npz", X=np.array([[1, 2], [3, 4], [5, 6]]), y=np.array(["a", "null", "a"])))

    arrays = to_arrays(dataset)
    assert arrays.X.tolist() == [[[1, 2]], [[3, 4]], [[5, 6]]]
    assert arrays.X.dtype == np.uint8
    assert arrays.y.tolist() == ["a", "null", "a"]
    assert arrays.groups.tolist() == [0, 0, 0]
    assert dataset.attrs["session_id"] == "mine"
    assert np.isnan(dataset["start_time"]).all()


def test_read_counts_takes_a_labs_own_trials_by_bins_by_units(save):
    X = np.arange(12).reshape(2, 3, 2)

    dataset = read_counts(save(X=X, y=[1, 2], unit_ids=[7, 5], area=["V1", "V2"], time=[0, 0.1, 0.2]))

    np.testing.assert_array_equal(to_arrays(dataset).X, X)
    assert dataset["time"].values.tolist() == [0, 0.1, 0.2]
    assert dataset["unit"].values.tolist() == [7, 5]
    assert dataset["area"].values.tolist() == ["V1", "V2"]


@pytest.mark.parametrize(
    ("groups", "blocks"), [([5, 5, 9], [5, 5, 9]), (["b", "a", "b"], [0, 1, 0]), ([0.5, 0.5, 1.5], [0, 0, 1])]
)
def test_read_counts_takes_groups_as_blocks(save, groups, blocks):
    dataset = read_counts(save(X=np.ones((3, 2), int), y=[0, 1, 0], groups=groups))

    assert to_arrays(dataset).groups.tolist() == blocks


@pytest.mark.parametrize("y", [[0, 1, 0], [0.0, 1.0, 0.0], [False, True, False], np.array([0, 1, 0], np.uint8)])
def test_read_counts_takes_whole_labels_of_any_type_as_integers(save, y):
    target = read_counts(save(X=np.ones((3, 2), int), y=np.array(y)))["target"]

    assert target.values.tolist() == [0, 1, 0]
    assert target.dtype == np.int64


@pytest.mark.parametrize("dtype", ["S4", "U4"])
def test_read_counts_keeps_labels_of_text(save, dtype):
    target = read_counts(save(X=np.ones((2, 1), int), y=np.array(["10", "left"], dtype)))["target"]

    assert target.values.tolist() == ["10", "left"]


def test_read_counts_decodes_another_array_along_trials_of_a_labs_own(save):
    path = save(X=np.ones((2, 3), int), y=[0, 1], choice=["l", "r"], elsewhere=np.arange(9))

    assert read_counts(path, target="choice")["target"].values.tolist() == ["l", "r"]
    with pytest.raises(TargetNotFoundError, match=r"'elsewhere'.*y, choice"):
        read_counts(path, target="elsewhere")


@pytest.mark.parametrize(
    ("highest", "dtype"), [(255, np.uint8), (256, np.uint16), (65_535, np.uint16), (65_536, np.uint32)]
)
@pytest.mark.parametrize("given_dtype", [np.int64, np.float64])
def test_read_counts_keeps_counts_in_the_smallest_dtype(save, highest, dtype, given_dtype):
    counts = read_counts(save(X=np.array([[0, highest]], given_dtype), y=[1]))["spike_counts"]

    assert counts.dtype == dtype
    assert counts.values.ravel().tolist() == [0, highest]


# ---------------------------------------------------------------- round trip


def test_write_counts_gives_back_exactly_what_was_written(save, tmp_path):
    dataset = read_counts(save(**gabor_arrays(start_time=np.array([0.1, 0.2, 0.3, np.nextafter(0.3, 1)]))))

    write_counts(dataset, tmp_path / "copy.nc")
    copy = read_counts(tmp_path / "copy.nc")

    assert copy.identical(dataset)
    assert {name: coord.dtype for name, coord in copy.coords.items()} == {
        name: coord.dtype for name, coord in dataset.coords.items()
    }
    assert copy["spike_counts"].dtype == dataset["spike_counts"].dtype
    json.dumps(dict(copy.attrs))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.nc", "session_42.npz"]


@settings(max_examples=12, deadline=None)
@given(
    X=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.uint32]), hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)
    ),
    data=st.data(),
)
def test_write_counts_gives_back_any_counts_and_labels(X, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("counts")
    text = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\0"), min_size=1).filter(
        str.strip
    )
    y = data.draw(st.lists(text, min_size=len(X), max_size=len(X)))
    np.savez(folder / "lab.npz", X=X, y=np.array(y), groups=np.arange(len(X)) // 2)
    dataset = read_counts(folder / "lab.npz")

    write_counts(dataset, folder / "copy.nc")

    assert read_counts(folder / "copy.nc").identical(dataset)
    np.testing.assert_array_equal(to_arrays(dataset).X, X)


def test_read_counts_decodes_another_column_of_a_nc_file(save, tmp_path):
    write_counts(read_counts(save(**gabor_arrays())), tmp_path / "copy.nc")

    dataset = read_counts(tmp_path / "copy.nc", target="orientation", areas=["VISp"], quality=True)

    assert dataset.identical(
        read_counts(tmp_path / "session_42.npz", target="orientation", areas=["VISp"], quality=True)
    )
    with pytest.raises(TargetNotFoundError, match=r"'color'.*position, condition.*orientation"):
        read_counts(tmp_path / "copy.nc", target="color")


def test_write_counts_keeps_the_window_of_binned_trials(save, tmp_path):
    dataset = read_counts(save(**gabor_arrays())).assign_attrs(window=[-0.1, 0.25], bin_size=0.35)

    write_counts(dataset, tmp_path / "copy.nc")

    assert read_counts(tmp_path / "copy.nc").attrs == dataset.attrs


def test_write_counts_gives_back_the_binned_trials_of_a_session(tmp_path, recordings):
    path = recordings / "allensdk-written" / "session_sdk2162.nwb"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    session = read_session(path, filters=None)
    for stimulus in ("static_gratings", "gabors"):
        dataset = bin_spikes(select_trials(session, stimulus), bin_size=0.05, window=(-0.05, 0.2))

        write_counts(dataset, tmp_path / "binned.nc")

        assert read_counts(tmp_path / "binned.nc").identical(dataset)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("name", ["nothing.npz", "nothing.nc", "."])
def test_read_counts_says_that_there_is_no_file(tmp_path, name):
    with pytest.raises(FileFormatError, match="there is none at"):
        read_counts(tmp_path / name)


def test_read_counts_names_the_endings_it_knows(tmp_path):
    (tmp_path / "counts.csv").write_text("1,2\n")
    with pytest.raises(FileFormatError, match=r"\.npz or \.nc"):
        read_counts(tmp_path / "counts.csv")


@pytest.mark.parametrize("ending", [".npz", ".nc"])
@pytest.mark.parametrize("content", [b"", b"not a file of counts", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
def test_read_counts_refuses_files_of_another_kind(tmp_path, ending, content):
    path = tmp_path / f"counts{ending}"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="expected"):
        read_counts(path)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_read_counts_refuses_truncated_files(save, tmp_path, ending, kept):
    rng = np.random.default_rng(0)
    path = save("whole.npz", X=rng.integers(0, 99, (50, 40)), y=np.arange(50))
    if ending == ".nc":
        write_counts(read_counts(path), tmp_path / "whole.nc")
        path = tmp_path / "whole.nc"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])

    with pytest.raises(FileFormatError, match="expected a"):
        read_counts(path)


@pytest.mark.parametrize("at", [30, 45, 60, 100, 200, 400, -100, -30])
@pytest.mark.parametrize("by", [b"\0" * 12, b"\xff" * 12])
def test_read_counts_refuses_damaged_files(save, at, by):
    path = save(X=np.random.default_rng(0).integers(0, 99, (20, 20)), y=np.arange(20))
    content = bytearray(path.read_bytes())
    content[at : at + len(by)] = by
    path.write_bytes(content)

    with pytest.raises(FileFormatError, match="expected"):
        read_counts(path)


def test_read_counts_never_unpickles_objects(save):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the file was unpickled",))

    path = save(X=np.ones((2, 1), int), y=np.array([0, 1]), note=np.array([Trap(), Trap()], object))

    with pytest.raises(FileFormatError, match="'note' holds Python objects"):
        read_counts(path)


def test_read_counts_takes_no_memory_for_what_a_file_only_claims_to_hold(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header.getvalue())
        archive.writestr("y.npy", header.getvalue())

    with pytest.raises(FileFormatError, match="claims 8000000000000 bytes"):
        read_counts(path)


def test_read_counts_does_not_follow_links_to_other_files(save, tmp_path):
    write_counts(read_counts(save(**gabor_arrays())), tmp_path / "copy.nc")
    with h5py.File(tmp_path / "copy.nc", "a") as file:
        del file["area"]
        file["area"] = h5py.ExternalLink("/etc/hostname", "area")

    with pytest.raises(FileFormatError, match="another file"):
        read_counts(tmp_path / "copy.nc")


@pytest.mark.parametrize(
    "arrays",
    [
        {"X": np.ones((2, 2), int)},
        {"counts": np.ones((2, 2), int)},
        {"spikes": np.ones(3)},
        {"X": np.ones(3, int), "y": np.ones(3, int)},
        {"X": np.ones((2, 2, 2, 2), int), "y": np.ones(2, int)},
        {"X": np.ones((3, 2), int), "y": np.ones(2, int)},
        {"X": np.ones((3, 2), int), "y": np.ones((3, 1), int)},
        {"X": np.ones((3, 2), int), "y": np.ones(3, int), "groups": np.ones(2, int)},
        {"X": np.ones((3, 2), int), "y": np.ones(3, int), "unit_ids": np.arange(3)},
        {"X": np.ones((3, 2), int), "y": np.ones(3, int), "area": np.array(["V1"])},
        {"X": np.ones((3, 2), int), "y": np.ones(3, int), "start_time": np.arange(2.0)},
        gabor_arrays(counts=np.ones(4, int)),
        gabor_arrays(start_time=np.arange(3.0)),
    ],
)
def test_read_counts_says_which_array_is_missing_or_of_another_shape(save, arrays):
    with pytest.raises(FileFormatError, match="expected"):
        read_counts(save(**arrays))


@pytest.mark.parametrize(
    "X", [[[0.5, 1]], [[np.nan, 1]], [[np.inf, 1]], [[-1, 1]], [[-1.0, 1]], [["1", "2"]], [[1j, 1]], [[2**32, 0]]]
)
def test_read_counts_refuses_what_cannot_be_counts(save, X):
    with pytest.raises(FileFormatError, match="expected spike counts in X"):
        read_counts(save(X=np.array(X), y=[1]))


def test_read_counts_refuses_negative_counts_in_a_nc_file(save, tmp_path):
    dataset = read_counts(save(**gabor_arrays()))
    write_counts(dataset.assign(spike_counts=dataset["spike_counts"].astype(int) - 1), tmp_path / "copy.nc")

    with pytest.raises(FileFormatError, match="down to -1"):
        read_counts(tmp_path / "copy.nc")


def test_read_counts_refuses_a_nc_file_of_something_else(tmp_path):
    xr.Dataset({"rainfall": ("day", np.ones(3))}).to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")

    with pytest.raises(DataError, match="rainfall"):
        read_counts(tmp_path / "rain.nc")


@pytest.mark.parametrize("ids", [[3, 3], [1.0, 2.0], ["a", "b"]])
def test_read_counts_refuses_unit_ids_that_are_repeated_or_not_whole_numbers(save, ids):
    with pytest.raises(UnitIdsError, match="3" if ids == [3, 3] else "whole numbers"):
        read_counts(save(X=np.ones((1, 2), int), y=[1], unit_ids=ids))


@pytest.mark.parametrize("y", [[1, np.nan, 2], ["a", "", "b"]])
def test_read_counts_names_the_rows_without_a_label(save, y):
    with pytest.raises(TargetNotFoundError, match=r"1 have none, rows \[1\]"):
        read_counts(save(X=np.ones((3, 2), int), y=y))


def test_read_counts_refuses_start_times_of_which_some_are_missing(save):
    with pytest.raises(PresentationsError, match=r"rows \[2\]"):
        read_counts(save(**gabor_arrays(start_time=np.array([1, 2, np.nan, 4]))))


def test_read_counts_says_that_a_file_without_stimulus_has_nothing_to_decode(save):
    path = save(counts=np.ones((2, 3), np.uint8), unit_ids=[1, 2], start_time=np.arange(3.0))

    with pytest.raises(TargetNotFoundError, match=r"'x_position', 'y_position' to decode\. It has: -"):
        read_counts(path)


def test_read_counts_says_that_there_are_no_trials_or_no_units(save):
    with pytest.raises(NoTrialsError):
        read_counts(save(X=np.ones((0, 2), int), y=np.empty(0, int)))
    with pytest.raises(NoUnitsError):
        read_counts(save(X=np.ones((2, 0), int), y=[0, 1]))


@pytest.mark.parametrize("name", ["no/such/folder/counts.nc", "counts.csv"])
def test_write_counts_says_that_it_cannot_write_there(save, tmp_path, name):
    with pytest.raises(OutputError, match=r"counts\."):
        write_counts(read_counts(save(**gabor_arrays())), tmp_path / name)


def test_write_counts_says_that_a_folder_is_missing(save, tmp_path):
    with pytest.raises(OutputError, match=r"there is no folder .*nodir"):
        write_counts(read_counts(save(**gabor_arrays())), tmp_path / "nodir" / "x.nc")


def test_write_counts_leaves_nothing_behind_on_a_full_disk(save, tmp_path, monkeypatch):
    dataset = read_counts(save(**gabor_arrays()))
    (tmp_path / "copy.nc").write_bytes(b"what was there")

    def fill_disk(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fill_disk)

    with pytest.raises(OutputError, match="No space left"):
        write_counts(dataset, tmp_path / "copy.nc")
    assert (tmp_path / "copy.nc").read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.nc", "session_42.npz"]


# ---------------------------------------------------------------- the real recordings


def test_read_counts_reads_the_gabor_recordings(recordings):
    folder = recordings / "allen-npx-gabors"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    for path in sorted(folder.glob("session_*.npz")):
        n_classes = {"position": 81, "orientation": 3, "condition": 243}
        for target, n in n_classes.items():
            dataset = read_counts(path, target=target)
            assert len(np.unique(dataset["target"])) == n
        with np.load(path, allow_pickle=False) as file:
            np.testing.assert_array_equal(dataset["spike_counts"][:, 0].values.T, file["counts"])
            assert dataset["area"].values.tolist() == file["structure"].tolist()
            good = read_counts(path, quality=True)
            assert good["unit"].values.tolist() == file["unit_ids"][file["published_like_qc"]].tolist()
        assert f"session_{dataset.attrs['session_id']}" == path.stem
        assert dataset["start_time"].to_index().is_monotonic_increasing

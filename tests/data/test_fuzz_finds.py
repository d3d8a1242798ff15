"""What spoilt files brought to light in the readers, each as the smallest file that shows it."""

import contextlib
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from minimal_nwb import write_minimal

from spikesight.data import npz_file, nwb_file
from spikesight.data.counts import read_counts, write_counts
from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.errors import DataError, FileFormatError, brief


@pytest.fixture
def minimal(tmp_path):
    return write_minimal(tmp_path / "minimal.nwb")


def change(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def lab_arrays(**changes):
    return {"X": np.ones((4, 3), np.uint8), "y": np.array([0, 1, 0, 1])} | changes


def with_header(path, text):
    """An archive whose only array has this header."""
    head = text.encode()
    npy = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(64)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X.npy", npy)
    return path


# --- NWB ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["units/spike_times", "units/spike_amplitudes"])
def test_a_view_of_itself_is_refused_before_hdf5_follows_it_without_end(minimal, source):
    def edit(file):
        del file["units/spike_times"]
        layout = h5py.VirtualLayout((5,), "f8")
        layout[:] = h5py.VirtualSource(".", source, (5,))
        file["units"].create_virtual_dataset("spike_times", layout)

    with pytest.raises(FileFormatError, match="a view of other files or datasets"):
        read_session(change(minimal, edit))


def test_values_that_unpack_to_more_than_the_memory_are_refused(minimal, monkeypatch):
    def edit(file):
        del file["units/spike_amplitudes"]
        file.create_dataset("units/spike_amplitudes", data=np.zeros(4_000_000), chunks=(100_000,), compression="gzip")

    change(minimal, edit)
    assert read_session(minimal).spike_amplitudes is not None
    monkeypatch.setattr(nwb_file, "available_memory", lambda: 20 * 2**20)
    with pytest.raises(FileFormatError, match="claims 32000000 bytes"):
        read_session(minimal)


def test_a_read_that_finds_no_memory_is_our_error(minimal, monkeypatch):
    session = read_session(minimal)

    def fail(*_):
        raise MemoryError("Unable to allocate 3.00 GiB")

    monkeypatch.setattr(nwb_file, "dataset", fail)
    with pytest.raises(FileFormatError, match=r"Unable to allocate 3\.00 GiB"):
        session.spike_times[10]


@pytest.mark.parametrize("tags", [[1.0, 2.0], [[1], [2]]])
def test_invalid_times_whose_tags_are_numbers_count_for_all_probes(minimal, tags):
    def edit(file):
        group = file.create_group("intervals/invalid_times")
        group["id"] = [0]
        group["start_time"], group["stop_time"] = [0.3], [0.4]
        group["tags"], group["tags_index"] = np.array(tags), [2]

    trials = select_trials(read_session(change(minimal, edit)), "natural_scenes")

    assert trials.dropped == {"invalid_times: untagged": 1}


def test_a_pupil_of_impossible_size_is_no_warning(minimal):
    def edit(file):
        fits = file.create_group("processing/eye_tracking/pupil_ellipse_fits")
        fits["timestamps"], fits["width"], fits["height"] = [0.0, 0.1], [1e300, 1.0], [1.0, 2.0]

    pupil = read_session(change(minimal, edit)).pupil

    assert pupil is not None
    assert pupil["area"].tolist() == [np.inf, 4 * np.pi]


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan])
def test_a_series_without_a_rate_is_refused(minimal, rate):
    def edit(file):
        series = file.create_group("processing/running/running_speed")
        series["data"] = np.zeros(3)
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = rate

    with pytest.raises(FileFormatError, match=r"expected a rate above 0 Hz in .*running_speed/starting_time"):
        read_session(change(minimal, edit))


@pytest.mark.parametrize("kind", ["reference", "text", "complex", "column"])
def test_spike_times_that_are_no_numbers_end_to_end_are_refused(minimal, kind):
    def edit(file):
        del file["units/spike_times"]
        if kind == "reference":
            file.create_dataset("units/spike_times", shape=(5,), dtype=h5py.regionref_dtype)
        elif kind == "text":
            file.create_dataset("units/spike_times", data=["0.1"] * 5, dtype=h5py.string_dtype())
        else:
            file["units/spike_times"] = np.zeros(5, complex) if kind == "complex" else np.zeros((5, 1))

    with pytest.raises(FileFormatError, match="expected numbers in /units/spike_times"):
        read_session(change(minimal, edit))


def test_a_text_of_a_million_values_is_refused_before_it_is_written_out(minimal):
    def edit(file):
        del file["identifier"]
        file["identifier"] = np.zeros(1_000_000)

    with pytest.raises(FileFormatError, match="expected one text in /identifier, it holds 1000000 values"):
        read_session(change(minimal, edit))


def test_names_and_versions_that_fill_pages_are_cut_in_messages(minimal):
    with pytest.raises(FileFormatError) as raised:
        read_session(change(minimal, lambda file: file.attrs.__setitem__("nwb_version", "x" * 60_000)))
    assert len(str(raised.value)) < 1000


# --- npz ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, ",
        "{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 60 + ")" * 60 + ", }",
        "{'descr': [], 'fortran_order': False, 'shape': (4,), }",
        "{}",
        "\x00" * 20,
    ],
)
def test_a_header_that_is_no_header_is_our_error_of_readable_length(tmp_path, header):
    with pytest.raises(FileFormatError) as raised:
        read_counts(with_header(tmp_path / "a.npz", header + "\n"))
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("dtype", ["c16", "V3", [("a", "i4")]])
@pytest.mark.parametrize("name", ["y", "contrast", "area", "groups"])
def test_an_array_that_is_neither_numbers_nor_text_is_refused_by_name(tmp_path, name, dtype):
    n = 3 if name == "area" else 4
    path = write_npz(tmp_path / "a.npz", **lab_arrays(**{name: np.zeros(n, dtype)}))

    with pytest.raises(FileFormatError, match=f"expected numbers or text in {name}"):
        read_counts(path)


@pytest.mark.parametrize("name", ["start_time", "stop_time", "time"])
def test_times_that_are_text_are_refused_by_name(tmp_path, name):
    text = np.array(["", "a", "", "b"])[: 1 if name == "time" else 4]

    with pytest.raises(FileFormatError, match=rf"expected numbers \(seconds\) in {name}"):
        read_counts(write_npz(tmp_path / "a.npz", **lab_arrays(**{name: text})))


def test_counts_of_half_precision_are_read(tmp_path):
    counts = read_counts(write_npz(tmp_path / "a.npz", **lab_arrays(X=np.full((4, 3), 2, np.float16))))

    assert counts["spike_counts"].dtype == np.uint8
    assert (counts["spike_counts"] == 2).all()


def test_numbers_of_the_other_byte_order_are_read(tmp_path):
    arrays = lab_arrays(unit_ids=np.array([7, 5, 9], ">i8"), y=np.array([3, 4, 3, 4], ">u4"), groups=np.zeros(4, ">i2"))

    dataset = read_counts(write_npz(tmp_path / "a.npz", **arrays))

    assert dataset["unit"].values.tolist() == [7, 5, 9]
    assert dataset["target"].values.tolist() == [3, 4, 3, 4]
    assert dataset["unit"].dtype.isnative


def test_trial_ids_of_half_precision_are_read(tmp_path):
    ids = np.array([5, 6, 7, 8], np.float16)

    dataset = read_counts(write_npz(tmp_path / "a.npz", **lab_arrays(stimulus_presentation_id=ids)))

    assert dataset["trial"].values.tolist() == [5, 6, 7, 8]


def test_arrays_that_take_more_than_the_memory_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_file, "available_memory", lambda: 40)

    with pytest.raises(FileFormatError, match="take more memory than there is"):
        read_counts(write_npz(tmp_path / "a.npz", **lab_arrays()))


# --- NetCDF ------------------------------------------------------------------------------------------------------


@pytest.fixture
def counts(tmp_path):
    """Binned trials as `write_counts` writes them."""
    write_counts(read_counts(write_npz(tmp_path / "a.npz", **lab_arrays())), tmp_path / "a.nc")
    return tmp_path / "a.nc"


def replace(file, name, **options):
    del file[name]
    file.create_dataset(name, **options)


@pytest.mark.parametrize(
    "edit",
    [
        lambda file: replace(file, "y", data=np.ones((4, 2))),
        lambda file: replace(file, "target", data=np.array([[b"a", b"b"]] * 4, object), dtype=h5py.string_dtype()),
        lambda file: replace(file, "trial", data=np.ones((4, 4))),
        lambda file: replace(file, "spike_counts", data=np.ones(7, np.uint8)),
        lambda file: file["target"].attrs.__setitem__("_FillValue", np.nan),
        lambda file: file["start_time"].attrs.__setitem__("scale_factor", "x"),
        lambda file: file["spike_counts"].attrs.__setitem__("DIMENSION_LIST", [1, 2, 3]),
        lambda file: file.attrs.__setitem__("dropped_units", "no JSON"),
    ],
)
def test_netcdf_whose_parts_do_not_fit_is_read_or_our_error(counts, edit):
    change(counts, edit)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(DataError):
            read_counts(counts, areas=[""])


def test_netcdf_with_a_coordinate_longer_than_its_dimension_is_refused(counts):
    def edit(file):
        scales = file["start_time"].attrs["DIMENSION_LIST"]
        del file["start_time"]
        file["start_time"] = np.arange(5.0)
        file["start_time"].attrs.create("DIMENSION_LIST", scales, dtype=h5py.vlen_dtype(h5py.ref_dtype))

    with pytest.raises(FileFormatError, match=r"start_time of shape \(5,\) does not fit its dimensions: {'trial': 4}"):
        read_counts(change(counts, edit))


@pytest.mark.parametrize("name", ["area", "published_like_qc"])
def test_netcdf_with_areas_that_are_not_along_units_is_refused(counts, tmp_path, name):
    dataset = read_counts(counts).assign_coords({name: ("trial", np.array(["VISp"] * 4))})
    write_counts(dataset, tmp_path / "b.nc")

    with pytest.raises(FileFormatError, match=f"expected {name} along 'unit'"):
        read_counts(tmp_path / "b.nc", areas=["VISp"])


def test_what_another_library_says_is_cut():
    assert brief(ValueError("x" * 1000), 10) == "xxxxxxxxxx ..."
    assert brief(EOFError()) == "EOFError"

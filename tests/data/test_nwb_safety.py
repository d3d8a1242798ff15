"""Files that are damaged, or made to harm: nothing outside them is opened, and no memory is taken on their word."""

import contextlib
import os
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minimal_nwb import SPIKE_TIMES, TEXT, write_minimal

from spikesight.data import nwb_file
from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.errors import FileFormatError, SpikesightError

COLUMNS = [
    "units/spike_times",
    "units/spike_times_index",
    "units/quality",
    "units/waveform_mean",
    "general/extracellular_ephys/electrodes/location",
]

NUMBERS = [
    "units/id",
    "units/spike_times",
    "units/spike_times_index",
    "units/waveform_mean_index",
    "units/peak_channel_id",
    "general/extracellular_ephys/electrodes/id",
    "intervals/natural_scenes_presentations/start_time",
    "intervals/natural_scenes_presentations/stop_time",
    "intervals/natural_scenes_presentations/frame",
    "intervals/natural_scenes_presentations/stimulus_block",
]


@pytest.fixture
def minimal(tmp_path):
    return write_minimal(tmp_path / "minimal.nwb")


@pytest.fixture
def outside(tmp_path):
    """Another file, which holds the very data that a harmful file would like to be read from it."""
    return write_minimal(tmp_path / "outside.nwb")


def change(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def replace_dataset(path, name, **options):
    def edit(file):
        del file[name]
        file.create_dataset(name, **options)

    return change(path, edit)


def read_everything(path):
    session = read_session(path, filters=None)
    session.checked_spike_times()
    for values in (session.spike_amplitudes, session.mean_waveforms):
        _ = [] if values is None else list(values.values())
    for name in session.stimulus_presentations:
        select_trials(session, name)


# --- not an NWB file ---------------------------------------------------------------------------------------------


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileFormatError, match=r"there is none at .*absent\.nwb"):
        read_session(tmp_path / "absent.nwb")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="is not a file"):
        read_session(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"time,unit\n0.1,5\n", "starts with b'time,uni'"),
        (b"PK\x03\x04 and so on", "npz file.*read_counts"),
    ],
)
def test_what_is_not_hdf5_is_refused_with_what_it_is(tmp_path, content, message):
    (tmp_path / "other.nwb").write_bytes(content)

    with pytest.raises(FileFormatError, match=message):
        read_session(tmp_path / "other.nwb")


def test_hdf5_that_is_not_nwb_is_refused_with_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["counts"] = [1, 2]

    with pytest.raises(FileFormatError, match=r"without the attribute nwb_version; it holds \['counts'\]"):
        read_session(tmp_path / "other.h5")


def test_nwb_of_the_first_generation_is_refused(minimal):
    def edit(file):
        del file.attrs["nwb_version"]
        file["nwb_version"] = "NWB-1.0.6"

    with pytest.raises(FileFormatError, match="an NWB 1 file"):
        read_session(change(minimal, edit))
    with pytest.raises(FileFormatError, match=r"version '3\.0\.0'"):
        read_session(change(minimal, lambda file: file.attrs.__setitem__("nwb_version", "3.0.0")))


def test_a_file_that_changes_under_a_session_is_refused(minimal):
    session = read_session(minimal)
    change(minimal, lambda file: file.create_dataset("more", data=np.arange(100)))

    with pytest.raises(FileFormatError, match="has changed since it was opened"):
        session.spike_times[10]


def test_a_file_that_vanishes_under_a_session_is_refused(minimal):
    session = read_session(minimal)
    minimal.unlink()

    with pytest.raises(FileFormatError, match="could not be read"):
        session.spike_times[10]


def test_a_file_that_pynwb_holds_open_is_read(minimal):
    with h5py.File(minimal, "r"):
        assert read_session(minimal).spike_times[10].tolist() == SPIKE_TIMES[:2]


def test_a_file_that_another_program_has_locked_is_read(minimal):
    fcntl = pytest.importorskip("fcntl", reason="no such locks on this system")
    with minimal.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert read_session(minimal).spike_times[10].tolist() == SPIKE_TIMES[:2]


def test_a_file_that_may_not_be_written_is_read(minimal):
    minimal.chmod(0o400)

    assert read_session(minimal).spike_times[10].tolist() == SPIKE_TIMES[:2]


# --- damage ------------------------------------------------------------------------------------------------------


def test_a_truncated_file_is_refused(recordings, tmp_path):
    whole = recordings / "allensdk-written" / "session_sdk200.nwb"
    size = whole.stat().st_size
    path = tmp_path / "truncated.nwb"
    shutil.copyfile(whole, path)
    path.chmod(0o600)

    for kept in (size - 1, size // 2, 100_000, 2048, 9):
        os.truncate(path, kept)
        with pytest.raises(FileFormatError, match="expected"):
            read_session(path)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.integers(0, 10**6))
def test_a_file_cut_anywhere_is_our_error(minimal, kept):
    content = minimal.read_bytes()
    cut = minimal.with_name("cut.nwb")
    cut.write_bytes(content[: kept % len(content)])

    with pytest.raises(FileFormatError):
        read_everything(cut)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_damaged_numbers_is_our_error_or_read(minimal, data):
    """Damage to HDF5's own structures is for its library to find, which may hang on them: only values are spoilt."""
    content = bytearray(minimal.read_bytes())
    broken = minimal.with_name("broken.nwb")
    with h5py.File(minimal, "r") as file:
        stored = [file[name].id for name in NUMBERS]
        places = [node.get_offset() + byte for node in stored for byte in range(node.get_storage_size())]
    for place in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=8)):
        content[place] ^= data.draw(st.integers(1, 255))
    broken.write_bytes(content)

    with contextlib.suppress(SpikesightError):
        read_everything(broken)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([2, 1, 5], "falls at row 1"),
        ([2, 2, 6], "from 2 to 6 for 5 values"),
        ([-1, 2, 5], "from -1 to 5"),
        ([2, 5], "2 bounds for 3 rows"),
        ([2.0, 2.0, 5.0], "type float64"),
        ([[2, 2, 5]], "shape"),
        (np.array([2, 2, 2**64 - 1], np.uint64), "18446744073709551615"),
    ],
)
@pytest.mark.parametrize("name", ["spike_times", "spike_amplitudes"])
def test_bounds_that_do_not_fit_the_values_are_refused(minimal, name, bounds, message):
    replace_dataset(minimal, f"units/{name}_index", data=bounds)

    with pytest.raises(FileFormatError, match=f"{name}_index to rise .*{message}"):
        read_session(minimal)


# --- other files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*COLUMNS, "units", "intervals", "intervals/natural_scenes_presentations", "general"])
def test_an_external_link_is_refused_and_not_followed(minimal, outside, name):
    def edit(file):
        del file[name]
        file[name] = h5py.ExternalLink(outside.name, f"/{name}")

    with pytest.raises(FileFormatError, match=r"links .* to another file \('outside\.nwb'\)"):
        read_everything(change(minimal, edit))


def test_a_soft_link_to_an_external_link_is_refused(minimal, outside):
    def edit(file):
        del file["units/spike_times"]
        file["elsewhere"] = h5py.ExternalLink(outside.name, "/units")
        file["units/spike_times"] = h5py.SoftLink("/elsewhere/spike_times")

    with pytest.raises(FileFormatError, match=r"links //?elsewhere to another file \('outside\.nwb'\)"):
        read_session(change(minimal, edit))


def test_a_soft_link_within_the_file_is_followed(minimal):
    def edit(file):
        file["general"].move("/units/spike_times", "/general/spikes")
        file["units/spike_times"] = h5py.SoftLink("/general/spikes")
        file["units/again"] = h5py.SoftLink("quality")

    session = read_session(change(minimal, edit), filters=None)

    assert session.spike_times[12].tolist() == SPIKE_TIMES[2:]
    assert session.units["again"].tolist() == ["good", "good", "noise"]


def test_a_soft_link_to_nothing_is_a_missing_column(minimal):
    def edit(file):
        for name in ("waveform_mean", "peak_channel_id"):
            del file[f"units/{name}"]
            file[f"units/{name}"] = h5py.SoftLink("/nowhere")

    session = read_session(change(minimal, edit))

    assert session.mean_waveforms is None
    assert "peak_channel_id" not in session.units


def test_soft_links_in_a_circle_are_refused(minimal):
    def edit(file):
        del file["units/spike_times"]
        file["units/spike_times"] = h5py.SoftLink("/units/b")
        file["units/b"] = h5py.SoftLink("/units/spike_times")

    with pytest.raises(FileFormatError, match="circle"):
        read_session(change(minimal, edit))


def test_external_storage_is_refused(minimal, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(5.0).tobytes())
    external = [(str(secret), 0, h5py.h5f.UNLIMITED)]
    replace_dataset(minimal, "units/spike_times", shape=(5,), dtype="f8", external=external)

    with pytest.raises(FileFormatError, match="stored in other files"):
        read_session(minimal)


def test_a_view_of_another_file_is_refused(minimal, outside):
    def edit(file):
        del file["units/spike_times"]
        layout = h5py.VirtualLayout((5,), "f8")
        layout[:] = h5py.VirtualSource(outside.name, "/units/spike_times", (5,))
        file["units"].create_virtual_dataset("spike_times", layout)

    with pytest.raises(FileFormatError, match="a view of other files"):
        read_session(change(minimal, edit))


def test_links_that_no_session_needs_are_left_alone(minimal):
    change(minimal, lambda file: file.__setitem__("acquisition", h5py.ExternalLink("raw.nwb", "/acquisition")))

    assert read_session(minimal).spike_times[10].tolist() == SPIKE_TIMES[:2]


# --- claims ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("chunks", [None, (1024,)])
def test_a_claim_beyond_the_file_is_refused_before_memory_is_taken(minimal, name, chunks):
    dtype = TEXT if name.endswith(("quality", "location")) else "f8" if "index" not in name else "i8"
    replace_dataset(minimal, name, shape=(10**12,), dtype=dtype, chunks=chunks)
    tracemalloc.start()

    with pytest.raises(FileFormatError, match=r"claims \d+ bytes"):
        read_session(minimal)

    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_compressed_bomb_is_refused(minimal):
    replace_dataset(minimal, "units/spike_times", shape=(2**40,), dtype="f8", chunks=(2**20,), compression="gzip")

    with pytest.raises(FileFormatError, match="claims"):
        read_session(minimal)


def test_a_chunk_that_holds_far_more_than_its_dataset_is_refused(minimal):
    options = {"shape": (5,), "maxshape": (None,), "dtype": "f8", "compression": "gzip"}
    replace_dataset(minimal, "units/spike_times", chunks=(2**28,), **options)

    with pytest.raises(FileFormatError, match="claims 2147483648 bytes"):
        read_session(minimal)


def test_well_compressed_data_are_read(minimal, monkeypatch):
    monkeypatch.setattr(nwb_file, "FREE_BYTES", 0)
    values = np.zeros(2_000_000)
    replace_dataset(minimal, "units/spike_times", data=values, chunks=(100_000,), compression="gzip")
    change(minimal, lambda file: file["units/spike_times_index"].__setitem__(slice(None), [0, 5, 2_000_000]))

    assert read_session(minimal, filters=None).spike_times[12].size == 1_999_995


def test_values_that_were_never_written_are_read_as_their_fill_value(minimal):
    change(minimal, lambda file: file.create_dataset("units/depth", (3,), "f8", chunks=(2,), fillvalue=7.0))

    assert read_session(minimal, filters=None).units["depth"].tolist() == [7, 7, 7]


@pytest.mark.parametrize("kind", ["group", "compound", "reference", "two dimensions", "dates"])
def test_columns_of_other_kinds_are_left_out(minimal, kind):
    def edit(file):
        units = file["units"]
        if kind == "compound":
            units["odd"] = np.zeros(3, [("a", "i4"), ("b", "f8")])
        elif kind == "reference":
            units.create_dataset("odd", data=[units.ref] * 3, dtype=h5py.ref_dtype)
        elif kind == "two dimensions":
            units["odd"] = np.zeros((3, 2))
        elif kind == "dates":
            space = h5py.h5s.create_simple((3,))
            h5py.h5d.create(units.id, b"odd", h5py.h5t.UNIX_D32LE, space)
        else:
            units.create_group("odd")

    change(minimal, edit)

    if kind == "group":
        with pytest.raises(FileFormatError, match="expected a dataset, got a group"):
            read_session(minimal)
    else:
        assert "odd" not in read_session(minimal).units


def test_text_that_is_not_utf8_is_read(minimal):
    def edit(file):
        del file["units/quality"]
        file["units"].create_dataset("quality", data=[b"good", b"go\xffd", b"x"], dtype=TEXT)

    assert read_session(change(minimal, edit), filters=None).units["quality"].tolist() == ["good", "go\ufffdd", "x"]

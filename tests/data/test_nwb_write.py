"""Files that `write_session` makes: their layout, their readers, and what is left when something goes wrong."""

import errno
import json
import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from nwb_tree import Node, read_tree
from small_session import make_session

from spikesight.data.nwb import read_session
from spikesight.data.nwb_write import session as writer
from spikesight.data.nwb_write import write_session
from spikesight.data.nwb_write.intervals import with_blocks
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.data.simulation import simulate_session
from spikesight.errors import DataError, OutputError, PresentationsError, SpikeTimesError

# ---------------------------------------------------------------- the layout

LEFT_OUT = (
    "/acquisition/raw_running_wheel_rotation",  # a Session has no raw voltages
    "/acquisition/running_wheel_signal_voltage",
    "/acquisition/running_wheel_supply_voltage",
    "/general/institution",  # what we write is not the Allen Institute's
    "/processing/eye_tracking",  # a Session has the pupil's area, no ellipses
    "/processing/eye_tracking_rig_metadata",
    "/processing/optotagging",
)
"""Groups of AllenSDK's files that a Session does not have."""
OTHER_VALUES = (
    "/file_create_date",
    "/specifications",  # compared below; the wording differs
    "/processing/raw_gaze_mapping/pupil_area/data",  # a Session has one trace
    "/processing/raw_gaze_mapping/eye_area/data",
    "/processing/raw_gaze_mapping/screen_coordinates",
    "/processing/filtered_gaze_mapping/eye_area/data",
    "/processing/filtered_gaze_mapping/screen_coordinates",
)
OTHER_ATTRIBUTES = {"object_id", "sampling_rate", "lfp_sampling_rate"}
"""Attributes of the same name and type, but of another value."""


@pytest.fixture(scope="module")
def allensdk_written(recordings: Path) -> Path:
    return recordings / "allensdk-written" / "session_sdk200.nwb"


@pytest.fixture(scope="module")
def rewritten(allensdk_written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AllenSDK's own file, read and written again."""
    session = read_session(allensdk_written, filters=None)
    return write_session(session, tmp_path_factory.mktemp("rewritten") / "session.nwb")


@pytest.fixture(scope="module")
def trees(allensdk_written: Path, rewritten: Path) -> tuple[dict[str, Node], dict[str, Node]]:
    theirs = {path: node for path, node in read_tree(allensdk_written).items() if not path.startswith(LEFT_OUT)}
    return theirs, read_tree(rewritten)


def test_a_rewritten_file_has_the_objects_of_allensdks_file_and_no_others(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    theirs, ours = trees
    assert set(ours) == set(theirs)


def test_a_rewritten_file_has_the_dtypes_shapes_storage_and_links_of_allensdks_file(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    theirs, ours = trees
    assert {path: node.form for path, node in ours.items()} == {path: node.form for path, node in theirs.items()}


def test_a_rewritten_file_has_the_attributes_of_allensdks_file(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    theirs, ours = trees
    assert {path: node.attributes for path, node in ours.items()} == {
        path: node.attributes for path, node in theirs.items()
    }
    for path, node in theirs.items():
        for name in set(node.attributes) - OTHER_ATTRIBUTES:
            assert np.array_equal(ours[path].attribute_values[name], node.attribute_values[name]), (path, name)


def test_a_rewritten_file_has_the_values_of_allensdks_file(trees: tuple[dict[str, Node], dict[str, Node]]) -> None:
    theirs, ours = trees
    for path, node in theirs.items():
        if node.form[0] == "dataset" and not path.startswith(OTHER_VALUES):
            if path.endswith("running_wheel_rotation/data"):
                np.testing.assert_allclose(
                    ours[path].values, node.values, rtol=1e-3
                )  # their wheel was 5.5 / 5.503 as large
            else:
                np.testing.assert_array_equal(ours[path].values, node.values, err_msg=path)


def test_the_cached_extension_defines_the_types_and_attributes_of_allensdks(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    path = "/specifications/ndx-aibs-ecephys/0.2.0/ndx-aibs-ecephys.extension"
    theirs, ours = ({group["neurodata_type_def"]: group for group in _groups(tree[path])} for tree in trees)
    assert set(theirs) - set(ours) == {"EcephysCSD"}  # of the LFP files
    for name, group in ours.items():
        assert _without_words(group) == _without_words(theirs[name])


def _groups(node: Node) -> list[dict[str, object]]:
    return json.loads(node.values)["groups"]


def _without_words(spec: object) -> object:
    if isinstance(spec, dict):
        return {key: _without_words(value) for key, value in spec.items() if key != "doc"}
    if isinstance(spec, list):
        return sorted((_without_words(item) for item in spec), key=str)
    return spec


# ---------------------------------------------------------------- readers


@pytest.fixture(scope="module")
def session() -> Session:
    return make_session()


@pytest.fixture(scope="module")
def written(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_session(session, tmp_path_factory.mktemp("written") / "session.nwb")


@pytest.fixture(scope="module")
def simulated() -> Session:
    return simulate_session("tiny", 0).session


@pytest.fixture(scope="module")
def simulated_file(simulated: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_session(simulated, tmp_path_factory.mktemp("simulated") / "session.nwb")


def assert_same_session(found: Session, expected: Session) -> None:
    """All that a file can hold is equal, to the last bit; integers may have become float64 on the way."""
    for name in ("session_id", "session_type", "start_time", "subject"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("units", "channels", "running", "pupil", "invalid_times"):
        theirs = getattr(expected, name)
        if theirs is None:
            assert getattr(found, name) is None, name
        else:
            ours = getattr(found, name)[list(theirs.columns)]
            pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, check_names=False, obj=name)
    assert set(found.stimulus_presentations) == set(expected.stimulus_presentations)
    for name, table in with_blocks(expected.stimulus_presentations).items():
        theirs = table.dropna(axis="columns", how="all")
        ours = found.stimulus_presentations[name][list(theirs.columns)].replace("N/A", np.nan)
        theirs = theirs.replace("N/A", np.nan)
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, check_names=False, obj=name)
    for name in ("spike_times", "spike_amplitudes", "mean_waveforms"):
        theirs, ours = getattr(expected, name), getattr(found, name)
        assert (theirs is None) == (ours is None), name
        for unit in () if theirs is None else expected.units.index:
            np.testing.assert_array_equal(ours[unit], theirs[unit], err_msg=f"{name} of {unit}")


def test_read_session_gives_back_what_was_written(session: Session, written: Path) -> None:
    assert_same_session(read_session(written, filters=None), session)


def test_a_session_survives_being_read_and_written_again(written: Path, tmp_path: Path) -> None:
    again = write_session(read_session(written, filters=None), tmp_path / "again.nwb")
    assert again.read_bytes() == written.read_bytes()


def test_a_session_read_with_filters_is_written_with_the_units_that_passed(written: Path, tmp_path: Path) -> None:
    good = read_session(written)
    assert 0 < len(good.units) < 6
    write_session(good, tmp_path / "good.nwb")
    assert_same_session(read_session(tmp_path / "good.nwb", filters=None), good)


def test_a_simulated_session_comes_back_whole(simulated: Session, simulated_file: Path) -> None:
    assert_same_session(read_session(simulated_file, filters=None), simulated)


def test_pynwb_reads_the_file(session: Session, written: Path) -> None:
    import pynwb

    with _pynwb_warnings(), pynwb.NWBHDF5IO(str(written), "r") as io:
        file = io.read()
        assert file.identifier == session.session_id
        assert file.subject.specimen_name == "made-by-hand"
        assert type(file.subject).__name__ == "EcephysSpecimen"
        assert file.units.id[:].tolist() == session.units.index.tolist()
        for row, unit in enumerate(session.units.index):
            np.testing.assert_array_equal(file.units["spike_times"][row], session.spike_times[unit])
        scenes = file.intervals["natural_scenes_presentations"].to_dataframe()
        expected = session.stimulus_presentations["natural_scenes"]
        assert scenes["frame"].tolist() == expected["frame"].tolist()
        assert scenes["start_time"].tolist() == expected["start_time"].tolist()
        assert file.electrodes.to_dataframe()["location"].tolist() == session.channels["location"].tolist()
        assert file.invalid_times.to_dataframe()["tags"].map(tuple).tolist() == session.invalid_times["tags"].tolist()


@pytest.mark.parametrize("file", ["written", "simulated_file"])
def test_pynwb_finds_the_file_valid(file: str, request: pytest.FixtureRequest) -> None:
    import pynwb

    with _pynwb_warnings():
        notes = [str(note) for note in pynwb.validate(path=str(request.getfixturevalue(file)))]
    # NWB 2.2.5 has a number here; the Allen Institute's own files have this text.
    tolerated = "general/extracellular_ephys/electrodes/filtering): incorrect type - expected 'float32', got 'utf'"
    assert [note for note in notes if not note.endswith(tolerated)] == []


@pytest.mark.parametrize("file", ["written", "simulated_file"])
def test_nwb_inspector_finds_nothing_critical(file: str, request: pytest.FixtureRequest) -> None:
    from nwbinspector import Importance, inspect_nwbfile

    with _pynwb_warnings():
        messages = list(inspect_nwbfile(nwbfile_path=request.getfixturevalue(file)))
    assert messages
    assert [message for message in messages if message.importance == Importance.CRITICAL] == []
    # The inspector's own check adds an unsigned 0 to signed bounds and gets floats; Allen files have signed ones.
    tolerated = "check_units_table_duration"
    errors = [message for message in messages if message.importance == Importance.ERROR]
    assert [message for message in errors if tolerated not in message.check_function_name] == []


class _pynwb_warnings(warnings.catch_warnings):
    """Let pynwb say that what was right in NWB 2.2 is deprecated in its NWB."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Ignoring")


def test_every_object_has_an_id_of_its_own(written: Path) -> None:
    ids = [node.attribute_values["object_id"] for node in read_tree(written).values() if "object_id" in node.attributes]
    assert len(ids) == len(set(ids)) > 100
    assert {str(uuid.UUID(found)) for found in ids} == set(ids)


def test_the_same_session_gives_the_same_bytes(session: Session, written: Path, tmp_path: Path) -> None:
    assert write_session(make_session(), tmp_path / "twin.nwb").read_bytes() == written.read_bytes()


def test_another_session_gives_other_object_ids(written: Path, tmp_path: Path) -> None:
    other = write_session(make_session(seed=1), tmp_path / "other.nwb")
    ids = [
        {node.attribute_values.get("object_id") for node in read_tree(path).values()} - {None}
        for path in (written, other)
    ]
    assert ids[0].isdisjoint(ids[1])


def test_what_a_session_lacks_is_left_out(session: Session, tmp_path: Path) -> None:
    bare = replace(
        session,
        running=None,
        pupil=None,
        spike_amplitudes=None,
        mean_waveforms=None,
        subject={},
        session_type=None,
        start_time=None,
        invalid_times=session.invalid_times.iloc[:0],
    )
    tree = read_tree(write_session(bare, tmp_path / "bare.nwb"))
    for path in ("/processing/running", "/processing/raw_gaze_mapping", "/intervals/invalid_times", "/general/subject"):
        assert path not in tree
    for path in ("/units/spike_amplitudes", "/units/waveform_mean", "/general/stimulus"):
        assert path not in tree
    assert "waveform_mean" not in tree["/units"].attribute_values["colnames"]
    found = read_session(tmp_path / "bare.nwb", filters=None)
    assert_same_session(found, replace(bare, start_time=writer.UNKNOWN_START))


def test_blocks_and_indices_are_worked_out_in_order_of_time() -> None:
    def table(*starts: float) -> pd.DataFrame:
        return pd.DataFrame({"start_time": starts, "stop_time": np.array(starts) + 1})

    tables = with_blocks({"b": table(0, 1, 4, 5), "a": table(7, 2, 3), "spontaneous": table(6)})
    assert tables["b"]["stimulus_block"].tolist() == [0, 0, 2, 2]
    assert tables["a"]["stimulus_block"].tolist() == [3, 1, 1]
    assert tables["b"]["stimulus_index"].unique().tolist() == [0]
    assert tables["a"]["stimulus_index"].unique().tolist() == [1]
    assert list(tables["spontaneous"].columns) == ["start_time", "stop_time", "stimulus_name"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.integers(0, 40), min_size=6, max_size=6),
    texts=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=3, max_size=3),
    tags=st.lists(st.lists(st.sampled_from(["probeA", "é", "<b>"]), min_size=1), min_size=1, max_size=4),
)
def test_any_spikes_texts_and_tags_survive(
    session: Session, tmp_path: Path, counts: list[int], texts: list[str], tags: list[list[str]]
) -> None:
    rng = np.random.default_rng(sum(counts))
    times = {unit: np.sort(rng.normal(0, 1e3, n)) for unit, n in zip(session.units.index, counts, strict=True)}
    starts = np.arange(3.0)
    shown = pd.DataFrame({"start_time": starts, "stop_time": starts + 1, "mask": texts})
    invalid = pd.DataFrame(
        {
            "start_time": np.arange(len(tags)) * 1.0,
            "stop_time": np.arange(len(tags)) + 0.5,
            "tags": [tuple(row) for row in tags],
        }
    )
    other = replace(
        session,
        spike_times=RaggedArray.from_arrays(times),
        spike_amplitudes={unit: -values for unit, values in times.items()},
        stimulus_presentations={"odd names <&> too": shown},
        invalid_times=invalid,
    )
    path = write_session(other, tmp_path / "any.nwb", overwrite=True)
    assert_same_session(read_session(path, filters=None), other)


# ---------------------------------------------------------------- nothing half-written


class _Failing(Mapping[int, NDArray[np.floating]]):
    """Amplitudes of a session whose last unit cannot be had."""

    def __init__(self, session: Session, error: Exception) -> None:
        self._values = session.spike_amplitudes
        self._last = session.units.index[-1]
        self._error = error

    def __getitem__(self, unit_id: int) -> NDArray[np.floating]:
        if unit_id == self._last:
            raise self._error
        return self._values[unit_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_a_failure_midway_leaves_nothing_behind(session: Session, tmp_path: Path) -> None:
    failing = replace(session, spike_amplitudes=_Failing(session, ZeroDivisionError("midway")))
    with pytest.raises(ZeroDivisionError, match="midway"):
        write_session(failing, tmp_path / "session.nwb")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_midway_leaves_the_file_that_was_there(session: Session, tmp_path: Path) -> None:
    path = write_session(session, tmp_path / "session.nwb")
    before = path.read_bytes()
    failing = replace(session, spike_amplitudes=_Failing(session, ZeroDivisionError("midway")))
    with pytest.raises(ZeroDivisionError):
        write_session(failing, path, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_is_named(session: Session, tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match=r"could not write .*session\.nwb: No space left on device"):
        write_session(replace(session, spike_amplitudes=_Failing(session, full)), tmp_path / "session.nwb")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_too_small_is_named_before_anything_is_written(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(OutputError, match=r"spikes need .* GB, .* GB are free"):
        write_session(session, tmp_path / "session.nwb")
    assert list(tmp_path.iterdir()) == []


def test_a_real_write_error_in_hdf5_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow beyond 300 kB: HDF5 fails in the middle of its own writing."""
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from small_session import make_session
from spikesight.data.nwb_write import write_session
from spikesight.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    write_session(make_session(n_spikes=50_000), {str(tmp_path / "session.nwb")!r})
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "could not write" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_replaced_unless_asked(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "session.nwb"
    path.write_text("dear")
    with pytest.raises(OutputError, match="exists already"):
        write_session(session, path)
    assert path.read_text() == "dear"
    write_session(session, path, overwrite=True)
    assert h5py.is_hdf5(path)


def test_a_folder_that_is_not_there_is_named(session: Session, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        write_session(session, tmp_path / "nowhere" / "session.nwb")


def test_progress_counts_the_units(session: Session, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_session(session, tmp_path / "session.nwb", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]


# ---------------------------------------------------------------- bad input


def _refused(session: Session, folder: Path, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        write_session(session, folder / "session.nwb")
    assert list(folder.iterdir()) == []


def test_a_unit_column_that_allensdk_would_choke_on_is_refused(session: Session, tmp_path: Path) -> None:
    units = session.units.assign(my_extra=1.0)
    _refused(replace(session, units=units), tmp_path, DataError, r"no unit columns \['my_extra'\].*Drop them")


def test_units_without_a_peak_channel_are_refused(session: Session, tmp_path: Path) -> None:
    units = session.units.drop(columns="peak_channel_id")
    _refused(replace(session, units=units), tmp_path, DataError, "needs a column 'peak_channel_id'")
    units = session.units.assign(peak_channel_id=7)
    _refused(
        replace(session, units=units), tmp_path, DataError, "among the 8 channels; 6 are not, first that of unit 95"
    )


def test_channels_without_what_the_layout_needs_are_refused(session: Session, tmp_path: Path) -> None:
    _refused(replace(session, channels=pd.DataFrame()), tmp_path, DataError, "Session.channels lacks the columns")
    channels = session.channels.assign(local_index=0.5)
    _refused(replace(session, channels=channels), tmp_path, DataError, "expected int values in column 'local_index'")
    channels = session.channels.assign(probe_id=range(8))
    _refused(replace(session, channels=channels), tmp_path, DataError, "one probe_id per probe")
    channels = session.channels.assign(valid_data=2)
    _refused(replace(session, channels=channels), tmp_path, DataError, "expected bool values in column 'valid_data'")


@pytest.mark.parametrize("name", ["</script><img onerror=x>", ".", "a\0b"])
def test_a_stimulus_name_that_hdf5_would_misread_is_refused(session: Session, tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"start_time": [0.0], "stop_time": [1.0]})
    _refused(replace(session, stimulus_presentations={name: table}), tmp_path, DataError, "cannot name a group")


def test_spike_times_that_are_nan_or_fall_are_refused_with_the_unit(session: Session, tmp_path: Path) -> None:
    unit = session.units.index[1]
    for values, match in (([1.0, np.nan], "NaN or infinite"), ([2.0, 1.0], "ascending")):
        times = {**session.spike_times, unit: np.array(values)}
        bad = replace(session, spike_times=RaggedArray.from_arrays(times))
        _refused(bad, tmp_path, SpikeTimesError, rf"(?=.*{match}).*unit {unit}")


def test_amplitudes_of_another_number_than_the_spikes_are_refused(session: Session, tmp_path: Path) -> None:
    unit = session.units.index[1]
    amplitudes = {**session.spike_amplitudes, unit: np.zeros(3)}
    bad = replace(session, spike_amplitudes=amplitudes)
    _refused(bad, tmp_path, DataError, rf"expected /units/spike_amplitudes of shape .* for unit {unit}, got \(3,\)")


def test_presentations_without_a_time_are_refused(session: Session, tmp_path: Path) -> None:
    table = pd.DataFrame({"start_time": [0.0, np.nan], "stop_time": [1.0, 2.0]})
    bad = replace(session, stimulus_presentations={"gabors": table})
    _refused(bad, tmp_path, PresentationsError, "1 presentations of 'gabors' lack a start or stop time")


# ---------------------------------------------------------------- size

PEAK_MEMORY = 300e6
"""Bytes that writing 2e7 spikes of 500 units may take in all, python and libraries included."""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_spikes(tmp_path: Path) -> None:
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from many_spikes import many_spikes
from spikesight.data.nwb_write import write_session
write_session(many_spikes(n_units=500, n_spikes=40_000), {str(tmp_path / "big.nwb")!r})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert (tmp_path / "big.nwb").stat().st_size > 2 * 8 * 500 * 40_000
    assert peak < PEAK_MEMORY

"""Files that `write_session` makes, in the hands of their readers: read_session, pynwb and NWB Inspector."""

import uuid
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nwb_tree import read_tree
from small_session import make_session

from spikesight.data.nwb import read_session
from spikesight.data.nwb_write import session as writer
from spikesight.data.nwb_write import write_session
from spikesight.data.nwb_write.intervals import with_blocks
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.data.simulation import simulate_session


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

import pickle
import warnings
from collections import Counter
from datetime import UTC, datetime

import h5py
import numpy as np
import pandas as pd
import pytest
from minimal_nwb import SPIKE_TIMES, write_minimal

from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import FileFormatError, NoUnitsError, UnitIdsError

SDK_FILES = ("session_sdk200.nwb", "session_sdk2162.nwb")


@pytest.fixture
def minimal(tmp_path):
    return write_minimal(tmp_path / "minimal.nwb")


@pytest.fixture
def reads(monkeypatch):
    """Count the reads of each dataset of any file."""
    counter = Counter()
    original = h5py.Dataset.__getitem__

    def read(self, *args, **kwargs):
        counter[self.name] += 1
        return original(self, *args, **kwargs)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", read)
    return counter


def change(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


# --- the smallest file -------------------------------------------------------------------------------------------


def test_the_smallest_file_reads_as_a_session(minimal):
    session = read_session(minimal, filters=None)

    assert session.session_id == "715093703"
    assert session.source == str(minimal)
    assert session.units.index.tolist() == [10, 11, 12]
    assert session.units.index.name == "unit_id"
    assert session.units["area"].tolist() == ["VISp", "", "VISp"]
    assert session.units["probe"].tolist() == ["probeA"] * 3
    assert session.units["probe_vertical_position"].tolist() == [40, 20, 40]
    assert "valid_data" not in session.units
    assert session.spike_times[10].tolist() == SPIKE_TIMES[:2]
    assert session.spike_times[11].tolist() == []
    assert session.spike_times[12].tolist() == SPIKE_TIMES[2:]
    assert list(session.stimulus_presentations) == ["natural_scenes"]
    assert session.invalid_times.empty
    assert (session.running, session.pupil, session.session_type, session.start_time) == (None, None, None, None)
    assert session.subject == {}


def test_amplitudes_and_waveforms_are_read_when_asked_for(minimal):
    session = read_session(minimal, filters=None)

    assert session.spike_amplitudes[12].tolist() == [0.2, 0.3, 0.4]
    assert session.mean_waveforms[11].tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]]


def test_presentations_have_the_files_columns_and_ids(minimal):
    table = read_session(minimal, filters=None).stimulus_presentations["natural_scenes"]

    assert sorted(table) == ["frame", "start_time", "stimulus_block", "stop_time"]
    assert table.index.name == "stimulus_presentation_id"
    assert table.index.tolist() == [0, 1, 2]
    assert table["frame"].tolist() == [7, -1, 7]


def test_a_stimulus_that_the_file_does_not_have_is_a_key_error(minimal):
    tables = read_session(minimal, filters=None).stimulus_presentations

    assert "gabors" not in tables
    with pytest.raises(KeyError):
        tables["gabors"]


def test_filters_that_the_file_has_columns_for_are_applied_and_recorded(minimal):
    session = read_session(minimal)

    assert session.units.index.tolist() == [10]
    assert list(session.spike_times) == [10]
    assert list(session.mean_waveforms) == [10]
    assert session.unit_filters == {"quality": "good", "in_brain": True, "valid_channel": True}
    assert session.dropped_units == {"quality": 1, "in_brain": 1, "valid_channel": 0}


def test_no_filters_are_recorded_as_none(minimal):
    session = read_session(minimal, filters=None)

    assert (session.unit_filters, session.dropped_units) == ({}, {})


@pytest.mark.parametrize("convert", [str, lambda path: path])
def test_a_path_may_be_text(minimal, convert):
    assert read_session(convert(minimal)).session_id == "715093703"


def test_a_relative_path_stays_valid_elsewhere(minimal, monkeypatch):
    monkeypatch.chdir(minimal.parent)
    session = read_session(minimal.name)
    monkeypatch.chdir("/")

    assert session.spike_times[10].tolist() == SPIKE_TIMES[:2]


def test_a_session_can_be_pickled_and_reads_on(minimal):
    session = pickle.loads(pickle.dumps(read_session(minimal)))

    assert session.spike_times[10].tolist() == SPIKE_TIMES[:2]
    assert len(session.stimulus_presentations["natural_scenes"]) == 3


def test_no_file_handle_outlives_a_read(minimal):
    session = read_session(minimal)
    session.checked_spike_times()

    change(minimal, lambda file: None)  # HDF5 refuses to open for writing what is still open


# --- columns that may be missing ---------------------------------------------------------------------------------


def test_without_electrodes_areas_are_unknown_and_no_filter_applies_to_them(minimal):
    change(minimal, lambda file: file.pop("general"))

    session = read_session(minimal)

    assert session.units["area"].tolist() == ["", ""]
    assert session.units["probe"].tolist() == ["", ""]
    assert session.unit_filters == {"quality": "good"}
    assert session.channels.empty


def test_without_electrodes_the_units_own_area_counts(minimal):
    def edit(file):
        file.pop("general")
        file["units"].create_dataset("location", data=["CA1", "None", "LP"], dtype=h5py.string_dtype())

    assert read_session(change(minimal, edit), filters=None).units["area"].tolist() == ["CA1", "", "LP"]


def test_a_unit_whose_channel_is_not_in_the_file_has_no_area_and_no_valid_channel(minimal):
    def edit(file):
        file["units/peak_channel_id"][...] = [502, 999, 502]

    change(minimal, edit)

    assert read_session(minimal, filters=None).units["area"].tolist() == ["VISp", "", "VISp"]
    assert read_session(minimal, filters=UnitFilters(quality=None, in_brain=False)).dropped_units["valid_channel"] == 1


def test_units_may_point_to_electrodes_by_row(minimal):
    def edit(file):
        units = file["units"]
        del units["peak_channel_id"]
        units["electrodes"] = [1, 0, 0]
        units["electrodes_index"] = [2, 2, 3]

    session = read_session(change(minimal, edit), filters=None)

    assert session.units["area"].tolist() == ["VISp", "", ""]
    assert session.units["probe"].tolist() == ["probeA", "", "probeA"]


def test_a_subject_and_a_type_and_a_beginning_are_read(minimal):
    def edit(file):
        file["general/session_id"] = "mouse 5, day 2"
        file["general/stimulus"] = "brain_observatory_1.1"
        file["session_start_time"] = "2019-01-01T00:00:00+00:00"
        subject = file.create_group("general/subject")
        subject.attrs["strain"] = "Transgenic"
        subject.attrs["neurodata_type"] = "Subject"
        subject["sex"] = "M"

    session = read_session(change(minimal, edit))

    assert session.session_id == "mouse 5, day 2"
    assert session.session_type == "brain_observatory_1.1"
    assert session.start_time == "2019-01-01T00:00:00+00:00"
    assert session.subject == {"strain": "Transgenic", "sex": "M"}


def test_running_without_end_times_ends_where_the_next_sample_starts(minimal):
    def edit(file):
        series = file.create_group("processing/running/running_speed")
        data = series.create_dataset("data", data=[1.0, 2.0, 3.0])
        data.attrs["conversion"] = 100.0
        start = series.create_dataset("starting_time", data=5.0)
        start.attrs["rate"] = 2.0

    running = read_session(change(minimal, edit)).running

    assert running["start_time"].tolist() == [5.0, 5.5, 6.0]
    assert running["stop_time"].tolist()[:2] == [5.5, 6.0]
    assert running["velocity"].tolist() == [100.0, 200.0, 300.0]


def test_pupil_area_is_that_of_the_ellipse_where_there_is_no_other(minimal):
    def edit(file):
        fits = file.create_group("processing/eye_tracking/pupil_ellipse_fits")
        fits["timestamps"], fits["width"], fits["height"] = [1.0, 2.0], [2.0, 1.0], [1.0, 3.0]

    pupil = read_session(change(minimal, edit)).pupil

    assert pupil["time"].tolist() == [1.0, 2.0]
    np.testing.assert_allclose(pupil["area"], [4 * np.pi, 9 * np.pi])


def test_big_endian_numbers_are_read(minimal):
    def edit(file):
        for name in ("units/spike_times", "units/id", "intervals/natural_scenes_presentations/frame"):
            values = file[name][...]
            del file[name]
            file[name] = values.astype(values.dtype.newbyteorder(">"))

    session = read_session(change(minimal, edit), filters=None)

    assert session.checked_spike_times()[0].tolist() == SPIKE_TIMES
    assert select_trials(session, "natural_scenes").table["target"].tolist() == [7, -1, 7]


# --- any NWB file ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    """A file by pynwb that is nothing like the Allen Institute's: compressed, trials, epochs, electrodes by row."""
    from hdmf.common import VectorData, VectorIndex
    from pynwb import NWBHDF5IO, H5DataIO, NWBFile
    from pynwb.epoch import TimeIntervals
    from pynwb.misc import Units

    path = tmp_path_factory.mktemp("general") / "general.nwb"
    rng = np.random.default_rng(0)
    file = NWBFile(
        session_description="a session",
        identifier="0b5e-77",
        session_start_time=datetime(2024, 1, 1, tzinfo=UTC),
        session_id="rat3",
    )
    device = file.create_device(name="probe")
    group = file.create_electrode_group(name="shank1", description="", location="left", device=device)
    for area in ("CA1", "CA3", "DG"):
        file.add_electrode(group=group, location=area)
    spikes = np.sort(rng.uniform(0, 60, (4, 500)), axis=1)
    data = H5DataIO(spikes.ravel(), compression="gzip", chunks=(64,))
    times = VectorData(name="spike_times", description="s", data=data)
    electrodes = file.create_electrode_table_region(region=[2, 0, 1, 1, 0], description="", name="electrodes")
    file.units = Units(
        name="units",
        description="",
        id=[5, 3, 8, 4],
        electrode_table=file.electrodes,
        columns=[
            times,
            VectorIndex(name="spike_times_index", data=np.arange(500, 2001, 500), target=times),
            electrodes,
            VectorIndex(name="electrodes_index", data=np.array([1, 2, 4, 5]), target=electrodes),
            VectorData(name="depth", description="um", data=[1.0, 2.0, 3.0, 4.0]),
        ],
    )
    file.add_trial_column(name="side", description="where the reward is")
    file.add_trial_column(name="odours", description="all that were smelled", index=True)
    for row in range(10):
        file.add_trial(start_time=row * 5.0, stop_time=row * 5.0 + 1, side="lr"[row % 2], odours=["a"] * (row % 3))
    file.add_epoch(start_time=0.0, stop_time=30.0, tags=["awake"])
    tones = TimeIntervals(name="tones", description="pure tones")
    tones.add_column(name="pitch", description="Hz")
    for row in range(6):
        tones.add_row(start_time=row + 0.5, stop_time=row + 0.75, pitch=440.0 * 2 ** (row % 3))
    file.add_time_intervals(tones)
    file.add_invalid_time_interval(start_time=1.5, stop_time=1.6, tags=["artefact"])
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path, spikes


def test_any_nwb_file_with_units_and_intervals_is_read(general):
    path, spikes = general

    session = read_session(path)

    assert session.session_id == "rat3"
    assert session.units.index.tolist() == [5, 3, 8, 4]
    assert session.units["area"].tolist() == ["DG", "CA1", "CA3", "CA1"]
    assert session.units["probe"].tolist() == ["shank1"] * 4
    assert session.units["depth"].tolist() == [1, 2, 3, 4]
    assert session.unit_filters == {"in_brain": True}
    assert sorted(session.stimulus_presentations) == ["epochs", "tones", "trials"]
    assert sorted(session.stimulus_presentations["trials"]) == ["side", "start_time", "stop_time"]
    assert session.invalid_times["tags"].tolist() == [("artefact",)]
    np.testing.assert_array_equal(session.checked_spike_times()[0], spikes.ravel())
    assert session.spike_amplitudes is None
    assert session.mean_waveforms is None


def test_trials_of_any_nwb_file_are_selected(general):
    session = read_session(general[0])

    rewards = select_trials(session, "trials", "side")
    tones = select_trials(session, "tones", "pitch")

    assert rewards.table["target"].tolist() == list("lrlrlrlrlr")
    assert rewards.dropped == {}
    assert tones.table["target"].tolist() == [440, 1760, 440, 880, 1760]
    assert tones.dropped == {"invalid_times: untagged": 1}


# --- files written by AllenSDK, read by pynwb as well ------------------------------------------------------------


@pytest.fixture(scope="module", params=SDK_FILES)
def sdk_file(recordings, request):
    from pynwb import NWBHDF5IO

    path = recordings / "allensdk-written" / request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pynwb's, about the age of the file
        with NWBHDF5IO(path, "r", load_namespaces=True) as io:
            yield path, io.read()


def test_units_agree_with_pynwb(sdk_file):
    path, nwb = sdk_file
    session = read_session(path, filters=None)
    electrodes = nwb.electrodes.to_dataframe()
    peak = electrodes.loc[nwb.units["peak_channel_id"][:]]

    assert session.units.index.tolist() == list(nwb.units.id[:])
    assert session.units["area"].tolist() == peak["location"].replace("None", "").tolist()
    assert session.units["probe"].tolist() == peak["group_name"].tolist()
    for ours, theirs in {
        "probe_vertical_position": "probe_vertical_position",
        "anterior_posterior_ccf_coordinate": "x",
        "dorsal_ventral_ccf_coordinate": "y",
        "left_right_ccf_coordinate": "z",
    }.items():
        np.testing.assert_array_equal(session.units[ours], peak[theirs])
    metrics = [name for name in nwb.units.colnames if name not in {"spike_times", "spike_amplitudes", "waveform_mean"}]
    assert list(session.units)[: len(metrics)] == metrics
    for name in metrics:
        np.testing.assert_array_equal(session.units[name], nwb.units[name][:])


def test_spikes_amplitudes_and_waveforms_agree_with_pynwb(sdk_file):
    path, nwb = sdk_file
    session = read_session(path, filters=None)

    for row, unit_id in enumerate(session.units.index):
        np.testing.assert_array_equal(session.spike_times[unit_id], nwb.units["spike_times"][row])
        np.testing.assert_array_equal(session.spike_amplitudes[unit_id], nwb.units["spike_amplitudes"][row])
        np.testing.assert_array_equal(session.mean_waveforms[unit_id], nwb.units["waveform_mean"][row])


def test_presentations_agree_with_pynwb(sdk_file):
    path, nwb = sdk_file
    tables = read_session(path).stimulus_presentations

    assert {f"{name}_presentations" for name in tables} == set(nwb.intervals) - {"invalid_times"}
    for name, table in tables.items():
        theirs = nwb.intervals[f"{name}_presentations"]
        assert list(table) == [column for column in theirs.colnames if column not in {"tags", "timeseries"}]
        assert table.index.tolist() == list(theirs.id[:])
        for column in table:
            np.testing.assert_array_equal(table[column], theirs[column][:])


def test_channels_of_both_allensdk_versions_have_the_same_names(sdk_file):
    path, nwb = sdk_file
    channels = read_session(path).channels
    number = "local_index" if "local_index" in nwb.electrodes.colnames else "probe_channel_number"

    assert channels.index.tolist() == list(nwb.electrodes.id[:])
    assert channels["local_index"].tolist() == list(nwb.electrodes[number][:])
    assert channels["valid_data"].tolist() == list(nwb.electrodes["valid_data"][:])


def test_invalid_times_running_pupil_and_subject_agree_with_pynwb(sdk_file):
    path, nwb = sdk_file
    session = read_session(path)
    running, pupil = nwb.processing["running"], nwb.processing["filtered_gaze_mapping"]["pupil_area"]

    assert session.invalid_times["tags"].tolist() == [
        ("EcephysProbe", "810755797", "probeA"),
        ("EcephysSession", "715093703", "all_probes"),
    ]
    np.testing.assert_array_equal(session.invalid_times["start_time"], nwb.invalid_times["start_time"][:])
    np.testing.assert_array_equal(session.running["velocity"], running["running_speed"].data[:])
    np.testing.assert_array_equal(session.running["start_time"], running["running_speed"].timestamps[:])
    np.testing.assert_array_equal(session.running["stop_time"], running["running_speed_end_times"].timestamps[:])
    np.testing.assert_array_equal(session.pupil["area"], pupil.data[:])
    np.testing.assert_array_equal(session.pupil["time"], pupil.timestamps[:])
    assert session.session_type == "brain_observatory_1.1"
    assert session.subject["strain"] == "Transgenic"
    assert session.subject["sex"] == nwb.subject.sex
    assert datetime.fromisoformat(session.start_time) == nwb.timestamps_reference_time


def test_filters_of_a_file_written_by_allensdk_are_allensdks(sdk_file):
    path, nwb = sdk_file
    units = pd.DataFrame({name: nwb.units[name][:] for name in nwb.units.colnames if nwb.units[name].data.ndim == 1
                          and f"{name}_index" not in nwb.units})  # fmt: skip
    units.index = nwb.units.id[:]
    electrodes = nwb.electrodes.to_dataframe().loc[units["peak_channel_id"]].set_index(units.index)
    expected = units[
        (units["quality"] == "good")
        & electrodes["valid_data"].astype(bool)
        & ~electrodes["location"].isin(["", "None"])
        & (units["amplitude_cutoff"] <= 0.1)
        & (units["presence_ratio"] >= 0.95)
        & (units["isi_violations"] <= 0.5)
    ]

    session = read_session(path)

    assert session.units.index.tolist() == expected.index.tolist()
    assert sum(session.dropped_units.values()) == len(units) - len(expected)


# --- what is read, and when --------------------------------------------------------------------------------------


def test_opening_reads_no_spikes_waveforms_or_presentations(recordings, reads):
    read_session(recordings / "allensdk-written" / SDK_FILES[0])

    touched = set(reads)
    assert "/units/quality" in touched
    assert not touched & {"/units/spike_times", "/units/spike_amplitudes", "/units/waveform_mean"}
    assert {name.split("/")[2] for name in touched if name.startswith("/intervals")} == {"invalid_times"}


def test_selecting_trials_reads_one_table_and_one_unit(recordings, reads):
    session = read_session(recordings / "allensdk-written" / SDK_FILES[0])
    reads.clear()

    select_trials(session, "gabors")
    select_trials(session, "gabors")

    own = {name for name in reads if name.startswith("/intervals")}
    assert {name.split("/")[2] for name in own} == {"gabors_presentations"}
    assert all(reads[name] == 1 for name in own)
    assert not {name.split("/")[3] for name in own} & {"tags", "tags_index", "timeseries", "timeseries_index"}
    assert {name for name in reads if name.startswith("/units")} == {"/units/spike_times"}


def test_spikes_of_many_units_are_few_reads(recordings, reads):
    session = read_session(recordings / "allensdk-written" / SDK_FILES[0])
    reads.clear()

    session.checked_spike_times()

    assert set(reads) == {"/units/spike_times"}
    assert reads["/units/spike_times"] <= 2


def test_amplitudes_and_waveforms_of_one_unit_are_one_read_each(recordings, reads):
    session = read_session(recordings / "allensdk-written" / SDK_FILES[0])
    reads.clear()

    session.spike_amplitudes[session.units.index[0]], session.mean_waveforms[session.units.index[0]]

    assert reads == {"/units/spike_amplitudes": 1, "/units/waveform_mean": 1}


# --- bad input ---------------------------------------------------------------------------------------------------


def test_duplicated_unit_ids_are_refused(minimal):
    def edit(file):
        file["units/id"][...] = [10, 11, 10]

    with pytest.raises(UnitIdsError, match="unique"):
        read_session(change(minimal, edit))


def test_no_unit_left_says_which_filter_removed_how_many(minimal):
    def edit(file):
        file["units/quality"][...] = ["noise", "noise", "good"]
        file["units/peak_channel_id"][...] = [502, 502, 501]

    with pytest.raises(NoUnitsError, match=r"quality='good' removed 2, in_brain=True removed 1"):
        read_session(change(minimal, edit))


@pytest.mark.parametrize("name", ["id", "spike_times", "spike_times_index"])
def test_units_without_spike_times_are_refused(minimal, name):
    with pytest.raises(FileFormatError, match="expected units/id, units/spike_times and"):
        read_session(change(minimal, lambda file: file.pop(f"units/{name}")))


def test_a_file_without_units_is_refused(minimal):
    with pytest.raises(FileFormatError, match=r"expected a units table.*LFP"):
        read_session(change(minimal, lambda file: file.pop("units")))


def test_columns_of_unequal_length_are_refused(minimal):
    def edit(file):
        del file["units/peak_channel_id"]
        file["units/peak_channel_id"] = [502, 501]

    with pytest.raises(FileFormatError, match="unequal length"):
        read_session(change(minimal, edit))


def test_an_interval_table_without_stop_times_is_refused(minimal):
    change(minimal, lambda file: file.pop("intervals/natural_scenes_presentations/stop_time"))
    session = read_session(minimal)

    with pytest.raises(FileFormatError, match="numbers in stop_time"):
        session.stimulus_presentations["natural_scenes"]


def test_electrodes_that_do_not_exist_are_refused(minimal):
    def edit(file):
        del file["units/peak_channel_id"]
        file["units/electrodes"] = [1, 0, 2]

    with pytest.raises(FileFormatError, match="beyond the 2 electrodes"):
        read_session(change(minimal, edit))


def test_repeated_electrode_ids_are_refused(minimal):
    def edit(file):
        file["general/extracellular_ephys/electrodes/id"][...] = [502, 502]

    with pytest.raises(FileFormatError, match="unique electrode ids"):
        read_session(change(minimal, edit))

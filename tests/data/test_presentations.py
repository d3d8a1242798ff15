import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.data.invalid_times import find_invalid, merge, overlaps
from spikesight.data.nwb import read_session
from spikesight.data.presentations import select_trials
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.data.targets import label_columns, parse_number
from spikesight.errors import (
    ConfigError,
    NoTrialsError,
    NoUnitsError,
    PresentationsError,
    StimulusNotFoundError,
    TargetNotFoundError,
)


def make_table(start, duration=0.25, **columns):
    start = np.asarray(start, np.float64)
    return pd.DataFrame(
        {"start_time": start, "stop_time": start + duration, **columns},
        pd.RangeIndex(100, 100 + len(start), name="stimulus_presentation_id"),
    )


def make_invalid(*rows):
    return pd.DataFrame(
        {
            "start_time": [row[0] for row in rows],
            "stop_time": [row[1] for row in rows],
            "tags": pd.Series([("Kind", "1", *row[2:]) for row in rows], dtype=object),
        }
    )


def make_session(table, invalid_times=None, stimulus="natural_scenes"):
    """Three units, two on probeA and one on probeB, that spike until 1000 s."""
    units = pd.DataFrame(
        {"area": ["VISp", "VISp", "LGd"], "probe": ["probeA", "probeA", "probeB"]},
        pd.Index([1, 2, 3], name="unit_id"),
    )
    return Session(
        session_id="715",
        session_type="brain_observatory_1.1",
        units=units,
        spike_times=RaggedArray.from_arrays({key: np.array([0.5, 1000.0]) for key in units.index}),
        stimulus_presentations={stimulus: table},
        invalid_times=make_invalid() if invalid_times is None else invalid_times,
    )


def scenes(frames, start=None, **columns):
    start = np.arange(len(frames)) * 0.25 if start is None else start
    return make_table(start, frame=np.asarray(frames, np.float64), stimulus_block=3.0, **columns)


# --- what a trial is ---------------------------------------------------------------------------------------------


def test_natural_scenes_have_their_frame_as_target():
    trials = select_trials(make_session(scenes([7, -1, 7, 12])), "natural_scenes")

    assert trials.table.index.tolist() == [100, 101, 102, 103]
    assert list(trials.table)[:5] == ["start_time", "stop_time", "stimulus_block", "repeat", "target"]
    assert trials.table["target"].tolist() == [7, -1, 7, 12]
    assert trials.table["target"].dtype == np.int64
    assert trials.table["repeat"].tolist() == [0, 0, 1, 0]
    assert trials.table["stimulus_block"].tolist() == [3, 3, 3, 3]
    assert trials.table["frame"].tolist() == [7, -1, 7, 12]
    assert (trials.stimulus, trials.target, trials.blanks) == ("natural_scenes", "frame", "kept")
    assert (trials.dropped, trials.dropped_units, len(trials)) == ({}, {}, 4)


def test_trials_are_sorted_by_time_and_repeats_run_in_time():
    trials = select_trials(make_session(scenes([7, 7, 8], start=[5.0, 1.0, 3.0])), "natural_scenes")

    assert trials.table["start_time"].tolist() == [1.0, 3.0, 5.0]
    assert trials.table.index.tolist() == [101, 102, 100]
    assert trials.table["repeat"].tolist() == [0, 0, 1]


def test_the_session_and_its_table_stay_as_they_were():
    table = scenes([7, 8])
    before = table.copy()

    select_trials(make_session(table), "natural_scenes", blanks="drop")

    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("stimulus", "columns", "target"),
    [
        ("natural_scenes", {"frame": [1.0, 2.0]}, "frame"),
        ("drifting_gratings_contrast", {"orientation": [0.0, 45.0], "contrast": [0.8, 0.1]}, "contrast"),
        ("dot_motion", {"Dir": [0.0, 45.0], "Speed": [0.01, 0.02]}, "Dir"),
        ("drifting_gratings", {"orientation": [0.0, 45.0]}, "orientation"),
        ("drifting_gratings_75_repeats", {"orientation": [0.0, 45.0]}, "orientation"),
        ("static_gratings", {"orientation": [0.0, 30.0]}, "orientation"),
        ("gabors", {"x_position": [0.0, 10.0], "y_position": [-40.0, 0.0]}, ("x_position", "y_position")),
        ("flashes", {"color": ["1.0", "-1.0"]}, "color"),
    ],
)
def test_each_stimulus_has_a_default_target(stimulus, columns, target):
    session = make_session(make_table([0.0, 0.25], **columns), stimulus=stimulus)

    assert select_trials(session, stimulus).target == target


def test_own_columns_that_bear_our_names_are_kept_under_another():
    table = make_table([0.0, 5.0], target=["left", "right"], repeat=[9, 9])

    trials = select_trials(make_session(table, stimulus="trials"), "trials", "target")

    assert trials.table["target"].tolist() == ["left", "right"]
    assert trials.table["repeat"].tolist() == [0, 0]
    assert trials.table["stimulus_target"].tolist() == ["left", "right"]
    assert trials.table["stimulus_repeat"].tolist() == [9, 9]


# --- labels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.04", 0.04),
        ("[250.0, 250.0]", 250.0),
        ("[0.04]", 0.04),
        ("[250. 250.]", 250.0),
        ("-1", -1.0),
        (" [1, 1] ", 1.0),
        ("[1.0, 2.0]", None),
        ("[]", None),
        ("", None),
        ("circle", None),
        ("nan", None),
        ("inf", None),
        ("[1.0, 1.0", None),
        ("1_0", None),
        ("[1_0, 1_0]", None),
        ("__import__('os')", None),
    ],
)
def test_text_that_holds_one_number_is_that_number(text, number):
    assert parse_number(text) == number


@pytest.mark.parametrize(
    ("values", "labels", "kind"),
    [
        ([270.0, 0.0], [270, 0], "i"),
        ([0.04, 1.0], ["0.04", "1"], "U"),
        ([3, 4], [3, 4], "i"),
        ([True, False], [1, 0], "i"),
        (["[250.0, 250.0]", "[20.0, 20.0]"], [250, 20], "i"),
        (["0.04", "0.08"], ["0.04", "0.08"], "U"),
        (np.float32([0.04, 0.35]), ["0.04", "0.35"], "U"),
        ([-0.5, 0.1 + 0.2], ["-0.5", "0.3"], "U"),
        (["1.0", "-1.0"], [1, -1], "i"),
        (["[1.0, 2.0]", "0.5"], ["[1.0, 2.0]", "0.5"], "U"),
        (["circle", "None"], ["circle", "None"], "U"),
        ([45.0, np.nan], [45, -1], "i"),
        ([0.5, np.nan], ["0.5", "blank"], "U"),
        ([-40.0, np.nan], ["-40", "blank"], "U"),
        (["0.04", "N/A"], ["0.04", "blank"], "U"),
        (["[-1.0, -1.0]", "null"], ["-1", "blank"], "U"),
        (["left", "N/A"], ["left", "blank"], "U"),
        (["left", None], ["left", "blank"], "U"),
        ([np.nan, np.nan], [-1, -1], "i"),
    ],
)
def test_label_of_one_column(values, labels, kind):
    found = label_columns(pd.DataFrame({"column": values}), ("column",))

    assert found.tolist() == labels
    assert found.dtype.kind == kind


@pytest.mark.parametrize("values", [[-0.0, 0.0, 0.5, 0.1 + 0.2], ["-0.0", "0", "0.5", "0.3"]])
def test_minus_nothing_is_nothing(values):
    table = pd.DataFrame({"phase": values, "size": 1})

    assert label_columns(table, ("phase",)).tolist() == ["0", "0", "0.5", "0.3"]
    assert label_columns(table, ("phase", "size")).tolist()[:2] == ["phase=0, size=1"] * 2


def test_label_of_several_columns_names_them():
    table = pd.DataFrame({"x_position": [10.0, -20.0, np.nan], "size": ["[20.0, 20.0]", "[0.5, 0.5]", "N/A"]})

    labels = label_columns(table, ("x_position", "size"))

    assert labels.tolist() == ["x_position=10, size=20", "x_position=-20, size=0.5", "blank"]


def test_label_of_no_rows():
    table = pd.DataFrame({"a": np.empty(0), "b": np.empty(0)})

    assert label_columns(table, ("a",)).size == 0
    assert label_columns(table, ("a", "b")).size == 0


# --- blanks ------------------------------------------------------------------------------------------------------


def test_dropped_blanks_are_counted():
    trials = select_trials(make_session(scenes([7, -1, 8, -1])), "natural_scenes", blanks="drop")

    assert trials.table["target"].tolist() == [7, 8]
    assert trials.blanks == "dropped"
    assert trials.dropped == {"blank": 2}


def test_gratings_without_orientation_are_blanks():
    table = make_table([0.0, 3.0, 6.0], orientation=[45.0, np.nan, 90.0], temporal_frequency=[1.0, np.nan, 2.0])
    session = make_session(table, stimulus="drifting_gratings")

    kept = select_trials(session, "drifting_gratings")
    dropped = select_trials(session, "drifting_gratings", blanks="drop")
    both = select_trials(session, "drifting_gratings", ("orientation", "temporal_frequency"))

    assert kept.table["target"].tolist() == [45, -1, 90]
    assert kept.blanks == "kept"
    assert dropped.table["target"].tolist() == [45, 90]
    assert both.table["target"].tolist()[1] == "blank"


def test_a_blank_scene_is_a_blank_whatever_is_decoded():
    session = make_session(scenes([7, -1, 8], contrast=[0.5, 1.0, 0.5]))

    assert select_trials(session, "natural_scenes", "contrast").table["target"].tolist() == ["0.5", "1", "0.5"]
    assert select_trials(session, "natural_scenes", "contrast", blanks="drop").dropped == {"blank": 1}


def test_a_stimulus_without_blanks_says_so():
    session = make_session(scenes([7, 8]))

    assert select_trials(session, "natural_scenes").blanks == "none"
    assert select_trials(session, "natural_scenes", blanks="drop").blanks == "none"


# --- blocks ------------------------------------------------------------------------------------------------------


def test_blocks_are_those_of_the_file():
    table = scenes([1, 2, 3])
    table["stimulus_block"] = [3.0, 3.0, 7.0]

    assert select_trials(make_session(table), "natural_scenes").table["stimulus_block"].tolist() == [3, 3, 7]


def test_a_presentation_without_a_block_is_in_that_of_the_one_before():
    table = scenes([1, 2, 3, 4])
    table["stimulus_block"] = [np.nan, 3.0, np.nan, 7.0]

    assert select_trials(make_session(table), "natural_scenes").table["stimulus_block"].tolist() == [3, 3, 3, 7]


@pytest.mark.parametrize("column", [{}, {"stimulus_block": np.nan}, {"stimulus_block": "null"}])
def test_without_block_numbers_a_long_pause_begins_a_block(column):
    table = make_table([0.0, 2.0, 4.0, 20.0, 22.0], side=list("lrlrl"), **column)

    trials = select_trials(make_session(table, stimulus="trials"), "trials", "side")

    assert trials.table["stimulus_block"].tolist() == [0, 0, 0, 1, 1]
    assert trials.table["stimulus_block"].dtype == np.int64


def test_without_block_numbers_pauses_as_usual_begin_none():
    table = make_table([0.0, 20.0, 45.0, 60.0], side=list("lrlr"))

    trials = select_trials(make_session(table, stimulus="trials"), "trials", "side")

    assert trials.table["stimulus_block"].tolist() == [0, 0, 0, 0]


def test_a_single_trial_is_in_block_zero():
    trials = select_trials(make_session(make_table([1.0], side=["l"]), stimulus="trials"), "trials", "side")

    assert trials.table["stimulus_block"].tolist() == [0]


# --- invalid times -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["stimulus", "all_probes"])
@pytest.mark.parametrize(
    ("low", "high", "left"),
    [
        (0.25, 0.5, [100, 102, 103]),  # exactly the second presentation
        (0.24, 0.25, [101, 102, 103]),  # ends where the second one starts: touches, does not overlap
        (0.5, 0.51, [100, 101, 103]),  # starts where the second one stops
        (0.3, 0.31, [100, 102, 103]),  # inside
        (0.2, 0.6, [103]),  # around
        (0.3, 0.3, [100, 101, 102, 103]),  # empty
        (1.0, 9.0, [100, 101, 102, 103]),  # after all of them
    ],
)
def test_trials_that_overlap_an_invalid_time_are_dropped(tag, low, high, left):
    session = make_session(scenes([1, 2, 3, 4]), make_invalid((low, high, tag)))

    trials = select_trials(session, "natural_scenes")

    assert trials.table.index.tolist() == left
    assert trials.dropped == ({} if len(left) == 4 else {f"invalid_times: {tag}": 4 - len(left)})
    assert trials.session is session


def test_repeats_are_counted_among_the_trials_that_are_left():
    session = make_session(scenes([1, 1, 1]), make_invalid((0.0, 0.1, "stimulus")))

    assert select_trials(session, "natural_scenes").table["repeat"].tolist() == [0, 1]


def test_an_invalid_time_of_a_probe_drops_its_units():
    session = make_session(scenes([1, 2]), make_invalid((0.1, 0.2, "probeA")))

    trials = select_trials(session, "natural_scenes")

    assert len(trials) == 2
    assert trials.session.units.index.tolist() == [3]
    assert list(trials.session.spike_times) == [3]
    assert trials.dropped_units == {"probeA": 2}
    assert trials.dropped == {}


def test_an_invalid_time_of_a_probe_drops_its_trials_if_asked():
    session = make_session(scenes([1, 2]), make_invalid((0.1, 0.2, "probeA")))

    trials = select_trials(session, "natural_scenes", probe_invalid="drop-trials")

    assert trials.table.index.tolist() == [101]
    assert trials.session.units.index.tolist() == [1, 2, 3]
    assert trials.dropped == {"invalid_times: probeA": 1}
    assert trials.dropped_units == {}


@pytest.mark.parametrize("rows", [[(50.0, 60.0, "probeA")], [(0.1, 0.2, "probeF")]])
def test_an_invalid_time_of_a_probe_elsewhere_or_unknown_costs_nothing(rows):
    trials = select_trials(make_session(scenes([1, 2]), make_invalid(*rows)), "natural_scenes")

    assert (len(trials), trials.dropped, trials.dropped_units) == (2, {}, {})


def test_a_probe_keeps_its_units_if_the_trials_it_lacks_are_dropped_anyway():
    invalid = make_invalid((0.1, 0.2, "probeA"), (0.0, 0.25, "stimulus"))

    trials = select_trials(make_session(scenes([1, 2]), invalid), "natural_scenes")

    assert trials.dropped == {"invalid_times: stimulus": 1}
    assert trials.dropped_units == {}


def test_an_invalid_time_without_a_known_tag_counts_for_all():
    invalid = make_invalid((0.1, 0.2), (0.3, 0.4, "artefact"))

    trials = select_trials(make_session(scenes([1, 2, 3]), invalid), "natural_scenes")

    assert trials.table.index.tolist() == [102]
    assert trials.dropped == {"invalid_times: untagged": 2}


def test_a_trial_counts_for_the_first_reason_that_drops_it():
    invalid = make_invalid((0.0, 0.25, "all_probes"), (0.0, 0.5, "stimulus"))

    trials = select_trials(make_session(scenes([-1, 2, -1, 4]), invalid), "natural_scenes", blanks="drop")

    assert trials.dropped == {"invalid_times: stimulus": 2, "blank": 1}
    assert trials.table.index.tolist() == [103]


def test_merge_joins_what_overlaps_or_touches():
    start, stop = merge(np.array([5.0, 0.0, 1.0, 2.0, 0.5, 7.0]), np.array([6.0, 1.5, 2.0, 3.0, 0.6, 7.0]))

    assert start.tolist() == [0.0, 5.0]
    assert stop.tolist() == [3.0, 6.0]


def test_merge_of_nothing_is_nothing():
    start, stop = merge(np.empty(0), np.empty(0))

    assert (start.size, stop.size) == (0, 0)


times = st.integers(0, 20)
spans = st.lists(st.tuples(times, st.integers(0, 6)), max_size=8)


@given(spans, st.lists(st.tuples(times, st.integers(1, 6)), max_size=8))
def test_overlaps_agrees_with_looking_at_every_pair(invalid, presentations):
    low, length = np.array(invalid, np.float64).reshape(-1, 2).T
    start, duration = np.array(presentations, np.float64).reshape(-1, 2).T

    found = overlaps(start, start + duration, *merge(low, low + length))

    assert found.tolist() == [
        any(a < s + d and a + n > s and n > 0 for a, n in invalid) for s, d in zip(start, duration, strict=True)
    ]


def test_no_invalid_times_find_nothing():
    found = find_invalid(make_invalid(), np.array([0.0]), np.array([1.0]), {"probeA"})

    assert found == ({}, {})


# --- real files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stimulus", "n_trials", "n_classes", "dropped_units"),
    [
        ("natural_scenes", 476, 119, {"probeA": 13}),
        ("static_gratings", 240, 6, {}),
        ("drifting_gratings", 20, 7, {}),
        ("gabors", 162, 74, {}),
        ("flashes", 24, 2, {}),
    ],
)
def test_stimuli_of_a_file_written_by_allensdk(recordings, stimulus, n_trials, n_classes, dropped_units):
    session = read_session(recordings / "allensdk-written" / "session_sdk200.nwb")

    trials = select_trials(session, stimulus)

    assert len(trials) == n_trials
    assert trials.table["target"].nunique() == n_classes
    assert trials.dropped_units == dropped_units
    assert trials.dropped == {}


def test_columns_of_text_of_a_file_written_by_allensdk_become_numbers(recordings):
    session = read_session(recordings / "allensdk-written" / "session_sdk200.nwb")

    assert set(select_trials(session, "drifting_gratings", "size").table["target"]) == {250}
    assert set(select_trials(session, "flashes").table["target"]) == {1, -1}
    assert set(select_trials(session, "static_gratings", "phase").table["target"]) == {"0", "0.25", "0.5", "0.75"}


def test_spontaneous_periods_have_no_default_target_but_their_name(recordings):
    session = read_session(recordings / "allensdk-written" / "session_sdk200.nwb")

    with pytest.raises(TargetNotFoundError, match="stimulus_name"):
        select_trials(session, "spontaneous")
    trials = select_trials(session, "spontaneous", "stimulus_name")
    assert trials.dropped == {"invalid_times: all_probes": 1}


# --- bad input ---------------------------------------------------------------------------------------------------


def test_an_unknown_stimulus_names_those_of_the_session():
    with pytest.raises(StimulusNotFoundError, match=r"has no stimulus 'movies'\. It has: natural_scenes"):
        select_trials(make_session(scenes([1])), "movies")


def test_a_misspelt_stimulus_is_answered_with_the_nearest():
    with pytest.raises(StimulusNotFoundError, match=r"'natural_scene'\. Did you mean 'natural_scenes'\? It has: nat"):
        select_trials(make_session(scenes([1])), "natural_scene")


def test_an_unknown_target_names_the_columns():
    with pytest.raises(TargetNotFoundError, match=r"'natural_scenes' has no column 'orientation'.*frame"):
        select_trials(make_session(scenes([1])), "natural_scenes", ("frame", "orientation"))


def test_a_stimulus_without_a_default_target_names_the_columns():
    session = make_session(make_table([0.0], side=["l"]), stimulus="trials")

    with pytest.raises(TargetNotFoundError, match=r"no default target.*side"):
        select_trials(session, "trials")


@pytest.mark.parametrize("duration", [0.0, -0.1])
def test_presentations_that_do_not_last_are_refused_with_their_rows(duration):
    table = scenes([1, 2, 3])
    table.loc[[101, 102], "stop_time"] = table["start_time"] + duration

    with pytest.raises(PresentationsError, match=r"2 of 3 presentations .* do not last .*rows \[1, 2\]"):
        select_trials(make_session(table), "natural_scenes")


@pytest.mark.parametrize("column", ["start_time", "stop_time"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_presentations_without_times_are_refused_with_their_rows(column, value):
    table = scenes([1, 2, 3])
    table.loc[101, column] = value

    with pytest.raises(PresentationsError, match=r"NaN or infinite: rows \[1\]"):
        select_trials(make_session(table), "natural_scenes")


def test_a_table_without_times_is_refused():
    with pytest.raises(PresentationsError, match="stop_time"):
        select_trials(make_session(scenes([1]).drop(columns="stop_time")), "natural_scenes")


def test_presentations_before_the_recording_are_refused_with_their_rows():
    with pytest.raises(PresentationsError, match=r"1 of 2 .*before 0 s\): rows \[1\]"):
        select_trials(make_session(scenes([1, 2], start=[1.0, -3.0])), "natural_scenes")


def test_presentations_all_after_the_last_spike_are_refused():
    with pytest.raises(
        PresentationsError, match=r"start at or after 1000\.500 s, the last spike of 3 units .*1000\.000"
    ):
        select_trials(make_session(scenes([1, 2], start=[1000.5, 1001.0])), "natural_scenes")


def test_presentations_of_which_one_is_before_the_last_spike_are_taken():
    assert len(select_trials(make_session(scenes([1, 2], start=[999.0, 1001.0])), "natural_scenes")) == 2


def test_units_without_a_spike_are_refused():
    session = make_session(scenes([1]))
    silent = dataclasses.replace(
        session, spike_times=RaggedArray.from_arrays({key: np.empty(0) for key in session.units.index})
    )

    with pytest.raises(PresentationsError, match="no unit spikes"):
        select_trials(silent, "natural_scenes")


def test_repeated_presentation_ids_are_refused():
    with pytest.raises(PresentationsError, match=r"repeated: \[100\]"):
        select_trials(make_session(scenes([1, 2, 3]).iloc[[0, 1, 0]]), "natural_scenes")


@pytest.mark.parametrize("row", [(2.0, 1.0), (np.nan, 1.0), (1.0, np.nan)])
def test_an_impossible_invalid_time_is_refused_with_its_row(row):
    invalid = make_invalid((0.0, 1.0, "stimulus"), (*row, "stimulus"))

    with pytest.raises(PresentationsError, match=r"rows \[1\]"):
        select_trials(make_session(scenes([1]), invalid), "natural_scenes")


def test_no_trial_left_says_what_dropped_them():
    session = make_session(scenes([1, -1]), make_invalid((0.0, 0.1, "all_probes")))

    with pytest.raises(NoTrialsError, match=r"none of 2 .*'invalid_times: all_probes': 1, 'blank': 1"):
        select_trials(session, "natural_scenes", blanks="drop")


def test_an_empty_stimulus_is_refused():
    with pytest.raises(NoTrialsError, match="none of 0"):
        select_trials(make_session(scenes([])), "natural_scenes")


def test_no_unit_left_says_which_probes_dropped_them():
    invalid = make_invalid((0.0, 0.1, "probeA"), (0.0, 0.1, "probeB"))

    with pytest.raises(NoUnitsError, match=r"\['probeA', 'probeB'\].*drop-trials"):
        select_trials(make_session(scenes([1]), invalid), "natural_scenes")


@pytest.mark.parametrize("option", [{"blanks": "hide"}, {"probe_invalid": "ignore"}])
def test_an_unknown_option_is_refused(option):
    with pytest.raises(ConfigError, match="expected"):
        select_trials(make_session(scenes([1])), "natural_scenes", **option)

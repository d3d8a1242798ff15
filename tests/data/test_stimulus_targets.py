"""Names of what can be decoded, and the files' columns they stand for."""

import pytest
from test_presentations import make_session, make_table

from spikesight.data.catalogue import STIMULI
from spikesight.data.presentations import select_trials
from spikesight.data.stimuli import columns_of, targets_of
from spikesight.errors import TargetNotFoundError

GRATINGS = ("orientation", "temporal_frequency", "contrast", "phase")


@pytest.mark.parametrize(
    ("stimulus", "target", "columns"),
    [
        ("drifting_gratings", "direction", ("orientation",)),
        ("drifting_gratings", ("direction", "temporal_frequency"), ("orientation", "temporal_frequency")),
        ("drifting_gratings", ("direction", "orientation", "all"), ("orientation", "temporal_frequency")),
        ("drifting_gratings", "contrast", ("contrast",)),
        ("drifting_gratings_contrast", None, ("contrast",)),
        ("drifting_gratings_75_repeats", None, ("orientation",)),
        ("drifting_gratings_of_somebody", None, ("orientation",)),
        ("gabors", "position", ("x_position", "y_position")),
        ("natural_movie_two", None, ("segment",)),
        ("flashes", "polarity", ("color",)),
        ("dot_motion", ("speed", "direction"), ("Speed", "Dir")),
        ("spontaneous", None, ()),
        ("odours", "all", ("all",)),
    ],
)
def test_names_stand_for_columns(stimulus, target, columns):
    assert columns_of(stimulus, target, GRATINGS) == columns


def test_a_column_of_that_name_comes_before_a_name_of_ours():
    assert columns_of("drifting_gratings", "direction", [*GRATINGS, "direction"]) == ("direction",)
    assert columns_of("static_gratings", "all", ["all"]) == ("all",)


def test_every_stimulus_of_the_public_sessions_has_targets_of_its_own():
    assert all(targets_of(stimulus) for shown in STIMULI.values() for stimulus in shown)
    assert targets_of("spontaneous") == {}


def test_an_unknown_target_is_answered_with_the_nearest_name_and_all_others():
    session = make_session(make_table([0.0, 1.0], orientation=[0.0, 45.0]), stimulus="drifting_gratings")
    with pytest.raises(
        TargetNotFoundError, match=r"'directon'\. Did you mean 'direction'\? .*orientation; or direction"
    ):
        select_trials(session, "drifting_gratings", "directon")

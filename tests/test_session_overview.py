"""The raster excerpt of a session: which classes, repeats and units it holds, and where they lie."""

import numpy as np
import pytest

from spikesight.data.presentations import select_trials
from spikesight.data.simulation import simulate_session
from spikesight.records.session_overview import MOST_CLASSES, MOST_RASTER_UNITS, MOST_REPEATS, raster_excerpt
from spikesight.reports.spikes import raster_panel


@pytest.fixture(scope="module")
def trials():
    return select_trials(simulate_session("tiny", seed=0).session, "natural_scenes")


def test_the_excerpt_holds_classes_repeats_and_units_within_its_bounds(trials) -> None:
    excerpt = raster_excerpt(trials)
    assert 1 < len(excerpt["classes"]) <= MOST_CLASSES
    assert all(1 <= len(shown["trials"]) <= MOST_REPEATS for shown in excerpt["classes"])
    assert len(excerpt["units"]) <= MOST_RASTER_UNITS
    assert "-1" not in [shown["label"] for shown in excerpt["classes"]]


def test_spikes_of_a_presentation_are_those_of_the_session(trials) -> None:
    excerpt = raster_excerpt(trials)
    label = int(excerpt["classes"][0]["label"])
    start = float(trials.table.loc[trials.table["target"] == label, "start_time"].iloc[0])
    trial = excerpt["classes"][0]["trials"][0]
    low, high = excerpt["window"]
    for row, (unit, *_) in enumerate(excerpt["units"]):
        times, _ = trials.session.select_units(np.array([unit])).checked_spike_times()
        own = times[(times >= start + low) & (times < start + high)]
        found = np.array(trial["time"])[np.array(trial["row"]) == row]
        np.testing.assert_allclose(found, (own - start) * 1000, atol=0.051)


def test_the_depth_of_units_is_that_of_the_file_and_reaches_the_page(trials) -> None:
    excerpt = raster_excerpt(trials)
    table = trials.session.units["probe_vertical_position"]
    assert [depth for *_, depth in excerpt["units"]] == [float(table[unit]) for unit, *_ in excerpt["units"]]
    panel = raster_panel(excerpt, 1)
    assert panel is not None
    assert panel["units"] == excerpt["units"]

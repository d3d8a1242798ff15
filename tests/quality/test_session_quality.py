"""All that `inspect` checks: of hand-made sessions, of simulated ones, and on the command line."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from faulty_session import tuned_session, with_late_probe, with_shuffled_labels
from typer.testing import CliRunner

from spikesight.cli import app
from spikesight.data.nwb_write import write_session
from spikesight.data.simulation import simulate_session
from spikesight.quality.session_quality import describe_quality
from spikesight.quality.stimulus_timing import stimulus_timing

N_SEEDS = 10


def stimulus(found, name="natural_scenes"):
    return next(row for row in found["stimuli"] if row["stimulus"] == name)


def simulated(seed, n_units=None):
    return simulate_session("demo", seed, n_units=n_units).session


# ---------------------------------------------------------------- selection and timing


def test_units_are_counted_before_and_after_each_filter():
    session = replace(
        tuned_session(), dropped_units={"quality": 7, "in_brain": 3}, unit_filters={"quality": "good", "in_brain": True}
    )
    assert describe_quality(session, quick=True)["unit_steps"] == [
        {"filter": "quality", "value": "good", "before": 70, "removed": 7, "after": 63},
        {"filter": "in_brain", "value": True, "before": 63, "removed": 3, "after": 60},
    ]


def test_presentations_are_counted_before_and_after_invalid_times():
    invalid = pd.DataFrame(
        {
            "start_time": [5.1, 6.1, 10.0],
            "stop_time": [5.3, 6.2, 10.4],
            "tags": [("s", "1", "stimulus"), ("s", "1", "all_probes"), ("p", "1", "probeB")],
        }
    )
    found = describe_quality(replace(tuned_session(), invalid_times=invalid), quick=True)
    assert stimulus(found)["presentations"] == {
        "before": 720,
        "after": 717,
        "dropped": {"stimulus": 2, "all_probes": 1},
        "by_probe": {"probeB": 2},
    }


@pytest.mark.parametrize("numbers", [np.nan, None], ids=["without numbers", "without the column"])
def test_blocks_are_those_that_trials_are_cut_into(numbers):
    """Steady pauses of 12 s begin no block."""
    start = 5 + 12.25 * np.arange(80)
    table = pd.DataFrame({"start_time": start, "stop_time": start + 0.25, "frame": np.arange(80) % 4.0})
    if numbers is not None:
        table["stimulus_block"] = numbers
    timing = stimulus_timing("natural_scenes", table, "brain_observatory_1.1")
    assert timing["n_blocks"] == 1
    assert timing["gap"] == pytest.approx(12.0)


def test_timing_is_told_of_each_stimulus():
    row = stimulus(describe_quality(tuned_session(), quick=True))
    assert row["n_expected"] == 5950
    assert row["duration"] == pytest.approx(0.25)
    assert row["gap"] == pytest.approx(0.0, abs=1e-9)
    assert row["longest_gap"] == pytest.approx(0.0, abs=1e-9)  # the pause of 20 s lies between two blocks
    assert (row["n_blocks"], row["n_uneven"], row["n_overlapping"]) == (2, 0, 0)
    assert (row["n_conditions"], row["fewest_repeats"], row["most_repeats"], row["n_blanks"]) == (11, 60, 60, 60)


def test_the_design_of_other_session_types_is_not_known():
    table = tuned_session().stimulus_presentations["natural_scenes"]
    assert stimulus_timing("natural_scenes", table, "functional_connectivity")["n_expected"] is None


def test_overlapping_and_missing_times_are_flagged():
    session = tuned_session()
    table = session.stimulus_presentations["natural_scenes"].copy()
    table.loc[4, "stop_time"] += 0.1
    found = describe_quality(replace(session, stimulus_presentations={"natural_scenes": table}), quick=True)
    assert found["flags"] == ["natural_scenes: 1 presentations start before the one before has stopped"]
    table.loc[4, "stop_time"] = np.nan
    found = describe_quality(replace(session, stimulus_presentations={"natural_scenes": table}))
    assert found["flags"][0] == "natural_scenes: start or stop times are missing"
    assert found["flags"][1].startswith("clocks and labels could not be checked: ")


def test_quick_reads_no_spike():
    class Untouchable(dict):
        def __getattr__(self, name):
            raise AssertionError(name)

    session = tuned_session()
    object.__setattr__(session, "spike_times", Untouchable())
    found = describe_quality(session, quick=True)
    assert found["clocks"] is None
    assert found["labels"] is None
    assert found["flags"] == []


# ---------------------------------------------------------------- simulated sessions


@pytest.fixture(scope="module")
def session():
    return simulated(0, n_units=80)


def test_a_clean_simulated_session_is_not_flagged(session):
    found = describe_quality(session)
    assert found["flags"] == []
    assert len(found["clocks"]) == 3
    assert all(0.03 < clock["delay"] < 0.15 for clock in found["clocks"])


def test_a_simulated_probe_that_is_late_by_half_a_second_is_flagged(session):
    found = describe_quality(with_late_probe(session, "probeC", 0.5))
    assert len(found["flags"]) == 1
    assert found["flags"][0].startswith("probeC: clock is off: answers at an implausible delay, 0.5")


def test_a_simulated_session_of_shuffled_labels_is_flagged(session):
    found = describe_quality(with_shuffled_labels(session))
    assert len(found["flags"]) == 1
    assert found["flags"][0].startswith("natural_scenes: labels do not explain the counts")


def test_the_command_line_shows_what_is_flagged(session, tmp_path):
    file = tmp_path / "late.nwb"
    write_session(replace(with_late_probe(session, "probeC", 0.5), spike_amplitudes=None), file)
    done = CliRunner().invoke(app, ["inspect", str(file)])
    assert done.exit_code == 0, done.output
    assert "! probeC: clock is off" in done.output
    assert "1,428 of 5,950" in done.output
    found = json.loads(CliRunner().invoke(app, ["inspect", str(file), "--json"]).stdout)
    assert [clock["status"].startswith("clock is off") for clock in found["clocks"]] == [False, True, False]
    quick = CliRunner().invoke(app, ["inspect", str(file), "--quick"])
    assert "nothing is flagged; clocks and labels were not checked" in quick.output


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_of_ten_seeds_the_late_and_the_shuffled_are_flagged_and_no_clean_one(seed):
    clean = simulated(seed)
    assert describe_quality(clean)["flags"] == []
    probe = sorted(set(clean.units["probe"]))[seed % 3]
    late = describe_quality(with_late_probe(clean, probe, 0.5))
    assert [flag.split(":")[0] for flag in late["flags"]] == [probe]
    shuffled = describe_quality(with_shuffled_labels(clean, seed))["flags"]
    assert any(flag.startswith("natural_scenes: ") for flag in shuffled)
    assert all("labels do not explain the counts" in flag for flag in shuffled)

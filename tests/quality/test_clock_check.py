"""Clocks of probes: what is plausible, what is flagged, and what cannot be told."""

from dataclasses import replace

import numpy as np
import pytest
from faulty_session import STEP, tuned_session, with_late_probe, with_shuffled_labels

from spikesight.data.presentations import select_trials
from spikesight.quality.clock_check import (
    MOST_UNITS,
    NO_RESPONSE,
    NOT_TUNED,
    OK,
    SHIFTED,
    SILENT,
    TOO_LITTLE,
    check_clock,
    compare_probes,
    probe_units,
)
from spikesight.quality.spike_checks import check_spikes

SOUND = tuned_session()


def clock(session, probe, **options):
    units = session.units.index[session.units["probe"] == probe].to_numpy()
    return check_clock(select_trials(session.select_units(units), "natural_scenes"), probe, **options)


def statuses(session):
    return {check.probe: check.status for check in check_spikes(session).clocks}


def test_the_delay_is_found_and_lies_in_its_interval():
    found = clock(SOUND, "probeA")
    assert found.status == OK
    assert found.delay == pytest.approx(0.06, abs=0.015)
    assert found.low <= found.delay <= found.high
    assert found.high - found.low < 0.05
    assert found.tuned_p < 1e-6
    assert found.change_p <= 0.01
    assert not found.is_flagged


@pytest.mark.parametrize("seconds", [0.5, -0.5, 0.25, 2 * STEP, -STEP])
def test_a_late_clock_is_flagged_also_by_a_multiple_of_a_presentation(seconds):
    found = clock(with_late_probe(SOUND, "probeA", seconds), "probeA")
    assert found.status == SHIFTED
    assert found.is_flagged
    assert found.delay == pytest.approx(0.06 + seconds, abs=0.015)


def test_only_the_late_probe_is_flagged():
    assert statuses(with_late_probe(SOUND, "probeB", 0.5)) == {"probeA": OK, "probeB": SHIFTED, "probeC": NO_RESPONSE}


def test_a_probe_that_hears_nothing_has_no_delay_and_is_not_flagged():
    found = clock(SOUND, "probeC")
    assert found.status == NO_RESPONSE
    assert np.isnan(found.delay)
    assert not found.is_flagged


def test_a_clock_that_is_off_by_more_than_the_lags_is_flagged_since_other_probes_answer():
    assert statuses(with_late_probe(SOUND, "probeB", 7.1))["probeB"] == SILENT


def test_a_silent_probe_is_not_flagged_if_no_probe_answers():
    silent = replace(clock(SOUND, "probeA"), status=NO_RESPONSE)
    assert compare_probes([silent]) == [silent]


def test_a_probe_too_weak_to_tell_is_not_flagged():
    """A third of what the others have would not have been seen in it."""
    good, weak = clock(SOUND, "probeA"), clock(SOUND, "probeC")
    weak = replace(weak, n_visual=40, least=good.peak / 2)
    assert [check.status for check in compare_probes([good, weak])] == [OK, NO_RESPONSE]
    assert [check.status for check in compare_probes([good, replace(weak, least=good.peak / 4)])] == [OK, SILENT]
    assert [check.status for check in compare_probes([good, replace(weak, least=0.0, tuned_p=1e-3)])][1] == NO_RESPONSE


def test_a_silent_probe_outside_of_visual_areas_is_not_flagged():
    good, deaf = clock(SOUND, "probeA"), clock(SOUND, "probeC")
    assert [check.status for check in compare_probes([good, deaf])] == [OK, NO_RESPONSE]


def test_shuffled_labels_leave_the_answer_to_changes():
    assert statuses(with_shuffled_labels(SOUND)) == {"probeA": NOT_TUNED, "probeB": NOT_TUNED, "probeC": NO_RESPONSE}


def test_the_same_seed_gives_the_same_answer():
    assert clock(SOUND, "probeA", seed=3) == clock(SOUND, "probeA", seed=3)


def test_few_trials_or_units_tell_nothing():
    assert clock(tuned_session(n_trials=40), "probeA").status == TOO_LITTLE
    assert clock(tuned_session(n_units=4), "probeA").status == TOO_LITTLE


def test_deaf_probes_are_hardly_ever_taken_for_late_ones():
    """By design once in ten thousand; here never in 40 populations."""
    for seed in range(10):
        session = tuned_session(seed, n_trials=240, deaf=("probeA", "probeB", "probeC"), n_units=8)
        for probe in ("probeA", "probeB", "probeC"):
            assert not clock(session, probe, seed=seed).is_flagged


def test_units_of_visual_areas_are_looked_at_first_and_then_the_most_active():
    session = tuned_session()
    units = session.units.assign(probe="probeA")
    chosen = probe_units(units, np.arange(len(units)))["probeA"]
    assert len(chosen) == min(MOST_UNITS, len(units))
    assert set(units.loc[chosen[:40], "area"]) == {"VISp", "VISl"}
    assert chosen[0] == units.index[39]


def test_a_session_without_names_of_probes_is_one_population():
    found = check_spikes(replace(SOUND, units=SOUND.units.assign(probe=""))).clocks
    assert [check.probe for check in found] == ["all units"]
    assert found[0].status == OK

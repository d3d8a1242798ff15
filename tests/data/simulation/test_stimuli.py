import numpy as np
import pytest

from spikesight.data.simulation.presets import PRESETS
from spikesight.data.simulation.stimuli import stimuli


@pytest.mark.parametrize("preset", ["tiny", "demo", "allen"])
@pytest.mark.parametrize(("name", "least"), [("drifting_gratings", 4), ("static_gratings", 4)])
def test_gratings_are_mostly_gratings_however_few_are_shown(preset, name, least):
    shown = stimuli(PRESETS[preset])[name]
    n_rows = sum(block.rows for block in PRESETS[preset].schedule if block.stimulus == name)
    sequence = shown.sequence(np.random.default_rng(0), n_rows)
    assert len(sequence) == n_rows
    assert (sequence == shown.blank).mean() <= 0.06
    assert shown.conditions["orientation"].iloc[sequence].nunique() >= least

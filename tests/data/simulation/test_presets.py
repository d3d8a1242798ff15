"""Presets: frozen, complete, and found by name."""

import pytest
from pydantic import ValidationError

from spikesight.data.simulation.presets import PRESETS, get_preset, presets_digest
from spikesight.errors import UnknownNameError

FROZEN = "e0838575a9ab7acca40f735ff25aa9d835a5381401c937feb204c18065dc6573"


def test_the_presets_are_frozen():
    # Calibrated against real units, then frozen: no later change may make the data easier for a decoder.
    assert presets_digest() == FROZEN


def test_a_preset_cannot_be_changed():
    with pytest.raises(ValidationError):
        PRESETS["tiny"].n_units = 5


def test_an_unknown_preset_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'allen'"):
        get_preset("alen")


@pytest.mark.parametrize("name", PRESETS)
def test_the_channels_of_every_probe_are_fully_used(name):
    for probe in PRESETS[name].probes:
        assert sum(stretch.channels for stretch in probe.stretches) == pytest.approx(1)

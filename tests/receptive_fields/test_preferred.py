"""Preferred gratings against planted tuning."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikesight.data.dataset import make_dataset
from spikesight.errors import StimulusNotFoundError, TooFewRepeatsError
from spikesight.receptive_fields.preferred import draw_preferred, preferred_gratings

ORIENTATIONS = np.arange(6) * 30.0
FREQUENCIES = np.array([0.02, 0.04, 0.08])


def gratings(n_repeats: int = 10) -> xr.Dataset:
    """A unit at 60 degrees and 0.04, one at 150 and 0.02, one without tuning."""
    rng = np.random.default_rng(0)
    orientation, frequency = (part.ravel() for part in np.meshgrid(ORIENTATIONS, FREQUENCIES))
    orientation, frequency = np.tile(orientation, n_repeats), np.tile(frequency, n_repeats)
    rates = [
        9.0 * np.exp(2 * np.cos(2 * np.deg2rad(orientation - best)) - 2) * (1 + 2 * (frequency == own))
        for best, own in ((60.0, 0.04), (150.0, 0.02))
    ]
    counts = rng.poisson(np.column_stack([*rates, np.full(len(orientation), 5.0)])).astype(np.uint16)
    blank = np.zeros((2, 3), np.uint16) + 200
    n = len(orientation) + 2
    trials = pd.DataFrame(
        {
            **{"start_time": np.arange(n) * 0.25, "stop_time": np.arange(n) * 0.25 + 0.25, "stimulus_block": 0},
            **{"repeat": 0, "target": 0, "orientation": [*orientation, np.nan, np.nan]},
            "spatial_frequency": [*(f"{value}" for value in frequency), "0.02", "0.02"],
        }
    )
    values = np.concatenate([counts, blank])[:, None, :]
    return make_dataset(values, np.array([0.0]), trials, pd.DataFrame(index=[4, 5, 6]), {"stimulus_name": "gratings"})


def test_the_preferred_grating_is_the_planted_one_and_blanks_do_not_count() -> None:
    table = preferred_gratings(gratings())
    assert table["preferred_orientation"].tolist()[:2] == [60.0, 150.0]
    assert table["preferred_spatial_frequency"].tolist()[:2] == [0.04, 0.02]
    assert (table["selectivity"].iloc[:2] > 0.5).all()
    assert table["selectivity"].iloc[2] < 0.1
    assert table.index.tolist() == [4, 5, 6]


def test_a_preferred_grating_is_drawn_at_its_frequency_across_its_orientation() -> None:
    preferred = pd.DataFrame({"preferred_orientation": [0.0, 90.0], "preferred_spatial_frequency": [0.05, 0.05]})
    drawn = draw_preferred(preferred, np.arange(0.0, 40.0, 5.0), np.arange(0.0, 20.0, 5.0))
    assert drawn.shape == (2, 4, 8)
    np.testing.assert_allclose(drawn[0], drawn[0][:1].repeat(4, axis=0), atol=1e-9)
    np.testing.assert_allclose(drawn[0, 0, [0, 2, 4]], [1, -1, 1], atol=1e-9)
    np.testing.assert_allclose(drawn[1], drawn[1][:, :1].repeat(8, axis=1), atol=1e-9)


def test_other_stimuli_and_single_presentations_are_refused() -> None:
    with pytest.raises(StimulusNotFoundError, match=r"these are of gratings"):
        preferred_gratings(gratings().drop_vars("orientation"))
    once = gratings().isel(trial=[0, 1, 2])
    with pytest.raises(TooFewRepeatsError, match=r"at least two presentations of every orientation, 0 has 1"):
        preferred_gratings(once)

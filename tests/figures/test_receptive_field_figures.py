"""What was drawn of receptive fields, neural images and retrieval."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt

from spikesight import figures


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def maps() -> xr.Dataset:
    values = np.zeros((3, 2, 4))
    values[1, 0, 3], values[2] = 2.0, 0.5
    return xr.Dataset(
        {"receptive_field": (("unit", "y", "x"), values), "held_out_r": ("unit", [0.1, 0.7, 0.4])},
        coords={"unit": [10, 11, 12], "area": ("unit", ["VISp", "VISl", "VISp"]),
                "y": [-5.0, 5.0], "x": ("x", [-15.0, -5.0, 5.0, 15.0], {"units": "degrees"})},
    )  # fmt: skip


def test_maps_are_drawn_from_the_best_predicted_unit_on_with_y_upwards(maps: xr.Dataset) -> None:
    ax = figures.plot_receptive_fields(maps, most=2)
    assert [text.get_text() for text in ax.texts][:2] == ["VISl 11\nr = 0.70", "VISp 12\nr = 0.40"]
    assert "x: -15 to 15, y: -5 to 5 degrees" in ax.texts[-1].get_text()
    assert len(ax.images) == 2
    assert ax.get_title("left") == "2 of 3 units, those whose responses are predicted best first"
    assert figures.plot_receptive_fields(maps).get_title("left").startswith("All 3 units")
    assert ax.images[0].origin == "lower"
    assert ax.images[0].get_array()[0, 3] == 2.0  # type: ignore[index]


def test_signed_maps_are_symmetric_around_nothing(maps: xr.Dataset) -> None:
    signed = maps.assign(receptive_field=maps["receptive_field"] - 1.0)
    ax = figures.plot_receptive_fields(signed)
    for image in ax.images:
        low, high = image.get_clim()
        assert low == -high
    assert "blue below, red above 0" in ax.texts[-1].get_text()


def test_centres_have_a_colour_per_area_and_units_without_one_are_left_out() -> None:
    units = pd.DataFrame(
        {"centre_x": [1.0, 2.0, np.nan], "centre_y": [3.0, 4.0, 5.0], "area": ["VISp", "VISl", "VISl"]}
    )
    ax = figures.plot_receptive_field_centres(units, screen=(-45, 45, -45, 45))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["VISl (1)", "VISp (1)"]
    assert sum(len(part.get_offsets()) for part in ax.collections) == 2
    assert len(ax.patches) == 1
    assert "degrees" in ax.get_xlabel()
    assert "grey frame: what the stimulus covered" in ax.get_xlabel()
    assert "frame" not in figures.plot_receptive_field_centres(units).get_xlabel()
    empty = figures.plot_receptive_field_centres(units.iloc[2:])
    assert empty.texts[0].get_text() == "no unit has a receptive field to show"


def test_agreement_tells_r_and_n_of_both_axes() -> None:
    units = pd.DataFrame({"centre_x": [1.0, 2.0, 4.0], "true_x": [1.0, 2.0, 4.0], "centre_y": [1.0, 0.0, np.nan]})
    units["true_y"] = [0.0, 1.0, 2.0]
    ax = figures.plot_centre_agreement(units, reference="true")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["azimuth, r = 1.00 (n = 3)", "elevation, r = nan (n = 2)"]
    nothing = figures.plot_centre_agreement(units.assign(true_x=np.nan, true_y=np.nan), reference="true")
    assert nothing.texts[0].get_text() == "no unit has both centres"


def test_neural_images_stand_below_what_was_shown_with_their_correlation() -> None:
    images = xr.DataArray(
        np.random.default_rng(0).random((2, 5, 6, 8)),
        dims=("kind", "frame", "y", "x"),
        coords={"kind": ["shown", "ridge"], "frame": [3, 4, 5, 6, 7], "y": np.arange(6.0)},
    )
    scores = pd.DataFrame({"method": "ridge", "frame": [3, 4, 5, 6, 7], "pixel_r": [0.1, 0.2, 0.3, 0.4, 0.5]})
    ax = figures.plot_neural_images(images, scores=scores, most=3)
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["shown", "frame 3", "frame 5", "frame 7", "ridge", "r = 0.10", "r = 0.30", "r = 0.50"]
    assert len(ax.images) == 6
    np.testing.assert_array_equal(np.asarray(ax.images[4].get_array()), images[1, 2].to_numpy())


def test_retrieval_rises_to_all_and_chance_is_the_random_order() -> None:
    ranks = pd.DataFrame({"query": ["mean"] * 4, "rank": [1.0, 1.0, 2.5, 4.0], "n_candidates": [4, 4, 4, 4]})
    ax = figures.plot_retrieval(ranks)
    mean, chance = ax.lines
    np.testing.assert_allclose(mean.get_ydata(), [0.5, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(chance.get_ydata(), [0.25, 0.5, 0.75, 1.0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "mean of all presentations (n = 4)",
        "random order (chance)",
    ]

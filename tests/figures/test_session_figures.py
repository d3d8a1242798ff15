"""What the figures of a session draw, not how they look."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from counts_by_hand import counts_of
from spikesight import exploration, figures
from spikesight.errors import ConfigError, DataError
from spikesight.figures import theme, unit_order

pytestmark = pytest.mark.usefixtures("fixed_look")

UNITS = pd.DataFrame(
    {
        "unit": range(6), "probe": ["probeB", "probeA", "probeA", "probeA", "probeB", "probeB"],
        "area": ["VISp", "LGd", "LGd", "LGd", "VISp", ""], "depth": [900.0, 100.0, 100.0, 100.0, 800.0, 500.0],
        "anterior_posterior": np.linspace(7000, 8000, 6), "dorsal_ventral": np.linspace(1000, 4000, 6),
        "left_right": np.linspace(6000, 6500, 6), "rate": [0.0, 0.5, 1.0, 2.0, 30.0, 4.0],
    }
)  # fmt: skip
TIMELINE = pd.DataFrame(
    [("gabors", 0, 0.5, 2.0, 40, "presentations"), ("natural_scenes", 0, 2.5, 5.0, 90, "presentations"),
     ("natural_scenes", 1, 7.0, 9.0, 80, "presentations"), ("invalid times", 0, 3.0, 3.2, 0, "invalid")],
    columns=["stimulus", "block", "start", "stop", "n_presentations", "kind"],
)  # fmt: skip
TIME = np.arange(-1, 2, 0.1)
WAVES = pd.concat(
    [
        pd.DataFrame({"unit": unit, "area": area, "time": TIME, "voltage": -depth * np.exp(-((TIME / 0.2) ** 2))})
        for unit, area, depth in ((1, "VISp", 80.0), (2, "VISp", 40.0), (3, "LGd", 100.0))
    ]
)
BEHAVIOUR = pd.DataFrame(
    {
        "measure": np.repeat(["running_speed", "pupil_area"], 5), "time": np.tile(np.arange(5.0), 2),
        "value": [0, 10, 20, np.nan, 5, 900, 1000, 1100, 1000, 950], "units": np.repeat(["cm/s", "pixel^2"], 5),
    }
)  # fmt: skip
CUTS = pd.DataFrame(
    {
        "n_bins": [1, 2, 2], "bin": [0, 0, 1], "left": [0.0, 0.0, 0.125], "right": [0.25, 0.125, 0.25],
        "count": [5, 1, 4],
    }
)  # fmt: skip
SPIKES = pd.DataFrame(
    {
        "time": [0.01, 0.02, 0.2, 0.1], "unit": [4, 4, 9, 9], "area": ["LGd", "LGd", "VISp", "VISp"],
        "trial": [1, 1, 1, 2], "target": ["a", "a", "a", "b"],
    }
)  # fmt: skip
PICTURES = xr.DataArray(
    np.arange(5 * 4 * 6).reshape(5, 4, 6), dims=("frame", "row", "column"), coords={"frame": [0, 2, 4, 6, 8]}
)


def _embedded(target: Any, **columns: Any) -> pd.DataFrame:
    table = pd.DataFrame({"x": np.arange(len(target)), "y": 0.0, "target": target, **columns})
    table.attrs.update(x_label="first", y_label="second", of="trials")
    return table


def _correlated() -> xr.Dataset:
    rng = np.random.default_rng(0)
    counts = rng.poisson(3, (80, 2))[:, np.arange(8) % 2] + rng.poisson(1, (80, 8))
    data = counts_of(counts, list(np.arange(80) % 4), ["VISp", "LGd"] * 4)
    return exploration.cluster_units(exploration.unit_correlations(data))


def _responses() -> xr.DataArray:
    rng = np.random.default_rng(0)
    return exploration.response_map(counts_of(rng.poisson(3, (40, 6)), list(np.arange(40) % 4), ["VISp", "LGd"] * 3))


def _histogram() -> pd.DataFrame:
    rows = {"time": [0.0, 0.1], "mean": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]}
    return pd.concat(
        pd.DataFrame({"target": target, "area": "VISp", **rows, "n_trials": 3, "n_units": 4}) for target in ("a", "b")
    )


DRAWN: dict[str, Callable[[Any], Any]] = {
    "plot_bins": lambda ax: figures.plot_bins(CUTS, ax, spikes=SPIKES),
    "plot_embedding": lambda ax: figures.plot_embedding(_embedded([1, 2, 2, 3]), ax),
    "plot_mean_waveforms": lambda ax: figures.plot_mean_waveforms(WAVES, ax),
    "plot_presentations": lambda ax: figures.plot_presentations(TIMELINE, ax),
    "plot_probe_map": lambda ax: figures.plot_probe_map(UNITS, ax),
    "plot_psth": lambda ax: figures.plot_psth(_histogram(), ax, stop=0.2),
    "plot_raster": lambda ax: figures.plot_raster(SPIKES, ax, stop=0.25),
    "plot_rate_distributions": lambda ax: figures.plot_rate_distributions(UNITS, ax),
    "plot_response_map": lambda ax: figures.plot_response_map(_responses(), ax),
    "plot_running_and_pupil": lambda ax: figures.plot_running_and_pupil(BEHAVIOUR, ax),
    "plot_scene_grid": lambda ax: figures.plot_scene_grid(PICTURES, ax),
    "plot_unit_correlations": lambda ax: figures.plot_unit_correlations(_correlated(), ax),
    "plot_units_in_ccf": lambda ax: figures.plot_units_in_ccf(UNITS, ax),
}


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def points(ax: Any) -> "np.ndarray[Any, Any]":
    return np.concatenate([np.asarray(dots.get_offsets()) for dots in ax.collections])


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_draws_into_the_axes_that_it_is_given_and_returns_them(name: str) -> None:
    figure, axes = plt.subplots(1, 2)
    assert DRAWN[name](axes[0]) is axes[0]
    assert axes[0].figure is figure
    assert not axes[1].has_data()
    figure.canvas.draw()


@pytest.mark.parametrize("name", [name for name in DRAWN if name != "plot_scene_grid"])
def test_a_figure_of_its_own_has_labels_on_both_axes(name: str) -> None:
    ax = DRAWN[name](None)
    ax.figure.canvas.draw()
    second = ax.child_axes[0].get_xlabel() if name == "plot_unit_correlations" else ax.get_ylabel()
    assert ax.get_xlabel()
    assert second


@pytest.mark.parametrize(
    ("name", "units"),
    [("plot_probe_map", "um"), ("plot_units_in_ccf", "um"), ("plot_psth", "spikes/s"), ("plot_mean_waveforms", "uV"),
     ("plot_running_and_pupil", "cm/s")],
)  # fmt: skip
def test_units_are_written_on_the_axis_of_values(name: str, units: str) -> None:
    assert f"({units})" in DRAWN[name](None).get_ylabel()


@pytest.mark.parametrize(
    ("name", "units"),
    [("plot_presentations", "min"), ("plot_running_and_pupil", "min"), ("plot_bins", "ms"), ("plot_psth", "ms"),
     ("plot_raster", "ms"), ("plot_rate_distributions", "spikes/s")],
)  # fmt: skip
def test_units_are_written_on_the_axis_of_time_or_rate(name: str, units: str) -> None:
    assert f"({units})" in DRAWN[name](None).get_xlabel()


def test_plot_probe_map_places_units_at_their_depth_beside_each_other_in_the_column_of_their_probe() -> None:
    ax = figures.plot_probe_map(UNITS)
    drawn = points(ax)
    assert sorted(drawn[:, 1]) == sorted(UNITS["depth"])
    side_by_side = drawn[drawn[:, 1] == 100.0][:, 0]
    assert len(set(side_by_side.round(6))) == 3
    assert abs(side_by_side.mean()) < 1e-9  # probeA is the first column
    assert [label.get_text().split("\n")[0] for label in ax.get_xticklabels()] == ["probeA", "probeB"]
    assert legend(ax) == ["LGd (3)", "VISp (2)", "not given (1)"]


def test_plot_probe_map_draws_the_areas_that_a_probe_passes_through() -> None:
    sites = pd.DataFrame({"probe": ["probeA", "probeA"], "area": ["LGd", "VISp"], "bottom": [0.0, 400.0],
                          "top": [400.0, 1000.0]})  # fmt: skip
    ax = figures.plot_probe_map(UNITS, sites=sites)
    assert [(bar.get_y(), bar.get_height()) for bar in ax.patches] == [(0.0, 400.0), (400.0, 600.0)]


@pytest.mark.parametrize(
    ("plane", "columns"),
    [("sagittal", ["anterior_posterior", "dorsal_ventral"]), ("coronal", ["left_right", "dorsal_ventral"]),
     ("horizontal", ["left_right", "anterior_posterior"])],
)  # fmt: skip
def test_plot_units_in_ccf_shows_two_coordinates_with_the_top_of_the_brain_on_top(plane: Any, columns: Any) -> None:
    ax = figures.plot_units_in_ccf(UNITS, plane=plane)
    drawn = points(ax)
    np.testing.assert_allclose(drawn[np.argsort(drawn[:, 0])], UNITS[columns])
    low, high = ax.get_ylim()
    assert low > high
    assert columns[1].replace("_", " to ") in ax.get_ylabel()


def test_plot_units_in_ccf_refuses_another_plane() -> None:
    with pytest.raises(ConfigError, match="'sagittal', 'coronal' or 'horizontal'"):
        figures.plot_units_in_ccf(UNITS, plane="axial")


def test_plot_presentations_draws_a_bar_for_each_block_and_invalid_times_across() -> None:
    ax = figures.plot_presentations(TIMELINE)
    extents = [(path.get_extents().x0, path.get_extents().x1) for bars in ax.collections for path in bars.get_paths()]
    np.testing.assert_allclose(sorted(extents), [(0.5, 2.0), (2.5, 5.0), (7.0, 9.0)])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gabors (40)", "natural_scenes (170)"]
    [span] = ax.patches
    assert (span.get_x(), span.get_width()) == (pytest.approx(3.0), pytest.approx(0.2))
    assert "not to be trusted" in legend(ax)[0]


def test_plot_scene_grid_draws_every_picture_on_one_scale_with_its_frame_and_repeats() -> None:
    ax = figures.plot_scene_grid(PICTURES, repeats={0: 12, 4: 50})
    assert len(ax.images) == 5
    assert {image.get_clim() for image in ax.images} == {(0.0, 119.0)}
    np.testing.assert_array_equal(ax.images[1].get_array(), PICTURES.sel(frame=2))
    assert texts(ax) == ["0 (12x)", "2 (0x)", "4 (50x)", "6 (0x)", "8 (0x)"]
    boxes = [tuple(image.get_extent()) for image in ax.images]
    assert len(set(boxes)) == 5


def test_plot_scene_grid_draws_some_of_many_and_says_of_how_many() -> None:
    ax = figures.plot_scene_grid(PICTURES, most=2)
    assert texts(ax) == ["0", "8"]
    assert ax.get_title().startswith("2 of 5 pictures")
    with pytest.raises(DataError, match="frame, row and column"):
        figures.plot_scene_grid(PICTURES.rename(frame="scene"))
    with pytest.raises(ConfigError, match="at least 1"):
        figures.plot_scene_grid(PICTURES, most=0)


def _ticks(ax: Any) -> set[tuple[float, float]]:
    return {
        (round(float(tick[0, 0]), 3), round(float(tick[:, 1].mean()), 3))
        for lines in ax.collections
        for tick in lines.get_segments()
    }


def test_plot_raster_by_trial_gives_every_trial_a_row_and_every_class_a_colour() -> None:
    rows = pd.DataFrame({"trial": [1, 3, 2], "target": ["a", "a", "b"]})
    ax = figures.plot_raster(SPIKES, rows=rows, by="trial")
    assert _ticks(ax) == {(10.0, 0.0), (20.0, 0.0), (200.0, 0.0), (100.0, 2.0)}
    assert ax.get_ylabel() == "trials (n = 3)"
    assert {"a", "b", "class"} == set(texts(ax))
    colours = {to_hex(lines.get_color()[0]) for lines in ax.collections if len(lines.get_segments())}
    assert colours == set(theme.PALETTE[:2])


def test_plot_raster_by_unit_puts_several_trials_side_by_side() -> None:
    ax = figures.plot_raster(SPIKES, stop=0.25)
    shift = ax.get_xticks()[2]
    assert shift > 250
    assert _ticks(ax) == {(10.0, 0.0), (20.0, 0.0), (200.0, 1.0), (round(100.0 + shift, 3), 1.0)}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "250", "0", "250"]
    assert {"class a", "class b"} <= set(texts(ax))


def test_plot_raster_by_trial_needs_to_know_the_trials() -> None:
    with pytest.raises(ConfigError, match="columns trial, target"):
        figures.plot_raster(SPIKES.drop(columns="trial"), by="trial")
    with pytest.raises(ConfigError, match="got 'area'"):
        figures.plot_raster(SPIKES, by="area")


def test_plot_psth_draws_a_line_and_a_band_for_each_class() -> None:
    ax = figures.plot_psth(_histogram(), stop=0.2)
    assert [tuple(line.get_ydata()) for line in ax.lines] == [(1.0, 2.0), (1.0, 2.0)]
    assert [tuple(line.get_xdata()) for line in ax.lines] == [(0.0, 100.0)] * 2
    bands = [band.get_paths()[0].get_extents() for band in ax.collections]
    assert [(band.y0, band.y1) for band in bands] == [(0.5, 2.5), (0.5, 2.5)]
    assert legend(ax) == ["a (3 trials)", "b (3 trials)"]
    assert "95 % interval" in ax.get_ylabel()


def test_plot_psth_names_the_probability_of_its_band() -> None:
    assert "90 % interval" in figures.plot_psth(_histogram(), level=0.9).get_ylabel()


def test_plot_psth_refuses_more_lines_than_can_be_told_apart() -> None:
    one = _histogram().iloc[:2]
    many = pd.concat(one.assign(target=str(number)) for number in range(9))
    with pytest.raises(ConfigError, match="at most 8 classes"):
        figures.plot_psth(many)


def test_plot_mean_waveforms_draws_every_unit_and_the_mean_of_its_area() -> None:
    ax = figures.plot_mean_waveforms(WAVES)
    thick = [line for line in ax.lines if line.get_linewidth() == 2.2]
    assert [round(float(np.min(line.get_ydata()))) for line in thick] == [-100, -60]  # LGd, VISp
    assert sum(line.get_linewidth() == 0.5 for line in ax.lines) == 3
    assert [label.get_text() for label in ax.get_xticklabels()] == ["LGd\n1 unit", "VISp\n2 units"]
    assert "1 ms" in texts(ax)
    assert "thin: a unit; thick: the mean over the units of an area" in ax.get_xlabel()


def test_numbers_above_a_thousand_are_written_as_in_the_report() -> None:
    assert [theme.counted(number, "unit") for number in (1, 12, 1428)] == ["1 unit", "12 units", "1,428 units"]
    raster = pd.DataFrame({"unit": range(1428), "area": "VISp"})
    spikes = pd.DataFrame({"time": [0.1], "unit": [7], "area": ["VISp"], "trial": [0], "target": ["7"]})
    assert figures.plot_raster(spikes, rows=raster, stop=0.25).get_ylabel() == "units (n = 1,428)"


def test_plot_rate_distributions_shows_medians_and_does_not_lose_units_that_never_spiked() -> None:
    ax = figures.plot_rate_distributions(UNITS)
    assert len(points(ax)) == 6
    medians = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "|"]
    assert medians == [1.0, 15.0, 4.0]
    assert "1 unit that never spiked" in ax.get_xlabel()
    assert ax.get_xscale() == "log"


def test_plot_response_map_is_symmetric_about_zero_and_marks_areas() -> None:
    responses = _responses()
    ax = figures.plot_response_map(responses)
    [image] = ax.images
    low, high = image.get_clim()
    assert low == -high
    np.testing.assert_allclose(image.get_array(), responses)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["LGd", "VISp"]
    assert "s.d." in ax.figure.axes[-1].get_ylabel()


def test_plot_unit_correlations_has_its_dendrogram_as_first_child_with_a_join_for_each_merge() -> None:
    clustered = _correlated()
    ax = figures.plot_unit_correlations(clustered)
    [image] = ax.images
    assert np.ma.getmaskarray(image.get_array()).sum() == 8  # the diagonal
    tree = ax.child_axes[0]
    [joins] = tree.collections
    assert len(joins.get_segments()) == 7
    heights = [float(join[:, 0].max()) for join in joins.get_segments()]
    np.testing.assert_allclose(sorted(heights), sorted(clustered["linkage"].to_numpy()[:, 2]))
    assert tree.get_ylim() == ax.get_ylim()
    assert "1 - r" in tree.get_xlabel()


def test_plot_embedding_gives_few_classes_a_colour_each() -> None:
    ax = figures.plot_embedding(_embedded([1, 2, 2, 10]))
    assert legend(ax) == ["1 (1)", "2 (2)", "10 (1)"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("first", "second", "4 trials")


def test_plot_embedding_colours_some_of_many_classes_and_no_order_where_there_is_none() -> None:
    ax = figures.plot_embedding(_embedded(np.repeat(np.arange(40), 2)))
    assert len(legend(ax)) == 8
    assert legend(ax)[-1] == "33 others (66)"
    assert len(points(ax)) == 80


def test_plot_embedding_colours_fractions_on_a_scale() -> None:
    ax = figures.plot_embedding(_embedded(np.arange(40), start_time=np.linspace(0, 9.5, 40)), colour="start_time")
    assert ax.get_legend() is None
    assert ax.figure.axes[-1].get_ylabel().startswith("time in the recording (s)")
    with pytest.raises(ConfigError, match="There are: x, y, target"):
        figures.plot_embedding(_embedded([1, 2, 3]), colour="area")


def test_areas_of_a_strip_all_have_colours_of_their_own() -> None:
    tints = unit_order.area_tints(f"area {number}" for number in range(24))
    assert len(set(tints.values())) == 24
    assert list(tints.values())[:8] == list(theme.PALETTE)


def test_plot_running_and_pupil_keeps_both_in_halves_of_one_axes_with_gaps_where_nothing_was_measured() -> None:
    ax = figures.plot_running_and_pupil(BEHAVIOUR)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0, 10, 20, np.nan, 5])
    [upper] = ax.child_axes
    np.testing.assert_array_equal(upper.lines[0].get_ydata(), [900, 1000, 1100, 1000, 950])
    assert ax.get_ylim()[1] > 2 * 20
    assert max(ax.get_yticks()) <= 22
    assert "pixel" in upper.get_ylabel()


def test_plot_running_and_pupil_draws_what_there_is() -> None:
    ax = figures.plot_running_and_pupil(BEHAVIOUR[BEHAVIOUR["measure"] == "pupil_area"])
    assert ax.child_axes == []
    assert "pupil" in ax.get_ylabel()
    with pytest.raises(DataError, match="running_speed or pupil_area"):
        figures.plot_running_and_pupil(BEHAVIOUR.iloc[:0])


def test_plot_bins_draws_edges_and_counts_of_every_cut_and_the_spikes_above() -> None:
    ax = figures.plot_bins(CUTS, spikes=SPIKES)
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    np.testing.assert_allclose(edges, [(0, 250), (0, 125), (125, 250)])
    assert texts(ax) == ["5", "1", "4"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["spikes", "1 bin", "2 bins"]
    assert sum(len(lines.get_segments()) for lines in ax.collections) == len(SPIKES)
    darker = [np.sum(bar.get_facecolor()[:3]) for bar in ax.patches]
    assert darker[2] < darker[0] < darker[1]

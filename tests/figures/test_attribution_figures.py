"""Figures of which units carry a prediction, and of what is left without units."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from spikesight.figures import plot_ablation_curves, plot_area_ablation, plot_unit_importance


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def units(n=30, measure="log_likelihood", depth=True):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "area": np.repeat(["VISp", "LGd", ""], n // 3),
            "depth": rng.uniform(0, 3000, n) if depth else np.nan,
            "measure": measure,
            "importance": np.repeat([0.3, 0.5, 0.0], n // 3) + rng.normal(0, 0.01, n),
            "q_value": np.repeat([0.01, 0.01, 0.6], n // 3),
        }
    )


def ablation(refit=True):
    rows = [
        {"order": order, "how": how, "area": "", "fold": fold, "seed": 0, "n_dropped": round(10 * share),
         "share_dropped": share, "accuracy": 0.6 - slope * share + 0.01 * fold}
        for order, slope in (("most important first", 0.5), ("random", 0.3), ("least important first", 0.1))
        for how in (("mean", "refit") if refit else ("mean",)) for fold in range(3) for share in (0.0, 0.5, 0.9)
    ]  # fmt: skip
    rows += [
        {"order": order, "how": "mean", "area": area, "fold": fold, "seed": 0, "n_dropped": 4, "share_dropped": 0.4,
         "accuracy": value}
        for order, by_area in (
            ("without the area", {"VISp": 0.3, "LGd": 0.5}), ("the area alone", {"VISp": 0.4, "LGd": 0.2})
        )
        for area, value in by_area.items() for fold in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def drawn(collection):
    return len(collection.get_offsets())


def test_every_unit_is_a_point_in_its_area_the_strongest_area_first_and_filled_where_it_carries():
    ax = plot_unit_importance(units())
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert ticks == ["LGd\n100% of 10", "VISp\n100% of 10", "not given\n0% of 10"]
    assert sum(map(drawn, ax.collections)) == 30
    rings = [drawn(points) for points in ax.collections if not len(points.get_facecolor())]
    assert sum(rings) == 10
    assert "nats" in ax.get_ylabel()


@pytest.mark.parametrize("measure", ["margin", "score of the true class"])
def test_the_axis_says_what_was_measured(measure):
    assert "true class" in plot_unit_importance(units(measure=measure)).get_ylabel()


def test_depth_is_on_y_with_a_legend_of_areas():
    ax = plot_unit_importance(units(), by="depth")
    assert "um" in ax.get_ylabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["LGd", "VISp", "not given"]


def test_without_a_depth_a_sentence_stands_instead_and_other_ways_are_refused():
    ax = plot_unit_importance(units(depth=False), by="depth")
    assert "no unit whose depth is known" in ax.texts[0].get_text()
    with pytest.raises(ValueError, match="by='area' or 'depth'"):
        plot_unit_importance(units(), by="layer")


def test_a_line_per_order_and_way_from_all_units_on():
    ax = plot_ablation_curves(ablation())
    assert len(ax.lines) == 6
    assert len(plot_ablation_curves(ablation(refit=False)).lines) == 3
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0, 0.5, 0.9])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.61, 0.36, 0.16])


def test_areas_are_in_the_order_in_which_they_are_missed():
    ax = plot_area_ablation(ablation())
    assert [label.get_text() for label in ax.get_xticklabels()] == ["VISp\n4 units", "LGd\n4 units"]
    assert "all units (61.0%)" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_nothing_to_draw_is_said():
    assert "no area is known" in plot_area_ablation(ablation()[lambda table: table["area"] == ""]).texts[0].get_text()
    assert "no unit was dropped" in plot_ablation_curves(ablation().iloc[:0]).texts[0].get_text()


def test_given_axes_are_drawn_into():
    _, ax = plt.subplots()
    assert plot_unit_importance(units(), ax) is ax
    assert plot_ablation_curves(ablation(), ax) is ax
    assert plot_area_ablation(ablation(), ax) is ax


def test_the_labels_of_two_areas_are_inside_the_figure():
    ax = plot_unit_importance(units().query("area != ''"))
    ax.figure.draw_without_rendering()
    whole, label = ax.figure.bbox, ax.xaxis.label.get_window_extent()
    assert whole.x0 <= label.x0 < label.x1 <= whole.x1

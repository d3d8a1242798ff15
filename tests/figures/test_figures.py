"""What was drawn, not how it looks."""

import subprocess
import sys
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt

from spikesight import figures
from spikesight.figures import theme


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def leaderboard() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "decoder": ["fa-lda", "fa-lda", "lda", "chance"],
            "selection": ["tuned", "default", "tuned", "reference"],
            "accuracy": [0.6, 0.55, 0.5, 0.012],
            "low": [0.58, 0.53, 0.47, 0.01],
            "high": [0.62, 0.57, 0.53, 0.02],
            "chance": [0.012] * 4,
        }
    )


def _points(ax: plt.Axes) -> set[float]:
    return {round(float(x), 4) for line in ax.lines for x in np.atleast_1d(line.get_xdata()) if line.get_marker() != ""}


def test_plot_leaderboard_draws_every_accuracy_with_the_best_decoder_on_top(leaderboard: pd.DataFrame) -> None:
    ax = figures.plot_leaderboard(leaderboard)
    assert {0.6, 0.55, 0.5, 0.012} <= _points(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["chance", "lda", "fa-lda"]


def test_plot_leaderboard_draws_the_interval_from_low_to_high(leaderboard: pd.DataFrame) -> None:
    ax = figures.plot_leaderboard(leaderboard)
    ends = {tuple(np.round(segment[:, 0], 4)) for bars in ax.collections for segment in bars.get_segments()}
    assert {(0.58, 0.62), (0.53, 0.57), (0.47, 0.53)} <= ends


def test_plot_leaderboard_marks_chance_and_writes_percent(leaderboard: pd.DataFrame) -> None:
    ax = figures.plot_leaderboard(leaderboard)
    assert any(list(line.get_xdata()) == [0.012, 0.012] for line in ax.lines)
    assert "chance 1.2%" in [text.get_text() for text in ax.texts]
    assert "(%)" in ax.get_xlabel()


def test_plot_leaderboard_does_not_stop_at_an_interval_that_is_not_known(leaderboard: pd.DataFrame) -> None:
    ax = figures.plot_leaderboard(leaderboard.assign(low=np.nan, high=np.nan))
    assert {0.6, 0.5} <= _points(ax)


def test_plot_leaderboard_tells_searched_from_tuned_rows(leaderboard: pd.DataFrame) -> None:
    searched = leaderboard.iloc[:1].assign(selection="searched", accuracy=0.64)
    ax = figures.plot_leaderboard(pd.concat([leaderboard, searched]))
    assert 0.64 in _points(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "constants searched on training trials", "constants tuned on training trials", "fixed defaults", "reference",
    ]  # fmt: skip


def test_plot_confusion_matrix_draws_row_percentages_whatever_the_order_of_dims() -> None:
    counts = xr.DataArray(
        [[3, 0], [1, 4]], dims=("y_pred", "y_true"), coords={"y_pred": ["a", "b"], "y_true": ["a", "b"]}
    )
    ax = figures.plot_confusion_matrix(counts)
    np.testing.assert_allclose(ax.images[0].get_array(), [[75, 25], [0, 100]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("decoded class", "shown class")


def test_plot_confusion_matrix_leaves_the_row_of_a_class_never_shown_empty() -> None:
    counts = xr.DataArray(
        [[0, 0], [1, 1]], dims=("y_true", "y_pred"), coords={"y_pred": ["a", "b"], "y_true": ["a", "b"]}
    )
    np.testing.assert_allclose(figures.plot_confusion_matrix(counts).images[0].get_array(), [[0, 0], [50, 50]])


def test_plot_per_class_accuracy_sorts_the_best_class_first() -> None:
    ax = figures.plot_per_class_accuracy(
        pd.DataFrame({"label": ["7", "8", "9"], "accuracy": [0.1, 0.9, 0.5]}), chance=0.33
    )
    stems = ax.lines[0]
    np.testing.assert_allclose(stems.get_ydata(), [0.9, 0.5, 0.1])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "9", "7"]
    assert list(ax.lines[1].get_ydata()) == [0.33, 0.33]


def test_plot_raster_draws_one_tick_per_spike_in_ms_on_the_row_of_its_unit() -> None:
    spikes = pd.DataFrame({"time": [0.01, 0.2, 0.1], "unit": [4, 4, 9], "area": ["LGd", "LGd", "VISp"]})
    ax = figures.plot_raster(spikes, stop=0.25)
    drawn = {
        (round(float(tick[0, 0]), 6), round(float(tick[:, 1].mean()), 6))
        for lines in ax.collections
        for tick in lines.get_segments()
    }
    assert drawn == {(10.0, 0.0), (200.0, 0.0), (100.0, 1.0)}
    assert "ms" in ax.get_xlabel()
    assert {"LGd", "VISp"} == {text.get_text() for text in ax.texts}


def test_plot_raster_gives_a_silent_unit_its_row() -> None:
    spikes = pd.DataFrame({"time": [0.01], "unit": [4], "area": ["LGd"]})
    rows = pd.DataFrame({"unit": [1, 4], "area": ["LGd", "LGd"]})
    ax = figures.plot_raster(spikes, rows=rows)
    assert "n = 2" in ax.get_ylabel()
    assert ax.collections[0].get_segments()[0][:, 1].mean() == pytest.approx(1.0)


def test_plot_area_rates_draws_one_line_per_area_with_units_on_the_axes() -> None:
    rates = pd.DataFrame(
        {
            "area": ["VISp", "VISp", "CA1", "CA1"],
            "time": [0.005, 0.015, 0.005, 0.015],
            "mean": [4.0, 6.0, 1.0, 1.5],
            "low": [3.0, 5.0, 0.5, 1.0],
            "high": [5.0, 7.0, 1.5, 2.0],
            "n_units": [10, 10, 3, 3],
        }
    )
    ax = figures.plot_area_rates(rates)
    assert [line.get_label() for line in ax.lines] == ["VISp (10)", "CA1 (3)"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [5, 15])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [4, 6])
    assert ax.get_ylabel() == "mean rate per unit (spikes/s)\nband: 95 % interval over trials"
    assert "(ms)" in ax.get_xlabel()


def test_plot_accuracy_per_session_joins_the_decoders_of_each_session_by_rising_mean() -> None:
    accuracy = pd.DataFrame(
        {
            "session": ["a", "a", "b", "b"],
            "decoder": ["fa-lda", "lda", "fa-lda", "lda"],
            "accuracy": [0.6, 0.5, 0.8, 0.6],
        }
    )
    ax = figures.plot_accuracy_per_session(accuracy)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["lda", "fa-lda"]
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines], [[0.5, 0.6], [0.6, 0.8]])
    means = [segment[0, 1] for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(means, [0.55, 0.7])


def test_a_figure_draws_into_the_axes_it_is_given(leaderboard: pd.DataFrame) -> None:
    _, ax = plt.subplots()
    assert figures.plot_leaderboard(leaderboard, ax=ax) is ax


def test_a_dollar_sign_in_a_label_is_not_taken_for_mathematics(leaderboard: pd.DataFrame) -> None:
    ax = figures.plot_leaderboard(leaderboard.assign(decoder=["$x", "$x", "a$b$_^", "chance"]))
    ax.figure.canvas.draw()


def test_area_colours_are_one_per_area_in_order_of_appearance() -> None:
    assert theme.area_colours(["VISp", "LGd", "VISp"]) == {"VISp": theme.PALETTE[0], "LGd": theme.PALETTE[1]}


def test_every_figure_is_listed_and_no_other_name_is_answered() -> None:
    assert all(callable(getattr(figures, name)) for name in figures.__all__)
    with pytest.raises(AttributeError, match="plot_nothing"):
        figures.plot_nothing  # noqa: B018


def test_importing_figures_does_not_import_matplotlib() -> None:
    code = "import sys, spikesight.figures, spikesight.figures.theme; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

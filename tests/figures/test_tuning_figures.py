"""What was drawn of a search for constants, not how it looks."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex

from candidate_table import candidates, with_values
from spikesight import figures
from spikesight.errors import DataError
from spikesight.figures.theme import PALETTE, REFERENCE
from spikesight.tuning_results import optimisation_history, parallel_coordinates, parameter_importance


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def few() -> pd.DataFrame:
    """Four candidates: finished, pruned, failed, and the winner."""
    values = [{"rate": 1e-4, "graph": "a"}, {"rate": 1e-1, "graph": "b"}, {"rate": 1e-2}, {"rate": 1e-2, "graph": "b"}]
    table = with_values(values, [0.4, 0.2, np.nan, 0.6])
    return table.assign(state=["finished", "pruned", "failed", "finished"], chosen=[False, False, False, True])


def _drawn(ax: plt.Axes, n_points: int) -> list[list[float]]:
    return [list(np.round(line.get_ydata(), 4)) for line in ax.lines if len(line.get_ydata()) == n_points]


def _legend(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_parallel_coordinates_draw_a_line_per_candidate_with_the_winner_in_front(few: pd.DataFrame) -> None:
    ax = figures.plot_parallel_coordinates(*parallel_coordinates(few))
    lines = [line for line in ax.lines if len(line.get_xdata()) == 3]
    none = min(line.get_ydata().min() for line in lines)
    assert none < -0.05
    assert sorted(_drawn(ax, 3)) == sorted([[0, 0, 0.5], [1, 1, 0], [0.6667, none, none], [0.6667, 1, 1]])
    winner = max(lines, key=lambda line: line.get_zorder())
    assert to_hex(winner.get_color()) == REFERENCE
    assert list(np.round(winner.get_ydata(), 4)) == [0.6667, 1, 1]
    assert _legend(ax) == ["winner of a search", "finished (dark: accurate)", "pruned", "failed"]


def test_parallel_coordinates_write_ticks_scales_and_units(few: pd.DataFrame) -> None:
    ax = figures.plot_parallel_coordinates(*parallel_coordinates(few))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["rate (log)", "graph", "inner accuracy"]
    written = [text.get_text() for text in ax.texts]
    assert {"0.0001", "0.001", "0.01", "0.1", "a", "b", "20 %", "60 %"} <= set(written)
    assert written.count("none") == 2  # the graph that one lacks, and the accuracy of the one that failed
    assert "%" in ax.get_xlabel()
    assert "training trials" in ax.get_xlabel()


def test_parallel_coordinates_are_darker_the_higher_the_accuracy() -> None:
    table = with_values([{"x": at} for at in range(4)], [0.1, 0.2, 0.3, 0.4])
    ax = figures.plot_parallel_coordinates(*parallel_coordinates(table))
    lines = [line for line in ax.lines if line.get_marker() == "o" and line.get_linewidth() < 2]
    by_accuracy = sorted(lines, key=lambda line: line.get_ydata()[1])
    assert len(by_accuracy) == 3
    brightness = [sum(line.get_color()[:3]) for line in by_accuracy]
    assert brightness == sorted(brightness, reverse=True)
    assert brightness[0] < 2.9  # a white line is not seen


def test_history_draws_finished_filled_pruned_hollow_and_failed_at_the_bottom(few: pd.DataFrame) -> None:
    ax = figures.plot_optimisation_history(optimisation_history(few))
    marks = [line for line in ax.lines if line.get_linestyle() == "None" and len(line.get_xdata())]
    found = {
        (str(line.get_marker()), str(line.get_markerfacecolor())): (list(line.get_xdata()), list(line.get_ydata()))
        for line in marks
    }
    assert found["o", PALETTE[0]] == ([1, 4], [0.4, 0.6])
    assert found["o", "white"] == ([2], [0.2])
    [(where, height)] = [place for (marker, _), place in found.items() if marker == "x"]
    assert where == [3]
    assert 0 < height[0] < 0.1
    cross = next(line for line in marks if line.get_marker() == "x")
    assert cross.get_transform() == ax.get_xaxis_transform()
    assert _legend(ax) == ["outer fold 0", "finished", "pruned", "failed"]


def test_history_draws_a_step_line_of_the_best_for_each_outer_fold() -> None:
    table = pd.concat([with_values([{}] * 3, [0.2, 0.4, 0.3]), with_values([{}] * 3, [0.5, 0.1, 0.6], fold=1)])
    ax = figures.plot_optimisation_history(optimisation_history(table))
    steps = {line.get_label(): line for line in ax.lines if line.get_drawstyle() == "steps-post"}
    assert list(steps["outer fold 0"].get_ydata()) == [0.2, 0.4, 0.4]
    assert list(steps["outer fold 1"].get_ydata()) == [0.5, 0.5, 0.6]
    assert steps["outer fold 0"].get_color() != steps["outer fold 1"].get_color()
    assert ax.get_xlabel() == "candidate, in order of proposal"
    assert "(%)" in ax.get_ylabel()
    assert "training trials" in ax.get_ylabel()


def test_history_in_minutes_follows_the_order_in_which_candidates_ended() -> None:
    table = with_values([{}] * 3, [0.5, 0.4, 0.45])
    table["started"], table["seconds"] = [0.0, 0.0, 60.0], [180.0, 60.0, 60.0]
    ax = figures.plot_optimisation_history(optimisation_history(table), "minutes")
    step = next(line for line in ax.lines if line.get_drawstyle() == "steps-post")
    assert list(step.get_xdata()) == [1, 2, 3]
    assert list(step.get_ydata()) == [0.4, 0.45, 0.5]
    assert "(min)" in ax.get_xlabel()


def test_history_of_accuracies_that_are_close_writes_each_percentage_once() -> None:
    ax = figures.plot_optimisation_history(optimisation_history(with_values([{}] * 3, [0.581, 0.584, 0.589])))
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    shown = [
        text.get_text() for at, text in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True) if low <= at <= high
    ]
    assert len(set(shown)) == len(shown) > 2


def test_history_names_sessions_and_seeds_where_there_are_several() -> None:
    table = pd.concat([with_values([{}], [0.2]), with_values([{}], [0.2], session="b", seed=1)])
    assert _legend(figures.plot_optimisation_history(optimisation_history(table)))[:2] == [
        "a, outer fold 0, seed 0", "b, outer fold 0, seed 1",
    ]  # fmt: skip


def test_history_with_another_x_is_refused() -> None:
    with pytest.raises(DataError, match="'hours'"):
        figures.plot_optimisation_history(optimisation_history(with_values([{}], [0.2])), "hours")


def test_importance_is_a_bar_with_its_interval_most_important_on_top() -> None:
    table = pd.DataFrame({
        "decoder": "mlp", "parameter": ["rate", "size"], "importance": [0.6, -0.01], "low": [0.5, -0.05],
        "high": [0.75, 0.02], "reason": "",
    })  # fmt: skip
    ax = figures.plot_parameter_importance(table)
    assert [round(bar.get_width(), 4) for bar in ax.patches] == [0.6, -0.01]
    heights = dict(zip([label.get_text() for label in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert heights["rate"] > heights["size"]
    intervals = [tuple(line.get_xdata()) for line in ax.lines]
    assert {(0.5, 0.75), (-0.05, 0.02)} <= set(intervals)
    assert ax.get_xlim()[0] < -0.05
    assert "95 % interval" in ax.get_xlabel()
    assert "(%)" in ax.get_xlabel()


def test_importance_that_is_not_known_is_its_reason() -> None:
    ax = figures.plot_parameter_importance(parameter_importance(candidates(folds=1, n=8)))
    assert not ax.patches
    assert "7 candidates with an accuracy, 20 are needed" in [text.get_text() for text in ax.texts]


@pytest.fixture
def board() -> pd.DataFrame:
    rows = [
        {"session": session, "decoder": decoder, "selection": selection, "accuracy": 0.3 + gain + more, "chance": 0.1}
        for session, more in (("a", 0.0), ("b", 0.1))
        for decoder in ("mlp", "$t")
        for selection, gain in (("searched", 0.2), ("default", 0.0), ("tuned", 0.1), ("reference", -0.2))
    ]
    table = pd.DataFrame(rows)
    return table.assign(low=table["accuracy"] - 0.02, high=table["accuracy"] + 0.03)


def test_tuned_against_default_joins_the_rows_of_one_session_and_decoder(board: pd.DataFrame) -> None:
    ax = figures.plot_tuned_against_default(board)
    joined = [list(np.round(y, 4)) for y in (line.get_ydata() for line in ax.lines) if len(y) == 3]
    assert joined == [[0.3, 0.4, 0.5]] * 2 + [[0.4, 0.5, 0.6]] * 2
    bars = {tuple(np.round(segment[:, 1], 4)) for bars in ax.collections for segment in bars.get_segments()}
    assert {(0.28, 0.33), (0.48, 0.53)} <= bars
    assert [label.get_text() for label in ax.get_xticklabels()] == ["default", "tuned (presets)", "searched"] * 2
    assert _legend(ax) == ["a", "b"]
    assert {"mlp", r"\$t", "chance 10.0%"} == {text.get_text() for text in ax.texts}
    assert any(list(line.get_ydata()) == pytest.approx([0.1, 0.1]) for line in ax.lines)
    assert "test trials (%)" in ax.get_ylabel()
    ax.figure.canvas.draw()


def test_tuned_against_default_leaves_out_decoders_of_one_kind_and_kinds_that_were_not_run(board: pd.DataFrame) -> None:
    own = board[(board["selection"] != "tuned") & ~((board["decoder"] == "$t") & (board["selection"] == "searched"))]
    ax = figures.plot_tuned_against_default(own)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["default", "searched"]
    assert "mlp" in [text.get_text() for text in ax.texts]
    only = figures.plot_tuned_against_default(board[board["selection"] == "default"])
    assert "no decoder has rows of two kinds" in [text.get_text() for text in only.texts]


def test_figures_of_several_decoders_are_refused() -> None:
    table = candidates(("mlp", "lstm"), folds=1, n=4)
    with pytest.raises(DataError, match="mlp, lstm"):
        figures.plot_parallel_coordinates(*parallel_coordinates(table))
    with pytest.raises(DataError, match="mlp, lstm"):
        figures.plot_optimisation_history(optimisation_history(table))
    with pytest.raises(DataError, match="mlp, lstm"):
        figures.plot_parameter_importance(parameter_importance(table))


def test_tuning_figures_draw_into_the_axes_they_are_given(few: pd.DataFrame, board: pd.DataFrame) -> None:
    for draw, data in (
        (figures.plot_parallel_coordinates, tuple(parallel_coordinates(few))),
        (figures.plot_optimisation_history, (optimisation_history(few),)),
        (figures.plot_parameter_importance, (parameter_importance(few),)),
        (figures.plot_tuned_against_default, (board,)),
    ):
        _, ax = plt.subplots()
        assert draw(*data, ax=ax) is ax


def test_tuning_figures_of_names_with_dollar_signs_and_of_failed_candidates_alone_can_be_drawn() -> None:
    table = with_values([{"$x": "$a$b"}, {"$x": "$_^"}], [np.nan, np.nan]).assign(state="failed", chosen=False)
    for ax in (
        figures.plot_parallel_coordinates(*parallel_coordinates(table)),
        figures.plot_optimisation_history(optimisation_history(table)),
        figures.plot_parameter_importance(parameter_importance(table)),
        figures.plot_parallel_coordinates(*parallel_coordinates(table.iloc[:0])),
    ):
        ax.figure.canvas.draw()

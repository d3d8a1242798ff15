import numpy as np
import pandas as pd
import pytest

from spikesight.figures import plot_calibration, plot_validation_curve, plot_validation_scores


@pytest.fixture
def means():
    rows = [
        {"method": name, "network": "reference", "duration": 60.0 * minutes, "auroc": value + 0.01 * minutes}
        for name, value in (("granger", 0.9), ("<b>$x$", 0.5), ("broken", np.nan))
        for minutes in (5, 2)
    ]
    table = pd.DataFrame(rows)
    return table.assign(auroc_low=table.auroc - 0.02, auroc_high=table.auroc + 0.02, false_positives_5pct=0.05)


def test_scores_are_sorted_with_the_best_on_top_and_failed_methods_left_out(means):
    ax = plot_validation_scores(means[means.duration == 300])

    assert [label.get_text() for label in ax.get_yticklabels()] == [r"<b>\$x\$", "granger"]
    points = next(line for line in ax.lines if line.get_marker() == "o")
    assert points.get_xdata().tolist() == pytest.approx([0.55, 0.95])
    assert "chance" in ax.get_xlabel()


def test_a_curve_runs_from_short_to_long_in_minutes(means):
    ax = plot_validation_curve(means, "duration")

    assert ax.get_xlabel() == "length of the recording (min)"
    line = next(line for line in ax.lines if line.get_label() == "granger")
    assert line.get_xdata().tolist() == pytest.approx([2, 5])
    assert line.get_ydata().tolist() == pytest.approx([0.92, 0.95])
    assert ax.get_ylim()[1] == 1.0


def test_calibration_shows_what_the_level_promises_and_leaves_out_methods_without_p_values(means):
    table = pd.concat([means.assign(network="gain", false_positives_5pct=0.2), means])
    table.loc[table.method == "broken", "false_positives_5pct"] = np.nan
    ax = plot_calibration(table)

    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["gain", "reference"]
    assert len(ax.get_yticks()) == 2
    assert ax.lines[-1].get_xdata() == [0.05, 0.05]

"""Figures of decoding: what was drawn, from tables made by hand."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt

from spikesight import figures
from spikesight.decoding_results import class_accuracy, learning_curves, reliability
from spikesight.errors import ConfigError, DataError
from spikesight.figures.confusion import count_confusions, order_by_similarity, short_labels


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def confusion() -> xr.DataArray:
    """Classes a, c are taken for each other, and b, d; e for none."""
    labels = ["a", "b", "c", "d", "e"]
    counts = np.diag([6, 6, 6, 6, 10])
    for one, other in ((0, 2), (1, 3)):
        counts[one, other], counts[other, one] = 4, 3
    return xr.DataArray(counts, dims=("y_true", "y_pred"), coords={"y_true": labels, "y_pred": labels})


def test_classes_that_are_taken_for_each_other_stand_side_by_side(confusion: xr.DataArray) -> None:
    order = order_by_similarity(confusion)
    assert sorted(order) == ["a", "b", "c", "d", "e"]
    assert abs(order.index("a") - order.index("c")) == 1
    assert abs(order.index("b") - order.index("d")) == 1
    assert order_by_similarity(confusion.transpose("y_pred", "y_true")) == order


def test_classes_whose_responses_correlate_stand_side_by_side(confusion: xr.DataArray) -> None:
    rate = {"a": [1, 2, 3], "b": [3, 2, 1], "c": [5, 1, 5], "d": [2, 4, 6.5], "e": [9, 6, 2]}
    responses = xr.DataArray(list(rate.values()), dims=("y_true", "unit"), coords={"y_true": list(rate)})
    order = order_by_similarity(confusion, responses)
    assert abs(order.index("a") - order.index("d")) == 1
    assert abs(order.index("b") - order.index("e")) == 1
    with pytest.raises(DataError, match=r"missing: \['e'\]"):
        order_by_similarity(confusion, responses.isel(y_true=slice(4)))
    with pytest.raises(DataError, match="finite"):
        order_by_similarity(confusion, responses * np.nan)


def test_a_confusion_matrix_is_drawn_in_the_order_that_is_asked_for(confusion: xr.DataArray) -> None:
    order = ["e", "c", "a", "d", "b"]
    ax = figures.plot_confusion_matrix(confusion, order=order)
    assert [label.get_text() for label in ax.get_xticklabels()] == order
    drawn = ax.images[0].get_array()
    assert (drawn[0, 0], drawn[2, 1], drawn[1, 2]) == (100, pytest.approx(40), pytest.approx(100 / 3))
    similar = figures.plot_confusion_matrix(confusion, order="similarity")
    assert [label.get_text() for label in similar.get_yticklabels()] == order_by_similarity(confusion)
    assert "side by side" in similar.get_xlabel()
    with pytest.raises(DataError, match="each once"):
        figures.plot_confusion_matrix(confusion, order=["a", "b", "c", "d", "d"])


def test_labels_that_share_their_names_are_written_briefly() -> None:
    assert short_labels(["x=-20, y=5", "x=0, y=0"]) == (["-20, 5", "0, 0"], "x, y")
    assert short_labels(["x=1", "y=1"]) == (["x=1", "y=1"], "")
    assert short_labels(["7", "-1"]) == (["7", "-1"], "")
    ax = figures.plot_confusion_matrix(count_confusions(["x=1, y=2", "x=3, y=4"], ["x=1, y=2", "x=1, y=2"]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1, 2", "3, 4"]
    assert ax.get_xlabel() == "decoded class (x, y)"


def _classes() -> pd.DataFrame:
    shown = np.repeat(["0", "1", "2", "-1"], 10)
    decoded = shown.copy()
    decoded[10:13] = "2"
    decoded[20:28] = ["0"] * 5 + ["1"] * 3
    decoded[30:36] = "1"
    return class_accuracy(pd.DataFrame({"y_true": shown, "y_pred": decoded, "correct": shown == decoded}))


def test_the_easiest_and_the_hardest_classes_are_drawn_above_their_pictures() -> None:
    images = xr.DataArray(
        np.arange(3.0)[:, None, None] * np.ones((3, 4, 5)), dims=("frame", "row", "column"), coords={"frame": [0, 1, 2]}
    )
    ax = figures.plot_class_pictures(_classes(), images, n=2, chance=0.25)
    heights = [float(y) for line in ax.lines if line.get_marker() == "o" for y in line.get_ydata()]
    assert heights == [1.0, 0.7, 0.4, 0.2]
    captions = [child.get_xlabel() for child in ax.child_axes]
    assert captions[0] == "0\n100 % of 10"
    assert captions[3] == "2\n20 % of 10\nor taken for 0"
    shown = [float(child.images[0].get_array().mean()) if child.images else None for child in ax.child_axes]
    assert shown == [0.0, 1.0, None, 2.0]
    assert [text.get_text() for text in ax.child_axes[2].texts] == ["grey screen"]
    assert all(child.images[0].get_clim() == (0, 2) for child in ax.child_axes if child.images)
    assert {"the 2 easiest", "the 2 hardest", "chance 25.0%"} <= {text.get_text() for text in ax.texts}


def test_pictures_may_be_a_mapping_and_a_class_may_have_none() -> None:
    ax = figures.plot_class_pictures(_classes(), {2: np.eye(3)}, n=9)
    assert len(ax.child_axes) == 4  # each class once
    assert [len(child.images) for child in ax.child_axes] == [0, 0, 0, 1]
    assert ax.child_axes[0].texts[0].get_text() == "no picture"
    with pytest.raises(ConfigError, match="n of at least 1"):
        figures.plot_class_pictures(_classes(), {}, n=0)


def test_accuracy_is_drawn_against_a_number_with_intervals_and_chance() -> None:
    table = pd.DataFrame(
        {
            "decoder": ["lda"] * 3 + ["lstm"], "selection": "default", "value": [1.0, 5.0, 20.0, 5.0],
            "accuracy": [0.3, 0.4, 0.35, 0.5], "low": [0.25, 0.35, 0.3, 0.45], "high": [0.35, 0.45, 0.4, 0.55],
            "chance": 0.1,
        }
    )  # fmt: skip
    ax = figures.plot_accuracy_against(table, "n_bins")
    assert ax.get_xscale() == "log"
    ticks = [tick for tick in ax.get_xticks()]
    assert ticks == [1, 5, 20]
    lines = [line for line in ax.lines if line.get_marker() in "os" and len(line.get_xdata())]
    np.testing.assert_allclose(lines[0].get_ydata(), [0.3, 0.4, 0.35])
    np.testing.assert_allclose(lines[0].get_xdata(), [1, 5, 20], rtol=0.05)
    ends = {tuple(np.round(part[:, 1], 3)) for bars in ax.collections for part in bars.get_segments()}
    assert {(0.25, 0.35), (0.45, 0.55)} <= ends
    assert "chance 10.0%" in [text.get_text() for text in ax.texts]
    assert "bins of a trial" in ax.get_xlabel()
    assert "(%)" in ax.get_ylabel()


def _predictions(confidence: list[float], correct: list[bool], decoder: str = "lda") -> pd.DataFrame:
    return pd.DataFrame({"decoder": decoder, "selection": "default", "confidence": confidence, "correct": correct})


def test_reliability_is_drawn_with_the_number_of_trials_of_each_bin_and_the_calibration_error() -> None:
    table = reliability(_predictions([0.15, 0.15, 0.95, 0.95], [False, True, True, True]))
    ax = figures.plot_reliability(table)
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_xydata(), [[0.15, 0.5], [0.95, 1.0]])
    [strip] = ax.child_axes
    assert [bar.get_height() for bar in strip.patches] == [2, 2]
    assert [text.get_text() for text in strip.texts] == ["2", "2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["lda: 20.0 %"]
    assert "(%)" in ax.get_xlabel()


def test_reliability_without_probabilities_says_so() -> None:
    ax = figures.plot_reliability(reliability(_predictions([np.nan], [True])))
    assert ax.texts[0].get_text() == "no decoder has probabilities"


@pytest.fixture
def epochs() -> pd.DataFrame:
    rows = [
        {"session": "s", "decoder": "lstm", "selection": "default", "fold": fold, "seed": 0, "epoch": epoch,
         "loss": 2 - 0.3 * epoch - 0.1 * fold, "accuracy": 0.2 * epoch, "valid_loss": 2 + abs(epoch - 1 - fold),
         "valid_accuracy": 0.1 * epoch}
        for fold in (0, 1) for epoch in range(4)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("measure", "kept"), [("loss", [[2, 2.0], [3, 2.0]]), ("accuracy", [[2, 0.1], [3, 0.2]])])
def test_learning_curves_have_thin_folds_a_thick_mean_and_the_epoch_that_was_kept(
    epochs: pd.DataFrame, measure: str, kept: list[list[float]]
) -> None:
    ax = figures.plot_learning_curves(learning_curves(epochs), measure)
    thin = [line for line in ax.lines if line.get_linewidth() == 0.7]
    thick = [line for line in ax.lines if line.get_linewidth() == 2.2]
    assert (len(thin), len(thick)) == (4, 2)
    np.testing.assert_allclose(thick[0].get_ydata(), epochs.groupby("epoch")[measure].mean())
    np.testing.assert_allclose(thick[0].get_xdata(), [1, 2, 3, 4])
    diamonds = next(line for line in ax.lines if line.get_marker() == "D")
    np.testing.assert_allclose(diamonds.get_xydata(), kept)
    assert "lowest validation loss" in diamonds.get_label()
    assert ("nats" in ax.get_ylabel()) == (measure == "loss")


def test_without_validation_trials_the_last_epoch_is_marked(epochs: pd.DataFrame) -> None:
    ax = figures.plot_learning_curves(learning_curves(epochs.assign(valid_loss=np.nan, valid_accuracy=np.nan)))
    diamonds = next(line for line in ax.lines if line.get_marker() == "D")
    np.testing.assert_allclose(diamonds.get_xydata(), [[4, 1.1], [4, 1.0]])
    assert diamonds.get_label() == "kept: the last epoch"


def test_learning_curves_of_two_decoders_are_refused(epochs: pd.DataFrame) -> None:
    both = learning_curves(pd.concat([epochs, epochs.assign(decoder="mlp")]))
    with pytest.raises(DataError, match=r"lstm \(default\), mlp \(default\)"):
        figures.plot_learning_curves(both)
    with pytest.raises(DataError, match="'loss' or 'accuracy'"):
        figures.plot_learning_curves(learning_curves(epochs), "speed")  # type: ignore[arg-type]


def _trials(n_classes: int) -> pd.DataFrame:
    shown = np.arange(40) % n_classes
    decoded = np.where(np.arange(40) < 6, (shown + 1) % n_classes, shown)
    angle = 2 * np.pi * shown / n_classes
    return pd.DataFrame(
        {"x": np.cos(angle), "y": np.sin(angle), "y_true": shown, "y_pred": decoded, "correct": shown == decoded}
    )


def test_wrong_trials_of_few_classes_have_the_colour_of_what_they_were_taken_for() -> None:
    ax = figures.plot_misclassified_trials(_trials(4), axes_are="PCA")
    assert ax.get_title(loc="left") == "6 of 40 test trials decoded wrongly"
    dots = sum(len(points.get_offsets()) for points in ax.collections[:4])
    crosses = [len(points.get_offsets()) for points in ax.collections[4:8]]
    assert (dots, crosses) == (40, [1, 2, 2, 1])
    colours = [tuple(points.get_facecolor()[0][:3]) for points in ax.collections[:4]]
    assert [tuple(points.get_edgecolor()[0][:3]) for points in ax.collections[4:8]] == colours
    assert ax.get_xlabel().startswith("PCA")


def test_wrong_trials_of_many_classes_lead_to_the_class_they_were_taken_for() -> None:
    ax = figures.plot_misclassified_trials(_trials(20), most_named=2)
    assert {"0, taken for 1", "5, taken for 6"} == {text.get_text() for text in ax.texts}
    ends = [line.get_xydata()[1] for line in ax.lines if len(line.get_xdata()) == 2]
    angle = 2 * np.pi * np.array([1, 6]) / 20
    np.testing.assert_allclose(ends, np.column_stack([np.cos(angle), np.sin(angle)]))
    assert len(ax.collections[1].get_offsets()) == 6


def test_trials_without_a_place_are_refused() -> None:
    with pytest.raises(DataError, match=r"missing: \['x'\]"):
        figures.plot_misclassified_trials(_trials(4).drop(columns="x"))

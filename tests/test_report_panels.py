"""What the panels of a report hold: rasters within their budget, curves of networks, calibration, pictures."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from example_run import write_epochs, write_run
from page_reading import EVIL, data_of, markup_of
from spikesight.figures.confusion import similar_order
from spikesight.records.merged_runs import against_bins, pool_runs
from spikesight.records.run_record import read_run
from spikesight.reports.numbers import brief, count, points
from spikesight.reports.pictures import MOST_BYTES, thumbnails
from spikesight.reports.report import render
from spikesight.reports.spikes import raster_panel
from spikesight.reports.text import methods_to_paste
from spikesight.reports.training import calibration_panel, epochs_panel


def _raster(n_classes: int = 3, n_repeats: int = 4, n_units: int = 5, each: int = 2) -> dict[str, Any]:
    row = np.repeat(np.arange(n_units), each)[::-1].tolist()
    time = np.arange(len(row)).astype(float).tolist()
    trials = [{"repeat": repeat, "row": row, "time": time} for repeat in range(n_repeats)]
    return {
        "window": [-0.05, 0.3], "stop": 0.25, "units": [[at, "VISp"] for at in range(n_units)],
        "classes": [{"label": str(at), "trials": trials} for at in range(n_classes)],
    }  # fmt: skip


def test_a_raster_is_written_unit_after_unit_and_loses_no_spike() -> None:
    panel = raster_panel(_raster(), 1)
    assert panel is not None
    trial = panel["classes"][0]["trials"][0]
    assert trial["n"] == [2, 2, 2, 2, 2]
    assert trial["time"] == [80, 90, 60, 70, 40, 50, 20, 30, 0, 10]
    assert panel["units"][0] == [0, "VISp", None]
    assert panel["left_out"] == ""


@pytest.mark.parametrize(
    ("most", "classes", "repeats", "told"),
    [
        (1000, 6, 8, ""),
        (240, 6, 4, "4 of 8 repeats"),
        (100, 3, 3, "5 of 8 repeats and 3 of 6 classes"),
        (1, 1, 1, "7 of 8 repeats and 5 of 6 classes"),
    ],
)
def test_a_raster_beyond_its_budget_loses_repeats_then_classes_and_says_so(
    monkeypatch: pytest.MonkeyPatch, most: int, classes: int, repeats: int, told: str
) -> None:
    monkeypatch.setattr("spikesight.reports.spikes.MOST_SPIKES", 2 * most)
    panel = raster_panel(_raster(6, 8), 2)
    assert panel is not None
    assert len(panel["classes"]) == classes
    assert len(panel["classes"][0]["trials"]) == repeats
    assert panel["left_out"] == told
    assert raster_panel(None, 1) is None


def test_the_page_says_which_repeats_it_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikesight.reports.spikes.MOST_SPIKES", 900)
    page = render(read_run(write_run(tmp_path / "run")))
    assert "To keep this page small 1 of 3 repeats were left out" in markup_of(page) or "classes were left out" in page


def test_curves_of_networks_are_means_over_the_fits_that_got_as_far() -> None:
    rows = [
        {"session": "a", "decoder": "mlp", "selection": "default", "fold": fold, "seed": 0, "epoch": epoch,
         "loss": 1.0 + fold - 0.1 * epoch, "accuracy": 0.5, "valid_loss": np.nan, "valid_accuracy": np.nan}
        for fold, epochs in ((0, 3), (1, 2)) for epoch in range(epochs)
    ]  # fmt: skip
    [curve] = epochs_panel(pd.DataFrame(rows), "a")
    assert curve["epoch"] == [1, 2, 3]
    assert curve["loss"] == [1.5, 1.4, 0.8]
    assert curve["valid_loss"] == [None] * 3
    assert (curve["n_fits"], curve["n_left"]) == (2, 1)
    assert epochs_panel(pd.DataFrame(rows), "b") == []
    assert epochs_panel(None, "a") == []


def test_long_curves_are_thinned() -> None:
    rows = pd.DataFrame({"epoch": range(1000), "loss": 1.0, "accuracy": 0.5, "valid_loss": 1.0, "valid_accuracy": 0.5})
    [curve] = epochs_panel(rows.assign(session="a", decoder="mlp", selection="default", fold=0, seed=0), "a")
    assert 100 < len(curve["epoch"]) <= 150


def test_calibration_of_a_decoder_that_is_too_sure() -> None:
    trials = pd.DataFrame(
        {"session": "a", "decoder": "mlp", "selection": "default", "confidence": 0.9, "row": range(10)}
    )
    trials["correct"] = trials["row"] < 6
    silent = trials.assign(decoder="svc", confidence=np.nan)
    table = pd.DataFrame({"decoder": ["svc", "mlp"], "selection": "default"})
    [found] = calibration_panel(pd.concat([trials, silent]), table)
    assert found["decoder"] == "mlp"
    assert found["error"] == pytest.approx(0.3)
    [[sure, right, low, high, n]] = found["levels"]
    assert (sure, right, n) == (0.9, 0.6, 10)
    assert low < 0.6 < high


def test_full_confidence_is_in_the_last_level() -> None:
    trials = pd.DataFrame({"session": "a", "decoder": "x", "selection": "default", "confidence": [1.0000001, 0.0]})
    [found] = calibration_panel(trials.assign(correct=[True, False]), trials.head(1))
    assert [[*level[:2], level[4]] for level in found["levels"]] == [[0.0, 0.0, 1], [1.0, 1.0, 1]]
    assert found["error"] == 0


def test_panels_of_networks_and_calibration_without_data_say_why(tmp_path: Path) -> None:
    page = render(read_run(write_run(tmp_path / "run")))
    assert "Loss and accuracy per epoch left out: no decoder of this session was trained in epochs." in page
    assert "Calibration left out: no decoder of this session gave probabilities." in page
    assert "Pictures of the classes left out: write this page again with `spikesight report RUN --images" in page


def test_a_run_with_networks_shows_their_curves_and_hostile_names_as_text(tmp_path: Path) -> None:
    run = write_epochs(write_run(tmp_path / "run"), decoder=EVIL)
    page = render(read_run(run))
    assert EVIL not in page
    assert data_of(page)["sessions"][0]["epochs"][0]["decoder"] == EVIL
    assert 'data-plot="loss"' in page


def test_classes_that_are_taken_for_each_other_stand_together() -> None:
    counts = np.eye(6) * 10
    for one, other in ((0, 3), (1, 4), (2, 5)):
        counts[one, other] = counts[other, one] = 5
    order = similar_order(counts)
    assert sorted(order) == list(range(6))
    assert all(abs(order.index(one) - order.index(other)) == 1 for one, other in ((0, 3), (1, 4), (2, 5)))
    assert similar_order(np.zeros((2, 2))) == [0, 1]
    assert sorted(similar_order(np.zeros((4, 4)))) == [0, 1, 2, 3]


def test_thumbnails_are_small_pictures_of_the_frames_that_are_named() -> None:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (3, 174, 310)).astype(np.uint8)
    images = xr.DataArray(noise, dims=("frame", "row", "column"), coords={"frame": [0, 4, 7]})
    found = thumbnails(images, ["-1", "4", "7", "4"])
    assert list(found) == ["4", "7"]
    for address in found.values():
        assert len(address) <= MOST_BYTES
        head, data = address.split(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert picture.width / picture.height == pytest.approx(310 / 174, rel=0.1)


def test_pictures_are_on_the_page_where_classes_are_frames(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path / "run"))
    images = xr.DataArray(np.zeros((12, 8, 9)), dims=("frame", "row", "column"), coords={"frame": range(12)})
    data = data_of(render(record, images))
    assert list(data["pictures"]) == [str(frame) for frame in range(12)]
    assert data["sessions"][0]["pictured"] is True
    others = images.assign_coords(frame=range(100, 112))
    assert "Pictures of the classes left out: no image has the number of a class." in render(record, others)
    record.cards[0]["target"] = "orientation"
    page = render(record, images)
    assert "pictures" not in data_of(page)
    assert "Pictures of the classes left out: classes are not frames." in page


def test_accuracy_against_bins_is_drawn_where_runs_of_the_same_sessions_differ_in_them(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name) for name in ("one", "five")]
    table = pd.read_parquet(runs[1] / "results.parquet").assign(n_bins=5)
    table.to_parquet(runs[1] / "results.parquet", index=False)
    pools = pool_runs([read_run(run) for run in runs])
    found = against_bins(pools)
    assert found is not None
    assert (found["bins"], found["n_sessions"], found["also"]) == ([1, 5], 1, [])
    assert len(found["rows"]) == 8
    assert "Accuracy against the number of bins" in render([read_run(run) for run in runs])
    assert against_bins(pools[:1]) is None
    other = read_run(write_run(tmp_path / "other", session="b {}"))
    assert against_bins([pools[0], *pool_runs([other])]) is None


def test_the_paragraph_for_a_paper_names_data_decoders_terms_and_version(tmp_path: Path) -> None:
    text = methods_to_paste(read_run(write_run(tmp_path / "run")))
    assert text.startswith("Which frame of natural_scenes was shown was decoded from spike counts (40 units in VISp")
    assert "with spikesight 0.1.0. Units were kept by quality = good. Decoders: fa-lda, lda, svc-linear. " in text
    assert "minus best" not in text
    assert "(block-kfold, 2 folds); 10 trials on either side" in text
    assert "  " not in text
    assert ".." not in text


def test_numbers_are_written_in_one_way() -> None:
    assert count(1428) == "1,428"
    assert points(-0.00001) == points(0.0) == "0.0"
    assert points(-0.012) == "\N{MINUS SIGN}1.2"
    assert brief(0.012345) == "0.0123"
    assert brief(None) == "-"

"""Every figure that a run has data for, as files, and a reason for each that it has none for."""

import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

mpl.use("Agg")

import matplotlib.pyplot as plt

from counts_by_hand import counts_of
from example_run import write_run
from spikesight.connectivity_config import load_connectivity_config
from spikesight.connectivity_run import run_connectivity
from spikesight.data.counts import write_counts
from spikesight.demo import save_simulation
from spikesight.errors import FileFormatError, OutputError, RunDirectoryError, UnknownNameError
from spikesight.gallery.run_figures import draw_run, figure_names
from spikesight.gallery.run_pictures import _agreement
from spikesight.tracking.epochs import EPOCH_COLUMNS, EPOCHS_TABLE
from spikesight.tracking.graph_records import GraphCell, write_graph, write_graphs
from spikesight.tracking.progress import Silent
from spikesight.tracking.run_directory import RunDirectory


class Listener(Silent):
    """Keeps how far it is."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []

    def advance(self, task: str, done: int, total: int) -> None:
        """Keep one step."""
        self.steps.append((task, done, total))


def _names(files: list[Path]) -> list[str]:
    assert all(file.is_file() and file.stat().st_size > 500 for file in files)
    return [file.name for file in files]


def _with_decoders(run: Path, **params: Any) -> Path:
    config = yaml.safe_load((run / "config.yaml").read_text())
    given = {name: value for name, value in params.items() if value}
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "decoders": list(params), "params": given}))
    return run


def _add_epochs(run: Path) -> None:
    key = {"session": "session 0", "decoder": "lstm", "selection": "default", "seed": 0}
    rows = [{**key, "fold": fold, "epoch": epoch, "loss": 2.0 - epoch} for fold in (0, 1) for epoch in range(3)]
    pd.DataFrame(rows, columns=list(EPOCH_COLUMNS)).fillna(0.5).to_parquet(run / EPOCHS_TABLE)


def _add_graphs(folder: Path, run: Path) -> None:
    """Write the graphs of a decoder per bin, and of one for all bins, as a benchmark does."""
    rng = np.random.default_rng(0)
    units = {"source_unit": range(5), "target_unit": range(5)}
    per_bin = xr.DataArray(rng.random((3, 5, 5)), {"bin": range(3), **units}, ("bin", *units))
    with RunDirectory(folder, {}) as made:
        cells = [GraphCell("a", "session 0", "st-gat", "default", 0), GraphCell("b", "session 0", "gcn", "default", 0)]
        write_graph(per_bin, made.path, "a")
        write_graph(per_bin.mean("bin"), made.path, "b")
        write_graphs(made, cells, {"session 0": dict.fromkeys(range(5), "VISp")})
    for name in ("adjacency.nc", "edges.parquet"):
        (run / name).write_bytes((folder / name).read_bytes())


def test_every_figure_that_a_benchmark_has_data_for_is_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", searched=("fa-lda",))
    _with_decoders(run, **{"fa-lda": None, "lstm": {"hidden_size": 77}})
    _add_epochs(run)
    _add_graphs(tmp_path / "graphs", run)
    open_before = plt.get_fignums()  # other tests of this process may have left some
    files, left_out = draw_run(run, tmp_path / "out")
    assert _names(files) == [
        "leaderboard.png", "confusion.png", "class_accuracy.png", "learning-lstm-default.png", "architecture-lstm.png",
        "graph_per_bin-st-gat-default.gif", "tuning_gain.png", "search_history-fa-lda.png",
        "search_coordinates-fa-lda.png", "search_importance-fa-lda.png", "raster.png", "area_rates.png",
    ]  # fmt: skip
    assert {file.name for file in (tmp_path / "out").iterdir()} == set(_names(files))  # nothing half-written beside
    assert set(left_out) == {"accuracy_per_session", "class_pictures", "wrong_trials", "reliability"}
    assert "one session" in left_out["accuracy_per_session"]
    assert "do not hold the pictures" in left_out["class_pictures"]
    assert "session 0.nwb" in left_out["wrong_trials"]
    assert "probabilities" in left_out["reliability"]
    assert plt.get_fignums() == open_before


def test_a_raster_of_a_run_shows_so_few_presentations_that_their_names_stand_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run")
    [file] = (run / "panels").glob("*")
    panels = json.loads(file.read_text())
    shown = panels["raster"]["classes"]
    panels["raster"]["classes"] = [{**shown[at % 4], "label": str(at)} for at in range(12)]
    file.write_text(json.dumps(panels))
    drawn = []
    monkeypatch.setattr("spikesight.gallery.run_figures.save_figure", lambda ax, path: drawn.append(ax) or path)
    draw_run(run, tmp_path / "out", only=["raster"])
    figure = drawn[0].figure
    figure.draw_without_rendering()
    names = [text for text in drawn[0].texts if text.get_text().startswith("class ")]
    assert [name.get_text() for name in names] == ["class 0", "class 4", "class 7", "class 11"]
    ends = [name.get_window_extent() for name in names]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(ends))


def test_a_run_without_searches_graphs_and_panels_says_so(tmp_path: Path) -> None:
    run = _with_decoders(write_run(tmp_path / "run", panels=False), **{"fa-lda": None})
    wanted = ["learning", "architecture", "graph_per_bin", "search_history", "raster", "area_rates"]
    files, left_out = draw_run(run, tmp_path / "out", only=wanted)
    assert files == []
    assert set(left_out) == set(wanted)
    assert "epochs" in left_out["learning"]
    assert "network" in left_out["architecture"]
    assert "searched" in left_out["search_history"]
    assert "spike counts, not spike times" in left_out["raster"]


def test_figures_of_several_sessions_have_their_names_in_safe_file_names(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n_sessions=2, session="../a {}")
    heard = Listener()
    wanted = ["leaderboard", "accuracy_per_session", "area_rates"]
    files, left_out = draw_run(run, tmp_path / "out", only=wanted, progress=heard)
    assert heard.steps == [("drawing", done, 6) for done in range(7)]
    assert _names(files) == [
        "leaderboard.png", "leaderboard-..%2Fa_0.png", "leaderboard-..%2Fa_1.png", "accuracy_per_session.png",
        "area_rates-..%2Fa_0.png", "area_rates-..%2Fa_1.png",
    ]  # fmt: skip
    assert all(file.parent == tmp_path / "out" for file in files)
    assert left_out == {}


def test_the_figure_is_in_the_format_that_is_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    [file], _ = draw_run(run, tmp_path / "out", only=["leaderboard"], format="svg")
    assert file.name == "leaderboard.svg"
    assert ">fa-lda</text>" in file.read_text(encoding="utf-8")
    with pytest.raises(UnknownNameError, match="Did you mean 'svg'"):
        draw_run(run, tmp_path / "out", format="svgg")


def test_an_unknown_figure_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(UnknownNameError, match=r"unknown figure of this run 'leaderbord'\. Did you mean 'leaderboard'"):
        draw_run(run, tmp_path / "out", only=["leaderbord"])
    assert not (tmp_path / "out").exists()
    assert "leaderboard" in figure_names(run)


def test_what_is_no_run_and_a_folder_that_cannot_be_written_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"no config\.yaml"):
        draw_run(tmp_path, tmp_path / "out")
    run = write_run(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another folder"):
        draw_run(run, tmp_path / "file", only=["leaderboard"])
    with pytest.raises(FileFormatError, match="nowhere"):
        draw_run(run, tmp_path / "out", images=tmp_path / "nowhere.npy")


def test_pictures_that_are_given_are_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    np.save(tmp_path / "scenes.npy", np.random.default_rng(0).random((12, 6, 8)))
    files, _ = draw_run(run, tmp_path / "out", only=["class_pictures"], images=tmp_path / "scenes.npy")
    assert _names(files) == ["class_pictures.png"]
    words = write_run(tmp_path / "words", label="direction {}")
    files, left_out = draw_run(words, tmp_path / "out", only=["class_pictures"], images=tmp_path / "scenes.npy")
    assert "no class of this session is the number of a picture" in left_out["class_pictures"]


def test_wrong_trials_are_placed_by_the_counts_of_the_file_that_was_decoded(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n_trials=60)
    dataset = counts_of(np.random.default_rng(0).poisson(2.0, (60, 9)), [at % 12 for at in range(60)])
    file = tmp_path / "session.nc"
    write_counts(dataset.assign_coords(trial=np.arange(60) + 100), file)
    cards = (run / "sessions.json").read_text().replace("session 0.nwb", str(file))
    (run / "sessions.json").write_text(cards)
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "sources": [str(file)]}))
    files, left_out = draw_run(run, tmp_path / "out", only=["wrong_trials"])
    assert (_names(files), left_out) == (["wrong_trials.png"], {})


def test_reliability_is_that_of_decoders_with_probabilities(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    predictions = pd.read_parquet(run / "predictions.parquet")
    known = predictions["decoder"] == "lda"
    predictions.loc[known, "confidence"] = 0.7
    predictions.to_parquet(run / "predictions.parquet")
    files, _ = draw_run(run, tmp_path / "out", only=["reliability"], format="svg")
    text = files[0].read_text(encoding="utf-8")
    assert ">lda: " in text
    assert "fa-lda" not in text


def test_figures_of_a_connectivity_estimate_are_drawn_again(tmp_path: Path) -> None:
    save_simulation("tiny", 0, tmp_path / "tiny.nwb")
    values = {"source": tmp_path / "tiny.nwb", "method": "noise-correlation", "out": tmp_path / "run"}
    run = run_connectivity(load_connectivity_config({**values, "period": "natural_scenes", "stability": False}))
    files, left_out = draw_run(run, tmp_path / "out", only=["matrix", "units", "lags", "ccf"])
    assert _names(files)[:3] == ["matrix.png", "units-circular.png", "units-force.png"]
    assert "noise-correlation estimates no lags" in left_out["lags"]
    with pytest.raises(UnknownNameError, match="Did you mean 'matrix'"):
        draw_run(run, tmp_path / "out", only=["matrx"])


def test_the_animation_says_how_alike_the_graphs_of_two_folds_are() -> None:
    edges = pd.DataFrame({"decoder": ["gcn", "st-gat"], "selection": "default", "fold_correlation": [0.8, 0.02]})
    assert _agreement(edges, "gcn", "default") == "\nweights of two folds correlate by 0.80"
    assert _agreement(edges, "st-gat", "default").endswith("by 0.02: mostly its random start")
    assert _agreement(edges.assign(fold_correlation=np.nan), "gcn", "default") == ""

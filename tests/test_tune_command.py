"""``spikesight tune`` as a user types it, and what its winners are good for."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from lab_counts import write_lab_counts
from spikesight.cli import app
from spikesight.config import load_config
from spikesight.errors import ConfigError
from spikesight.tuning_results import CANDIDATE_COLUMNS

SPLIT = ("--folds", "2", "--gap", "2", "--jobs", "1")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    counts = write_lab_counts(folder / "lab.npz")
    space = folder / "space.yaml"
    space.write_text("ridge: {alpha: {low: 1, high: 100, log: true}}\n")
    options = ("--decoder", "ridge", "--search", "random", "--candidates", 3, "--space", space, "--budget", "5m")
    done = run("tune", counts, *options, *SPLIT, "--out", folder / "run", "--json")
    assert done.exit_code == 0, done.output
    return folder / "run", done, counts


def test_every_fold_has_its_winner_scored_once_beside_the_default(tuned):
    folder, done, _ = tuned
    results = pd.read_parquet(folder / "results.parquet").set_index(["decoder", "selection", "fold"])
    candidates = pd.read_parquet(folder / "candidates.parquet")
    assert tuple(candidates.columns) == CANDIDATE_COLUMNS
    assert list(candidates["fold"]) == [0, 0, 0, 1, 1, 1]
    assert candidates["chosen"].sum() == 2
    for winner in candidates[candidates["chosen"]].itertuples():
        row = results.loc[("ridge", "searched", winner.fold)]
        assert json.loads(row["params"]) == json.loads(winner.params)
        assert row["inner_accuracy"] == winner.accuracy
        assert row["n_candidates"] == 3
    assert np.isnan(results.loc[("ridge", "default", 0), "inner_accuracy"])
    assert json.loads(done.stdout)["run"] == str(folder)
    assert "searching ridge" in done.stderr


def test_nothing_of_ray_is_left_behind(tuned):
    folder, _, _ = tuned
    assert not [place for place in folder.rglob("*") if place.suffix == ".pkl"]
    assert not (folder / "checkpoints").exists()


def test_the_report_shows_the_search(tuned):
    folder, _, _ = tuned
    page = (folder / "report.html").read_text()
    assert "up to 3 candidates" in page
    assert "within 5 minutes" in page


def test_the_best_config_is_benchmarked_as_it_is(tuned, tmp_path):
    folder, _, _ = tuned
    text = (folder / "best.yaml").read_text()
    assert text.startswith("# The best constants")
    best = yaml.safe_load(text)
    done = run("benchmark", "--config", folder / "best.yaml", "--jobs", "1", "--out", tmp_path / "again", "--json")
    assert done.exit_code == 0, done.output
    results = pd.read_parquet(tmp_path / "again" / "results.parquet")
    own = results[results["decoder"] == "ridge"]
    assert set(own["selection"]) == {"default"}
    assert [json.loads(params) for params in own["params"]] == [best["params"]["ridge"]] * 2


def test_a_finished_search_is_not_searched_again(tuned):
    folder, _, counts = tuned
    space = folder.parent / "space.yaml"
    options = ("--decoder", "ridge", "--search", "random", "--candidates", 3, "--space", space, "--budget", "5m")
    before = pd.read_parquet(folder / "candidates.parquet")
    done = run("tune", counts, *options, *SPLIT, "--out", folder)
    assert done.exit_code == 0, done.output
    assert "searching" not in done.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "candidates.parquet"), before)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tuning": {"candidates": 1}}, r"tuning.candidates \(--candidates\): expected a number of at least 2, got 1"),
        ({"tuning": {"search": "optuna"}}, r"tuning.search \(--search\).*Did you mean"),
        ({"tuning": {"budget": "soon"}}, r"tuning.budget \(--budget\).*90s, 30m or 2h, got 'soon'"),
        ({"tuning": {"candidate": 5}}, r"tuning.candidate: unknown key. Did you mean 'candidates'"),
        ({"tuning": {"space": {"ridge": {"alpha": [1, 2]}}}}, r"expected a search range for ridge.alpha"),
        (
            {"tuning": {"space": {"lda": {}}}},
            r"expected tuning.space of decoders that are asked for \(ridge\), got lda",
        ),
        ({"params": {"lda": {}}}, r"expected params of decoders that are asked for \(ridge\), got lda"),
    ],
)
def test_what_cannot_be_searched_is_told(changes, said):
    with pytest.raises(ConfigError, match=said):
        load_config(overrides={"sources": ["a.nwb"], "decoders": ["ridge"], "selection": ["searched"], **changes})


@pytest.mark.parametrize(("written", "minutes"), [("90s", 1.5), ("30m", 30.0), ("2h", 120.0), ("7", 7.0), (3, 3.0)])
def test_a_budget_is_a_time(written, minutes):
    config = load_config(overrides={"sources": ["a.nwb"], "tuning": {"budget": written}, "selection": ["searched"]})
    assert config.tuning.budget == minutes


def test_a_search_that_is_asked_for_without_settings_gets_the_default_ones():
    config = load_config(overrides={"sources": ["a.nwb"], "selection": ["searched"]})
    assert (config.tuning.search, config.tuning.candidates) == ("optuna-gp", 50)
    assert load_config(overrides={"sources": ["a.nwb"]}).tuning is None

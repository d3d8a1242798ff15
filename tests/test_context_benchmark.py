"""Context and detrending from the command line to stored decoders; what cells give to decoders that ask for it."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
import yaml
from sklearn.base import BaseEstimator, ClassifierMixin
from typer.testing import CliRunner

from lab_counts import write_lab_counts
from spikesight.cli import app
from spikesight.config import BenchmarkConfig, load_config
from spikesight.data.context import add_context
from spikesight.decoders import registry
from spikesight.decoders.on_bins import OnBins
from spikesight.decoders.registry import DecoderSpec
from spikesight.demo import save_simulation
from spikesight.detrending import Detrending
from spikesight.errors import ConfigError, RunDirectoryError
from spikesight.evaluation import cells
from spikesight.evaluation.benchmark import evaluate
from spikesight.evaluation.contenders import contender
from spikesight.evaluation.entrants import NEIGHBOURS
from spikesight.evaluation.folds import as_problem
from spikesight.evaluation.sources import load_source
from spikesight.experiment import run_benchmark
from spikesight.prediction import predict_file
from spikesight.records.run_record import read_run
from spikesight.reports.text import methods
from spikesight.tracking.run_directory import RunDirectory
from test_benchmark import SPLITTER, benchmark, run_in, session, without_seconds


def with_context(seed=0):
    return add_context(session(seed))


# ---------------------------------------------------------------- the control row


def test_a_leaderboard_with_context_has_a_row_of_the_neighbours_alone(tmp_path):
    results = run_in(tmp_path, benchmark(datasets={"s0": with_context()})).results
    control = results[results["decoder"] == NEIGHBOURS]
    assert set(control["selection"]) == {"reference"}
    assert len(control) == 3
    assert set(results["context"]) == {"1 previous, 1 next"}
    assert set(results["n_bins"]) == {3}


def test_there_is_no_such_row_without_context(tmp_path):
    results = run_in(tmp_path, benchmark()).results
    assert NEIGHBOURS not in set(results["decoder"])
    assert set(results["context"]) == set(results["detrend"]) == {""}


def test_the_neighbours_alone_know_nothing_of_a_trials_own_bins(tmp_path):
    answers = []
    for number, dataset in enumerate((with_context(), with_context())):
        if number:
            dataset["spike_counts"][:, 1] = 7
        predictions = run_in(tmp_path / str(number), benchmark(datasets={"s0": dataset})).predictions
        answers.append(predictions.loc[predictions["decoder"] == NEIGHBOURS, "y_pred"].tolist())
    assert answers[0] == answers[1]


def test_a_decoder_on_bins_is_that_decoder_on_an_array_of_those_bins():
    rng = np.random.default_rng(0)
    X, y = rng.poisson(3, (80, 4, 5)), np.arange(80) % 3
    shown = OnBins(registry.make("lda"), (3, 1)).fit(X, y)
    plain = registry.make("lda").fit(X[:, [3, 1]], y)
    np.testing.assert_array_equal(shown.predict_proba(X), plain.predict_proba(X[:, [3, 1]]))
    np.testing.assert_array_equal(shown.predict(X), plain.predict(X[:, [3, 1]]))
    assert not hasattr(shown, "decision_function")
    ridge = OnBins(registry.make("ridge"), (0,)).fit(X, y)
    np.testing.assert_array_equal(
        ridge.decision_function(X), registry.make("ridge").fit(X[:, :1], y).decision_function(X[:, :1])
    )
    assert not hasattr(ridge, "predict_proba")


@pytest.mark.parametrize(("bins", "shape"), [((3,), (9, 3, 2)), ((), (9, 3, 2)), ((0,), (9, 3))])
def test_bins_that_trials_do_not_have_are_refused(bins, shape):
    with pytest.raises(ValueError, match="expected trials with the bins"):
        OnBins(registry.make("lda"), bins).fit(np.ones(shape), np.arange(9) % 2)


# ---------------------------------------------------------------- detrending through evaluate and benchmark


def test_evaluate_detrends_training_rows_and_test_rows_each_by_themselves():
    dataset = session(n_units=6)
    setting = Detrending(10)
    outcome = evaluate("lda", dataset, SPLITTER, detrending=setting)
    assert set(outcome.results["detrend"]) == {"10"}
    problem = as_problem(dataset)
    stretches = problem.stretches(SPLITTER.gap)
    train, test = problem.folds(SPLITTER)[0]
    fitted, counts = setting.fit_transform(problem.X[train], train, stretches[train])
    decoder = registry.make("lda").fit(counts, problem.y[train])
    predicted = decoder.predict(fitted.transform(problem.X[test], test, stretches[test]))
    own = outcome.predictions[outcome.predictions["fold"] == 0]
    assert own["y_pred"].tolist() == [str(label) for label in predicted]


def test_detrending_names_other_cells_and_they_are_not_taken_for_each_other(tmp_path):
    names = []
    for setting in (None, Detrending(10), Detrending(10, causal=True)):
        problem = as_problem(session(), detrending=setting)
        named = cells.name_cells([contender("lda", "default")], problem, problem.folds(SPLITTER), SPLITTER, 0)
        names += [cell.part for cell in named]
    assert len(set(names)) == 9


def test_a_detrended_run_is_resumed_and_is_the_same_in_processes(tmp_path):
    plans = [benchmark(detrending=Detrending(10), jobs=jobs, decoders=("fa-lda",)) for jobs in (1, 2)]
    outcomes = [run_in(tmp_path / str(plan.jobs), plan) for plan in plans]
    again = run_in(tmp_path / "1", plans[0])
    for outcome in (outcomes[1], again):
        assert without_seconds(outcome.results).equals(without_seconds(outcomes[0].results))


def test_the_number_of_fitted_parameters_is_that_of_the_decoder_or_of_its_weights():
    dataset = session()
    linear = evaluate("logistic", dataset, SPLITTER).results
    assert linear["n_parameters"].tolist() == [6 * (8 + 1)] * 3
    unknown = evaluate("svc-rbf", dataset, SPLITTER).results
    assert unknown["n_parameters"].isna().all()
    assert str(unknown["n_parameters"].dtype) == "Int64"


# ---------------------------------------------------------------- what a cell gives to a decoder


class Asking(ClassifierMixin, BaseEstimator):
    """A decoder that takes unit ids and keeps unfinished fits; it may be stopped in the middle of one."""

    given: ClassVar[list] = []
    stop: ClassVar[bool] = False

    def __init__(self, unit_ids=None, checkpoint=None):
        self.unit_ids = unit_ids
        self.checkpoint = checkpoint

    def fit(self, X, y):
        self.given.append((self.unit_ids.tolist(), self.checkpoint.name, (self.checkpoint / "half").exists()))
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        (self.checkpoint / "half").write_text("done")
        if self.stop:
            raise KeyboardInterrupt
        self.classes_ = np.unique(y)
        self.n_parameters_ = 7
        return self

    def predict(self, X):
        assert self.checkpoint is None, "a fitted decoder has no unfinished fit"
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def asking():
    registry.register("asking", DecoderSpec(f"{__name__}:Asking", "asks for what cells know"))
    Asking.given.clear()
    Asking.stop = False
    yield
    registry.unregister("asking")


@pytest.mark.usefixtures("asking")
def test_a_decoder_that_asks_for_unit_ids_and_a_place_for_unfinished_fits_gets_them(tmp_path):
    results = run_in(tmp_path, benchmark(decoders=("asking",))).results
    parts = {path.name.removesuffix(".result.parquet") for path in (tmp_path / "parts").glob("*asking*.result.parquet")}
    assert {name for _, name, _ in Asking.given} == parts
    assert all(ids == list(range(900, 908)) for ids, _, _ in Asking.given)
    assert not (tmp_path / "checkpoints").exists()
    assert results.loc[results["decoder"] == "asking", "n_parameters"].tolist() == [7] * 3


@pytest.mark.usefixtures("asking")
def test_a_fit_that_was_stopped_finds_what_it_left_in_the_same_place(tmp_path):
    Asking.stop = True
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path, benchmark(decoders=("asking",)))
    Asking.stop = False
    run_in(tmp_path, benchmark(decoders=("asking",)))
    (_, first, _), (_, second, left), *_ = Asking.given
    assert first == second
    assert left
    assert not (tmp_path / "checkpoints").exists()


# ---------------------------------------------------------------- files, the command line, stored decoders

OPTIONS = ["--decoders", "fa-lda,lda", "--selection", "default", "--folds", "3", "--gap", "2", "--jobs", "1"]


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    return write_lab_counts(tmp_path / "lab.npz")


def test_the_command_line_takes_both_options_and_says_so_everywhere(counts, tmp_path):
    ended = CliRunner().invoke(
        app,
        [
            "benchmark",
            str(counts),
            "--context",
            "both",
            "--detrend",
            "20,causal",
            *OPTIONS,
            "--out",
            str(tmp_path / "run"),
        ],
    )
    assert ended.exit_code == 0, ended.output
    assert "context 1 previous, 1 next, detrended over 20, causal" in ended.stdout
    assert NEIGHBOURS in ended.stdout
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert saved["context"] == [1, 1]
    assert saved["detrend"] == {"n_trials": 20, "causal": True}
    record = read_run(tmp_path / "run")
    text = " ".join(methods(record))
    assert "(1 previous, 1 next)" in text
    assert "20 trials before each trial" in text
    assert "without all neighbours" in record.cards[0]["dropped_trials"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "neighbours alone" in page
    assert "taken away inside each fold" in page
    assert "with those of neighbours (1 previous, 1 next) beside them" in page
    assert record.per_session.set_index("decoder")["n_parameters"]["fa-lda"] > 0


def test_a_gap_that_is_too_narrow_is_one_line_on_stderr(counts, tmp_path):
    ended = CliRunner().invoke(
        app, ["benchmark", str(counts), "--context", "2,1", *OPTIONS, "--out", str(tmp_path / "run")]
    )
    assert ended.exit_code == 1
    assert "Expected a gap of at least 3 trials" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 4


@pytest.mark.parametrize("detrend", [None, "20", "20,causal"])
def test_a_stored_decoder_answers_as_it_did_in_the_benchmark(counts, tmp_path, detrend):
    asked = load_config(
        overrides={
            "sources": [counts], "context": "both", "detrend": detrend, "decoders": ["fa-lda"],
            "selection": ["default"], "n_splits": 3, "gap": 2, "jobs": 1, "save_decoders": True,
            "out": tmp_path / "run",
        }
    )  # fmt: skip
    run = run_benchmark(asked)
    predictions = read_run(run).predictions
    for fold, folder in enumerate(sorted((run / "decoders").iterdir())):
        table = predict_file(folder, counts)
        tested = table[table["role"] == "test"]
        own = predictions[(predictions["decoder"] == "fa-lda") & (predictions["fold"] == fold)]
        assert tested["trial"].tolist() == own["trial"].tolist()
        assert tested["y_pred"].tolist() == own["y_pred"].tolist()
        np.testing.assert_allclose(tested["confidence"], own["confidence"], rtol=1e-12)


def test_a_run_directory_of_a_version_without_these_options_is_resumed(counts, tmp_path):
    config = {"sources": [str(counts)], "seed": 0}
    with RunDirectory(tmp_path / "run", config) as run:
        run.write_table("results.parquet", session().to_dataframe().head())
    with RunDirectory(tmp_path / "run", {**config, "context": None, "detrend": None}):
        assert True
    with (
        pytest.raises(RunDirectoryError, match=r"context is None there and \[1, 1\] here"),
        RunDirectory(tmp_path / "run", {**config, "context": [1, 1]}),
    ):
        pass


# ---------------------------------------------------------------- spike times


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    file = tmp_path_factory.mktemp("session") / "tiny.nwb"
    save_simulation("tiny", 0, file)
    return file


def test_a_window_alone_counts_spikes_in_one_bin(simulated):
    loaded = load_source(simulated, BenchmarkConfig(sources=(simulated,), window=(0.0, 0.3)))
    assert loaded.dataset.sizes["time"] == 1
    assert loaded.dataset.attrs["bin_size"] == 0.3
    two = load_source(simulated, BenchmarkConfig(sources=(simulated,), window=(0.0, 0.3), bin_size=0.15))
    xr.testing.assert_equal(two.dataset["spike_counts"].sum("time"), loaded.dataset["spike_counts"].sum("time"))


def test_a_window_is_refused_for_counts_that_are_binned_already(counts):
    with pytest.raises(ConfigError, match="window can only be chosen for spike times"):
        load_source(counts, BenchmarkConfig(sources=(counts,), window=(0.0, 0.3)))


def test_rates_on_a_card_are_those_of_a_trials_own_bins(simulated):
    from spikesight.records.session_overview import session_card

    plain = load_source(simulated, BenchmarkConfig(sources=(simulated,), n_bins=2)).dataset
    kept = add_context(plain)
    card, without = session_card(kept), session_card(plain.sel(trial=kept["trial"]))
    assert card["median_rate_per_area"] == without["median_rate_per_area"]
    assert (card["n_bins"], card["n_own_bins"], card["context"]) == (6, 2, "1 previous, 1 next")


class Heard:
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    def advance(self, task, done, total):
        """Hear nothing."""


@pytest.mark.parametrize(("options", "there"), [({"context": (1, 0)}, True), ({"detrend": {"n_trials": 9}}, False)])
def test_the_oracle_looks_at_own_bins_and_stays_away_where_counts_are_detrended(simulated, tmp_path, options, there):
    heard = Heard()
    config = BenchmarkConfig(
        sources=(simulated,), out=tmp_path / "run", decoders=("lda",), selection=("default",), n_splits=3, gap=2,
        jobs=1, **options,
    )  # fmt: skip
    record = read_run(run_benchmark(config, heard))
    assert ("oracle" in set(record.per_session["decoder"])) == there
    assert any("no oracle" in note for note in heard.notes) != there
    assert json.loads((tmp_path / "run" / "failures.json").read_text()) == []

"""evaluate and Benchmark: what is written, resumed, refused and recorded."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from spikesight.decoders import registry
from spikesight.decoders.registry import DecoderSpec
from spikesight.decoders.storage import load_decoder
from spikesight.errors import ConfigError, DataError, TooFewRepeatsError, UnknownNameError, WorkerError
from spikesight.evaluation import cells
from spikesight.evaluation.benchmark import Benchmark, evaluate
from spikesight.evaluation.contenders import contender
from spikesight.evaluation.fitting import Chosen, Contender, fit_fold
from spikesight.evaluation.folds import PREDICTION_COLUMNS, RESULT_COLUMNS, as_problem
from spikesight.splits import BlockKFold, LastBlock, RepeatKFold, inner_folds
from spikesight.tracking.run_directory import RunDirectory


def session(seed=0, n_trials=120, n_units=8, n_classes=6, name="s0", labels=None):
    """Binned trials with a class-dependent rate, in two blocks a minute apart."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n_trials) % n_classes)
    rates = rng.gamma(2, 1.5, (n_classes, n_units))
    start = np.arange(n_trials) * 0.25 + 60.0 * (np.arange(n_trials) >= n_trials // 2)
    return xr.Dataset(
        {"spike_counts": (("trial", "time", "unit"), rng.poisson(rates[codes])[:, None, :].astype("uint8"))},
        {
            "trial": np.arange(n_trials) + 5000,
            "unit": np.arange(n_units) + 900,
            "time": [0.0],
            "start_time": ("trial", start),
            "stop_time": ("trial", start + 0.25),
            "stimulus_block": ("trial", np.repeat([3, 8], [n_trials // 2, n_trials - n_trials // 2])),
            "repeat": ("trial", pd.Series(codes).groupby(codes).cumcount().to_numpy()),
            "target": ("trial", codes if labels is None else np.array(labels)[codes]),
        },
        {"session_id": name, "stimulus_name": "natural_scenes", "target": "frame", "blanks": "kept"},
    )


class Fragile(ClassifierMixin, BaseEstimator):
    """Guess the first class, without scores; or raise, warn or die on the way."""

    def __init__(self, how="raise"):
        self.how = how

    def fit(self, X, y):
        if self.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "raise":
            raise FloatingPointError("covariance is\nsingular")
        if self.how == "warn":
            warnings.warn("slow to converge", UserWarning, stacklevel=2)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def with_fragile():
    registry.register("fragile", DecoderSpec(f"{__name__}:Fragile", "stumbles"))
    yield
    registry.unregister("fragile")


SPLITTER = BlockKFold(n_splits=3, gap=2)


def benchmark(**options):
    given = {"datasets": {"s0": session()}, "decoders": ("logistic",), "splitter": SPLITTER, **options}
    return Benchmark(**given)


def run_in(folder, plan, on_cell=None, config=None):
    with RunDirectory(folder, config or {"seed": plan.seed}) as run:
        return plan.run(run, on_cell)


class Linked(ClassifierMixin, BaseEstimator):
    """A decoder with a graph: Gaussian, and blind without one."""

    def __init__(self, graph=None):
        self.graph = graph

    def fit(self, X, y):
        self.gaussian_ = GaussianNB().fit(X[:, 0], y)
        self.classes_ = self.gaussian_.classes_
        ids = np.arange(X.shape[2]) + 900
        strength = np.corrcoef(X[:, 0].T) ** 2 - np.eye(len(ids))
        self.adjacency_ = xr.DataArray(
            strength, {"source_unit": ids, "target_unit": ids}, ["source_unit", "target_unit"]
        )
        return self

    def predict(self, X):
        return self.gaussian_.predict(X[:, 0] * (self.graph != "identity"))


@pytest.fixture
def with_linked():
    registry.register("linked", DecoderSpec(f"{__name__}:Linked", "passes messages"))
    yield
    registry.unregister("linked")


def without_seconds(results):
    return results.drop(columns=["fit_seconds", "predict_seconds"])


def test_evaluate_gives_a_row_per_fold_and_a_row_per_test_trial():
    dataset = session(labels=list("abcdef"))
    results, predictions, failures, candidates = evaluate("logistic", dataset, SPLITTER, seed=4)
    assert candidates.empty
    assert tuple(results.columns) == RESULT_COLUMNS
    assert tuple(predictions.columns) == PREDICTION_COLUMNS
    assert failures.empty
    first = results.iloc[0]
    assert first[["session", "decoder", "selection", "fold", "seed"]].tolist() == ["s0", "logistic", "default", 0, 4]
    assert first[["n_train", "n_test", "n_classes", "n_units", "n_bins"]].tolist() == [76, 40, 6, 8, 1]
    assert first[["splitter", "gap", "blanks", "stimulus", "target"]].tolist() == [
        "block-kfold", 2, "kept", "natural_scenes", "frame",
    ]  # fmt: skip
    assert first["chance"] == pytest.approx(1 / 6)
    assert sorted(predictions["row"]) == list(range(120))
    assert (predictions["trial"] == predictions["row"] + 5000).all()
    assert (predictions["stimulus_block"] == np.where(predictions["row"] < 60, 3, 8)).all()
    assert set(predictions["y_true"]) == set("abcdef")


def test_evaluate_scores_what_it_predicts():
    results, predictions, *_ = evaluate("logistic", session(), SPLITTER)
    for fold, own in predictions.groupby("fold"):
        row = results.set_index("fold").loc[fold]
        assert (own["correct"] == (own["y_true"] == own["y_pred"])).all()
        assert row["accuracy"] == pytest.approx(accuracy_score(own["y_true"], own["y_pred"]))
        assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(own["y_true"], own["y_pred"]))
        assert row["top5_accuracy"] == pytest.approx(own["in_top5"].mean())
        assert own["confidence"].between(1 / 6, 1).all()


def test_evaluate_of_a_decoder_without_probabilities_leaves_confidence_open():
    results, predictions, *_ = evaluate(Fragile(""), session(), SPLITTER)
    assert set(results["decoder"]) == {"Fragile"}
    assert results["top5_accuracy"].isna().all()
    assert predictions["in_top5"].isna().all()
    assert predictions["confidence"].isna().all()


def test_default_decoding_is_a_fit_to_the_training_rows_and_a_prediction_of_the_test_rows():
    dataset = session()
    _, predictions, *_ = evaluate(LogisticRegressionOnTrials(), dataset, SPLITTER)
    X, y = dataset["spike_counts"].to_numpy()[:, 0], dataset["target"].to_numpy()
    for fold, (train, test) in enumerate(SPLITTER.split(X, y, dataset["stimulus_block"].to_numpy())):
        expected = LogisticRegression(max_iter=2000).fit(X[train], y[train]).predict(X[test])
        assert predictions.loc[predictions["fold"] == fold, "y_pred"].tolist() == [str(label) for label in expected]


def flatten(X):
    return X.reshape(len(X), -1)


def LogisticRegressionOnTrials(**params):
    return make_pipeline(FunctionTransformer(flatten), LogisticRegression(max_iter=2000, **params))


def test_tuned_decoding_is_scikit_learns_search_on_inner_folds_of_the_training_rows():
    dataset = session()
    grid = [{"logisticregression__C": value} for value in (1e-4, 1e-2, 1.0)]
    results, predictions, *_ = evaluate(
        LogisticRegressionOnTrials(), dataset, SPLITTER, selection="tuned", candidates=grid
    )
    X, y, groups = (dataset[name].to_numpy() for name in ("spike_counts", "target", "stimulus_block"))
    train, test = next(SPLITTER.split(X, y, groups))
    search = GridSearchCV(
        LogisticRegressionOnTrials(),
        {"logisticregression__C": [1e-4, 1e-2, 1.0]},
        cv=inner_folds(train, groups, 2),
        scoring="accuracy",
    ).fit(X[train], y[train])
    first = predictions[predictions["fold"] == 0]
    assert first["y_pred"].tolist() == [str(label) for label in search.predict(X[test])]
    assert json.loads(results["params"][0]) == search.best_params_


class Diary(Fragile):
    """Writes down which trials it is fitted to and asked about; their number is their count of spikes."""

    entries: ClassVar[list] = []

    def __init__(self, how="", page=0):
        super().__init__(how)
        self.page = page

    def fit(self, X, y):
        self.entries.append(("fit", X[:, 0, 0].tolist()))
        return super().fit(X, y)

    def predict(self, X):
        self.entries.append(("predict", X[:, 0, 0].tolist()))
        return super().predict(X)


def test_constants_are_chosen_on_inner_folds_with_a_gap_and_test_trials_are_read_last_and_once():
    dataset = session()
    dataset["spike_counts"][:, 0, 0] = np.arange(120)
    Diary.entries.clear()
    evaluate(Diary(), dataset, LastBlock(gap=2), selection="tuned", candidates=[{"page": 1}, {"page": 2}])
    train, test = list(range(60)), list(range(60, 120))
    inner = [
        entry
        for learned, asked in inner_folds(np.arange(60), None, 2)
        for entry in (("fit", learned.tolist()), ("predict", asked.tolist()))
    ]
    assert sorted(Diary.entries[:-2]) == sorted(inner * 2)
    assert Diary.entries[-2:] == [("fit", train), ("predict", test)]


def test_rows_with_fixed_defaults_say_which_constants_they_have():
    tuned = evaluate("logistic", session(), SPLITTER, selection="tuned").results
    fixed = evaluate("logistic", session(), SPLITTER, selection="default").results
    assert json.loads(fixed["params"][0]) == {"C": registry.make("logistic").C}
    candidates = [dict(candidate) for candidate in registry.spec("logistic").candidates]
    assert all(json.loads(params) in candidates for params in tuned["params"])


def test_every_random_state_in_a_decoder_is_the_seed():
    tree = make_pipeline(FunctionTransformer(flatten), DecisionTreeClassifier(max_features=1))
    seeds = [evaluate(tree, session(), SPLITTER, seed=seed).predictions["y_pred"].tolist() for seed in (1, 1, 2)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert tree.get_params()["decisiontreeclassifier__random_state"] is None


@pytest.mark.parametrize(("splitter", "folds", "gap"), [(RepeatKFold(4), 4, 0), (LastBlock(gap=5), 1, 5)])
def test_evaluate_takes_every_splitter(splitter, folds, gap):
    results = evaluate("logistic", session(), splitter, selection="tuned").results
    assert len(results) == folds
    assert set(results["splitter"]) == {splitter.name}
    assert set(results["gap"]) == {gap}


def test_evaluate_ignores_the_order_of_dimensions():
    turned = session().transpose("unit", "trial", "time")
    pd.testing.assert_frame_equal(evaluate("logistic", turned).predictions, evaluate("logistic", session()).predictions)


def test_a_decoder_that_raises_is_recorded_with_its_reason_and_folds_that_work_stay():
    class FirstFoldOnly(Fragile):
        def fit(self, X, y):
            if X[0, 0, 0] == poison:
                raise FloatingPointError("covariance is\nsingular")
            return Fragile.fit(self, X, y)

    dataset = session()
    dataset["spike_counts"][0, 0, 0] = poison = 77  # row 0 is trained on in all folds but the first
    results, _, failures, _ = evaluate(FirstFoldOnly(""), dataset, SPLITTER)
    assert results["fold"].tolist() == [0]
    assert failures["fold"].tolist() == [1, 2]
    assert failures["error"][0] == "FloatingPointError: covariance is singular"


def rows_of_folds(dataset, splitter):
    return [(test.tolist(), train.tolist()) for train, test in as_problem(dataset).folds(splitter)]


@pytest.mark.parametrize("splitter", [BlockKFold(4, 10), LastBlock(10), RepeatKFold(4)])
@pytest.mark.parametrize("blocks", [1, 3])
def test_blocks_minutes_apart_and_single_blocks_are_split_as_by_the_splitter_alone(splitter, blocks):
    block = np.arange(240) * blocks // 240
    start = np.arange(240) * 0.25 + 300.0 * block
    dataset = session(n_trials=240).assign_coords(
        start_time=("trial", start), stop_time=("trial", start + 0.25), stimulus_block=("trial", block)
    )
    plain = splitter.split(np.zeros(240), dataset["target"].to_numpy(), block)
    assert rows_of_folds(dataset, splitter) == [(test.tolist(), train.tolist()) for train, test in plain]
    np.testing.assert_array_equal(as_problem(dataset).stretches(10), block)


@pytest.mark.parametrize("times", ["touching", "unknown"])
def test_the_gap_reaches_over_the_bounds_of_blocks_that_touch_or_have_no_times(times):
    start = np.arange(120) * 0.25 if times == "touching" else np.full(120, np.nan)
    dataset = session().assign_coords(start_time=("trial", start), stop_time=("trial", start + 0.25))
    assert rows_of_folds(dataset, LastBlock(gap=4)) == [(list(range(60, 120)), list(range(56)))]
    assert rows_of_folds(dataset, BlockKFold(2, 4))[0] == (list(range(60)), list(range(64, 120)))
    blocks = evaluate("logistic", dataset, LastBlock(gap=4)).predictions["stimulus_block"]
    assert set(blocks) == {8}


def test_windows_that_reach_over_the_gap_are_refused_with_the_gap_that_is_enough():
    dataset = session(n_trials=400).assign_attrs(window=[-2.0, 2.0])
    for splitter in (BlockKFold(3, 10), LastBlock(10)):
        start = np.arange(400) * 0.25  # two blocks that touch
        touching = dataset.assign_coords(start_time=("trial", start), stop_time=("trial", start + 0.25))
        with pytest.raises(
            ConfigError, match=r"-2\.0 to 2\.0 s .* gap of 10\. Expected a gap of at least (15|16) trials"
        ):
            evaluate("logistic", touching, splitter)
        assert as_problem(touching).folds(replace(splitter, gap=16))
    assert as_problem(dataset).folds(RepeatKFold(3))  # promises no gap
    unknown = dataset.assign_coords(start_time=("trial", np.full(400, np.nan)))
    assert as_problem(unknown).folds(BlockKFold(3, 10))


def test_windows_as_long_as_the_gap_and_windows_of_the_presentation_are_fine():
    assert as_problem(session(n_trials=240).assign_attrs(window=[0.0, 2.5])).folds(BlockKFold(3, 10))
    assert as_problem(session().assign_attrs(window=[0.0, 0.25])).folds(BlockKFold(3, 0))
    assert as_problem(session().assign_attrs(window="presentation")).folds(BlockKFold(3, 0))


def test_windows_across_a_pause_that_is_longer_than_the_gap_but_not_than_the_window_are_refused():
    start = np.arange(120) * 0.25 + 3.0 * (np.arange(120) >= 60)
    dataset = session().assign_coords(start_time=("trial", start), stop_time=("trial", start + 0.25))
    wide = dataset.assign_attrs(window=[0.0, 4.0])
    with pytest.raises(ConfigError, match="Expected a gap of at least 16 trials"):
        as_problem(wide).folds(LastBlock(5))
    assert rows_of_folds(wide, LastBlock(16)) == [(list(range(60, 120)), list(range(44)))]


def test_evaluate_refuses_trials_out_of_time_order():
    with pytest.raises(DataError, match=r"trial 1 starts before .* Use dataset\.sortby"):
        evaluate("logistic", session().isel(trial=slice(None, None, -1)), SPLITTER)


def test_evaluate_refuses_a_class_with_too_few_repeats():
    with pytest.raises(TooFewRepeatsError, match="has 2"):
        evaluate("logistic", session(n_trials=12), SPLITTER)


def test_evaluate_refuses_a_gap_that_leaves_no_trials_to_choose_constants_on():
    with pytest.raises(DataError, match="BlockKFold"):
        evaluate("logistic", session(n_trials=60), BlockKFold(3, 9), selection="tuned")


def test_evaluate_refuses_to_tune_without_candidates():
    for decoder, candidates in ((GaussianNB(), ()), (GaussianNB(), [{"var_smoothing": 1}]), ("chance", ())):
        with pytest.raises(ConfigError, match=f"expected candidates to choose from, 2 or more, got {len(candidates)}"):
            evaluate(decoder, session(), SPLITTER, selection="tuned", candidates=candidates)


def test_contender_refuses_an_unknown_selection():
    with pytest.raises(ConfigError, match="got 'best'"):
        contender("logistic", "best")


def test_benchmark_writes_references_and_every_decoder_with_every_selection(tmp_path):
    outcome = run_in(tmp_path, benchmark(decoders=("logistic", "fa-lda", "chance")))
    pairs = list(dict.fromkeys(zip(outcome.results["decoder"], outcome.results["selection"], strict=True)))
    assert pairs == [
        ("chance", "reference"),
        ("logistic", "tuned"),
        ("logistic", "default"),
        ("fa-lda", "tuned"),
        ("fa-lda", "default"),
    ]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "results.parquet"), outcome.results)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "predictions.parquet"), outcome.predictions)
    assert json.loads((tmp_path / "failures.json").read_text()) == []
    assert len(outcome.predictions) == 5 * 120


def test_a_decoder_with_nothing_to_choose_has_a_default_row_and_no_tuned_one(tmp_path):
    registry.register("fixed", DecoderSpec(f"{__name__}:Fragile", "nothing to choose", candidates=({"how": ""},)))
    registry.register("pair", DecoderSpec(f"{__name__}:Fragile", "two", candidates=({"how": ""}, {"how": "warn"})))
    try:
        outcome = run_in(tmp_path, benchmark(decoders=("fixed", "pair"), selections=("tuned",)))
    finally:
        registry.unregister("fixed")
        registry.unregister("pair")
    rows = outcome.results[["decoder", "selection", "n_candidates"]].drop_duplicates()
    assert rows.values.tolist() == [["chance", "reference", 1], ["pair", "tuned", 2]]
    assert outcome.failures[["decoder", "selection"]].drop_duplicates().values.tolist() == [["fixed", "default"]]


def test_benchmark_and_evaluate_agree(tmp_path):
    outcome = run_in(tmp_path, benchmark(selections=("tuned",)))
    alone = evaluate("logistic", session(), SPLITTER, selection="tuned")
    ours = outcome.results[outcome.results["decoder"] == "logistic"].reset_index(drop=True)
    pd.testing.assert_frame_equal(without_seconds(ours), without_seconds(alone.results))


def test_benchmark_gives_the_same_numbers_with_one_process_and_with_two(tmp_path):
    large = session(1, n_trials=600, n_units=1800, name="s1")  # over a megabyte: reaches workers memory-mapped
    tables = []
    for jobs in (1, 2):
        small = benchmark(jobs=jobs)
        shared = benchmark(jobs=jobs, decoders=("fa-lda",), datasets={"s1": large}, selections=("default",))
        for plan in (small, shared):
            tables.append(run_in(tmp_path / str(len(tables)), plan))
    for one, two in ((tables[0], tables[2]), (tables[1], tables[3])):
        pd.testing.assert_frame_equal(without_seconds(one.results), without_seconds(two.results))
        pd.testing.assert_frame_equal(one.predictions, two.predictions)


class CountsThreads(Fragile):
    def fit(self, X, y):
        raise RuntimeError(f"most threads: {max(pool['num_threads'] for pool in threadpool_info())}")


@pytest.mark.parametrize("jobs", [1, 2])
def test_benchmark_gives_every_process_one_thread(tmp_path, jobs):
    with threadpool_limits(2):
        outcome = run_in(tmp_path, benchmark(decoders=(), references={"s0": {"counts": CountsThreads()}}, jobs=jobs))
    assert set(outcome.failures["error"]) == {"RuntimeError: most threads: 1"}


def test_a_saved_decoder_predicts_as_it_did_in_its_fold(tmp_path):
    outcome = run_in(tmp_path, benchmark(selections=("tuned",), save_decoders=True))
    assert len(list((tmp_path / "decoders").iterdir())) == 3  # references are not kept
    X = session()["spike_counts"].to_numpy()
    for folder in (tmp_path / "decoders").iterdir():
        decoder, meta = load_decoder(folder)
        own = outcome.predictions[
            (outcome.predictions["decoder"] == "logistic") & (outcome.predictions["fold"] == meta["fold"])
        ]
        assert [str(label) for label in decoder.predict(X[own["row"]])] == own["y_pred"].tolist()
        assert meta["unit_ids"] == list(range(900, 908))


def test_benchmark_takes_references_per_session(tmp_path):
    datasets = {"s0": session(), "s1": session(1, name="s1")}
    outcome = run_in(
        tmp_path, benchmark(datasets=datasets, references={"s1": {"oracle": LogisticRegressionOnTrials()}})
    )
    oracle = outcome.results[outcome.results["decoder"] == "oracle"]
    assert set(oracle["session"]) == {"s1"}
    assert set(oracle["selection"]) == {"reference"}


def test_benchmark_counts_its_cells_for_the_progress_bar(tmp_path):
    seen = []
    run_in(tmp_path, benchmark(), lambda done, total, row: seen.append((done, total, row["decoder"])))
    assert [done for done, _, _ in seen] == list(range(1, 10))
    assert {total for _, total, _ in seen} == {9}
    assert seen[-1][2] == "chance" or seen[-1][2] == "logistic"


def test_an_interrupted_benchmark_keeps_what_is_finished_and_does_only_the_rest(tmp_path, monkeypatch):
    def stop_at_four(done, total, row):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path, benchmark(), stop_at_four)
    assert not (tmp_path / "results.parquet").exists()
    assert len(list((tmp_path / "parts").glob("*.result.parquet"))) == 4

    attempts = []
    real = cells.run_fold
    monkeypatch.setattr(cells, "run_fold", lambda *args, **more: attempts.append(args) or real(*args, **more))
    seen = []
    resumed = run_in(tmp_path, benchmark(), lambda done, total, row: seen.append(done))
    assert len(attempts) == 5
    assert seen == list(range(1, 10))
    whole = run_in(tmp_path / "whole", benchmark())
    pd.testing.assert_frame_equal(without_seconds(resumed.results), without_seconds(whole.results))
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions)


@pytest.mark.parametrize(
    "change",
    [
        {"datasets": {"s0": session(1)}},
        {"datasets": {"s0": session().assign_attrs(blanks="dropped")}},
        {"seed": 1},
        {"splitter": BlockKFold(3, 3)},
        {"splitter": BlockKFold(4, 2)},
    ],
    ids=["trials", "blanks", "seed", "gap", "folds"],
)
def test_a_finished_cell_of_another_question_is_not_taken_for_this_one(tmp_path, change):
    run_in(tmp_path, benchmark(decoders=()), config={"k": 1})
    changed = run_in(tmp_path, benchmark(decoders=(), **change), config={"k": 1})
    fresh = run_in(tmp_path / "fresh", benchmark(decoders=(), **change), config={"k": 1})
    pd.testing.assert_frame_equal(without_seconds(changed.results), without_seconds(fresh.results))
    pd.testing.assert_frame_equal(changed.predictions, fresh.predictions)
    assert len(list((tmp_path / "parts").glob("*.result.parquet"))) == 3 + len(fresh.results)


def test_other_code_decodes_again(tmp_path, monkeypatch):
    run_in(tmp_path, benchmark(decoders=()))
    monkeypatch.setattr(cells, "code_digest", lambda: "other")
    run_in(tmp_path, benchmark(decoders=()))
    assert len(list((tmp_path / "parts").glob("*.result.parquet"))) == 6


def test_other_libraries_decode_again(tmp_path, monkeypatch):
    run_in(tmp_path, benchmark(decoders=()))
    monkeypatch.setattr(cells, "library_versions", lambda: {"numpy": "99"})
    run_in(tmp_path, benchmark(decoders=()))
    assert len(list((tmp_path / "parts").glob("*.result.parquet"))) == 6


PLUGIN = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Answers(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[{answer}:][:1], len(X))
"""


@pytest.mark.parametrize("nested", [False, True])
def test_changed_code_of_a_plug_in_decodes_again_and_unchanged_code_does_not(tmp_path, monkeypatch, nested):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    answers = []
    for answer in (1, 1, 2):
        (tmp_path / "answering_plugin.py").write_text(PLUGIN.format(answer=answer))
        monkeypatch.delitem(sys.modules, "answering_plugin", raising=False)
        registry.register("answers", DecoderSpec("answering_plugin:Answers", "answers alike"))
        try:
            mine = registry.make("answers")
            pipeline = make_pipeline(FunctionTransformer(flatten), mine)
            plan = {"decoders": (), "references": {"s0": {"mine": pipeline}}} if nested else {"decoders": ("answers",)}
            outcome = run_in(tmp_path / "run", benchmark(selections=("default",), **plan))
        finally:
            registry.unregister("answers")
        answers.append(outcome.predictions.query("decoder != 'chance'")["y_pred"].unique().tolist())
        answers.append(len(list((tmp_path / "run" / "parts").glob("*.result.parquet"))))
    assert answers == [["1"], 6, ["1"], 6, ["2"], 9]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_decoder_does_not_cost_the_others_their_results(tmp_path, with_fragile, jobs):
    plan = benchmark(decoders=("fragile", "logistic"), selections=("default",), jobs=jobs)
    outcome = run_in(tmp_path, plan)
    assert set(outcome.results["decoder"]) == {"chance", "logistic"}
    assert outcome.failures["decoder"].tolist() == ["fragile"] * 3
    failures = json.loads((tmp_path / "failures.json").read_text())
    assert failures[0]["error"] == "FloatingPointError: covariance is singular"
    assert "Traceback" in (tmp_path / "log.jsonl").read_text()


def test_a_cell_that_failed_is_tried_again(tmp_path, with_fragile, monkeypatch):
    plan = benchmark(decoders=("fragile",), selections=("default",))
    assert len(run_in(tmp_path, plan).failures) == 3
    monkeypatch.setattr(Fragile, "fit", lambda self, X, y: setattr(self, "classes_", np.unique(y)) or self)
    assert run_in(tmp_path, plan).failures.empty
    assert json.loads((tmp_path / "failures.json").read_text()) == []


def test_a_benchmark_in_which_everything_fails_still_has_its_columns(tmp_path, with_fragile, monkeypatch):
    monkeypatch.setattr(cells, "run_fold", lambda *args, **more: 1 / 0)
    outcome = run_in(tmp_path, benchmark(decoders=()))
    assert outcome.results.empty
    assert tuple(pd.read_parquet(tmp_path / "results.parquet").columns) == RESULT_COLUMNS


def test_warnings_of_decoders_go_to_the_log_and_not_to_the_screen(tmp_path):
    plan = benchmark(decoders=(), references={"s0": {"wordy": Fragile("warn")}})
    run_in(tmp_path, plan)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["warning"] for line in lines if line["event"] == "warning"] == ["UserWarning: slow to converge"] * 3


def test_a_killed_worker_is_named_and_a_second_run_continues(tmp_path):
    plan = benchmark(references={"s0": {"deadly": Fragile("die")}}, selections=("default",), jobs=2)
    with pytest.raises(WorkerError, match=r"died while decoding session 's0'.* run again, with fewer jobs"):
        run_in(tmp_path, plan)
    assert not (tmp_path / "results.parquet").exists()
    assert len(run_in(tmp_path, benchmark(selections=("default",), jobs=2)).results) == 6


def test_ctrl_c_leaves_finished_cells_no_workers_and_no_half_written_file(tmp_path):
    code = textwrap.dedent(f"""
        import signal, sys, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_benchmark import Benchmark, RunDirectory, SPLITTER, Slow, session
        if __name__ == "__main__":
            plan = Benchmark({{"s0": session()}}, (), SPLITTER, references={{"s0": {{"slow": Slow()}}}}, jobs=2)
            with RunDirectory({str(tmp_path)!r}, {{}}) as run:
                plan.run(run, lambda done, total, row: print(done, flush=True))
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        quick = [process.stdout.readline() for _ in range(SPLITTER.get_n_splits())]  # those of the chance decoder
        assert quick[0] == "1\n"
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does: the whole group gets it
        begun = time.perf_counter()
        _, errors = process.communicate(timeout=60)
        assert time.perf_counter() - begun < 25  # the fits that were running take 30 s; nobody waits for them
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert group_ends(process.pid, seconds=20)
    assert list(tmp_path.rglob("*.tmp")) == []
    assert not (tmp_path / "results.parquet").exists()
    with RunDirectory(tmp_path, {}) as run:
        assert 1 <= len(run.finished_parts()) < 6


def group_ends(group, seconds):
    """Whether no process of the group is left after a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


class Slow(Fragile):
    def fit(self, X, y):
        time.sleep(30)
        return self


def test_benchmark_refuses_an_unknown_decoder_before_anything_is_fitted(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'logistic'"):
        run_in(tmp_path, benchmark(decoders=("logistik",)))
    assert list((tmp_path / "parts").iterdir()) == []


def test_benchmark_refuses_an_unfit_session_before_anything_is_fitted(tmp_path):
    datasets = {"s0": session(), "short": session(n_trials=10)}
    with pytest.raises(TooFewRepeatsError):
        run_in(tmp_path, benchmark(datasets=datasets))
    assert list((tmp_path / "parts").iterdir()) == []


def test_memory_estimate_grows_with_trials_and_processes():
    small, large = benchmark(), benchmark(datasets={"s": session(n_units=4000, n_trials=2000)})
    working = 6 * 8 * 2000 * 4000
    assert large.memory_estimate() - small.memory_estimate() == pytest.approx(working, rel=0.05)
    two = benchmark(datasets=large.datasets, jobs=2)
    assert two.memory_estimate() - large.memory_estimate() > working


def test_as_problem_names_a_tuple_target_by_its_columns():
    problem = as_problem(session().assign_attrs(target=["x_position", "y_position"]), "other")
    assert problem.described["target"] == "x_position, y_position"
    assert problem.session == "other"


def test_a_graph_decoder_leaves_its_graph_its_edges_and_a_row_without_them(tmp_path, with_linked):
    found = run_in(tmp_path / "run", benchmark(decoders=("linked",), selections=("default",)))
    rows = found.results.groupby(["decoder", "selection"])["accuracy"].mean()
    assert rows["linked", "default"] > 0.4
    assert rows["linked, identity graph", "reference"] < 0.3
    edges = pd.read_parquet(tmp_path / "run" / "edges.parquet")
    assert set(edges["target_unit"]) == set(range(900, 908))
    assert edges["fold_correlation"].between(-1, 1).all()
    with xr.open_datatree(tmp_path / "run" / "adjacency.nc", engine="h5netcdf") as tree:
        stored = tree["s0/linked/default"].to_dataset().load()
    assert stored["adjacency"].shape == (8, 8)
    assert stored["fold_correlation"].shape == (3, 3)


def test_decoders_without_a_graph_leave_none(tmp_path):
    run_in(tmp_path / "run", benchmark(selections=("default",)))
    assert not (tmp_path / "run" / "adjacency.nc").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_the_time_limit_no_cell_is_begun_and_the_next_run_goes_on(tmp_path, jobs):
    plan = benchmark(selections=("default",), jobs=jobs)
    late = run_in(tmp_path / "run", replace(plan, time_limit=0.0))
    assert late.results.empty
    assert len(late.failures) == 6  # chance and logistic, three folds
    assert late.failures["error"].str.startswith("not run: the time limit was over").all()
    whole = run_in(tmp_path / "run", plan)
    assert whole.failures.empty
    assert len(whole.results) == 6


class Keeping(ClassifierMixin, BaseEstimator):
    """Notes the folder for unfinished fits that it was given."""

    seen: ClassVar[list[object]] = []

    def __init__(self, alpha=1.0, checkpoint=None):
        self.alpha = alpha
        self.checkpoint = checkpoint

    def fit(self, X, y):
        self.seen.append(self.checkpoint)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_the_fit_after_a_search_has_the_folder_for_unfinished_fits(tmp_path):
    class Search:
        n_candidates = 2
        parameters = ("alpha",)

        def __call__(self, estimator, folds, folder):
            assert estimator.checkpoint is None
            assert folder == tmp_path / "search"
            return Chosen({"alpha": 2.0}, 0.5)

    problem = as_problem(session())
    (train, _), *_ = problem.folds(SPLITTER)
    entrant = Contender("keeping", "searched", Keeping(), search=Search())
    fitted = fit_fold(entrant, problem.X, problem.y, problem.groups, train, gap=2, seed=0, checkpoint=tmp_path)
    assert Keeping.seen == [tmp_path]
    assert (fitted.decoder.alpha, fitted.decoder.checkpoint) == (2.0, None)


def test_constants_that_were_given_are_in_the_results_and_reach_into_graphs(tmp_path):
    params = {"gcn": {"graph": "learned", "graph__rank": 3, "max_epochs": 2}}
    plan = Benchmark({"s0": session()}, ["gcn"], SPLITTER, ("default",), params=params)
    with RunDirectory(tmp_path, {}) as run:
        results = plan.run(run).results
    own = results[(results["decoder"] == "gcn") & (results["selection"] == "default")]
    told = json.loads(own["params"].iloc[0])
    assert (told["graph__rank"], told["max_epochs"]) == (3, 2)
    assert (results["decoder"] == "gcn, identity graph").any()

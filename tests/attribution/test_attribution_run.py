"""``spikesight attribution``: what it writes, what it refuses, and that it never reaches a fit."""

import ast
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

import spikesight
from example_connectivity import write_connectivity
from fitted_state import state
from jump_network import JumpDecoder
from lab_counts import write_lab_counts
from page_reading import markup_of
from planted_places import planted_trials
from spikesight.attribution import source
from spikesight.attribution.run import rank_units, run_attribution
from spikesight.attribution.source import RunSession, sessions_of
from spikesight.attribution.unit_table import FOLD_COLUMNS, UNIT_COLUMNS, unit_table
from spikesight.cli import app
from spikesight.data.counts import read_counts, write_counts
from spikesight.errors import RunDirectoryError
from spikesight.evaluation.fitting import FittedFold
from spikesight.records.run_record import read_run
from spikesight.reports.attribution import attribution_section
from spikesight.reports.report import render

BENCHMARK = ("--folds", "3", "--gap", "2", "--jobs", "1", "--set", "params.mlp.max_epochs=3")
DECODERS = "fa-lda,ridge,mlp,svc-rbf"


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def attributed(run, *options):
    done = command("attribution", run, *options)
    assert done.exit_code == 0, done.output
    return done


def failed(*arguments):
    done = command("attribution", *arguments)
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attribution")
    counts = write_lab_counts(folder / "lab.npz", n_trials=180)
    with np.load(counts) as archive:
        arrays = dict(archive)
    arrays["area"] = np.array(["VISp"] * 5 + ["LGd"] * 7)
    np.savez(counts, **arrays)
    options = ("--decoders", DECODERS, "--selection", "tuned,default", "--encoder", "pca", "--save-decoders")
    done = command("benchmark", counts, *BENCHMARK, *options, "--out", folder / "run")
    assert done.exit_code == 0, done.output
    return folder / "run"


@pytest.mark.parametrize(
    ("decoder", "method"),
    [
        *[(name, "permutation") for name in ("fa-lda", "ridge", "mlp", "svc-rbf", "pca+fa-lda")],
        *[("fa-lda", "shap"), ("ridge", "shap"), ("mlp", "integrated-gradients")],
    ],
)
def test_a_row_per_unit_with_area_interval_and_p_value(run, decoder, method, tmp_path):
    out = tmp_path / "found"
    done = attributed(run, "--decoder", decoder, "--method", method, "--seeds", 2, "--out", out, "--json")
    told = json.loads(done.stdout)
    table = pd.read_parquet(out / "attribution.parquet")
    assert list(table.columns) == list(UNIT_COLUMNS)
    assert len(table) == len(told["units"]) == 12
    assert table["area"].value_counts().to_dict() == {"LGd": 7, "VISp": 5}
    assert (table["low"] <= table["importance"]).all()
    assert (table["importance"] <= table["high"]).all()
    assert table["p_value"].between(0, 1).all()
    assert (table["q_value"] >= table["p_value"] - 1e-12).all()
    assert table["importance"].is_monotonic_decreasing
    assert table[["n_folds", "n_seeds"]].drop_duplicates().to_numpy().tolist() == [[3, 2]]
    folds = pd.read_parquet(out / "attribution_folds.parquet")
    assert list(folds.columns) == list(FOLD_COLUMNS)
    assert len(folds) == 12 * 3 * 2
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["decoder"], summary["method"], summary["other_answers"]) == (decoder, method, 0)
    if method == "integrated-gradients":
        assert summary["completeness_error"] == folds["completeness_error"].max() <= 0.01
    else:
        assert "completeness_error" not in summary
        assert folds["completeness_error"].isna().all()
    assert (out / "figures" / "units-lab.png").stat().st_size > 5000
    assert not [file for file in out.rglob("*.tmp")]


@pytest.mark.parametrize("jump", [0.004, 0.25])
def test_values_that_do_not_add_up_to_the_score_are_told_and_summed_up(run, tmp_path, monkeypatch, jump):
    """Every second fit has a jump in its score, which gradients do not see."""

    def fit(self, fold, seed, units=None):
        return FittedFold(JumpDecoder(self.problem.y, jump * (seed % 2)), None)

    monkeypatch.setattr(RunSession, "fit", fit)
    options = ("--decoder", "mlp", "--method", "integrated-gradients", "--seeds", 2, "--out", tmp_path / "found")
    for done in (attributed(run, *options), attributed(run, *options)):  # the second one fits nothing
        note = "in 3 of 6 fits the values of the units miss the score that they share out by more than 1%, at most by"
        assert (note in done.stderr) == (jump > 0.01)
        assert (f"{note} 25.0% of it (session lab, fold 0, seed 1, 256 points)" in done.stderr) == (jump > 0.01)
        summary = json.loads((tmp_path / "found" / "summary.json").read_text())
        assert summary["completeness_error"] == pytest.approx(jump, abs=1e-9)
        assert summary["n_steps"] == (256 if jump > 0.01 else 16)


@pytest.mark.parametrize("refit", [False, True])
def test_ablation_drops_units_by_importance_at_random_and_by_area(run, tmp_path, refit):
    out = tmp_path / "found"
    options = ("--decoder", "fa-lda", "--method", "ablation", "--seeds", 2, "--out", out)
    attributed(run, *options, *(["--refit"] if refit else []))
    table = pd.read_parquet(out / "ablation.parquet")
    assert set(table["how"]) == ({"mean", "refit"} if refit else {"mean"})
    orders = {"most important first", "least important first", "random", "without the area", "the area alone"}
    assert set(table["order"]) == orders
    results = pd.read_parquet(run / "results.parquet")
    chosen = results[(results["decoder"] == "fa-lda") & (results["selection"] == "tuned")]
    whole = table[(table["n_dropped"] == 0) & (table["seed"] == 0)].groupby("fold")["accuracy"].unique()
    for fold, own in chosen.groupby("fold"):
        np.testing.assert_allclose(whole[fold], own["accuracy"].iloc[0])
    curves = table[(table["area"] == "") & table["share_dropped"].between(0.2, 0.8)]
    values = curves.groupby("order")["value"].mean()
    assert values["most important first"] < values["random"] < values["least important first"]
    assert {file.name for file in (out / "figures").iterdir()} == {"ablation-lab.png", "areas-lab.png"}


def test_the_decoders_are_those_of_the_run_whether_they_were_stored_or_not(run, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(run, bare)
    shutil.rmtree(bare / "decoders")
    tables = []
    for place in (run, bare):
        out = tmp_path / f"found-{place.name}"
        attributed(place, "--decoder", "mlp", "--seeds", 1, "--permutations", 2, "--out", out)
        assert json.loads((out / "summary.json").read_text())["other_answers"] == 0
        tables.append(pd.read_parquet(out / "attribution.parquet"))
    pd.testing.assert_frame_equal(*tables)


def test_what_is_finished_is_found_again_and_another_question_is_refused_there(run, tmp_path, monkeypatch):
    out = tmp_path / "found"
    run_attribution(run, decoder="fa-lda", seeds=1, out=out)
    before = pd.read_parquet(out / "attribution.parquet")
    (out / "attribution.parquet").unlink()
    monkeypatch.setattr(RunSession, "fit", lambda *_: pytest.fail("fitted again"))
    run_attribution(run, decoder="fa-lda", seeds=1, out=out)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "attribution.parquet"), before)
    assert "belongs to a run with another config: method" in failed(
        run, "--decoder", "fa-lda", "--method", "shap", "--seeds", 1, "--out", out
    )


def test_without_a_name_the_best_decoder_of_the_leaderboard_is_taken(run, tmp_path):
    attributed(run, "--seeds", 1, "--permutations", 2, "--out", tmp_path / "found")
    board = read_run(run).per_session
    best = board[board["selection"] != "reference"]["decoder"].iloc[0]
    named = json.loads((tmp_path / "found" / "summary.json").read_text())["decoder"]
    assert named in set(board["decoder"])
    assert named == best or board.set_index("decoder")["accuracy"][best].max() >= 0.9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--decoder", "fa-ldaa"), "Did you mean 'fa-lda'?"),
        (("--decoder", "chance"), "a reference that is not fitted to the units"),
        (("--method", "permutations"), "unknown method 'permutations'. Did you mean 'permutation'?"),
        (("--decoder", "svc-rbf", "--method", "shap"), "Use integrated-gradients for a network, permutation for any"),
        (("--decoder", "fa-lda", "--method", "integrated-gradients"), "which has no gradient. Use shap for a linear"),
        (("--decoder", "pca+fa-lda", "--method", "shap"), "got EncodedDecoder"),
        (("--decoder", "fa-lda", "--seeds", "0"), "seeds of 1 or more"),
        (("--decoder", "fa-lda", "--permutations", "1"), "permutations of 2 or more"),
        (("--decoder", "fa-lda", "--method", "shap", "--refit"), "refit with the method 'ablation' alone"),
    ],
)
def test_what_cannot_be_honoured_is_told_in_one_line(run, tmp_path, options, said):
    assert said in failed(run, *options, "--out", tmp_path / "found")
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize(("decoder", "method"), [("mlp", "shap"), ("svc-rbf", "integrated-gradients")])
def test_a_method_that_does_not_suit_the_decoder_is_told_before_anything_is_read_or_made(
    run, monkeypatch, decoder, method
):
    monkeypatch.setattr(source, "_read", lambda *_: pytest.fail("a session was read"))
    before = sorted(run.rglob("*"))
    assert "Use " in failed(run, "--decoder", decoder, "--method", method)
    assert sorted(run.rglob("*")) == before


def test_a_folder_that_is_no_run_and_a_source_that_is_gone_or_changed_are_told(run, tmp_path):
    assert "expected a run directory" in failed(tmp_path)
    links = write_connectivity(tmp_path / "links")
    assert f"of a benchmark, {links} is one of a connectivity estimate. Give the --out of" in failed(links)
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    source = Path(run).parent / "lab.npz"
    kept = source.read_bytes()
    try:
        source.unlink()
        assert "is not there any more: attribution reads the trials again" in failed(moved, "--decoder", "fa-lda")
        write_lab_counts(source, n_trials=160)
        assert "does not hold the trials that" in failed(moved, "--decoder", "fa-lda")
    finally:
        source.write_bytes(kept)


def test_a_file_that_holds_another_session_than_the_run_decoded_is_told(run, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_read", lambda place, *known: (read_counts(place), "another"))
    assert "decoded lab, which none of its files holds any more" in failed(
        run, "--decoder", "fa-lda", "--method", "shap", "--out", tmp_path / "found"
    )


@pytest.mark.parametrize(
    ("labels", "gap", "said"),
    [
        (np.arange(30) % 4, 5, "its 10 training trials with a gap of 5 leave an inner fold without trials to learn"),
        (
            np.repeat([0, 1, 0, 1], 10),
            2,
            "its 18 training trials with a gap of 2 leave an inner fold that learns from one class",
        ),
        (np.repeat([0, 1, 2, 3] * 2, 6), 0, "leave an inner fold that is asked for classes it never learned"),
    ],
)
def test_too_few_trials_to_rank_units_are_told_as_an_inner_fold_of_the_ranking(tmp_path, labels, gap, said):
    rng = np.random.default_rng(0)
    X = rng.poisson(3 + 2 * labels[:, None], (len(labels), 6)).astype(np.uint8)
    np.savez(tmp_path / "lab.npz", X=X, y=labels, groups=np.zeros(len(labels), int))
    options = ("--folds", 2, "--gap", gap, "--jobs", "1", "--decoders", "lda", "--selection", "default")
    done = command("benchmark", tmp_path / "lab.npz", *options, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    error = failed(tmp_path / "run", "--decoder", "lda", "--method", "ablation", "--seeds", 1)
    assert "ablation ranks units on an inner fold of the training trials of fold 0 of session lab, and" in error
    assert said in error
    assert "Run the benchmark with more trials, a shorter gap or another number of folds" in error


def test_a_folder_of_receptive_fields_or_of_an_attribution_is_told_for_what_it_is(run, tmp_path):
    write_counts(planted_trials(), tmp_path / "patches.nc")
    maps = tmp_path / "maps"
    done = command("receptive-fields", tmp_path / "patches.nc", "--shuffles", 9, "--out", maps)
    assert done.exit_code == 0, done.output
    attributed(run, "--decoder", "fa-lda", "--method", "shap", "--seeds", 1, "--out", tmp_path / "units")
    for folder, held in ((maps, "receptive fields"), (tmp_path / "units", "an attribution")):
        said = failed(folder)
        assert f"expected the run directory of a benchmark, {folder} is one of {held}." in said
        assert "Give the --out of `spikesight benchmark` or `spikesight tune`." in said


def test_counts_without_areas_are_attributed_without_them(tmp_path):
    counts = write_lab_counts(tmp_path / "lab.npz")
    with np.load(counts) as archive:
        np.savez(counts, **{name: archive[name] for name in ("X", "y", "groups")})
    done = command(
        *("benchmark", counts, *BENCHMARK[:6], "--decoders", "lda", "--selection", "default", "--out", tmp_path / "run")
    )
    assert done.exit_code == 0, done.output
    attributed(tmp_path / "run", "--method", "ablation", "--seeds", 1, "--out", tmp_path / "ablation")
    table = pd.read_parquet(tmp_path / "ablation" / "ablation.parquet")
    assert set(table["area"]) == {""}
    done = attributed(tmp_path / "run", "--seeds", 1, "--out", tmp_path / "units")
    assert "no area is known" in done.stderr
    assert set(pd.read_parquet(tmp_path / "units" / "attribution.parquet")["area"]) == {""}


# ---------------------------------------------------------------- never a choice of units


def test_nothing_that_reads_fits_or_scores_imports_attribution():
    package = Path(spikesight.__file__).parent
    found = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            if any(name.startswith("spikesight.attribution") for name in names):
                found.add(file.relative_to(package).as_posix())
    outside = {name for name in found if not name.startswith("attribution/")}
    assert outside == {"commands/attribution_cli.py", "commands/terminal_attribution.py", "reports/attribution.py"}


def test_other_values_in_the_test_rows_change_no_decoder_and_no_order_in_which_units_are_dropped(run):
    [session] = sessions_of(read_run(run), "fa-lda", "tuned")
    session.stored.clear()
    rng = np.random.default_rng(0)
    for fold, (_, test) in enumerate(session.folds):
        X, y = session.problem.X.copy(), session.problem.y.copy()
        X[test], y[test] = rng.integers(0, 200, X[test].shape), rng.permutation(y[test])
        assert (X != session.problem.X).any()
        changed = SimpleNamespace(**{name: getattr(session.problem, name) for name in vars(session.problem)})
        changed.X, changed.y, changed.stretches = X, y, session.problem.stretches
        values = {name: getattr(session, name) for name in vars(session)}
        other = RunSession(**{**values, "problem": changed})
        assert state(session.fit(fold, 0).decoder) == state(other.fit(fold, 0).decoder)
        np.testing.assert_array_equal(rank_units(session, fold, 0), rank_units(other, fold, 0))


# ---------------------------------------------------------------- the table


def fold_rows(importance, deviation, n_draws, n_test=100):
    """Rows of one unit: importance (n_folds, n_seeds)."""
    rows = [
        {"session": "a", "decoder": "d", "method": "m", "fold": fold, "seed": seed, "unit": 1, "measure": "x",
         "importance": value, "accuracy_lost": 0.1, "magnitude": 0.2, "expected": 0.0, "deviation": deviation,
         "n_draws": n_draws, "n_test": n_test}
        for fold, line in enumerate(importance) for seed, value in enumerate(line)
    ]  # fmt: skip
    return pd.DataFrame(rows)


PLACES = pd.DataFrame({"session": ["a"], "unit": [1], "area": ["VISp"], "depth": [300.0]})


def test_intervals_are_over_folds_and_p_values_of_sums_over_folds():
    [row] = unit_table(fold_rows([[1.0, 3.0], [3.0, 5.0]], 2.0, 0), PLACES).to_dict("records")
    assert row["importance"] == 3.0
    assert row["high"] - row["importance"] == pytest.approx(12.706 * np.sqrt(2) / np.sqrt(2), rel=1e-3)
    assert row["seed_deviation"] == pytest.approx(np.sqrt(2))
    assert row["p_value"] == pytest.approx(0.016947, rel=1e-3)  # 3 over sqrt(2 ** 2 / 2), one-sided normal
    assert (row["area"], row["depth"], row["n_test"]) == ("VISp", 300.0, 200)


def test_runs_of_trials_that_seeds_share_are_counted_once():
    one, five = (fold_rows([[1.0] * n, [2.0] * n], 1.0, 4).assign(method="integrated-gradients") for n in (1, 5))
    assert unit_table(one, PLACES)["p_value"].item() == pytest.approx(unit_table(five, PLACES)["p_value"].item())
    assert unit_table(one, PLACES)["p_value"].item() == pytest.approx(stats.t.sf(1.5 / np.sqrt(0.5), 6))


def test_drawn_permutations_cost_degrees_of_freedom_and_one_fold_has_no_interval():
    exact, drawn = (unit_table(fold_rows([[3.0], [3.0]], 2.0, n), PLACES)["p_value"][0] for n in (0, 3))
    assert drawn > exact
    [row] = unit_table(fold_rows([[1.0]], 0.0, 4), PLACES).to_dict("records")
    assert np.isnan(row["low"])
    assert row["p_value"] == 1.0


# ---------------------------------------------------------------- for a page


def test_a_session_whose_id_is_a_path_leads_to_no_other_folder_and_is_text_in_the_report(tmp_path):
    write_lab_counts(tmp_path / "lab.npz", n_trials=180)
    dataset = read_counts(tmp_path / "lab.npz")
    evil = "../../../escaped/<b>x"
    write_counts(dataset.assign_attrs(session_id=evil), tmp_path / "lab.nc")
    run = tmp_path / "a" / "b" / "run"
    done = command("benchmark", tmp_path / "lab.nc", *BENCHMARK[:-2], "--decoders", "fa-lda", "--out", run)
    assert done.exit_code == 0, done.output
    attributed(run, "--seeds", 1)
    assert not list(tmp_path.rglob("escaped"))
    assert {file.suffix for file in (run / "attribution" / "fa-lda-permutation" / "figures").iterdir()} == {".png"}
    page = markup_of(render(read_run(run)))
    assert "Which units carry the prediction" in page
    assert evil not in page
    assert page.count("data:image/png;base64,") == 1


@pytest.mark.parametrize("method", ["shap", "ablation"])
def test_a_page_gets_plain_data_and_pictures(run, tmp_path, method):
    out = tmp_path / "found"
    attributed(run, "--decoder", "fa-lda", "--method", method, "--seeds", 1, "--out", out)
    section = attribution_section(out)
    json.dumps(section, allow_nan=False)
    [session] = section["sessions"]
    assert (section["decoder"], section["method"], session["id"]) == ("fa-lda", method, "lab")
    assert all(picture["address"].startswith("data:image/png;base64,") for picture in session["pictures"])
    if method == "shap":
        assert {row["area"]: row["units"] for row in session["areas"]} == {"VISp": 5, "LGd": 7}
        assert sum(row["carry"] for row in session["areas"]) == session["carry"]
        assert len(session["top"]) == 10
    else:
        assert {row["order"] for row in session["curves"]} >= {"random", "most important first"}
    (out / "summary.json").unlink()
    with pytest.raises(RunDirectoryError, match="expected a finished attribution"):
        attribution_section(out)

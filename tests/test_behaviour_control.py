"""The control that sees what the mouse did and no spike: same terms, no leak, clearly marked."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from typer.testing import CliRunner

from fitted_state import state
from guessing import chance_interval
from spikesight.cli import app
from spikesight.data.context import add_context
from spikesight.data.counts import write_counts
from spikesight.decoders.behaviour import BehaviourLogistic
from spikesight.detrending import Detrending
from spikesight.errors import DataError
from spikesight.evaluation.entrants import entrants
from spikesight.evaluation.folds import as_problem, run_fold
from spikesight.records.run_record import read_run
from spikesight.reports.text import methods
from test_benchmark import SPLITTER, benchmark, run_in, session, without_seconds

ALONE = "running alone"


@parametrize_with_checks([BehaviourLogistic()])
def test_the_control_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def moving(seed=0, *, tell=0.0, missing=0.0, **options):
    """Trials whose running speed goes along with the label by ``tell``; some of it, and of the pupil, is missing."""
    dataset = session(seed, **options)
    rng = np.random.default_rng(seed + 100)
    codes = np.unique(dataset["target"], return_inverse=True)[1]
    speed = tell * codes[:, None] + rng.gamma(1.0, 1.0, (len(codes), 1))
    speed[rng.random(len(codes)) < missing] = np.nan
    area = 4000 + 100 * rng.standard_normal((len(codes), 1))
    return dataset.assign_coords(
        running_speed=("trial", speed[:, 0]),
        running_speed_by_bin=(("trial", "time"), speed),
        area=("unit", np.repeat("VISp", dataset.sizes["unit"])),
        pupil_area_by_bin=(("trial", "time"), area),
    )


def control_of(dataset, name="running"):
    problem = as_problem(dataset)
    return next(row for row in entrants((), (), {}, problem, controls=(name,)) if row.name == f"{name} alone"), problem


def answers(dataset, fold=1, name="running"):
    entrant, problem = control_of(dataset, name)
    rows = problem.folds(SPLITTER)[fold]
    fitted, result, predictions = run_fold(entrant, problem, SPLITTER, fold, rows, 0)
    return fitted, result, predictions


def test_the_control_decodes_what_running_tells_and_nothing_else(tmp_path):
    plan = benchmark(datasets={"s0": moving(tell=4.0), "s1": moving(1, name="s1")}, controls=("running",))
    results = run_in(tmp_path, plan).results
    control = results[results["decoder"] == ALONE].groupby("session")["accuracy"].mean()
    assert control["s0"] > 0.6
    low, high = chance_interval(120, 1 / 6, 0.999)
    assert low <= control["s1"] <= high


def test_the_control_is_a_reference_on_the_same_trials_and_folds(tmp_path):
    outcome = run_in(tmp_path, benchmark(datasets={"s0": moving()}, controls=("running", "pupil", "behaviour")))
    assert outcome.failures.empty
    results, predictions = outcome.results, outcome.predictions
    own = results[results["decoder"].str.endswith(" alone")]
    assert set(own["decoder"]) == {"running alone", "pupil alone", "behaviour alone"}
    assert set(own["selection"]) == {"reference"}
    assert set(own["n_units"]) == {0}
    trials = {
        name: rows[["fold", "trial", "y_true"]].to_csv(index=False)
        for name, rows in predictions.groupby(["decoder", "selection"])
    }
    assert len(set(trials.values())) == 1


def test_there_is_no_control_unless_it_is_asked_for(tmp_path):
    results = run_in(tmp_path, benchmark(datasets={"s0": moving()})).results
    assert not results["decoder"].str.endswith(" alone").any()


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_control_cannot_see_spikes(missing):
    before = moving(tell=2.0, missing=missing)
    after = before.copy(deep=True)
    after["spike_counts"][:] = np.random.default_rng(5).integers(0, 200, before["spike_counts"].shape)
    (one, _, first), (other, _, second) = answers(before), answers(after)
    assert state(one) == state(other)
    assert first.to_csv() == second.to_csv()


@pytest.mark.parametrize("name", ["running", "behaviour"])
def test_other_values_in_the_test_rows_leave_the_fitted_control_bit_identical(name):
    before = moving(tell=2.0, missing=0.2)
    _, test = as_problem(before).folds(SPLITTER)[1]
    after = before.copy(deep=True)
    rng = np.random.default_rng(6)
    for measure in ("running_speed_by_bin", "pupil_area_by_bin"):
        after[measure][test] = np.where(rng.random((len(test), 1)) < 0.5, np.nan, 1e4 * rng.random((len(test), 1)))
    labels = after["target"].to_numpy().copy()
    labels[test] = (labels[test] + 1) % 6
    after = after.assign_coords(target=("trial", labels))
    assert state(answers(before, name=name)[0]) == state(answers(after, name=name)[0])


def test_the_proof_sees_a_control_that_is_fitted_to_all_rows():
    before = moving(tell=2.0)
    entrant, problem = control_of(before)
    _, test = problem.folds(SPLITTER)[1]
    after = before.copy(deep=True)
    after["running_speed_by_bin"][test] = 50.0
    every = np.arange(len(problem.y))
    fitted = [run_fold(entrant, one, SPLITTER, 1, (every, test), 0)[0] for one in (problem, as_problem(after))]
    assert state(fitted[0]) != state(fitted[1])


def test_shuffled_speeds_decode_at_chance():
    dataset = moving(3, tell=5.0)
    shuffled = np.random.default_rng(0).permutation(dataset["running_speed_by_bin"].to_numpy())
    dataset["running_speed_by_bin"][:] = shuffled
    correct = np.concatenate([answers(dataset, fold)[2]["correct"] for fold in range(3)])
    low, high = chance_interval(len(correct), 1 / 6, 0.999)
    assert low <= correct.mean() <= high


def test_drift_is_taken_from_counts_and_not_from_the_mouse(tmp_path):
    datasets = {"s0": moving(tell=2.0)}
    tables = [
        run_in(tmp_path / str(number), benchmark(datasets=datasets, controls=("running",), detrending=how)).predictions
        for number, how in enumerate((None, Detrending(20)))
    ]
    first, second = (table[table["decoder"] == ALONE]["y_pred"].tolist() for table in tables)
    assert first == second


def test_with_context_the_control_sees_what_the_mouse_did_beside_the_trial():
    dataset = add_context(moving(tell=2.0), 1, 1)
    entrant, problem = control_of(dataset)
    assert problem.shown_to(entrant).shape == (dataset.sizes["trial"], 3, 1)


def test_other_speeds_run_the_control_again_and_nothing_else(tmp_path):
    plan = {"controls": ("running",), "decoders": ("logistic",), "selections": ("default",)}
    first = run_in(tmp_path, benchmark(datasets={"s0": moving()}, **plan)).results
    faster = moving()
    faster["running_speed_by_bin"][:] += np.arange(faster.sizes["trial"])[:, None]
    second = run_in(tmp_path, benchmark(datasets={"s0": faster}, **plan)).results
    kept = [results["decoder"] != ALONE for results in (first, second)]
    assert first[kept[0]].to_csv() == second[kept[1]].to_csv()
    assert without_seconds(first[~kept[0]]).to_csv() != without_seconds(second[~kept[1]]).to_csv()


def test_a_session_that_does_not_know_the_speed_refuses_the_control(tmp_path):
    with pytest.raises(DataError, match=r"expected running_speed for the control 'running'; session s0 holds none"):
        run_in(tmp_path, benchmark(controls=("running",)))


def test_what_is_missing_everywhere_in_training_is_no_error():
    X = np.full((40, 2, 2), np.nan)
    X[:, :, 0] = np.random.default_rng(0).gamma(1, 1, (40, 2))
    fitted = BehaviourLogistic().fit(X[:30], np.arange(30) % 3)
    X[30:, :, 1] = 3.0
    assert np.isfinite(fitted.predict_proba(X[30:])).all()


def test_the_command_line_shows_the_control_and_the_page_says_what_it_is(tmp_path):
    write_counts(moving(tell=4.0), tmp_path / "trials.nc")
    asked = ["--control", "running", "--decoders", "lda", "--selection", "default", "--folds", "3", "--gap", "2"]
    where = ["--jobs", "1", "--running", "running", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, ["benchmark", str(tmp_path / "trials.nc"), *asked, *where])
    assert done.exit_code == 0, done.output
    assert ALONE in done.output
    told = " ".join(methods(read_run(tmp_path / "run")))
    assert "'running alone' saw what the mouse did" in told
    assert "Only running trials: the mean speed over the presentation is 1 cm/s or more." in told
    page = (tmp_path / "run" / "report.html").read_text()
    assert ALONE in page
    assert "Labels were not checked: too few trials" in page


def test_an_unknown_control_is_refused(tmp_path):
    done = CliRunner().invoke(app, ["benchmark", str(tmp_path / "x.nwb"), "--control", "runing"])
    assert done.exit_code == 1
    assert "controls (--control): expected 'behaviour', 'running' or 'pupil'" in done.output

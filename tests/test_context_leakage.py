"""With neighbours as context and drift taken away, nothing of the test rows reaches training either.

The three proofs of ``test_leakage.py``, with both options on, from the dataset of presentations on; and the leaks that
these options invite, each of which a proof sees.
"""

from dataclasses import replace

import numpy as np
import pytest

from guessing import chance_interval
from spikesight.data.context import add_context
from spikesight.detrending import Detrending
from spikesight.errors import ConfigError
from spikesight.evaluation import fitting
from spikesight.evaluation.benchmark import evaluate
from spikesight.evaluation.contenders import contender
from spikesight.evaluation.folds import as_problem, fit_fold, run_fold
from spikesight.splits import BlockKFold, LastBlock, RepeatKFold
from test_leakage import LEVEL, N_CLASSES, RUN, dataset_of, drifting_trials, state, tuned_trials, with_other_values

SPLITTER = BlockKFold(n_splits=3, gap=4)
SETTINGS = [Detrending(8), Detrending(8, causal=True)]
either_setting = pytest.mark.parametrize("setting", SETTINGS, ids=str)
ENTRANTS = [("fa-lda", "default"), ("ridge", "tuned"), ("poisson-bayes", "tuned")]
entrants = pytest.mark.parametrize(("name", "selection"), ENTRANTS)

PRESENTATIONS = dataset_of(*tuned_trials(0, n_trials=150, n_units=8))


def small(setting, presentations=PRESENTATIONS):
    return as_problem(add_context(presentations), detrending=setting)


# ---------------------------------------------------------------- 1. other values in the presentations of the test rows


def presentations_of(problem, rows):
    """Presentations whose counts are in these rows, as rows of ``PRESENTATIONS``."""
    trials = problem.trials[rows]
    previous, following = problem.context
    return np.unique(np.concatenate([trials + offset for offset in range(-previous, following + 1)]))


def states_with_and_without_change(entrant, setting, fit):
    problem = small(setting)
    for fold, (train, test) in enumerate(problem.folds(SPLITTER)):
        changed = small(setting, with_other_values(PRESENTATIONS, presentations_of(problem, test)))
        np.testing.assert_array_equal(changed.X[train], problem.X[train])
        assert (changed.X[test] != problem.X[test]).any(axis=2).all(), "every bin of every test row changes"
        assert (changed.y[test] != problem.y[test]).all()
        yield tuple(state(fit(entrant, given, fold, train, test)) for given in (problem, changed))


def through_run_fold(entrant, problem, fold, train, test):
    """The fitted decoder, how drift was taken away, the accuracy of every candidate, and answers to the same trials."""
    fitted, result, _ = run_fold(entrant, problem, SPLITTER, fold, (train, test), 0)
    original = small(problem.detrending)
    counts = fitted.prepare(original.X[test], test, original.stretches(SPLITTER.gap)[test])
    return fitted, result["params"].tolist(), fitted.decoder.predict(counts)


@either_setting
@entrants
def test_other_values_in_test_presentations_leave_fitted_state_and_every_choice_bit_identical(name, selection, setting):
    for before, after in states_with_and_without_change(contender(name, selection), setting, through_run_fold):
        assert before == after


@pytest.mark.parametrize("name", ["fa-lda", "poisson-bayes"])
def test_other_values_in_inner_test_rows_do_not_change_what_a_candidate_learned_from_the_others(name):
    """Inner training rows are detrended from inner training rows alone."""
    problem = small(Detrending(8))
    learned = []
    train, _ = problem.folds(SPLITTER)[0]
    inner = fitting.inner_folds(train, problem.stretches(4), 4)
    for X in (problem.X, with_noise(problem.X, train[inner[0][1]])):
        fold = fit_fold(
            contender(name, "default"),
            X,
            problem.y,
            problem.stretches(4),
            train[inner[0][0]],
            gap=4,
            seed=0,
            detrending=problem.detrending,
        )
        learned.append(state(fold))
    assert learned[0] == learned[1]


def with_noise(X, rows):
    X = X.copy()
    X[rows] = np.random.default_rng(1).integers(0, 300, X[rows].shape)
    return X


class Recorder(Detrending):
    """Detrending that writes down of which rows it was asked."""

    seen: list

    def fit_transform(self, counts, rows, stretches):
        fitted, detrended = super().fit_transform(counts, rows, stretches)
        Recorder.seen.append(("learn", rows.tolist()))
        transform = type(fitted).transform

        class Told(type(fitted)):
            def transform(self, counts, rows, stretches):
                Recorder.seen.append(("ask", rows.tolist()))
                return transform(self, counts, rows, stretches)

        return Told(fitted.setting, fitted.level, fitted.lowest), detrended


def test_a_tuned_decoder_detrends_each_inner_fold_anew_and_the_test_rows_last_and_once():
    problem = small(Recorder(8))
    train, test = problem.folds(SPLITTER)[1]
    Recorder.seen = []
    run_fold(contender("logistic", "tuned"), problem, SPLITTER, 1, (train, test), 0)
    inner = [
        entry
        for learn, ask in fitting.inner_folds(train, problem.stretches(4), 4)
        for entry in (("learn", train[learn].tolist()), ("ask", train[ask].tolist()))
    ]
    assert Recorder.seen == [*inner, ("learn", train.tolist()), ("ask", test.tolist())]


class OverAllRows(Detrending):
    """The mistake: the running mean is taken over the whole session before it is split."""

    def fit_transform(self, counts, rows, stretches):
        problem = OverAllRows.problem
        _, everything = super().fit_transform(problem.X, np.arange(len(problem.y)), problem.stretches(4))
        fitted, _ = super().fit_transform(counts, rows, stretches)
        return fitted, everything[rows]


def test_the_first_proof_sees_a_running_mean_over_all_rows():
    def fit(entrant, problem, fold, train, test):
        OverAllRows.problem = problem
        return fit_fold(
            entrant, problem.X, problem.y, problem.stretches(4), train, gap=4, seed=0, detrending=OverAllRows(8)
        )

    pairs = list(states_with_and_without_change(contender("fa-lda", "default"), Detrending(8), fit))
    assert any(before != after for before, after in pairs)


def test_the_first_proof_sees_a_gap_that_is_too_small():
    """Where the check is left out, training rows hold counts of presentations that test rows hold too."""
    problem = small(None)
    train, test = next(BlockKFold(n_splits=3, gap=1).split(problem.X, problem.y, problem.groups))
    changed = small(None, with_other_values(PRESENTATIONS, presentations_of(problem, test)))
    assert (changed.X[train] != problem.X[train]).any()


# ---------------------------------------------------------------- the gap is enforced


@pytest.mark.parametrize(("context", "gap"), [((1, 1), 1), ((1, 1), 0), ((2, 1), 2), ((0, 1), 0), ((1, 0), 0)])
@pytest.mark.parametrize("splitter", [BlockKFold(3), LastBlock()], ids=lambda splitter: splitter.name)
def test_a_gap_that_is_narrower_than_context_needs_is_refused(splitter, context, gap):
    presentations = dataset_of(*tuned_trials(0, n_trials=150)[:2], np.zeros(150, int))
    problem = as_problem(add_context(presentations, *context))
    with pytest.raises(ConfigError, match=rf"at a gap of {gap}. Expected a gap of at least {sum(context)} trials"):
        problem.folds(replace(splitter, gap=gap))
    assert problem.folds(replace(splitter, gap=sum(context)))


@pytest.mark.parametrize("context", [(1, 1), (0, 2), (3, 0)])
@pytest.mark.parametrize("block", [150, 37, 10])
def test_no_presentation_is_in_a_training_row_and_in_a_test_row(context, block):
    presentations = dataset_of(*tuned_trials(0, n_trials=150)[:2], np.arange(150) // block)
    problem = as_problem(add_context(presentations, *context))
    for train, test in problem.folds(BlockKFold(3, gap=sum(context))):
        assert not np.intersect1d(presentations_of(problem, train), presentations_of(problem, test)).size


def test_a_splitter_without_a_gap_is_refused_with_context_and_taken_without():
    with pytest.raises(ConfigError, match=r"repeat-kfold, which keeps no gap. Use block-kfold"):
        small(None).folds(RepeatKFold(3))
    assert as_problem(PRESENTATIONS).folds(RepeatKFold(3))


def test_trials_taken_out_later_do_not_hide_a_shared_presentation():
    problem = as_problem(add_context(PRESENTATIONS).isel(trial=np.r_[0:30, 31:146]))
    with pytest.raises(ConfigError, match="share presentations"):
        problem.folds(BlockKFold(3, gap=1))


def test_windows_of_neighbours_must_not_reach_across_the_gap_either():
    presentations = PRESENTATIONS.assign_attrs(window=[0.0, 0.4])  # 0.25 s from onset to onset
    assert as_problem(presentations).folds(BlockKFold(3, gap=1))
    problem = as_problem(add_context(presentations))
    with pytest.raises(ConfigError, match=r"share spikes.*Expected a gap of at least 4 trials"):
        problem.folds(BlockKFold(3, gap=2))
    assert problem.folds(BlockKFold(3, gap=4))


# ---------------------------------------------------------------- 2. and 3. shuffled labels, slow drift


def accuracy(name, counts, labels, blocks, splitter, setting, selection="default"):
    presentations = dataset_of(counts, labels, blocks)
    outcome = evaluate(name, add_context(presentations), splitter, selection=selection, detrending=setting)
    assert outcome.failures.empty, outcome.failures["error"][0]
    return float(outcome.predictions["correct"].mean()), len(outcome.predictions)


@either_setting
@entrants
def test_shuffled_labels_decode_at_chance(name, selection, setting):
    counts, labels, blocks = tuned_trials(3, n_units=8, n_bins=1)
    labels = np.random.default_rng(4).permutation(labels)
    share, n = accuracy(name, counts, labels, blocks, SPLITTER, setting, selection)
    low, high = chance_interval(n, 1 / N_CLASSES, LEVEL)
    assert low <= share <= high


@either_setting
def test_labels_that_are_not_shuffled_decode_far_above_chance(setting):
    assert accuracy("fa-lda", *tuned_trials(3, n_units=8, n_bins=1), SPLITTER, setting)[0] > 0.7


DRIFT_SEEDS = (5, 6)
N_RUNS = 2 * 32
DRIFT_BOUND = chance_interval(N_RUNS, 1 / N_CLASSES, LEVEL).high
"""Trials of one run stand or fall together: what varies by chance is the number of runs."""


def drift_accuracy(name, splitter, setting, selection="default"):
    return np.mean(
        [accuracy(name, *drifting_trials(seed, 40), splitter, setting, selection)[0] for seed in DRIFT_SEEDS]
    )


@pytest.mark.parametrize("setting", [None, Detrending(30), Detrending(30, causal=True)], ids=str)
@pytest.mark.parametrize(("name", "selection"), [("ridge", "default"), ("ridge", "tuned")])
def test_slow_drift_does_not_decode_under_blocked_folds_with_the_gap(name, selection, setting):
    assert drift_accuracy(name, BlockKFold(4, gap=RUN + 2), setting, selection) <= DRIFT_BOUND


class EverySixth:
    """Test trials whose neighbours three places away are trained on: no presentation is shared, drift is."""

    def split(self, X, y=None, groups=None):
        rows = np.arange(len(X))
        return ((rows[rows % 6 == (fold + 3) % 6], rows[rows % 6 == fold]) for fold in range(6))


def test_the_third_proof_sees_a_gap_that_suffices_for_context_and_not_for_drift():
    assert drift_accuracy("ridge", EverySixth(), None) > DRIFT_BOUND

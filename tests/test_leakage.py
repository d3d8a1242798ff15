"""Nothing of the test rows reaches training: three proofs for every registered decoder.

1. With other values in the test rows' X and y, fitted state and every choice stay bit-identical.
2. Shuffled labels decode at chance.
3. Slow drift without any signal decodes under shuffled folds, and does not under blocked folds with a gap.

Each proof is shown to be able to fail, on a deliberate leak.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.feature_selection import f_classif
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB

from fitted_state import state
from guessing import chance_interval
from quick_decoders import brief_candidates, briefly, is_trained, quick
from spikesight.decoders import registry
from spikesight.evaluation.benchmark import evaluate
from spikesight.evaluation.contenders import contender
from spikesight.evaluation.folds import Contender, as_problem, fit_fold, run_fold
from spikesight.splits import BlockKFold

DECODERS = registry.names()
CHOOSERS = [name for name in DECODERS if len(registry.spec(name).candidates) > 1]
"""Decoders that have constants to choose."""
every_decoder = pytest.mark.parametrize("name", DECODERS)
every_decoder_and_selection = pytest.mark.parametrize(
    ("name", "selection"), [(name, "default") for name in DECODERS] + [(name, "tuned") for name in CHOOSERS]
)

N_CLASSES = 4
LEVEL = 0.999
"""Of the chance interval: some 40 comparisons are made, so that one in 25 such suites would fail by bad luck alone."""


def entry(decoder, selection):
    """Arguments of ``evaluate``. A tuned network chooses between two candidates, which are trained briefly."""
    if selection == "tuned" and decoder in CHOOSERS and is_trained(decoder):
        return {"decoder": quick(decoder), "selection": selection, "candidates": brief_candidates(decoder)}
    return {"decoder": decoder, "selection": selection}


def brief_contender(name, selection):
    """A registered decoder whose networks, if it has any, are trained briefly: to the bit, long and short are alike."""
    entrant = contender(name, selection)
    if not is_trained(name):
        return entrant
    return replace(entrant, estimator=briefly(entrant.estimator), candidates=brief_candidates(name))


# ---------------------------------------------------------------- trials


def dataset_of(counts, labels, blocks):
    n_trials, n_bins, n_units = counts.shape
    start = np.arange(n_trials) * 0.25
    return xr.Dataset(
        {"spike_counts": (("trial", "time", "unit"), counts.astype("uint16"))},
        {
            "trial": np.arange(n_trials),
            "time": np.arange(n_bins) * 0.1,
            "unit": np.arange(n_units),
            "start_time": ("trial", start),
            "stop_time": ("trial", start + 0.25),
            "stimulus_block": ("trial", blocks),
            "repeat": ("trial", np.zeros(n_trials, int)),
            "target": ("trial", labels),
        },
        {"session_id": "simulated"},
    )


def tuned_trials(seed, n_trials=240, n_units=12, n_bins=2):
    """Trials of units with a strong tuning to the label, in two blocks."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n_trials) % N_CLASSES)
    rates = rng.gamma(2, 2, (N_CLASSES, n_bins, n_units))
    return rng.poisson(rates[labels]), labels, np.repeat([2, 5], [n_trials // 2, n_trials - n_trials // 2])


RUN = 10
RUNS_PER_CLASS = 8


def drifting_trials(seed, n_units=100):
    """Trials whose rates drift slowly and know nothing of the labels, which come in runs in random order."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.permutation(np.repeat(np.arange(N_CLASSES), RUNS_PER_CLASS)), RUN)
    drift = gaussian_filter1d(rng.normal(size=(len(labels), n_units)), sigma=RUN, axis=0)
    rates = 8 * np.exp(0.9 * drift / drift.std())
    return rng.poisson(rates)[:, None, :], labels, np.zeros(len(labels), int)


def share_correct(predictions):
    return float(predictions["correct"].mean())


# ---------------------------------------------------------------- 1. other values in the test rows


def with_other_values(dataset, rows, seed=1):
    """The same trials with other counts and other labels in ``rows``."""
    rng = np.random.default_rng(seed)
    X, y = dataset["spike_counts"].to_numpy().copy(), dataset["target"].to_numpy().copy()
    X[rows] = rng.integers(0, 300, X[rows].shape)
    y[rows] = (y[rows] + rng.integers(1, N_CLASSES, len(rows))) % N_CLASSES
    return dataset_of(X, y, dataset["stimulus_block"].to_numpy())


SPLITTER = BlockKFold(n_splits=3, gap=2)
SMALL_DATASET = dataset_of(*tuned_trials(0, n_trials=120))
SMALL = as_problem(SMALL_DATASET)
FOLDS = SMALL.folds(SPLITTER)


def states_with_and_without_change(entrant, fit):
    """What ``fit`` makes of a fold, with the test rows as they are and with others, from the dataset on."""
    for fold, (train, test) in enumerate(FOLDS):
        changed = as_problem(with_other_values(SMALL_DATASET, test))
        assert (SMALL.X[test] != with_other_values(SMALL_DATASET, test)["spike_counts"].to_numpy()[test]).any()
        assert changed.X.shape == SMALL.X.shape, "units were chosen by what the test rows hold"
        assert (changed.y[test] != SMALL.y[test]).all()
        yield tuple(state(fit(entrant, problem, fold, train, test)) for problem in (SMALL, changed))


def through_run_fold(entrant, problem, fold, train, test):
    """The fitted decoder, what was chosen, and its answers to the same trials."""
    fitted, result, _ = run_fold(entrant, problem, SPLITTER, fold, (train, test), 0)
    return fitted, result["params"].tolist(), fitted.decoder.predict(SMALL.X[test])


def the_search(entrant, problem, fold, train, test):
    """The fitted search: the accuracy of every candidate on every inner fold."""
    return fit_fold(entrant, problem.X, problem.y, problem.stretches(2), train, gap=2, seed=0)


@every_decoder_and_selection
def test_other_values_in_the_test_rows_leave_fitted_state_and_every_choice_bit_identical(name, selection):
    for before, after in states_with_and_without_change(brief_contender(name, selection), through_run_fold):
        assert before == after


@every_decoder
def test_other_values_in_the_test_rows_leave_the_accuracy_of_every_candidate_bit_identical(name):
    before, after = next(states_with_and_without_change(brief_contender(name, "tuned"), the_search))
    assert before == after


@every_decoder
def test_other_values_in_some_test_rows_leave_the_answers_to_the_others_bit_identical(name):
    train, test = FOLDS[1]
    changed = as_problem(with_other_values(SMALL_DATASET, test[::2]))
    answers = []
    for problem in (SMALL, changed):
        _, _, predictions = run_fold(brief_contender(name, "default"), problem, SPLITTER, 1, (train, test), 0)
        answers.append(predictions.iloc[1::2][["y_pred", "in_top5", "confidence"]].to_csv())
    assert answers[0] == answers[1]


class Stubborn(ClassifierMixin, BaseEstimator):
    """Always answers ``answer``: which of two candidates does best depends on nothing but the labels."""

    def __init__(self, answer=0):
        self.answer = answer

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.answer)


def test_other_labels_in_the_test_rows_do_not_change_a_choice_that_depends_on_labels_alone():
    candidates = tuple({"answer": answer} for answer in range(N_CLASSES))
    entrant = Contender("Stubborn", "tuned", Stubborn(), candidates)
    for before, after in states_with_and_without_change(entrant, through_run_fold):
        assert before == after


def _normalise_everything(entrant, problem, fold, train, test):
    return through_run_fold(entrant, replace(problem, X=problem.X / (1 + problem.X.std(axis=0))), fold, train, test)


def _choose_on_the_test_rows(entrant, problem, fold, train, test):
    X, y = problem.X, problem.y
    fits = [
        clone(entrant.estimator).set_params(**candidate).fit(X[train], y[train]) for candidate in entrant.candidates
    ]
    return max(fits, key=lambda fitted: fitted.score(X[test], y[test])).get_params()


def _learn_test_labels(entrant, problem, fold, train, test):
    return through_run_fold(entrant, problem, fold, np.arange(len(problem.y)), test)


@pytest.mark.parametrize("leak", [_normalise_everything, _choose_on_the_test_rows, _learn_test_labels])
def test_the_first_proof_sees_a_leak(leak):
    entrant = contender("logistic", "default")
    assert any(before != after for before, after in states_with_and_without_change(entrant, leak))


def test_the_first_proof_sees_a_single_bit():
    fitted = GaussianNB().fit(SMALL.X[:, 0], SMALL.y)
    before = state(fitted)
    assert before == state(GaussianNB().fit(SMALL.X[:, 0], SMALL.y))
    fitted.theta_[0, 0] = np.nextafter(fitted.theta_[0, 0], np.inf)
    assert state(fitted) != before


def test_the_first_proof_sees_a_single_bit_in_a_network():
    fitted = quick("mlp").fit(SMALL.X, SMALL.y)
    before = state(fitted)
    assert before == state(quick("mlp").fit(SMALL.X, SMALL.y))
    weight = next(fitted.network_.parameters())
    with torch.no_grad():
        weight.flatten()[0] = weight.flatten()[0].nextafter(torch.tensor(torch.inf))
    assert state(fitted) != before


# ---------------------------------------------------------------- 2. shuffled labels


def noise_trials(seed, n_trials=120, n_units=200):
    """Few trials of many units that know nothing of the labels: some look tuned to all labels taken together."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n_trials) % N_CLASSES)
    return rng.poisson(4, (n_trials, 1, n_units)), labels, np.repeat([2, 5], n_trials // 2)


def noise_accuracy(decoder, selection="default", choose=lambda dataset: dataset):
    outcome = evaluate(dataset=choose(dataset_of(*noise_trials(7))), splitter=SPLITTER, **entry(decoder, selection))
    assert outcome.failures.empty, outcome.failures["error"][0]
    return share_correct(outcome.predictions), chance_interval(len(outcome.predictions), 1 / N_CLASSES, LEVEL)


@every_decoder_and_selection
def test_many_units_without_signal_decode_at_chance_from_few_trials(name, selection):
    accuracy, (low, high) = noise_accuracy(name, selection)
    assert low <= accuracy <= high


def _units_that_differ_between_classes(dataset, n_kept=40):
    statistic, _ = f_classif(dataset["spike_counts"].to_numpy()[:, 0], dataset["target"].to_numpy())
    return dataset.isel(unit=np.sort(np.argsort(statistic)[-n_kept:]))


def test_the_second_proof_sees_units_that_were_selected_by_all_labels():
    accuracy, (_, high) = noise_accuracy("lda", choose=_units_that_differ_between_classes)
    assert accuracy > high


def shuffled_accuracy(decoder, selection="default"):
    counts, labels, blocks = tuned_trials(3, n_bins=1)
    labels = np.random.default_rng(4).permutation(labels)
    outcome = evaluate(dataset=dataset_of(counts, labels, blocks), splitter=SPLITTER, **entry(decoder, selection))
    assert outcome.failures.empty, outcome.failures["error"][0]
    return share_correct(outcome.predictions), chance_interval(len(labels), 1 / N_CLASSES, LEVEL)


@every_decoder_and_selection
def test_shuffled_labels_decode_at_chance(name, selection):
    accuracy, (low, high) = shuffled_accuracy(name, selection)
    assert low <= accuracy <= high


@pytest.mark.parametrize("name", [name for name in DECODERS if name != "chance"])
def test_labels_that_are_not_shuffled_decode_far_above_chance(name):
    outcome = evaluate(name, dataset_of(*tuned_trials(3, n_bins=1)), SPLITTER)
    assert share_correct(outcome.predictions) > 0.7


class Clairvoyant(ClassifierMixin, BaseEstimator):
    """Knows the label of every trial that it has ever been told of, test trials included."""

    def __init__(self, told=()):
        self.told = told

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        known = dict(self.told)
        return np.array([known[trial.tobytes()] for trial in X])


def test_the_second_proof_sees_a_leak():
    counts, labels, _ = tuned_trials(3, n_bins=1)
    labels = np.random.default_rng(4).permutation(labels)
    told = [(trial.tobytes(), int(label)) for trial, label in zip(counts.astype("uint16"), labels, strict=True)]
    accuracy, (_, high) = shuffled_accuracy(Clairvoyant(told))
    assert accuracy > high


# ---------------------------------------------------------------- 3. slow drift

BLOCKED = BlockKFold(n_splits=4, gap=RUN)


@dataclass(frozen=True)
class ShuffledKFold:
    """What people do: trials are dealt to folds at random."""

    n_splits: int = 4

    def split(self, X, y=None, groups=None):
        return KFold(self.n_splits, shuffle=True, random_state=0).split(X)


@dataclass(frozen=True)
class InterleavedKFold:
    """Every fourth trial in turn: each test trial lies between two training trials."""

    def split(self, X, y=None, groups=None):
        rows = np.arange(len(X))
        return ((rows[rows % 4 != fold], rows[rows % 4 == fold]) for fold in range(4))


# Trials of one run stand or fall together: what varies by chance is the number of runs, not of trials.
DRIFT_SEEDS = (5, 6)
N_RUNS = N_CLASSES * RUNS_PER_CLASS * len(DRIFT_SEEDS)
DRIFT_BOUND = chance_interval(N_RUNS, 1 / N_CLASSES, LEVEL).high


def drift_accuracy(decoder, splitter, selection="default"):
    accuracies = []
    for seed in DRIFT_SEEDS:
        outcome = evaluate(dataset=dataset_of(*drifting_trials(seed)), splitter=splitter, **entry(decoder, selection))
        assert outcome.failures.empty, outcome.failures["error"][0]
        accuracies.append(share_correct(outcome.predictions))
    return np.mean(accuracies)


@pytest.mark.parametrize("name", [name for name in DECODERS if name != "chance"])
def test_slow_drift_decodes_under_shuffled_folds(name):
    assert drift_accuracy(name, ShuffledKFold()) > DRIFT_BOUND + 0.1


@every_decoder_and_selection
def test_slow_drift_does_not_decode_under_blocked_folds_with_a_gap_as_long_as_a_run(name, selection):
    assert drift_accuracy(name, BLOCKED, selection) <= DRIFT_BOUND


def test_the_third_proof_sees_a_splitter_that_lets_neighbours_in():
    assert drift_accuracy("logistic", InterleavedKFold()) > DRIFT_BOUND


SHORT = BlockKFold(n_splits=45, gap=RUN)
"""Test runs shorter than a run of a label: without a gap, most trials have the rest of their run in training."""


def test_slow_drift_does_not_decode_in_short_test_runs_and_does_where_the_gap_is_not_kept():
    assert drift_accuracy("ridge", SHORT) <= DRIFT_BOUND
    assert drift_accuracy("ridge", replace(SHORT, gap=0)) > DRIFT_BOUND


def small_blocks(seed):
    counts, labels, _ = drifting_trials(seed)
    return dataset_of(counts, labels, np.arange(len(labels)) // 3)


def test_slow_drift_does_not_decode_when_the_trials_are_cut_into_small_blocks_that_touch():
    for train, test in as_problem(small_blocks(DRIFT_SEEDS[0])).folds(BLOCKED):
        assert np.abs(train[:, None] - test).min() > RUN
    accuracies = [share_correct(evaluate("ridge", small_blocks(seed), BLOCKED).predictions) for seed in DRIFT_SEEDS]
    assert np.mean(accuracies) <= DRIFT_BOUND

"""Importance against what is true: the tuning of simulated units, and p-values of units that know nothing."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spikesight.attribution.fold_rows import unit_rows
from spikesight.attribution.unit_table import unit_places, unit_table
from spikesight.config import load_config
from spikesight.data.simulation.truth import GroundTruth, truth_path
from spikesight.decoders import registry
from spikesight.demo import save_simulation
from spikesight.evaluation.folds import as_problem
from spikesight.evaluation.sources import load_source
from spikesight.splits import BlockKFold


def attributed(dataset, decoder, method, n_folds, seeds=1):
    """The table of units of a decoder that is fitted and asked fold by fold."""
    problem = as_problem(dataset, "simulated")
    rows = []
    for fold, (train, test) in enumerate(problem.folds(BlockKFold(n_folds, gap=2))):
        fitted = registry.make(decoder).fit(problem.X[train], problem.y[train])
        for seed in range(seeds):
            found = unit_rows(
                method, fitted, problem.X[test], problem.y[test], problem.groups[test], n_permutations=4, seed=seed
            )
            key = {"session": "simulated", "decoder": decoder, "method": method, "fold": fold, "seed": seed}
            rows.append(found.assign(**key, unit=problem.unit_ids))
    return unit_table(pd.concat(rows), unit_places(dataset, "simulated"))


def simulated(folder, preset):
    file = folder / f"{preset}.nwb"
    save_simulation(preset, 0, file)
    config = load_config(overrides={"sources": [str(file)]})
    return load_source(config.sources[0], config).dataset, GroundTruth.load(truth_path(file))


def check_agreement(table, truth, least):
    strength = truth.tuning_strength(table["unit"].to_numpy())
    assert stats.spearmanr(strength, table["importance"]).statistic > least
    assert (table["q_value"][strength > 0.5] <= 0.05).mean() > 0.7
    return strength


@pytest.mark.parametrize(("decoder", "method"), [("fa-lda", "permutation"), ("fa-lda", "shap")])
def test_important_units_of_a_small_session_are_the_tuned_ones(tmp_path, decoder, method):
    dataset, truth = simulated(tmp_path, "tiny")
    check_agreement(attributed(dataset, decoder, method, 3), truth, 0.6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "method"), [("fa-lda", "permutation"), ("fa-lda", "shap"), ("mlp", "integrated-gradients")]
)
def test_important_units_of_a_session_of_scenes_are_the_tuned_ones_and_few_others_seem_so(tmp_path, decoder, method):
    dataset, truth = simulated(tmp_path, "demo")
    table = attributed(dataset, decoder, method, 5)
    strength = check_agreement(table, truth, 0.75)
    assert (table["q_value"][strength < 0.05] <= 0.05).mean() < 0.2


@pytest.mark.parametrize("method", ["permutation", "shap"])
def test_p_values_of_units_that_know_nothing_are_uniform(method):
    p_values = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n_trials, n_units = 160, 10
        labels = rng.permutation(np.arange(n_trials) % 4)
        rates = np.full((4, 1, n_units), 4.0)
        rates[:, :, :2] = rng.gamma(2.0, 2.0, (4, 1, 2))
        counts = rng.poisson(rates[labels])
        rows = []
        for fold, test in enumerate(np.array_split(np.arange(n_trials), 2)):
            train = np.setdiff1d(np.arange(n_trials), test)
            fitted = registry.make("lda").fit(counts[train], labels[train])
            for turn in range(3):
                found = unit_rows(
                    method, fitted, counts[test], labels[test], np.zeros(len(test)), n_permutations=4, seed=turn
                )
                key = {"session": "a", "decoder": "lda", "method": method, "fold": fold, "seed": turn}
                rows.append(found.assign(**key, unit=np.arange(n_units)))
        places = pd.DataFrame({"session": "a", "unit": np.arange(n_units), "area": "", "depth": np.nan})
        table = unit_table(pd.concat(rows), places).set_index("unit")["p_value"].sort_index()
        assert table[:2].max() < 0.05
        p_values.append(table.loc[2:].to_numpy())
    assert stats.kstest(np.concatenate(p_values), "uniform").pvalue > 0.01


@pytest.mark.parametrize("shares", [(0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1)])
def test_gradients_of_units_that_know_nothing_are_no_evidence_however_often_a_class_is_shown(shares):
    p_values = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        labels = rng.choice(4, 240, p=shares)
        rates = np.full((4, 1, 10), 4.0)
        rates[:, :, :2] = rng.gamma(2.0, 2.0, (4, 1, 2))
        counts, rows = rng.poisson(rates[labels]), []
        for fold, test in enumerate(np.array_split(np.arange(240), 2)):
            train = np.setdiff1d(np.arange(240), test)
            fitted = registry.make("mlp", hidden_size=16, max_epochs=8).fit(counts[train], labels[train])
            found = unit_rows(
                "integrated-gradients", fitted, counts[test], labels[test], np.zeros(120), n_permutations=2, seed=0
            )
            key = {"session": "a", "decoder": "mlp", "method": "integrated-gradients", "fold": fold, "seed": 0}
            rows.append(found.assign(**key, unit=np.arange(10)))
        places = pd.DataFrame({"session": "a", "unit": np.arange(10), "area": "", "depth": np.nan})
        p_values += unit_table(pd.concat(rows), places).set_index("unit")["p_value"].loc[range(2, 10)].tolist()
    assert np.mean(np.array(p_values) < 0.05) < 0.11
    assert stats.kstest(p_values, "uniform").pvalue > 0.01

"""The two ends of the range of difficulty that simulated sessions cover."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_simulator_difficulty.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_simulator_difficulty", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_linear_decoder_spans_50_to_95_percent(bench):
    hardest, easiest = bench.SESSIONS[0], bench.SESSIONS[-1]
    assert bench.measure(*hardest, n_folds=5)["pca_logistic"] <= bench.LOWEST
    assert bench.measure(*easiest, n_folds=2)["pca_logistic"] >= bench.HIGHEST


@pytest.mark.slow
def test_the_oracle_is_above_the_linear_decoder(bench):
    row = bench.measure(*bench.SESSIONS[0], n_folds=1)
    assert row["oracle"] > row["pca_logistic"] + 0.1

"""Every registered decoder keeps the whole of scikit-learn's estimator contract, and ours for three dimensions."""

import os
import subprocess
import sys

import pytest
import scipy
from sklearn.utils.estimator_checks import check_classifiers_train, parametrize_with_checks

from quick_decoders import is_network, quick
from spikesight.decoders import registry
from spikesight.preprocessing import FlattenTrials, SqrtCounts, ZScoreUnits


def _wants_accuracy(check):
    return getattr(check, "func", check) is check_classifiers_train


@parametrize_with_checks([quick(name) for name in registry.names()])
def test_decoder_keeps_the_contract_of_scikit_learn(estimator, check):
    """All checks but one ask nothing of a network that two epochs would not teach it."""
    if not (_wants_accuracy(check) and "max_epochs" in estimator.get_params()):
        check(estimator)


@pytest.mark.parametrize("name", [name for name in registry.names() if is_network(name)])
@pytest.mark.parametrize("options", [{}, {"readonly_memmap": True, "X_dtype": "float32"}])
def test_networks_of_default_length_keep_the_check_that_asks_for_accuracy(name, options):
    check_classifiers_train(name, registry.make(name), **options)


@pytest.mark.slow
@parametrize_with_checks([registry.make(name) for name in registry.names() if is_network(name)])
def test_networks_of_default_length_keep_the_whole_contract_of_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_checks([SqrtCounts(), ZScoreUnits(), FlattenTrials()])
def test_transformer_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.skipif(scipy.__version__.startswith(("1.12.", "1.13.")), reason="scikit-learn asks for scipy 1.14 there")
@pytest.mark.slow
def test_checks_that_need_scipys_array_api_are_kept_too():
    """scikit-learn skips them unless this is set before scipy is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "array_api_input", __file__]
    ended = subprocess.run(command, env={**os.environ, "SCIPY_ARRAY_API": "1"}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    assert "skipped" not in ended.stdout

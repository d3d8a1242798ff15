"""Every registered decoder keeps the whole of scikit-learn's estimator contract, and ours for three dimensions."""

import os
import subprocess
import sys

from sklearn.utils.estimator_checks import parametrize_with_checks

from spikesight.decoders import registry
from spikesight.preprocessing import FlattenTrials, SqrtCounts, ZScoreUnits


@parametrize_with_checks([registry.make(name) for name in registry.names()])
def test_decoder_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_checks([SqrtCounts(), ZScoreUnits(), FlattenTrials()])
def test_transformer_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_checks_that_need_scipys_array_api_are_kept_too():
    """scikit-learn skips them unless this is set before scipy is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "array_api_input", __file__]
    ended = subprocess.run(command, env={**os.environ, "SCIPY_ARRAY_API": "1"}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    assert "skipped" not in ended.stdout

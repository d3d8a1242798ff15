"""Every registered decoder keeps the whole of scikit-learn's estimator contract, and ours for three dimensions."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from spikesight.decoders import registry
from spikesight.preprocessing import FlattenTrials, SqrtCounts, ZScoreUnits


@parametrize_with_checks([registry.make(name) for name in registry.names()])
def test_decoder_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_checks([SqrtCounts(), ZScoreUnits(), FlattenTrials()])
def test_transformer_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)

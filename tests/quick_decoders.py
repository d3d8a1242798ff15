"""Decoders as tests make them where accuracy is not at stake: networks are trained for two epochs only."""

from sklearn.base import clone

from spikesight.decoders import registry
from spikesight.decoders.ensemble import Ensemble

EPOCHS = "max_epochs"


def quick(name, **params):
    """A registered decoder; what it trains, it trains briefly."""
    return briefly(registry.make(name, **params))


def briefly(estimator):
    """A copy of any estimator, all of whose networks are trained briefly."""
    if isinstance(estimator, Ensemble):
        members = [("mlp", {EPOCHS: 2}) if member == "mlp" else member for member in estimator.members]
        return clone(estimator).set_params(members=tuple(members))
    lengths = [name for name in estimator.get_params() if name.rpartition("__")[2] == EPOCHS]
    return clone(estimator).set_params(**dict.fromkeys(lengths, 2))


def is_network(name):
    return EPOCHS in registry.make(name).get_params()

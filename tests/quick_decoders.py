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
        return clone(estimator).set_params(members=_brief_members(estimator.members))
    lengths = [name for name in estimator.get_params() if name.rpartition("__")[2] == EPOCHS]
    return clone(estimator).set_params(**dict.fromkeys(lengths, 2))


def brief_candidates(name):
    """Two of a decoder's candidates. What a choice may see does not hang on how good or how many they are."""
    candidates = [dict(candidate) for candidate in registry.spec(name).candidates[:2]]
    for candidate in candidates:
        if "members" in candidate:
            candidate["members"] = _brief_members(candidate["members"])
    return tuple(candidates)


def is_trained(name):
    """Whether a decoder trains networks: it is one, or has one among its members."""
    return is_network(name) or registry.get(name) is Ensemble


def is_network(name):
    return EPOCHS in registry.make(name).get_params()


def _brief_members(members):
    return tuple(("mlp", {EPOCHS: 2}) if member == "mlp" else member for member in members)

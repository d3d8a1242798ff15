"""Several decoders, one answer: their calibrated probabilities, averaged or multiplied."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from spikesight.decoders import registry
from spikesight.decoders.base import Codes, Floats, ProbabilisticDecoder
from spikesight.decoders.calibration import HeldOut, choose_weights, inner_folds
from spikesight.errors import ConfigError

AVERAGE: Final = "average"
PRODUCT: Final = "product"
_TINY: Final = np.finfo(np.float64).tiny
"""Floor of a probability before its logarithm."""

Member = str | tuple[str, Mapping[str, Any]]


class Ensemble(ProbabilisticDecoder):
    """Averages the probabilities of other decoders, each calibrated on inner folds of the training trials.

    Decoders that give scores, or probabilities that are too certain, are made comparable first: five contiguous inner
    folds of the training trials choose an inverse temperature for each of them, which costs five further fits.
    Members that calibrate themselves (their parameter ``calibrate`` is true, as in ``fa-lda``) are taken at their word.

    Several bins: each member does with them what it does alone.

    Parameters
    ----------
    members
        Registered names, or pairs of a name and its constructor parameters: ``("lda", ("fa-lda", {"q": 60}))``. Every
        member that takes a ``random_state`` gets the ensemble's, unless its own is given.
    combine
        ``"average"``: the arithmetic mean of the members' calibrated probabilities, all with the same weight.
        ``"product"``: the members' log-probabilities are added with one weight each; the weights are those under which
        held-out trials of the inner folds are most probable, and they calibrate the sum as well. Every member is then
        fitted five further times.
    random_state
        Seed of the members.

    Attributes
    ----------
    members_ : list of decoders
        Fitted members.
    weights_ : ndarray of shape (n_members,)
        Inverse temperature of each member's scores (``"average"``), or the weight of its log-probabilities
        (``"product"``).

    Raises
    ------
    ConfigError
        From ``fit``: no member, a member that is neither a name nor a pair, an ensemble within an ensemble, parameters
        that a member does not take, an unknown way to combine.
    UnknownNameError
        From ``fit``: a name that is not registered; offers the nearest one.

    References
    ----------
    Genest and Zidek (1986), "Combining probability distributions", Statistical Science 1 (linear and logarithmic
    opinion pools); Guo et al. (2017), "On calibration of modern neural networks", ICML (temperature).
    """

    def __init__(
        self,
        members: Sequence[Member] = (("fa-lda", {"q": 60}), ("fa-lda", {"q": 120}), ("fa-lda", {"q": 240}), "mlp"),
        *,
        combine: str = AVERAGE,
        random_state: int | None = 0,
    ) -> None:
        self.members = members
        self.combine = combine
        self.random_state = random_state

    def _fit(self, trials: NDArray[Any], codes: Codes) -> None:
        if self.combine not in (AVERAGE, PRODUCT):
            raise ConfigError(f"expected combine={AVERAGE!r} or {PRODUCT!r}, got {self.combine!r}.")
        makers = [_parsed(member) for member in _listed(self.members)]
        held_out = [self._held_out(name, params, trials, codes) for name, params in makers]
        if self.combine == AVERAGE:
            self.weights_ = np.concatenate([choose_weights(parts, 1) if parts else np.ones(1) for parts in held_out])
        else:
            self.weights_ = choose_weights([_stacked(parts) for parts in zip(*held_out, strict=True)], len(makers))
        self.members_ = [self._make(name, params).fit(trials, codes) for name, params in makers]

    def _scores(self, trials: NDArray[Any]) -> Floats:
        scores = [
            weight * _log_scores(member, trials) for weight, member in zip(self.weights_, self.members_, strict=True)
        ]
        if self.combine == PRODUCT:
            return np.asarray(np.sum(scores, axis=0))
        return np.asarray(logsumexp([own - logsumexp(own, axis=1, keepdims=True) for own in scores], axis=0))

    def _held_out(self, name: str, params: dict[str, Any], trials: NDArray[Any], codes: Codes) -> list[HeldOut]:
        """Fit a member to four fifths of the training trials and look at the others, five times; or not at all."""
        member = self._make(name, params)
        if self.combine == AVERAGE and getattr(member, "calibrate", False):
            return []
        parts = []
        for train, test in inner_folds(codes):
            member = self._make(name, params).fit(trials[train], codes[train])
            scores = _log_scores(member, trials[test])
            no_prior = np.zeros(len(member.classes_))  # the member's own is in its scores
            parts.append(HeldOut(scores[None], no_prior, np.searchsorted(member.classes_, codes[test])))
        return parts

    def _make(self, name: str, params: dict[str, Any]) -> Any:
        """Return an unfitted member with the ensemble's seed."""
        known = inspect.signature(registry.get(name)).parameters
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise ConfigError(f"the member {name!r} has no parameter {unknown[0]!r}. It has: {', '.join(known)}.")
        seed = {"random_state": self.random_state} if "random_state" in known else {}
        return registry.make(name, **{**seed, **params})


def _listed(members: Any) -> list[Any]:
    if isinstance(members, str) or not isinstance(members, Sequence) or not members:
        raise ConfigError(
            f"expected the names of one or more decoders, for example ('fa-lda', 'lda'), got {members!r}."
        )
    return list(members)


def _parsed(member: Any) -> tuple[str, dict[str, Any]]:
    """Return the registered name and the parameters of a member."""
    name, params = (member, {}) if isinstance(member, str) else _pair(member)
    if registry.get(name) is Ensemble:
        raise ConfigError(f"an ensemble is no member of an ensemble: list its members instead of {name!r}.")
    return name, dict(params)


def _pair(member: Any) -> tuple[Any, Any]:
    if isinstance(member, list | tuple) and len(member) == 2:
        name, params = member
        if isinstance(name, str) and isinstance(params, Mapping):
            return name, params
    raise ConfigError(f"expected a decoder's name or a pair of name and parameters as a member, got {member!r}.")


def _stacked(parts: Sequence[HeldOut]) -> HeldOut:
    """Return what all members say of the same held-out trials."""
    return HeldOut(np.concatenate([part.log_likelihoods for part in parts]), parts[0].log_prior, parts[0].codes)


def _log_scores(decoder: Any, trials: NDArray[Any]) -> Floats:
    """Return log-probabilities, or the scores of a decoder that has none, (n_trials, n_classes)."""
    if hasattr(decoder, "predict_proba"):
        return np.asarray(np.log(np.maximum(decoder.predict_proba(trials), _TINY)))
    scores = np.asarray(decoder.decision_function(trials))
    return scores if scores.ndim == 2 else np.stack([np.zeros_like(scores), scores], axis=1)

"""Decoders: scikit-learn classifiers of trials ``(n_trials, n_bins, n_units)``, found by name."""

from spikesight.decoders.registry import N_CANDIDATES, DecoderSpec, get, make, names, register, spec

__all__ = ["N_CANDIDATES", "DecoderSpec", "get", "make", "names", "register", "spec"]

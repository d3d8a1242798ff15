"""Directed connectivity between single units: one estimator a file, ``fit(counts)`` -> ``connectivity_``."""

"""Decode what a mouse sees from the spikes of single neurons."""

__version__ = "0.1.0"

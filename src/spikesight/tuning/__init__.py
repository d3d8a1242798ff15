"""Searches for constants with Ray Tune."""

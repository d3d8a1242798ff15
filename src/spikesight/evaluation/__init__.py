"""Decoders on folds, on equal terms: one cell, all cells, and how they are run."""

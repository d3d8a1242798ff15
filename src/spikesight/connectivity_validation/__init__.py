"""Ground truth for connectivity: simulated networks of two families, scores, and the comparison of all estimators."""

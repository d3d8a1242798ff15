"""What searches for constants tried and what came of it: the table of candidates, made into data for pictures.

Every accuracy here was reached on inner folds of training trials. It is no test accuracy, and the best of many
candidates is optimistic: it was picked for being high. Quote the accuracy of the outer folds (``results.parquet``).
"""

from spikesight.tuning_results.axes import INNER_ACCURACY, ParallelCoordinates, parallel_coordinates
from spikesight.tuning_results.importance import HOW_IMPORTANCE, parameter_importance
from spikesight.tuning_results.table import (
    CANDIDATE_COLUMNS,
    CANDIDATES,
    checked_candidates,
    optimisation_history,
    parameters_of,
)

__all__ = [
    "CANDIDATES",
    "CANDIDATE_COLUMNS",
    "HOW_IMPORTANCE",
    "INNER_ACCURACY",
    "ParallelCoordinates",
    "checked_candidates",
    "optimisation_history",
    "parallel_coordinates",
    "parameter_importance",
    "parameters_of",
]

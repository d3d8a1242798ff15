"""Figures: a tidy frame or a DataArray in, ``ax=None``, the Axes out."""

import importlib
from typing import Any

_HOME = {
    "plot_accuracy_per_session": "sessions",
    "plot_area_graph": "area_graph",
    "plot_area_rates": "rates",
    "plot_calibration": "validation",
    "plot_centre_agreement": "receptive_fields",
    "plot_confusion_matrix": "confusion",
    "plot_connectivity_matrix": "connectivity_matrix",
    "plot_edges_in_ccf": "ccf_edges",
    "plot_ground_truth": "ground_truth",
    "plot_lag_histogram": "lag_histogram",
    "plot_leaderboard": "leaderboard",
    "plot_neural_images": "neural_images",
    "plot_optimisation_history": "tuning",
    "plot_parallel_coordinates": "parallel_coordinates",
    "plot_parameter_importance": "tuning",
    "plot_per_class_accuracy": "classes",
    "plot_raster": "raster",
    "plot_receptive_field_centres": "receptive_fields",
    "plot_receptive_fields": "receptive_fields",
    "plot_retrieval": "neural_images",
    "plot_tuned_against_default": "tuning_gain",
    "plot_unit_graph": "unit_graph",
    "plot_validation_curve": "validation",
    "plot_validation_scores": "validation",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Import matplotlib only when a figure is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)

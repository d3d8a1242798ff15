"""Figures: a tidy frame or a DataArray in, ``ax=None``, the Axes out.

A figure that needs a second axes (a dendrogram beside a matrix, the pupil above running) draws it as an inset of the
one it is given and returns: ``ax.child_axes[0]``. So every figure fits into one place of any layout.
"""

import importlib
from typing import Any

_HOME = {
    "animate_graph": "graph_animation",
    "plot_ablation_curves": "ablation",
    "plot_accuracy_against": "sizes",
    "plot_accuracy_per_session": "sessions",
    "plot_architecture": "flow_chart",
    "plot_area_ablation": "ablation",
    "plot_area_graph": "area_graph",
    "plot_area_rates": "rates",
    "plot_bins": "bin_cuts",
    "plot_calibration": "validation",
    "plot_class_pictures": "class_pictures",
    "plot_confusion_matrix": "confusion",
    "plot_connectivity_matrix": "connectivity_matrix",
    "plot_decoder_variants": "variants",
    "plot_edges_in_ccf": "ccf_edges",
    "plot_embedding": "embedding",
    "plot_ground_truth": "ground_truth",
    "plot_lag_histogram": "lag_histogram",
    "plot_leaderboard": "leaderboard",
    "plot_learning_curves": "learning",
    "plot_mean_waveforms": "waveforms",
    "plot_misclassified_trials": "trial_map",
    "plot_optimisation_history": "tuning",
    "plot_parallel_coordinates": "parallel_coordinates",
    "plot_parameter_importance": "tuning",
    "plot_per_class_accuracy": "classes",
    "plot_presentations": "presentations",
    "plot_probe_map": "probe_map",
    "plot_psth": "psth",
    "plot_raster": "raster",
    "plot_rate_distributions": "rate_distributions",
    "plot_reliability": "reliability",
    "plot_response_map": "response_map",
    "plot_running_and_pupil": "running_and_pupil",
    "plot_scene_grid": "scene_grid",
    "plot_tuned_against_default": "tuning_gain",
    "plot_unit_correlations": "unit_correlations",
    "plot_unit_graph": "unit_graph",
    "plot_unit_importance": "unit_importance",
    "plot_units_in_ccf": "ccf_units",
    "plot_validation_curve": "validation",
    "plot_validation_scores": "validation",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Import matplotlib only when a figure is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)

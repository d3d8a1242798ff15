"""Results and predictions of benchmarks, made into tidy tables for pictures.

Accuracies here are those of test trials, unless a name says otherwise.
"""

from spikesight.decoding_results.classes import class_accuracy
from spikesight.decoding_results.learning import learning_curves
from spikesight.decoding_results.reliability import reliability
from spikesight.decoding_results.sizes import accuracy_against

__all__ = ["accuracy_against", "class_accuracy", "learning_curves", "reliability"]

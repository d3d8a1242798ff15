"""
How well known couplings are found
==================================

Small simulated networks of two minutes, three of them: enough to see the figures, too little to judge a method. The
page :doc:`/connectivity_validation` has the networks of 25 minutes.
"""

from gallery_data import network, validation
from spikesight import figures

known, fitted = network()

# %%
# What is true, and what ``ccg-jitter`` found.
truth = fitted.connectivity_.copy(data=known.weight).assign_attrs(measure="weight of the coupling")
figures.plot_ground_truth(fitted.z_.assign_attrs(measure="z of ccg-jitter"), truth)

# %%
# Area under the ROC curve over pairs of units.
scores = validation("duration")
figures.plot_validation_scores(scores[scores["duration"] == scores["duration"].max()])

# %%
# Longer recordings find more.
figures.plot_validation_curve(scores, "duration", "average_precision")

# %%
# False positives where there is no edge: at a level of 5 %, 5 % are right.
figures.plot_calibration(validation("calibration"))

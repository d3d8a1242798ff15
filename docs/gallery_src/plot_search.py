"""
What a search for constants did
===============================

``spikesight tune`` keeps every candidate in ``candidates.parquet``. Accuracies on inner folds are no test accuracies:
the best of many is optimistic.
"""

from gallery_data import search
from spikesight import figures
from spikesight.tuning_results import optimisation_history, parallel_coordinates, parameter_importance

run = search()

# %%
# Filled points finished, hollow ones were given up. A line that still rises at the end asks for a longer search.
figures.plot_optimisation_history(optimisation_history(run.candidates))

# %%
# A line is a candidate; the darker, the more accurate. Winners are orange.
lines = parallel_coordinates(run.candidates)
figures.plot_parallel_coordinates(lines.lines, lines.ticks)

# %%
# Which constants went with the accuracy. An interval that reaches 0 is no sign of an effect: two times twelve
# candidates are few.
figures.plot_parameter_importance(parameter_importance(run.candidates))

# %%
# What the search gained on test trials, which is what counts.
figures.plot_tuned_against_default(run.per_session)

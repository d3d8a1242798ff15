"""
How networks learned
====================

A benchmark with a network in it: ``epochs.parquet`` and ``predictions.parquet`` of its run directory.
"""

import pandas as pd

from gallery_data import networks
from spikesight import figures
from spikesight.decoding_results import accuracy_against, learning_curves, reliability

runs = networks()
run = runs[-1]

# %%
# Loss of training trials, as they were seen: under noise and dropout. One line a fold.
figures.plot_learning_curves(learning_curves(pd.read_parquet(run.path / "epochs.parquet")), "loss")

# %%
# Does a decoder mean what it says? Below the diagonal it claims more than it keeps.
own = run.predictions[run.predictions["decoder"].isin(["fa-lda", "mlp"])]
figures.plot_reliability(reliability(own))

# %%
# Accuracy against the number of bins; the units of one area.
tables = [(one.results, one.predictions) for one in runs]
figures.plot_accuracy_against(accuracy_against(tables, "n_bins"), "n_bins")

"""
Which units carry the prediction
================================

``spikesight attribution RUN`` asks a finished benchmark: on held-out trials, what is lost without a unit? Nothing
of it is ever used for a fit.
"""

import pandas as pd

from gallery_data import attribution
from spikesight import figures

units = pd.read_parquet(attribution("permutation") / "attribution.parquet")
units = units[units["session"] == units["session"].iloc[0]]

# %%
# One point a unit. Filled ones pass a false discovery rate of 5 %.
figures.plot_unit_importance(units)

# %%
# The same by depth.
figures.plot_unit_importance(units, by="depth")

# %%
# Accuracy when units are dropped: the most important first, the least important first, at random.
dropped = pd.read_parquet(attribution("ablation") / "ablation.parquet")
dropped = dropped[dropped["session"] == dropped["session"].iloc[0]]
figures.plot_ablation_curves(dropped)

# %%
# Without an area, and with it alone.
figures.plot_area_ablation(dropped)

"""
How a trial is cut into bins
============================

One presentation, cut into 1, 3, 5, 10 and 20 bins. :doc:`/binning_and_latency` says which to choose.
"""

from gallery_data import trials
from spikesight import exploration, figures

shown = trials()
trial = int(shown.table.index[0])
label = shown.table["target"].iloc[0]
spikes, _, rows = exploration.trial_spikes(shown, classes=[label], n_repeats=1, margin=0)

# %%
# Darker is a higher rate. Above: the spikes themselves.
first = rows["trial"].iloc[0]
figures.plot_bins(exploration.cut_trial(shown, int(first)), spikes=spikes[spikes["trial"] == first])

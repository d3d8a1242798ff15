"""
A session at a glance
=====================

Where the units are, what was shown when, and what the mouse did. ``spikesight figures session.nwb`` draws all of these.
"""

import numpy as np

from gallery_data import pictures, session, trials
from spikesight import exploration, figures

# %%
# Probes: depth of every unit by area, from the tip of the probe upwards.
figures.plot_probe_map(exploration.probe_map(session()), sites=exploration.probe_sites(session()))

# %%
# The same units in the Allen Common Coordinate Framework.
figures.plot_units_in_ccf(exploration.probe_map(session(), ccf=True))

# %%
# The time-line of presentations.
figures.plot_presentations(exploration.presentation_timeline(session()))

# %%
# The pictures, as they were simulated.
frames, n_shown = np.unique(trials().table["frame"].to_numpy(), return_counts=True)
figures.plot_scene_grid(pictures(), repeats=dict(zip(frames.tolist(), n_shown.tolist(), strict=True)))

# %%
# What the mouse did.
figures.plot_running_and_pupil(exploration.behaviour_over_session(session()))

# %%
# Mean waveforms of the units, area by area.
figures.plot_mean_waveforms(exploration.mean_waveforms(session()))

# %% [markdown]
# # Neural images
#
# What did the mouse see, as far as its neurons tell? Maps of single units, pictures made of the answers of all units,
# and a search for the right picture among pictures that were never used for learning. Everything is scored on
# held-out pictures. The session is simulated, so its pictures and the true fields are known. In a shell: `spikesight
# receptive-fields session.nwb --stimulus natural_scenes`.

# %%
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

import spikesight as ss
from spikesight import figures
from spikesight.data.images import images_of_simulation
from spikesight.receptive_fields.reconstruction import reconstruct_images, summarise_reconstruction
from spikesight.receptive_fields.retrieval import retrieve_images, summarise_retrieval
from spikesight.receptive_fields.scene_trials import scene_trials
from spikesight.receptive_fields.scenes import scene_maps

simulation = ss.simulate_session("demo", seed=0)
counts = ss.bin_spikes(ss.select_trials(simulation.session, "natural_scenes"), n_bins=1)
with tempfile.TemporaryDirectory() as folder:
    images = images_of_simulation(simulation.truth.save(Path(folder) / "session.nwb.truth.npz"))
dict(images.sizes)

# %% [markdown]
# ## Trials and pictures
# Presentations with the picture that each of them showed, made smaller: a hundred pictures do not tell what fine
# pixels do.

# %%
trials = scene_trials(counts, images, 16)
trials.images.shape

# %% [markdown]
# ## Maps
# For every unit, which pixels its count goes along with (regression with a smoothness prior, whose strength is chosen
# on training pictures). `held_out_r` is the correlation of predicted with measured responses to pictures that were
# not used. Twelve presentations of 118 pictures are little: most maps are noise, and the score says so.

# %%
maps = scene_maps(trials, n_splits=3).assign_coords(area=counts["area"])
maps["held_out_r"].to_series().describe().round(3)

# %%
axes = figures.plot_receptive_fields(maps, most=12)

# %% [markdown]
# ## Pictures from responses
# `neural-image` adds up the maps, each weighted by how much its unit answered; `ridge` is a linear regression of
# pixels on responses. Both are fitted without the pictures that they are scored on. The baseline compares each
# reconstruction with other pictures.

# %%
made = reconstruct_images(trials, ("neural-image", "ridge"), n_splits=3)
summarise_reconstruction(made.scores).round(3)

# %%
stack = xr.DataArray(
    np.stack([trials.images, *made.images.values()]),
    dims=("kind", "frame", "y", "x"),
    coords={"kind": ["shown", *made.images], "frame": trials.frames, "y": trials.y, "x": trials.x},
)
axes = figures.plot_neural_images(stack, scores=made.scores)

# %% [markdown]
# ## Which picture was it?
# Responses to pictures are predicted from features of the pictures (energies of Gabor filters); each held-out picture
# is ranked among those that were held out with it. Chance is that of a random order.

# %%
ranks = retrieve_images(scene_trials(counts, images), n_splits=3)
summarise_retrieval(ranks).round(3)

# %%
axes = figures.plot_retrieval(ranks)

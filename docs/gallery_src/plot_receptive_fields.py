"""
What units see
==============

``spikesight receptive-fields`` maps units over pictures or gabors, makes neural images, and finds held-out pictures.
All of it is scored on pictures that were not used. :doc:`/examples/neural_images` goes through it step by step.
"""

import pandas as pd
import xarray as xr

from gallery_data import receptive_fields
from spikesight import figures

found = receptive_fields()
maps = xr.load_dataset(found / "receptive_fields.nc")
units = pd.read_parquet(found / "units.parquet")

# %%
# Maps of the units whose responses to held-out pictures they predict best.
figures.plot_receptive_fields(maps, most=12)

# %%
# Centres of the fields on the screen.
figures.plot_receptive_field_centres(units)

# %%
# Against the true centres, which a simulated session knows. Twelve presentations of 118 pictures are far too little:
# most maps are noise, so centres hardly agree.
figures.plot_centre_agreement(units, reference="true")

# %%
# Pictures made of responses, never of a picture that was seen in training.
figures.plot_neural_images(
    xr.load_dataset(found / "neural_images.nc")["image"], scores=pd.read_parquet(found / "reconstruction.parquet")
)

# %%
# The rank of the right picture among those that were held out with it.
ranks = pd.read_parquet(found / "retrieval.parquet")
figures.plot_retrieval(ranks[ranks["direction"] == ranks["direction"].iloc[0]])

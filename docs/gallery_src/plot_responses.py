"""
Spikes around a scene
=====================

One presentation as a raster, and the rate of each area over all presentations.
"""

import pandas as pd

from gallery_data import trials
from spikesight import figures
from spikesight.records.session_overview import area_rates, raster_excerpt

excerpt = raster_excerpt(trials())

# %%
# Spikes of one presentation, units sorted by area. Times count from the start of the presentation.
rows = pd.DataFrame(excerpt["units"], columns=["unit", "area", "depth"])
shown = excerpt["classes"][0]["trials"][0]
spikes = rows.iloc[shown["row"]].assign(time=[milliseconds / 1000 for milliseconds in shown["time"]])
figures.plot_raster(spikes, rows=rows, stop=excerpt["stop"])

# %%
# Mean rate and its interval over presentations; shaded is the time of the picture.
found = area_rates(trials())
curves = [
    pd.DataFrame({"time": found["time"], "mean": area["mean"], "low": area["low"], "high": area["high"]}).assign(
        area=area["area"], n_units=area["n_units"], time=lambda table: table["time"] / 1000
    )
    for area in found["areas"]
]
figures.plot_area_rates(pd.concat(curves), stop=found["stop"])

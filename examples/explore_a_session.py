# %% [markdown]
# # Explore a session
#
# What is in a session, what the mouse saw, and how units answer. The session is simulated here (preset `demo`, a
# second or two); with a real one, the first cell is `session = ss.read_session("session.nwb")`, or
# `ss.read_session(715093703)`, and all the rest stays.

# %%
import pandas as pd

import spikesight as ss
from spikesight import figures
from spikesight.records.session_overview import area_rates, raster_excerpt

simulation = ss.simulate_session("demo", seed=0)
session = simulation.session

# %% [markdown]
# ## Units
# One row per sorted unit. The simulated session holds poor units too; `UnitFilters` keeps those that AllenSDK keeps
# by default.

# %%
session.units["area"].value_counts().head(8)

# %%
session.units[["area", "firing_rate", "amplitude_cutoff", "presence_ratio", "isi_violations"]].describe().round(2)

# %% [markdown]
# ## What was shown
# One table per stimulus, one row per presentation. `frame` is the number of the picture; -1 is a grey screen.

# %%
pd.DataFrame({name: {"presentations": len(table)} for name, table in session.stimulus_presentations.items()}).T

# %%
session.stimulus_presentations["natural_scenes"].head()

# %% [markdown]
# ## Trials
# Presentations of one stimulus that can be trusted. What was left out is counted.

# %%
trials = ss.select_trials(session, "natural_scenes")
trials.dropped

# %% [markdown]
# ## A raster
# Spikes of one presentation. Times count from its start, units are sorted by area.

# %%
excerpt = raster_excerpt(trials)
rows = pd.DataFrame(excerpt["units"], columns=["unit", "area", "depth"])
shown = excerpt["classes"][0]["trials"][0]
spikes = rows.iloc[shown["row"]].assign(time=[milliseconds / 1000 for milliseconds in shown["time"]])
axes = figures.plot_raster(spikes, rows=rows, stop=excerpt["stop"])

# %% [markdown]
# ## Rates
# Mean over presentations, by area: the answer begins some 50 ms after the picture, and goes on when it is gone.

# %%
found = area_rates(trials)
curves = [
    pd.DataFrame({name: area[name] for name in ("mean", "low", "high")}).assign(
        area=area["area"], n_units=area["n_units"], time=[milliseconds / 1000 for milliseconds in found["time"]]
    )
    for area in found["areas"]
]
axes = figures.plot_area_rates(pd.concat(curves), stop=found["stop"])

# %% [markdown]
# ## Counts
# Trials x bins x units, with names on every axis. `to_arrays` is the way out to numpy and scikit-learn.

# %%
counts = ss.bin_spikes(trials, n_bins=5)
counts["spike_counts"].sizes

# %%
by_scene = counts["spike_counts"].sum("time").groupby("target").mean()
best = by_scene.idxmax("target")
pd.DataFrame({"area": counts["area"].to_series(), "best scene": best.to_series()}).head()

"""
What units answer
=================

Rates, correlations and answers to scenes. ``spikesight.exploration`` has the tables, figures draw them.
"""

from gallery_data import counts, session, trials
from spikesight import exploration, figures

# %%
# Rates of all units, by area.
figures.plot_rate_distributions(exploration.unit_rates(session()))

# %%
# The mean rate around a scene, area by area, with its interval.
figures.plot_psth(exploration.psth(trials(), per_class=False), stop=0.25)

# %%
# The mean answer of every unit to every scene.
figures.plot_response_map(exploration.response_map(counts()))

# %%
# Correlations of the answers to scenes, clustered: units that answer alike stand together.
figures.plot_unit_correlations(exploration.cluster_units(exploration.unit_correlations(counts(), "signal")))

# %%
# Units, placed by t-SNE of their answers.
figures.plot_embedding(exploration.embed_units(counts(), method="tsne"))

# %%
# Trials, placed by principal components. With a hundred scenes, seven have a colour.
figures.plot_embedding(exploration.embed_trials(counts(), method="pca", most=600))

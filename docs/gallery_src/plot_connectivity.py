"""
Who drives whom
===============

An estimate by ``granger`` of the spontaneous time of a simulated session, as ``spikesight connectivity fit`` leaves it.
"""

from gallery_data import connectivity
from spikesight import figures

found = connectivity()

# %%
# Rows drive columns; units are sorted by area and depth.
figures.plot_connectivity_matrix(found.matrices["connectivity"], found.units)

# %%
# Areas: the width of an arrow is the share of pairs with an edge.
figures.plot_area_graph(found.areas)

# %%
# Units on a circle, with the strongest edges. Red arrow heads excite, blue bars inhibit.
figures.plot_unit_graph(found.edges, found.units)

# %%
# The same, drawn together where they are connected.
figures.plot_unit_graph(found.edges, found.units, layout="force")

# %%
# Lags of the edges, within and between areas.
figures.plot_lag_histogram(found.edges)

# %%
# Where the units are in the brain (Allen Common Coordinate Framework).
figures.plot_edges_in_ccf(found.edges, found.units)

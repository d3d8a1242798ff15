"""
What a graph decoder is made of
===============================

Charts are drawn from the decoder's own parameters. :doc:`/graph_decoders` explains the parts,
:doc:`/what_a_graph_is` what the graph does not say.
"""

from gallery_data import folder, graph_per_bin, session
from spikesight import decoders, figures
from spikesight.decoders.architecture import architecture_of
from spikesight.decoders.variants import decoder_variants

# %%
# One decoder. ``spikesight decoders st-gat --chart st-gat.svg`` writes the same.
figures.plot_architecture(architecture_of(decoders.make("st-gat"), "st-gat"))

# %%
# All that graph decoders may be, and those that have a name.
figures.plot_decoder_variants(*decoder_variants())

# %%
# A graph for each bin, learned with the decoder (five epochs, units of VISp). It is the decoder's, and no
# connectivity.
areas = session().units["area"].to_dict()
gif = figures.animate_graph(graph_per_bin(), folder() / "graph.gif", areas=areas, times=[0, 0.08, 0.17, 0.25])
